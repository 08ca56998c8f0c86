"""Cases for a policy's http1: trailers, the case of header names, HTTP/1.0 and ignored upgrades."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.inputs import CHUNKED_REPLY, SWITCH, TUNNEL, WEBSOCKET, chunked, get, get_10, reply
from pyproxy.conformance.peers import OK_REPLY, Script
from pyproxy.policy.release import Release

V0_6 = Release.V0_6

TRAILERS = {
    release: Group(f"trailers {release.value}", release, "http1: {enableTrailers: true}") for release in Release
}
CASE = {
    release: Group(f"header case {release.value}", release, "http1: {preserveHeaderCase: true, enableTrailers: true}")
    for release in Release
}
CASE_MUTATED = Group(
    "header case and changes",
    spec="""\
http1: {preserveHeaderCase: true}
headers:
  earlyRequestHeaders: {add: [{name: X-Add, value: a}], set: [{name: X-Set, value: s}, {name: User-AGENT, value: u}]}
  lateResponseHeaders: {add: [{name: X-Add, value: a}], set: [{name: X-Set, value: s}, {name: Server, value: u}]}
""",
)
HTTP_10 = {release: Group(f"HTTP/1.0 {release.value}", release, "http1: {http10: {}}") for release in Release}
DEFAULT_HOST = Group(
    "HTTP/1.0 default host", spec="http1: {http10: {useDefaultHost: true}}", hostname="www.example.com"
)
HTTP_10_ALL = Group(
    "HTTP/1.0 with everything",
    V0_6,
    """\
http1: {http10: {}, enableTrailers: true, preserveHeaderCase: true}
headers: {lateResponseHeaders: {set: [{name: X-Late, value: l}]}}
""",
)
IGNORED = Group(
    "ignoredUpgradeTypes",
    spec="""\
http1:
  ignoredUpgradeTypes:
  - {type: Prefix, value: TLS/}
  - {value: exact}
  - {type: Suffix, value: -suffix}
  - {type: RegularExpression, value: 'foo[0-9]*'}
