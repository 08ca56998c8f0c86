"""Policies that nobody thought of, each with requests about what its fields have a say in.

The requests are nearly all good: what is looked for is not how a message is read, but what several fields together
make of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import yaml

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.fuzz.choose import Chooser
from pyproxy.conformance.inputs import get
from pyproxy.conformance.peers import OK_REPLY, Script
from pyproxy.conformance.subjects import settings_of
from pyproxy.errors import PolicyErrors
from pyproxy.policy.release import Release

Spec = dict[str, Any]

CASES_EACH = 40
"""So many for a policy, as starting two proxies takes longer than a few cases."""

_NAMES = [
    "X-One",
    "x-two",
    "X-Forwarded-For",
    "X-Forwarded-Proto",
    "X-Forwarded-Host",
    "X-Forwarded-Port",
    "X-Request-Id",
    "X-Client-Ip",
    "Forwarded",
    "X-Forwarded-Client-Cert",
    "X-Envoy-Internal",
    "X-Envoy-External-Address",
    "X-Envoy-Original-Path",
    "X-Envoy-Decorator-Operation",
    "X-Envoy-Expected-Rq-Timeout-Ms",
    "Via",
    "Cookie",
    "Set-Cookie",
    "User-Agent",
    "Accept",
    "Server",
    "Date",
    "Location",
    "Vary",
    "Cache-Control",
    "Referer",
    "Content-Type",
    "Content-Encoding",
    "Authorization",
    "Grpc-Status",
    "Origin",
    "TE",
    "Trailer",
    "Keep-Alive",
    "X-Under",
]
_VALUES = (
    "a", "v1", "by, policy", "100%%", "1.2.3.4", "https", "%REQ(x-one)%", "%REQ(:path)%", "%REQ(:authority)%",
    "%PROTOCOL%", "<%REQ(nosuch?x-two):1%>", "%RESP(server)%", "%RESPONSE_CODE%", "%RESPONSE_CODE_DETAILS%",
    "%RESPONSE_FLAGS%",
    "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
)  # fmt: skip
_MATCHERS: tuple[Spec, ...] = (
    {"type": "Prefix", "value": "x-"}, {"type": "Prefix", "value": "x-e"}, {"type": "Prefix", "value": "cont"},
    {"type": "Suffix", "value": "-id"}, {"type": "Suffix", "value": "-for"}, {"value": "referer"}, {"value": "X-One"},
    {"type": "RegularExpression", "value": "[a-u].*"}, {"type": "RegularExpression", "value": ".*-t.*"},
)  # fmt: skip
_UPGRADES: tuple[Spec, ...] = (
    {"value": "h2c"}, {"value": "WebSocket"}, {"type": "Prefix", "value": "web"}, {"type": "Suffix", "value": "t"},
    {"type": "RegularExpression", "value": ".*foo.*"},
)  # fmt: skip
_CIDRS = ("203.0.113.0/24", "10.0.0.0/8", "127.0.0.0/8", "2001:db8::/32", "0.0.0.0/0", "192.0.2.1/32")
_PEERS = (
    b"TCP4 203.0.113.7 192.0.2.1 4711 80", b"TCP4 10.1.2.3 192.0.2.1 4711 80", b"TCP4 127.0.0.1 192.0.2.1 4711 80",
    b"TCP6 2001:db8::7 2001:db8::1 4711 80", b"UNKNOWN",
)  # fmt: skip
_SENT_VALUES = (
    b"c", b"1.2.3.4", b"1.1.1.1, 203.0.113.9", b"10.0.0.1,", b"https", b"mine", b"", b"a, b", b"2001:db8::9", b"x=1",
)  # fmt: skip
# What changes how a message is framed is for other cases.
_SENT_NAMES = tuple(name for name in _NAMES if name not in ("TE", "Date", "Trailer", "Keep-Alive")) + ("x_under",)
_TRAILER_NAMES = ("X-One", "X-Trail", "x_under", "X-Forwarded-For", "X-CaSe")
_ANSWERED_NAMES = [
    "X-One",
    "x-two",
    "Server",
    "Date",
    "Vary",
    "Set-Cookie",
    "Content-Type",
    "Location",
    "X-Request-Id",
    "Cache-Control",
    "x_under",
    "Via",
    "Etag",
    "X-CaSe",
    "Keep-Alive",
]
_PATHS = (
    b"/", b"/a%2Fb", b"/a//b", b"/ready", b"/ready?x=1", b"/a/./b/../c", b"//x", b"/a%5cb", b"/%2F", b"/A", b"/a/b",
    b"/a%2Fb?q=//%2f", b"http://h.example/abs", b"http://h.example./abs//x",
)  # fmt: skip
_HOSTS = (b"h.example",) * 6 + (
    b"H.Example", b"h.example.", b"h.example:80", b"h.example.:80", b"other.example", b"", b"h.example..",
)  # fmt: skip


def generate_with_policies(count: int, seed: int) -> Iterator[Case]:
    """``count`` cases, ``CASES_EACH`` of them under each policy."""
    for first in range(0, count, CASES_EACH):
        choose = Chooser((seed, "policy", first))
        group = _group(choose, f"fuzz/policy {seed}/{first // CASES_EACH}")
        for number in range(min(CASES_EACH, count - first)):
            yield _case(choose, group, f"{group.name}/{number}")


def _group(choose: Chooser, name: str) -> Group:
    """A policy that is served without a complaint."""
    while True:
        spec = _spec(choose)
        hostname = choose.one(("", "h.example", "h.example", "'*.example'"))
        group = Group(name, choose.one(tuple(Release)), yaml.safe_dump(spec) if spec else "", hostname)
        try:
            settings = settings_of(group, [8080], [3000])
        except PolicyErrors:
            continue  # it touches a header that it may not
        routes = [route for host in settings.listeners[0].virtual_hosts for route in host.routes]
        if all(route.direct_response is None for route in routes):
            return group


# -- policies --------------------------------------------------------------------------------------------------


def _spec(choose: Chooser) -> Spec:
    parts: dict[str, tuple[float, Callable[[Chooser], Any]]] = {
        "proxyProtocol": (0.5, lambda _: choose.one(({}, {"optional": True}))),
        "clientIPDetection": (0.6, _client_ip),
        "path": (0.5, _path),
        "headers": (0.85, _headers),
        "connection": (0.4, _connection),
        "http1": (0.7, _http1),
        "healthCheck": (0.3, lambda _: {"path": choose.one(("/ready", "/a/b", "/", "/ready?x=1", "/a%2Fb", "/A"))}),
        "scheme": (0.3, lambda _: choose.one(("Preserve", "MatchBackend"))),
    }
    return {name: make(choose) for name, (often, make) in parts.items() if choose.chance(often)}


def _sometimes(choose: Chooser, **fields: tuple[float, Any]) -> Spec:
    return {name: value for name, (often, value) in fields.items() if choose.chance(often)}


def _some(choose: Chooser, of: Sequence[Any], most: int) -> list[Any]:
    return choose.random.sample(of, choose.number(1, most))


def _client_ip(choose: Chooser) -> Spec:
    unappended = _sometimes(choose, disableXForwardedForAppend=(0.4, True))
    name = choose.one(("X-Client-IP", "x-forwarded-for", "X-One"))
    detections: tuple[Spec, ...] = (
        {"xForwardedFor": {"numTrustedHops": choose.number(0, 3), **unappended}},
        {"xForwardedFor": {"trustedCIDRs": _some(choose, _CIDRS, 3), **unappended}},
        {"customHeader": {"name": name, **_sometimes(choose, failClosed=(0.4, True))}},
        {"directSourceIP": {}},
    )
    return choose.one(detections)


def _path(choose: Chooser) -> Spec:
    actions = ("KeepUnchanged", "RejectRequest", "UnescapeAndForward", "UnescapeAndRedirect")
    return _sometimes(
        choose, escapedSlashesAction=(0.8, choose.one(actions)), disableMergeSlashes=(0.5, choose.chance(0.7))
    )


def _headers(choose: Chooser) -> Spec:
    modes = ("Sanitize", "ForwardOnly", "AppendForward", "SanitizeSet", "AlwaysForwardOnly")
    headers = _sometimes(
        choose,
        enableEnvoyHeaders=(0.4, choose.chance(0.8)),
        xForwardedClientCert=(0.3, {"mode": choose.one(modes)}),
        withUnderscoresAction=(0.5, choose.one(("Allow", "RejectRequest", "DropHeader"))),
        requestID=(0.4, choose.one(("PreserveOrGenerate", "Preserve", "Generate", "Disable"))),
        earlyRequestHeaders=(0.45, _mutations(choose)),
        lateResponseHeaders=(0.45, _mutations(choose)),
        host=(0.4, {"stripTrailingHostDot": True}),
        maxRequestHeaderLimit=(0.3, choose.one(("1Ki", "2Ki", 1500, "4Ki"))),
    )
    if "requestID" not in headers:
        headers |= _sometimes(choose, preserveXRequestID=(0.2, choose.chance(0.6)))
    return headers


def _mutations(choose: Chooser) -> Spec:
    mutations: Spec = {
        kind: [
            {"name": choose.one((name, name.lower())), "value": choose.one(_VALUES)}
            for name in _some(choose, _NAMES, 4)
        ]
        for kind in ("set", "add", "addIfAbsent")
        if choose.chance(0.55)
    }
    mutations |= _sometimes(choose, remove=(0.4, _some(choose, _NAMES, 3)))
    return mutations | _sometimes(choose, removeOnMatch=(0.5, _some(choose, _MATCHERS, 2)))


def _connection(choose: Chooser) -> Spec:
    return _sometimes(
        choose,
        connectionLimit=(0.5, {"maxRequestsPerConnection": choose.number(1, 3)}),
        bufferLimit=(0.5, choose.one(("1Ki", "4Ki", 100, "1Mi"))),
        maxAcceptPerSocketEvent=(0.3, choose.number(0, 3)),
    )


def _http1(choose: Chooser) -> Spec:
    return _sometimes(
        choose,
        enableTrailers=(0.6, True),
        preserveHeaderCase=(0.6, True),
        http10=(0.6, choose.one(({}, {"useDefaultHost": True}))),
        ignoredUpgradeTypes=(0.5, [choose.one(_UPGRADES)]),
    )


# -- requests and responses ------------------------------------------------------------------------------------


def _case(choose: Chooser, group: Group, name: str) -> Case:
    preface = b""
    if "proxyProtocol" in group.spec and ("optional" not in group.spec or choose.chance(0.9)):
        preface = b"PROXY " + choose.one(_PEERS) + b"\r\n"
    count = choose.one((1, 1, 1, 2, 3))
    answers = [_response(choose) for _ in range(count)]
    replies = tuple(reply if count == 1 or not ends else OK_REPLY for reply, ends in answers)
    script = Script(replies, then="close" if count == 1 and answers[0][1] else "keep")
    data = preface + b"".join(_request(choose) for _ in range(count))
    return Case(name, group, (data,), script, responses=count, quiet=0.5)


def _fields(choose: Chooser, names: Sequence[str], most: int) -> list[bytes]:
    found = []
    for _ in range(choose.number(0, most)):
        name = choose.one(names)
        found.append(choose.one((name, name.lower(), name.upper())).encode() + b": " + choose.one(_SENT_VALUES))
    return found


def _request(choose: Chooser) -> bytes:
    lines, body, method = (
        _fields(choose, _SENT_NAMES, 6),
        b"",
        choose.one((b"GET",) * 5 + (b"OPTIONS", b"PUT", b"DELETE")),
    )
    version = b"1.0" if choose.chance(0.15) else b"1.1"
    kind = choose.random.random()
    if kind < 0.25 and version == b"1.1":
        trailers = b"".join(line + b"\r\n" for line in _fields(choose, _TRAILER_NAMES, 3))
        lines, method, body = (
            [*lines, b"Transfer-Encoding: chunked"],
            b"POST",
            b"3\r\nabc\r\n0\r\n" + trailers + b"\r\n",
        )
    elif kind < 0.4:
        lines, method, body = [*lines, b"Content-Length: 3"], b"POST", b"xyz"
        lines += [b"Expect: 100-continue"] if choose.chance(0.1) else []
    elif kind < 0.5:
        protocol = choose.one((b"websocket", b"WebSocket", b"h2c", b"foo", b"foo, websocket"))
        lines += [b"Connection: Upgrade", b"Upgrade: " + protocol]
    elif kind < 0.6:
        lines.append(b"Connection: " + choose.one((b"close", b"keep-alive", b"X-One", b"close, x-two")))
    if choose.chance(0.1):
        lines.append(b"x-big: " + b"y" * choose.one((700, 900, 1400, 3000)))
    choose.random.shuffle(lines)
    return get(*lines, path=choose.one(_PATHS), host=choose.one(_HOSTS), method=method, version=version) + body


def _response(choose: Chooser) -> tuple[bytes, bool]:
    """The bytes, and whether the backend ends its connection with them."""
    lines = _fields(choose, _ANSWERED_NAMES, 5)
    status = choose.one((b"200 OK", b"200 OK", b"404 Not Found", b"503 Unavailable", b"201 Made", b"302 Found"))
    first, whole = b"HTTP/1.1 " + status, b"HTTP/1.1 200 OK"
    kind = choose.random.random()
    if kind < 0.55:
        return b"\r\n".join([first, *lines, b"Content-Length: 2", b"", b"ok"]), False
    if kind < 0.75:
        trailers = b"".join(line + b"\r\n" for line in _fields(choose, _TRAILER_NAMES, 2))
        return b"\r\n".join(
            [first, *lines, b"Transfer-Encoding: chunked", b"", b"2", b"ok", b"0", trailers, b""]
        ), False
    if kind < 0.83:
        return b"\r\n".join([b"HTTP/1.1 204 No Content", *lines, b"", b""]), False
    if kind < 0.9:
        switch = [b"HTTP/1.1 101 Switching Protocols", *lines, b"Upgrade: websocket", b"Connection: Upgrade"]
        return b"\r\n".join([*switch, b"", b"hi"]), True
    if kind < 0.95:
        return b"\r\n".join([b"HTTP/1.0 200 OK", *lines, b"", b"old"]), True
    return b"\r\n".join([b"HTTP/1.1 100 Continue", b"", whole, *lines, b"Content-Length: 2", b"", b"ok"]), False
