"""What Envoy Gateway's translator refuses in a policy that Kubernetes has accepted, and what applies all the same.

Such a policy still holds its listeners: all their routes answer 500, and of the policy applies what the translator had
written by then. Errors about durations and about headers' names are not here, as the CRD refuses these first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from pyproxy.policy.client_traffic_policy import (
    HTTP2,
    TLS,
    ClientTrafficPolicy,
    ClientTrafficPolicySpec,
    Headers,
    HTTPHeader,
    HTTPHeaderFilter,
)
from pyproxy.policy.document import Path
from pyproxy.policy.scalars import format_quantity, parse_quantity

MAX_UINT32 = 2**32 - 1
MAX_INT64 = 2**63 - 1
MIN_WINDOW = 65_535
MAX_WINDOW = 2**31 - 1
MIN_REQUEST_HEADERS = 1024
MAX_REQUEST_HEADERS = 8192 * 1024

# RFC 7230 as Gateway API has it: printable US-ASCII with single blanks in between.
_HEADER_VALUE = re.compile(r"[!-~]+(?:[\t ][!-~]+)*")


@dataclass(frozen=True, slots=True)
class Mistake:
    """One of the translator's errors."""

    group: str
    """What it puts in front of the errors of one part of a policy, ``Headers``; nothing for some."""
    path: Path
    """Where in the policy's document the mistake is."""
    message: str
    """To the letter."""


def find_mistakes(
    spec: ClientTrafficPolicySpec, hostname: str | None, route_hostnames: Sequence[str], protocol: str = "HTTP"
) -> list[Mistake]:
    """The translator's errors for one listener, in its order.

    ``hostname`` and ``protocol`` are the listener's; ``route_hostnames`` has one for each match of each rule of each
    route that the listener has (``*`` where there is none).
    """
    if protocol == "UDP":
        return []
    found = [*_connection(spec)]
    if protocol in ("HTTP", "HTTPS"):
        found += [*_headers(spec.headers), *_http1(spec, hostname, route_hostnames), *_http2(spec.http2)]
    if protocol in ("HTTPS", "TLS"):
        found += _tls(spec.tls)
    return found


def condition_message(mistakes: Sequence[Sequence[Mistake]]) -> str:
    """The message of the Accepted condition, for the mistakes of each listener."""
    lines = []
    for of_listener in mistakes:
        for group, found in groupby(of_listener, key=lambda mistake: mistake.group):
            lines.append((f"{group}: " if group else "") + "\n".join(mistake.message for mistake in found))
    return sentence("\n".join(lines))


def sentence(message: str) -> str:
    """As Envoy Gateway puts an error into a condition: with a capital and a full stop."""
    return message[0].upper() + message[1:] + ("" if message.endswith(".") else ".")


def what_applies(policy: ClientTrafficPolicy, mistakes: Sequence[Mistake]) -> ClientTrafficPolicy:
    """The part of a policy with ``mistakes`` that the translator writes to a listener.

    tcpKeepalive, connection, proxyProtocol and timeout are not; of headers and http1 is all that is right.
    """
    spec = policy.spec
    places = {mistake.path for mistake in mistakes}
    headers, http1 = spec.headers, spec.http1
    if headers is not None:
        early, late = headers.early_request_headers, headers.late_response_headers
        changes = {
            "early_request_headers": _right_part(early) if early is not None else None,
            "late_response_headers": _right_part(late) if late is not None else None,
            "max_request_header_limit": headers.max_request_header_limit if _LIMIT not in places else None,
        }
        headers = headers.model_copy(update=changes)
    if http1 is not None and _DEFAULT_HOST in places:
        http1 = http1.model_copy(update={"http10": None})
    not_written = dict.fromkeys(("tcp_keepalive", "connection", "proxy_protocol", "enable_proxy_protocol", "timeout"))
    return policy.model_copy(
        update={"spec": spec.model_copy(update={**not_written, "headers": headers, "http1": http1})}
    )


_LIMIT: Path = ("spec", "headers", "maxRequestHeaderLimit")
_DEFAULT_HOST: Path = ("spec", "http1", "http10", "useDefaultHost")


def _connection(spec: ClientTrafficPolicySpec) -> Iterator[Mistake]:
    limit = spec.connection.buffer_limit if spec.connection is not None else None
    if limit is None:
        return
    number, text = parse_quantity(limit), format_quantity(limit)
    path: Path = ("spec", "connection", "bufferLimit")
    if number > MAX_INT64:
        yield Mistake("Connection", path, f"invalid BufferLimit value {text}")
    elif not 0 <= number <= MAX_UINT32:
        message = f"BufferLimit value {text} is out of range, must be between 0 and {MAX_UINT32}"
        yield Mistake("Connection", path, message)