""",
)
IGNORED_WEBSOCKET = Group("ignoredUpgradeTypes websocket", V0_6, "http1: {ignoredUpgradeTypes: [{value: websocket}]}")


def _trailers() -> Iterator[Case]:
    fields = ("spec.http1.enableTrailers",)
    sections = {
        "two": b"X-T: 1\r\nX-U:  b \r\nX-T: 2\r\n",
        "none": b"",
        "merged names": b"via: 1\r\nvia: 2\r\naccept: 1\r\naccept: 2\r\n",
        "special names": b"X-Forwarded-For: 1.1.1.1\r\nx-envoy-internal: true\r\nTrailer: x\r\nConnection: close\r\n",
        "empty value": b"X-T:\r\n",
        "fold": b"X-T: 1\r\n 2\r\n",
        "LF": b"X-T: 1\nX-U: 2\r\n",
        "control character": b"X-T: \x01\r\n",
        "Latin-1": b"X-T: \xe9\r\n",
        "bad name": b"x y: 1\r\n",
        "no colon": b"nonsense\r\n",
        "leading blank": b" x: 1\r\n",
        "underscore": b"x_y: 1\r\n",
        "a hundred": b"".join(b"x%d: 1\r\n" % number for number in range(100)),
        "a hundred and one": b"".join(b"x%d: 1\r\n" % number for number in range(101)),
        "as large as may be": b"x: " + b"y" * 61_433 + b"\r\n",
    }
    for name, trailers in sections.items():
        group = TRAILERS[Release.V1_9]
        yield Case(f"trailers/request/{name}", group, (chunked(b"Trailer: X-T", trailers=trailers),), fields=fields)
        script = Script((CHUNKED_REPLY + trailers + b"\r\n",))
        yield Case(f"trailers/response/{name}", group, (get(b"TE: trailers"),), script=script, fields=fields)
    group = TRAILERS[V0_6]
    both = Script((CHUNKED_REPLY + b"X-R: 1\r\n\r\n",))
    request = chunked(trailers=b"X-T: 1\r\n")
    yield Case("trailers/both", group, (request,), script=both, fields=fields)
    yield Case("trailers/no body", group, (chunked(body=b"", trailers=b"X-T: 1\r\n"),), fields=fields)
    yield Case("trailers/in pieces", group, (request[:-8], 0.05, request[-8:-3], 0.05, request[-3:]), fields=fields)
    large = request[:-8], 0.05, b"x: " + b"y" * 61_434 + b"\r\n\r\n"
    yield Case("trailers/too large", group, large, fields=fields)
    yield Case("trailers/pipelined", group, (request + get(),), responses=2, fields=fields)
    empty = Script((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-T: 1\r\n\r\n",))
    yield Case("trailers/response without a body", group, (get(),), script=empty, fields=fields)
    slow = Script((CHUNKED_REPLY, b"X-T: 1\r\n\r\n"))
    yield Case("trailers/never finished", group, (get(),), script=slow, fields=fields)
    head = Script((b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",))
    yield Case("trailers/HEAD", group, (get(method=b"HEAD"),), script=head, fields=fields)


def _header_case() -> Iterator[Case]:
    fields = ("spec.http1.preserveHeaderCase",)
    requests = {
        "names": get(b"X-Some-HEADER: a", b"ACCEPT: b", b"User-agent: c"),
        "replaced": get(b"X-Forwarded-FOR: 1.1.1.1", b"X-Request-ID: mine", b"X-FORWARDED-Proto: https"),
        "host": b"GET / HTTP/1.1\r\nHOST: h.example\r\n\r\n",
        "twice": get(b"X-Dup: 1", b"x-dup: 2", b"Via: 1", b"VIA: 2"),
        "twice, small first": get(b"x-dup: 1", b"X-Dup: 2"),
        "hop-by-hop": get(b"Connection: keep-alive, X-Gone", b"X-GONE: 1", b"Keep-Alive: 1"),
        "body": get(b"Content-LENGTH: 1", b"EXPECT: 100-Continue", method=b"POST") + b"a",
        "chunked": chunked(),
        "trailers": chunked(trailers=b"X-T: 1\r\n"),
        "no length": get(method=b"POST"),
        "empty value": get(b"X-Empty:", b"A: 1", b"a: 2"),
        "redirect": get(b"DATE: 1", b"Server: 2", b"Location: 3", path=b"/a%2fb"),
        "bad path": get(b"Date: 1", b"CONTENT-LENGTH: 5", method=b"POST", path=b"/a%00") + b"aaaaa",
        "codec error": get(b"Date: 1", method=b"FOO"),
        "absolute form": get(path=b"http://a.example/x"),
        "LF line ends": get(b"X-A: 1").replace(b"\r\n", b"\n"),
        "fold": get(b"X-A: 1\r\n  2", b"X-B: 3"),
    }
    for release, group in CASE.items():
        for name, request in requests.items():
            yield Case(f"header case/{release.value}/request {name}", group, (request,), fields=fields)
    replies = {
        "names": reply(b"Server: b", b"X-Resp: 1", b"DATE: x", b"Set-Cookie: 1", b"SET-COOKIE: 2"),
        "chunked": Script((CHUNKED_REPLY + b"\r\n",)),
        "trailers": Script((CHUNKED_REPLY + b"X-Tr: 1\r\n\r\n",)),
        "until close": Script((b"HTTP/1.1 200 OK\r\nX-Y: 1\r\n\r\nok",), then="close"),
        "service time": reply(b"X-Envoy-Upstream-Service-Time: 1", b"VARY: a", b"vary: b"),
        "204": Script((b"HTTP/1.1 204 No Content\r\nX-Y: 1\r\n\r\n",)),
        "nothing": Script((), then="close"),
    }
    for release, group in CASE.items():
        for name, script in replies.items():
            yield Case(f"header case/{release.value}/response {name}", group, (get(),), script=script, fields=fields)
        closing = reply(b"Connection: close", b"X-Resp: 1")
        name = f"header case/{release.value}/response close"
        yield Case(name, group, (get(b"Connection: close"),), script=closing, fields=fields)
        switch = SWITCH.replace(b"Connection", b"CONNECTION")
        tunnel = Script((switch,), echo_tunnel=True)
        name = f"header case/{release.value}/websocket"
        yield Case(name, group, (get(b"Connection: Upgrade", b"UPGRADE: websocket"),), script=tunnel, responses=9)
    script = reply(b"X-SET: b", b"X-ADD: b", b"Server: b")
    yield Case("header case/changed", CASE_MUTATED, (get(b"X-SET: c", b"X-ADD: c", b"user-Agent: c"),), script=script)
    yield Case("header case/changed, none there", CASE_MUTATED, (get(),))


def _http_10() -> Iterator[Case]:
    fields = ("spec.http1.http10.useDefaultHost",)
    requests = {
        "plain": get_10(),
        "no host": get_10(host=b""),
        "empty host": b"GET / HTTP/1.0\r\nHost:\r\n\r\n",
        "keep-alive in capitals": get_10(b"Connection: KEEP-ALIVE"),
        "keep-alive in a list": get_10(b"Connection: x, keep-alive"),
        "keep-alive and close": get_10(b"Connection: keep-alive, close"),
        "Proxy-Connection": get_10(b"Proxy-Connection: keep-alive"),
        "close": get_10(b"Connection: close"),
        "POST": get_10(b"Content-Length: 2", method=b"POST") + b"ab",
        "POST without a length": get_10(method=b"POST"),
        "POST in chunks": get_10(b"Transfer-Encoding: chunked", method=b"POST") + b"2\r\nab\r\n0\r\n\r\n",
        "bad chunk": get_10(b"Transfer-Encoding: chunked", method=b"POST") + b"zz\r\n",
        "expect": get_10(b"Expect: 100-continue", b"Content-Length: 1", method=b"POST") + b"a",
        "redirect": get_10(path=b"/a%2fb"),
        "redirect, keep-alive": get_10(b"Connection: keep-alive", path=b"/a%2fb"),
        "bad path": get_10(path=b"/a%00"),
        "unknown method": get_10(method=b"FOO"),
        "control character": get_10(b"x: \x01"),
        "too large": get_10(b"x: " + b"y" * 61_440),
        "HTTP/0.9": b"GET /x\r\n",
        "HTTP/0.9 and a blank line": b"GET /x\r\n\r\n",
        "HTTP/0.9 POST": b"POST /x\r\n",
        "HTTP/0.9, absolute": b"GET http://h.example/x\r\n\r\n",
        "HTTP/0.9, then another": b"GET /x\r\n" + get(),
        "HTTP/1.2": get(version=b"1.2"),
        "version 0.9": get(version=b"0.9"),
        "HTTP/2.0": get(version=b"2.0"),
        "absolute form": get_10(path=b"http://h.example/x", host=b""),
        "CONNECT": get_10(path=b"h.example:80", method=b"CONNECT"),
        "OPTIONS *": get_10(path=b"*", method=b"OPTIONS"),
        "upgrade to something": get_10(b"Connection: keep-alive, Upgrade", b"Upgrade: foo"),
        "websocket refused": get_10(*WEBSOCKET),
    }
    by_release = {release.value: group for release, group in HTTP_10.items()}
    for release, group in by_release.items():
        for name, request in requests.items():
            yield Case(f"HTTP 1.0/{release}/{name}", group, (request,), fields=fields)
    named = {name: request.replace(b"h.example", b"www.example.com") for name, request in requests.items()}
    for name in ("plain", "no host", "empty host", "HTTP/0.9", "HTTP/0.9 POST", "POST in chunks", "absolute form"):
        yield Case(f"HTTP 1.0/default host/{name}", DEFAULT_HOST, (named[name],), fields=fields)
    yield Case("HTTP 1.0/default host/not for 1.1", DEFAULT_HOST, (get(host=b""),), fields=fields)
    kept = (b"Connection: keep-alive",)
    many = {
        "keep-alive": (get_10(*kept), 0.05, get_10(*kept)),
        "keep-alive, pipelined": (get_10(*kept) * 2,),
        "keep-alive, then 1.1": (get_10(*kept), 0.05, get()),
        "1.1, then 1.0": (get(), 0.05, get_10()),
        "pipelined": (get_10() * 2,),
    }
    scripts = {
        "chunked": Script((CHUNKED_REPLY + b"\r\n",)),
        "trailers": Script((CHUNKED_REPLY + b"X-T: 1\r\n\r\n",)),
        "until close": Script((b"HTTP/1.1 200 OK\r\n\r\nok",), then="close"),
        "204": Script((b"HTTP/1.1 204 No Content\r\n\r\n",)),
        "304": Script((b"HTTP/1.1 304 Not Modified\r\n\r\n",)),
        "in HTTP/1.0": Script((b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",)),
        "100 before it": Script((b"HTTP/1.1 100 Continue\r\n\r\n" + OK_REPLY,)),
        "none": Script((), then="close"),
        "cut off": Script((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",), then="close"),
    }
    for release, group in {**by_release, "all": HTTP_10_ALL}.items():
        where = f"HTTP 1.0/{release}"
        for name, steps in many.items():
            count = 1 if name == "pipelined" else 2
            yield Case(f"{where}/{name}", group, steps, responses=count, fields=fields)
        for name, script in scripts.items():
            for wish, lines in {"": (), ", keep-alive": kept}.items():
                full = f"{where}/response {name}{wish}"
                yield Case(full, group, (get_10(*lines),), script=script, fields=fields, quiet=1.5)
        for wish, lines in {"": (), ", keep-alive": kept}.items():
            for name, script in {
                "HEAD": Script((b"HTTP/1.1 200 OK\r\n\r\n",)),
                "HEAD with a length": Script((b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",)),
                "HEAD, no response": Script((), then="close"),
            }.items():
                request = get_10(*lines, method=b"HEAD")
                yield Case(f"{where}/{name}{wish}", group, (request,), script=script, fields=fields)
        request = get_10(method=b"HEAD", path=b"/a%2fb")
        yield Case(f"{where}/HEAD redirected", group, (request,), fields=fields)
        early = get_10(*kept, b"Content-Length: 5", method=b"POST") + b"ab"
        yield Case(f"{where}/response before the body", group, (early,), script=Script(at_head=True), fields=fields)
        request = get_10(*WEBSOCKET)
        yield Case(f"{where}/websocket", group, (request, 0.1, b"ping"), script=TUNNEL, responses=9, fields=fields)


def _upgrades() -> Iterator[Case]:
    fields = tuple(f"spec.http1.ignoredUpgradeTypes[].{leaf}" for leaf in ("type", "value"))
    wanted = (
        b"TLS/1.2", b"tls/1.2", b"exact", b"Exact", b"my-suffix", b"foo12", b"foo1x", b"websocket", b"TLS/1.2, other",
        b"other, TLS/1.2", b"h2c", b"h2c, TLS/1.2", b" exact ", b"TLS/1.2, websocket", b"websocket,exact,foo",
        b"exact,,TLS/1.0",
    )  # fmt: skip
    for value in wanted:
        lines = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + value, b"HTTP2-Settings: x")
        yield Case(f"ignored upgrade/{value.decode()}", IGNORED, (get(*lines),), fields=fields)
    others = {
        "two lines": get(b"Connection: Upgrade", b"Upgrade: TLS/1.2", b"Upgrade: other"),
        "a line ignored": get(b"Connection: Upgrade", b"A: b", b"Upgrade: exact", b"C: d", b"Upgrade: websocket"),
        "two ignored lines": get(b"Connection: Upgrade", b"Upgrade: exact", b"Upgrade: exact"),
        "and close": get(b"Connection: close, Upgrade", b"Upgrade: exact"),
        "with a body": get(b"Connection: Upgrade", b"Upgrade: exact", b"Content-Length: 2", method=b"POST") + b"ab",
        "not nominated": get(b"Upgrade: exact"),
    }
    for name, request in others.items():
        yield Case(f"ignored upgrade/{name}", IGNORED, (request,), fields=fields)
    yield Case("ignored upgrade/websocket ignored", IGNORED_WEBSOCKET, (get(*WEBSOCKET),), fields=fields)
    other = get(b"Connection: Upgrade", b"Upgrade: WebSocket")
    yield Case("ignored upgrade/WebSocket not", IGNORED_WEBSOCKET, (other, 0.1, b"ping"), script=TUNNEL, responses=9)


def http1_cases() -> Iterable[Case]:
    """All of them."""
    return [case for part in (_trailers, _header_case, _http_10, _upgrades) for case in part()]
