"""What a policy may not say about keepalive and headers although the CRD lets it: its listener would not serve.

Envoy itself refuses a listener that changes ``host``, or with a value whose ``%`` it does not understand; the cluster
then has no such listener, and its policy's status does not say so. The others it lets through, and answers 404 or 502
to every request, or writes messages that end somewhere else than they say; and where the kernel refuses a keepalive,
Envoy drops the listener (all measured on 1.40).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from pyproxy.policy.command_operators import parse_value
from pyproxy.policy.document import Path
from pyproxy.policy.regex import check_regex, full_match
from pyproxy.policy.scalars import parse_duration

MAX_PROBES = 127
MAX_SECONDS = 32767
"""What Linux takes for TCP_KEEPCNT, and for TCP_KEEPIDLE and TCP_KEEPINTVL (include/net/tcp.h)."""

_FRAMING = frozenset(("connection", "content-length", "transfer-encoding", "upgrade"))
_HOP_BY_HOP = _FRAMING | {"host", "http2-settings", "keep-alive", "proxy-connection", "te"}
_PSEUDO = {"earlyRequestHeaders": (":authority", ":method", ":path", ":scheme"), "lateResponseHeaders": (":status",)}


def find_refused_values(spec: dict[str, Any]) -> Iterator[tuple[Path, str]]:
    """(place, reason) in a policy's ``spec``, which may be wrong in other ways too."""
    keepalive = spec.get("tcpKeepalive")
    if isinstance(keepalive, dict):
        for name, reason in _of_keepalive(keepalive):
            yield ("spec", "tcpKeepalive", name), reason
    headers = spec.get("headers")
    if isinstance(headers, dict):
        for field in _PSEUDO:
            for path, reason in _of_filter(headers.get(field), field):
                yield ("spec", "headers", field, *path), reason
    http1 = spec.get("http1")
    if isinstance(http1, dict):
        for index, match in enumerate(_list(http1.get("ignoredUpgradeTypes"))):
            for path, reason in _bad_regex(match):
                yield ("spec", "http1", "ignoredUpgradeTypes", index, *path), reason


def _of_keepalive(keepalive: dict[str, Any]) -> Iterator[tuple[str, str]]:
    probes = keepalive.get("probes")
    if isinstance(probes, int) and not 1 <= probes <= MAX_PROBES:
        yield "probes", f"the kernel takes 1 to {MAX_PROBES}, not {probes}"
    for name in ("idleTime", "interval"):
        text = keepalive.get(name)
        with suppress(ValueError):  # the schema's to refuse
            if isinstance(text, str) and not 1 <= parse_duration(text) // 1000 <= MAX_SECONDS:
                yield name, f"the kernel takes 1s to {MAX_SECONDS}s, in whole seconds, not {text}"


def _of_filter(mutations: Any, field: str) -> Iterator[tuple[Path, str]]:
    if not isinstance(mutations, dict):
        return
    for action in ("set", "add", "addIfAbsent"):
        for index, header in enumerate(_list(mutations.get(action))):
            name, value = (header.get("name"), header.get("value")) if isinstance(header, dict) else (None, None)
            if isinstance(name, str) and name.lower() in _HOP_BY_HOP:
                reason = f"{name} is not the policy's to write: it says where a message goes or ends; take it out"
                yield (action, index, "name"), reason
            if isinstance(value, str):
                try:
                    parse_value(value)
                except ValueError as error:
                    yield (action, index, "value"), str(error)
    for index, name in enumerate(_list(mutations.get("remove"))):
        if isinstance(name, str) and (name.startswith(":") or name.lower() in _FRAMING | {"host"}):
            yield ("remove", index), f"no message would be left whole without {name}; take it out"
    for index, match in enumerate(_list(mutations.get("removeOnMatch"))):
        bad = list(_bad_regex(match))
        for path, reason in bad:
            yield ("removeOnMatch", index, *path), reason
        if not bad and isinstance(match, dict):
            lost = [name for name in (*_PSEUDO[field], *sorted(_FRAMING)) if _matches(match, name)]
            if lost:
                reason = f"it matches {lost[0]} too, without which no message would be left whole"
                yield ("removeOnMatch", index, "value"), reason


def _bad_regex(match: Any) -> Iterator[tuple[Path, str]]:
    if isinstance(match, dict) and match.get("type") == "RegularExpression" and isinstance(match.get("value"), str):
        try:
            check_regex(match["value"])
        except ValueError as error:
            yield ("value",), str(error)


def _matches(match: dict[str, Any], name: str) -> bool:
    value = match.get("value")
    if not isinstance(value, str) or not value:
        return False
    match match.get("type", "Exact"):  # the CRD's default
        case "Exact":
            return name == value
        case "Prefix":
            return name.startswith(value)
        case "Suffix":
            return name.endswith(value)
        case "RegularExpression":
            return full_match(value, name)
        case _:
            return False


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
