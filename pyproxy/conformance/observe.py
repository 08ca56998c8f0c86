"""What a case that has run looked like, in the form in which two proxies, or a proxy and a record, are compared."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import cache

from pyproxy.conformance.case import Case, Observation, Views
from pyproxy.conformance.messages import normalize, statuses
from pyproxy.conformance.peers import Seen
from pyproxy.net.sockets import node_address

RECEIVED = "the client received"
BACKEND = "the backend received"
END = "the client's connection ended"
CONNECTIONS = "backend connections"
SECONDS = "seconds to the end"
REMOTE = "the client's address in the access log"
LOCAL = "the listener's address in the access log"

# What only records have.
STATUS = "status of the first response"
FIRST_REMOTE = "the client's address in the access log's first line"
FIRST_LOCAL = "the listener's address in the access log's first line"
TRUSTED = "the trusted address"

ABSENT = b"(absent)"

CUT = b"[cut]"
"""Ends a recorded value that was too long to keep whole."""

SECONDS_APART = 0.6
"""How much sooner or later than Envoy pyproxy may end a connection; a busy machine takes its share."""


def observe(case: Case, seen: Seen) -> Observation:
    """All that can be compared of one side of ``case``."""
    received = normalize(seen.received, case.answers_to_head)
    streams = tuple(normalize(stream, node=node()) for stream in seen.requests)
    views = {RECEIVED: received, BACKEND: b"".join(streams)}
    if case.compare_end:
        views[END] = seen.end.encode()
        views[CONNECTIONS] = b"%d" % len(seen.requests)
        if seen.end != "open":
            views[SECONDS] = b"%.1f" % seen.seconds
    if case.addresses:
        views[REMOTE] = b"\n".join(remote for remote, _ in addresses_of(seen))
        views[LOCAL] = b"\n".join(local for _, local in addresses_of(seen))
    return Observation(views, received, streams)


def observe_as_recorded(case: Case, seen: Seen) -> Observation:
    """The same with what a record may have in place of bytes, and without what it does not know.

    That is: a first status, headers of the first request that the backend got; and not the backend's dates.
    """
    observation = observe(case, seen)
    received = normalize(seen.received, case.answers_to_head, any_date=True)
    views = {**observation.views, RECEIVED: received}
    views[STATUS] = b"".join(b"%d" % code for code in statuses(seen.received, case.answers_to_head)[:1])
    head, end, _ = b"".join(seen.requests[:1]).partition(b"\r\n\r\n")
    for name, value in re.findall(rb"\r\n([^:\r\n]+): ?([^\r\n]*)", normalize(head + end, node=node())):
        key = name.decode("latin-1")
        views[key] = views[key] + b"\n" + value if key in views else value
    if seen.logged:
        views[TRUSTED] = seen.logged[0][0].rpartition(":")[0].strip("[]").encode()
        views[FIRST_REMOTE], views[FIRST_LOCAL] = addresses_of(seen)[0]
    return replace(observation, views=views, received=received)


def addresses_of(seen: Seen) -> list[tuple[bytes, bytes]]:
    """(remote, local) of each request in the access log; ``<connection>`` and ``<listener>`` for the socket's own."""
    return [
        (
            b"<connection>" if remote == seen.client else remote.encode(),
            b"<listener>" if local == seen.listener else local.encode(),
        )
        for remote, local in seen.logged
    ]


def differences(expected: Views, actual: Views) -> list[str]:
    """The names of those of ``expected`` that ``actual`` has otherwise."""
    return [name for name, value in expected.items() if not _same(name, value, actual.get(name, ABSENT), actual)]


def _same(name: str, one: bytes, other: bytes, actual: Views) -> bool:
    if name != SECONDS:
        return other.startswith(one.removesuffix(CUT)) if one.endswith(CUT) else one == other
    return SECONDS not in actual or abs(float(one) - float(other)) <= SECONDS_APART


@cache
def node() -> bytes:
    """This machine's address as a proxy on it writes it for loopback clients."""
    return node_address().encode()