def _headers(headers: Headers | None) -> Iterator[Mistake]:
    if headers is None:
        return
    if headers.max_request_header_limit is not None:
        number = parse_quantity(headers.max_request_header_limit)
        value = f"MaxRequestHeaderLimit value {format_quantity(headers.max_request_header_limit)}"
        if number < MIN_REQUEST_HEADERS:
            yield Mistake("Headers", _LIMIT, f"{value} must be at least 1Ki")
        elif number > MAX_REQUEST_HEADERS:
            yield Mistake("Headers", _LIMIT, f"{value} exceeds the maximum of 8192Ki")
    for name, kind, mutations in (
        ("earlyRequestHeaders", "EarlyRequestHeaders", headers.early_request_headers),
        ("lateResponseHeaders", "LateResponseHeaders", headers.late_response_headers),
    ):
        if mutations is not None:
            for path, message in _mutations(mutations):
                yield Mistake("Headers", ("spec", "headers", name, *path), f"{kind} {message}")


def _mutations(mutations: HTTPHeaderFilter) -> Iterator[tuple[Path, str]]:
    """(path in it, message) of each error in one filter."""
    for name, headers in (
        ("add", mutations.add),
        ("set", mutations.set),
        ("addIfAbsent", mutations.add_if_absent),
    ):
        for index, header in enumerate(headers or []):
            if not _is_right(header):
                message = f"cannot {name} a header with an invalid value. Header: '\"{header.name}\"'"
                yield (name, index, "value"), message
    for index, removed in enumerate(mutations.remove or []):
        if not removed:
            yield ("remove", index), "cannot remove a header with an empty name"
    right = _right_part(mutations)
    if not any((right.add, right.set, right.add_if_absent, right.remove, right.remove_on_match)):
        yield (), "did not provide valid configuration to add/set/remove any headers"


def _is_right(header: HTTPHeader) -> bool:
    return _HEADER_VALUE.fullmatch(header.value) is not None


def _right_part(mutations: HTTPHeaderFilter) -> HTTPHeaderFilter:
    """Without the headers that the translator leaves out."""
    written = {
        name: [header for header in headers if _is_right(header)]
        for name in ("set", "add", "add_if_absent")
        if (headers := getattr(mutations, name)) is not None
    }
    removed = [name for name in mutations.remove if name] if mutations.remove is not None else None
    return mutations.model_copy(update={**written, "remove": removed})


def _http1(spec: ClientTrafficPolicySpec, hostname: str | None, route_hostnames: Sequence[str]) -> Iterator[Mistake]:
    http10 = spec.http1.http10 if spec.http1 is not None else None
    if http10 is None or not http10.use_default_host or (hostname is not None and "*" not in hostname):
        return
    candidates = sum("*" not in name for name in route_hostnames)
    if candidates != 1:
        message = "cannot set http10 default host on listener with only wildcard hostnames"
        several = " and more than one possible default route" if candidates else ""
        yield Mistake("HTTP1", _DEFAULT_HOST, message + several)


def _http2(http2: HTTP2 | None) -> Iterator[Mistake]:
    """Also of plain listeners, where it says nothing to HTTP/1.1."""
    if http2 is None:
        return
    for name, size in (
        ("InitialStreamWindowSize", http2.initial_stream_window_size),
        ("InitialConnectionWindowSize", http2.initial_connection_window_size),
    ):
        if size is None:
            continue
        number, text = parse_quantity(size), format_quantity(size)
        path: Path = ("spec", "http2", name[0].lower() + name[1:])
        if number > MAX_INT64:
            yield Mistake("HTTP2", path, f"invalid {name} value {text}")
        elif not MIN_WINDOW <= number <= MAX_WINDOW:
            message = f"{name} value {text} is out of range, must be between {MIN_WINDOW} and {MAX_WINDOW}"
            yield Mistake("HTTP2", path, message)


def _tls(tls: TLS | None) -> Iterator[Mistake]:
    """What can be said without the Secrets and ConfigMaps that a policy refers to, which are taken to be there."""
    validation = tls.client_validation if tls is not None else None
    if validation is None or validation.ca_certificate_refs:
        return
    if validation.mode == "VerifyIfGiven":
        message = 'tls.clientValidation.mode "VerifyIfGiven" requires caCertificateRefs'
        yield Mistake("TLS", ("spec", "tls", "clientValidation", "mode"), message)
    elif validation.mode is None and validation.optional:
        message = 'tls.clientValidation.optional=true requires caCertificateRefs (maps to mode "VerifyIfGiven")'
        yield Mistake("TLS", ("spec", "tls", "clientValidation", "optional"), message)
