"""The cases: guide, PROXY headers, framing, headers, paths, errors and keepalive, on both releases."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.cases_http1 import http1_cases
from pyproxy.conformance.cases_http_fields import http_field_cases
from pyproxy.conformance.cases_net_fields import NET_FIELD_CASES
from pyproxy.conformance.cases_route_filters import route_filter_cases
from pyproxy.conformance.cases_routes import ROUTE_CASES
from pyproxy.conformance.cases_together import cases_together
from pyproxy.conformance.inputs import CHUNKED_REPLY, GET, V1_LINE, get
from pyproxy.conformance.peers import OK_REPLY, Script
from pyproxy.policy.release import Release

TODAY = Group("v1.9")
GUIDE = Group("v0.6", Release.V0_6, hostname="www.example.com")
GUIDE_PROXY = Group("v0.6 PROXY required", Release.V0_6, "enableProxyProtocol: true")
PROXY_REQUIRED = Group("v1.9 PROXY required", spec="proxyProtocol: {}")
PROXY_OPTIONAL = Group("v1.9 PROXY optional", spec="proxyProtocol: {optional: true}")
ENVOY_HEADERS = Group("v1.9 enableEnvoyHeaders", spec="headers: {enableEnvoyHeaders: true}")
KEEPALIVE = Group("keepalive 20m 60s 3", Release.V0_6, "tcpKeepalive: {idleTime: 20m, interval: 60s, probes: 3}")
KEEPALIVE_ON = Group("keepalive {}", spec="tcpKeepalive: {}")
# Envoy Gateway's translator refuses the limit and the value with two blanks; keepalive and PROXY do not apply then.
INVALID_POLICY = Group(
    "v1.9 policy with errors",
    spec="""\
tcpKeepalive: {idleTime: 20m}
proxyProtocol: {}
path: {escapedSlashesAction: KeepUnchanged}
headers:
  maxRequestHeaderLimit: 512
  withUnderscoresAction: Allow
  lateResponseHeaders: {set: [{name: x-wrong, value: 'a  b'}, {name: x-right, value: here}]}
""",
    hostname="h.example",
)
NO_BACKEND = Group("backend refuses", Release.V0_6, backend_listens=False)

KEEPALIVE_FIELDS = ("spec.tcpKeepalive.probes", "spec.tcpKeepalive.idleTime", "spec.tcpKeepalive.interval")
KEEPALIVE_GROUPS = (TODAY, KEEPALIVE, KEEPALIVE_ON)

V2 = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(
    command: int = 1,
    family: int = 0x11,
    source: bytes = bytes((203, 0, 113, 7)),
    destination: bytes = bytes((192, 0, 2, 1)),
    tail: bytes = b"",
) -> bytes:
    """A version 2 header with ports 4711 and 80."""
    block = source + destination + struct.pack("!HH", 4711, 80) + tail
    return V2 + bytes((0x20 | command, family)) + struct.pack("!H", len(block)) + block


def tlv(kind: int, value: bytes) -> bytes:
    """One type-length-value."""
    return struct.pack("!BH", kind, len(value)) + value


V6_SOURCE = bytes.fromhex("20010db8000000000000000000000007")
V6_DESTINATION = bytes.fromhex("20010db8000000000000000000000001")


def _guide() -> Iterator[Case]:
    curl = get(b"User-Agent: curl/8.1.2", b"Accept: */*", path=b"/get", host=b"www.example.com")
    yield Case("guide/keepalive, both requests", GUIDE, (curl, 0.05, curl), responses=2)
    yield Case("guide/PROXY policy, no header", GUIDE_PROXY, (curl,), responses=1, fields=("spec.enableProxyProtocol",))
    line = b"PROXY TCP4 192.168.255.6 192.168.255.6 51422 80\r\n"
    yield Case("guide/PROXY policy, curl --haproxy-protocol", GUIDE_PROXY, (line, curl))
    yield Case("guide/no route for another host", GUIDE, (get(host=b"www.example.org"),))
    yield Case("guide/host with a port and capitals", GUIDE, (get(host=b"WWW.Example.com:8080"),))
    yield Case("guide/host with a trailing dot", GUIDE, (get(host=b"www.example.com."),))


def _proxy_headers() -> Iterator[Case]:
    shapes = {
        "v1 TCP4": V1_LINE,
        "v1 TCP6": b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n",
        "v1 TCP6 mapped": b"PROXY TCP6 ::ffff:203.0.113.7 ::ffff:192.0.2.1 4711 80\r\n",
        "v1 UNKNOWN": b"PROXY UNKNOWN\r\n",
        "v1 UNKNOWN with addresses": b"PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n",
        "v1 trailing blank": V1_LINE[:-2] + b" \r\n",
        "v1 no port": b"PROXY TCP4 203.0.113.7 192.0.2.1 4711\r\n",
        "v1 lower case": V1_LINE.lower(),
        "v1 LF only": V1_LINE.replace(b"\r\n", b"\n"),
        "v1 too long": b"PROXY UNKNOWN " + b"x" * 100 + b"\r\n",
        "v1 as long as may be": b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
        "v1 port out of range": V1_LINE.replace(b"4711", b"65536"),
        "v1 multicast source": V1_LINE.replace(b"203.0.113.7", b"224.0.0.1"),
        "v1 unspecified source": V1_LINE.replace(b"203.0.113.7", b"0.0.0.0"),
        "v1 internal source": V1_LINE.replace(b"203.0.113.7", b"10.1.2.3"),
        "v1 loopback source": V1_LINE.replace(b"203.0.113.7", b"127.0.0.1"),
        "v2 TCP4": v2(),
        "v2 UDP4": v2(family=0x12),
        "v2 TCP6": v2(family=0x21, source=V6_SOURCE, destination=V6_DESTINATION),
        "v2 LOCAL": v2(command=0),
        "v2 LOCAL without addresses": V2 + b"\x20\x00\x00\x00",
        "v2 TLVs": v2(tail=tlv(0x02, b"www.example.com") + tlv(0xEA, b"\x01vpce-1") + tlv(0x04, b"")),
        "v2 wrong CRC32C": v2(tail=tlv(0x03, b"\x00\x00\x00\x00")),
        "v2 truncated TLV": v2(tail=b"\x02\x00\x10abc"),
        "v2 long TLV": v2(tail=tlv(0xE0, b"x" * 30000)),
        "v2 AF_UNSPEC": v2(family=0x00),
        "v2 AF_UNIX": v2(family=0x31, source=b"a" * 108, destination=b"b" * 108),
        "v2 version 1": v2().replace(b"QUIT\n\x21", b"QUIT\n\x11"),
        "v2 command 2": v2(command=2),
        "v2 short block": V2 + b"\x21\x11\x00\x04\x01\x02\x03\x04",
        "no header": b"",
        "junk": b"hello, world\r\n\r\n",
        "twice": V1_LINE + V1_LINE,
    }
    for name, header in shapes.items():
        for group, mode in ((PROXY_REQUIRED, "required"), (PROXY_OPTIONAL, "optional")):
            field = "spec.proxyProtocol.optional"
            yield Case(f"proxy/{mode}/{name}", group, (header + GET,), fields=(field,))
    for name in ("v1 TCP4", "v1 internal source", "v1 loopback source", "v2 TCP4", "v2 TCP6", "v1 UNKNOWN"):
        yield Case(f"proxy/guide/{name}", GUIDE_PROXY, (shapes[name] + GET,), fields=("spec.enableProxyProtocol",))
    for offset in (1, 5, 6, 20, len(V1_LINE) - 1, len(V1_LINE), len(V1_LINE) + 3):
        whole = V1_LINE + GET
        yield Case(f"proxy/split/v1 at {offset}", PROXY_REQUIRED, (whole[:offset], 0.03, whole[offset:]))
    for offset in (1, 12, 15, 16, 20, 28, 31):
        whole = v2(tail=tlv(0x02, b"a.example")) + GET
        yield Case(f"proxy/split/v2 at {offset}", PROXY_REQUIRED, (whole[:offset], 0.03, whole[offset:]))
    yield Case("proxy/to a plain listener", TODAY, (V1_LINE + GET,))
    yield Case("proxy/v2 to a plain listener", TODAY, (v2() + GET,))
    yield Case("proxy/header never finished", PROXY_REQUIRED, (V1_LINE[:10],), responses=1, quiet=17)


def _framing() -> Iterator[Case]:
    post = b"POST / HTTP/1.1\r\nHost: h.example\r\n"
    chunked = post + b"Transfer-Encoding: chunked\r\n\r\n"
    yield Case("framing/content-length", TODAY, (post + b"Content-Length: 5\r\n\r\nhello",))
    yield Case("framing/content-length in pieces", TODAY, (post + b"Content-Length: 5\r\n\r\nhe", 0.05, b"llo"))
    yield Case("framing/chunked", TODAY, (chunked + b"5\r\nhello\r\n0\r\n\r\n",))
    yield Case("framing/chunked in pieces", TODAY, (chunked + b"5\r\nhe", 0.05, b"llo\r\n", 0.05, b"0\r\n\r\n"))
    yield Case("framing/chunked with extension and trailer", TODAY, (chunked + b"5;a=b\r\nhello\r\n0\r\nx: 1\r\n\r\n",))
    yield Case("framing/chunked and empty", TODAY, (chunked + b"0\r\n\r\n",))
    yield Case("framing/POST without a body", TODAY, (get(method=b"POST"),))
    yield Case("framing/DELETE without a body", TODAY, (get(method=b"DELETE"),))
    yield Case("framing/GET with a body", TODAY, (get(b"Content-Length: 3") + b"abc",))
    yield Case(
        "framing/expect 100-continue", TODAY, (post + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", 0.1, b"ok")
    )
    yield Case("framing/expect something else", TODAY, (get(b"Expect: the-unexpected"),))
    yield Case("framing/pipelined", TODAY, (GET * 3,), responses=3)
    yield Case(
        "framing/pipelined with bodies", TODAY, ((post + b"Content-Length: 3\r\n\r\nabc") * 2 + GET,), responses=3
    )
    redirected = get(path=b"/%2f")
    yield Case("framing/pipelined behind a redirect", TODAY, (redirected + GET, 0.05, GET), responses=3)
    yield Case("framing/pipelined behind two redirects", TODAY, (redirected * 2 + GET,), responses=3)
    behind = (GET, 0.05, redirected + GET)
    yield Case("framing/pipelined behind a body and a redirect", TODAY, behind, responses=3)
    chunks = Script((CHUNKED_REPLY + b"\r\n",))
    yield Case("framing/pipelined behind chunks and a redirect", TODAY, behind, script=chunks, responses=3)
    yield Case("framing/keep-alive", TODAY, (GET, 0.05, GET), responses=2)
    yield Case("framing/connection close", TODAY, (get(b"Connection: close"),))
    yield Case("framing/connection close, more behind it", TODAY, (get(b"Connection: close") + GET,))
    yield Case("framing/leading blank lines", TODAY, (b"\r\n\r\n" + GET,))
    yield Case("framing/head in pieces", TODAY, (GET[:9], 0.03, GET[9:30], 0.03, GET[30:]))
    yield Case("framing/LF line ends", TODAY, (GET.replace(b"\r\n", b"\n"),))
    yield Case("framing/half-close after the request", TODAY, (GET, 0.1), script=Script(pauses=(0.4,)), half_close=True)
    for status in (b"204 No Content", b"304 Not Modified"):
        reply = Script((b"HTTP/1.1 " + status + b"\r\netag: x\r\n\r\n",))
        yield Case(f"framing/response {status[:3].decode()}", TODAY, (GET, 0.05, GET), script=reply, responses=2)
    replies = {
        "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
        "chunked with trailer": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx: y\r\n\r\n",
        "empty": b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        "103 before it": b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + OK_REPLY,
        "100 before it": b"HTTP/1.1 100 Continue\r\n\r\n" + OK_REPLY,
        "unknown status": b"HTTP/1.1 299 Whatever\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        "connection close": b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
    }
    for name, reply_bytes in replies.items():
        yield Case(f"framing/response {name}", TODAY, (GET, 0.05, GET), script=Script((reply_bytes,)), responses=2)
    until_close = Script((b"HTTP/1.1 200 OK\r\n\r\nto the end",), then="close")
    yield Case("framing/response until close", TODAY, (GET, 0.1, GET), script=until_close, responses=2)
    for name, head in {
        "with length": b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "without framing": b"HTTP/1.1 200 OK\r\n\r\n",
    }.items():
        request = get(method=b"HEAD")
        yield Case(f"framing/HEAD {name}", TODAY, (request,), script=Script((head,)))
    early = post + b"Content-Length: 10\r\n\r\nabc"
    yield Case("framing/response before the body is sent", TODAY, (early,), script=Script(at_head=True))
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
    upgrade = get(b"Connection: Upgrade", b"Upgrade: websocket")
    tunnel = Script((switch,), echo_tunnel=True)
    yield Case("framing/websocket", TODAY, (upgrade, 0.1, b"ping"), script=tunnel, responses=9)
    ended = Script((switch + b"bye",), then="close")
    yield Case("framing/websocket, the backend closes", TODAY, (upgrade,), script=ended, responses=9, quiet=1.6)
    yield Case("framing/websocket, the client closes", TODAY, (upgrade, 0.1), script=tunnel, half_close=True)
    guide_upgrade = get(b"Connection: Upgrade", b"Upgrade: websocket", host=b"www.example.com")
    guide_early = early.replace(b"h.example", b"www.example.com")
    yield Case("framing/v0.6 websocket", GUIDE, (guide_upgrade, 0.1, b"ping"), script=tunnel, responses=9)
    yield Case("framing/v0.6 websocket refused", GUIDE, (guide_upgrade,))
    yield Case("framing/v0.6 response before the body is sent", GUIDE, (guide_early,), script=Script(at_head=True))
    yield Case("framing/websocket refused", TODAY, (upgrade,))
    yield Case("framing/upgrade to something else", TODAY, (get(b"Connection: Upgrade", b"Upgrade: foo"),))
    yield Case("framing/upgrade without connection", TODAY, (get(b"Upgrade: websocket"),))


def _headers() -> Iterator[Case]:
    sent = {
        "x-forwarded-for": (b"X-Forwarded-For: 9.9.9.9, 8.8.8.8",),
        "x-forwarded-for twice": (b"X-Forwarded-For: 9.9.9.9", b"a: b", b"X-Forwarded-For: 8.8.8.8"),
        "x-forwarded-for empty": (b"X-Forwarded-For:",),
        "x-forwarded-proto": (b"X-Forwarded-Proto: https",),
        "x-request-id": (b"X-Request-Id: mine",),
        "x-envoy-internal": (b"X-Envoy-Internal: true",),
        "x-envoy-external-address": (b"X-Envoy-External-Address: 1.2.3.4",),
        "router's own": (b"X-Envoy-Max-Retries: 3", b"X-Envoy-Retry-On: reset", b"X-Envoy-Expected-Rq-Timeout-Ms: 1"),
        "client certificate": (b"X-Forwarded-Client-Cert: By=me",),
        "capitals": (b"X-Some-HEADER: VaLue",),
        "hop-by-hop": (
            b"Connection: keep-alive, X-Gone",
            b"X-Gone: 1",
            b"Keep-Alive: 5",
            b"Proxy-Connection: keep-alive",
        ),
        "te trailers": (b"TE: trailers",),
        "te gzip": (b"TE: gzip",),
        "nominated x-forwarded-for": (b"Connection: x-forwarded-for",),
        "cookies": (b"Cookie: a=1", b"Cookie: b=2"),
        "merged": (b"Accept: a", b"X-A: 1", b"Accept: b", b"X-A: 2", b"Via: 1", b"Via: 2"),
        "empty value": (b"X-Empty:", b"X-Blank:   "),
        "blanks around the value": (b"X-Blanks:  \t a  b \t",),
        "obs-fold": (b"X-Folded: a\r\n  b",),
        "underscore": (b"X_Under: 1",),
        "control character": (b"X-Bad: a\x01b",),
        "latin-1": (b"X-Latin: caf\xe9",),
        "blank before the colon": (b"X-Bad : 1",),
        "no colon": (b"nonsense",),
        "grpc": (b"Content-Type: application/grpc",),
    }
    groups = {"v1.9": TODAY, "v0.6": GUIDE, "envoy headers": ENVOY_HEADERS}
    for name, lines in sent.items():
        for release, group in groups.items():
            request = get(*lines, host=group.hostname.encode() or b"h.example")
            fields = ("spec.headers.enableEnvoyHeaders",) if group is ENVOY_HEADERS else ()
            yield Case(f"headers/{release}/{name}", group, (request,), fields=fields)
    for name in ("x-forwarded-for", "x-request-id", "router's own", "x-envoy-external-address", "x-forwarded-proto"):
        line = V1_LINE.replace(b"203.0.113.7", b"10.1.2.3")
        yield Case(f"headers/internal client/{name}", GUIDE_PROXY, (line + get(*sent[name]),))
    referers = (
        b"http://a.example/x?y", b"https://A.example:8443", b"android-app://com.example/", b"about:blank", b"a.example",
        b"/x:y", b"a:b", b"http://u@a.example/", b"http://a.example/#f", b"http://a.example/#", b"http://a_b.example/",
        b"http://[::1]/", b"http://a.example:65536/", b"http://a.example:/", b"/a b", b"/\xc3\xa9",
        b"http://a.example/\xc3\xa9", b"x, y", b"",
    )  # fmt: skip
    for value in referers:
        yield Case(f"headers/referer {value!r}", TODAY, (get(b"Referer: " + value),))
        yield Case(f"headers/v0.6 referer {value!r}", GUIDE, (get(b"Referer: " + value, host=b"www.example.com"),))
    reply = (
        b"HTTP/1.1 200 Fine\r\nServer: backend\r\nDate: yesterday\r\nX-Envoy-Upstream-Service-Time: 99\r\n"
        b"Connection: keep-alive, x-y\r\nX-Y: 1\r\nKeep-Alive: 3\r\nSet-Cookie: a\r\nVary: a\r\nSet-Cookie: b\r\n"
        b"Vary: b\r\nX-B: 1\r\nX-B: 2\r\nUpgrade: foo\r\nContent-Length: 2\r\n\r\nok"
    )
    for release, group in groups.items():
        request = get(host=group.hostname.encode() or b"h.example")
        yield Case(f"headers/{release}/of the response", group, (request,), script=Script((reply,)))


def _paths() -> Iterator[Case]:
    paths = {
        "dot segments": b"/a/./b//c/../d",
        "up from the root": b"/../../etc/passwd",
        "trailing dots": b"/a/b/..",
        "encoded dots": b"/a/%2e%2E/b",
        "encoded slash": b"/a%2Fb?q=%2F",
        "encoded backslash": b"/a%5cb",
        "backslash": b"/a\\b",
        "unreserved": b"/%7euser/%41",
        "must be escaped": b'/a"<>`{}|^b',
        "NUL": b"/a%00b",
        "bad escape": b"/a%zz%",
        "fragment": b"/a#b",
        "double slash alone": b"//",
        "triple slash": b"///a///",
        "query": b"/?a=//b/../c%2F",
        "semicolon": b"/a;b/..;/c",
        "asterisk": b"*",
        "absolute form": b"http://other.example:8080/x?y",
        "absolute form without path": b"http://other.example",
        "absolute form with query only": b"http://other.example?q",
        "https": b"https://h.example/",
        "ftp": b"ftp://h.example/",
        "no slash": b"foo",
        "non-ASCII": b"/caf\xc3\xa9",
    }
    for name, path in paths.items():
        yield Case(f"path/{name}", TODAY, (get(path=path),))
    yield Case("path/encoded slash of v0.6", GUIDE, (get(path=b"/a%2fb", host=b"www.example.com"),))
    yield Case("path/encoded slash, connection close", TODAY, (get(b"Connection: close", path=b"/a%2fb"),))
    yield Case("path/OPTIONS *", TODAY, (get(path=b"*", method=b"OPTIONS"),))
    yield Case("path/CONNECT", TODAY, (get(path=b"h.example:80", method=b"CONNECT"),))


def _refused() -> Iterator[Case]:
    requests = {
        "no host": get(host=b""),
        "empty host": b"GET / HTTP/1.1\r\nHost:\r\n\r\n",
        "bad host": get(host=b"a/b"),
        "HTTP/1.0": b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        "HTTP/0.9": b"GET /\r\n",
        "HTTP/1.2": b"GET / HTTP/1.2\r\nHost: a\r\n\r\n",
        "unknown method": get(method=b"FOO"),
        "lower-case method": get(method=b"get"),
        "QUERY without content-type": get(method=b"QUERY"),
        "TLS": bytes.fromhex("16030100c8010000c40303") + b"\x00" * 40,
        "garbage": b"\xff\xfe\x00garbage\r\n\r\n",
        "leading blank": b" " + GET,
        "length and chunked": get(b"Content-Length: 3", b"Transfer-Encoding: chunked", method=b"POST") + b"0\r\n\r\n",
        "two lengths": get(b"Content-Length: 3", b"Content-Length: 3", method=b"POST") + b"abc",
        "length list": get(b"Content-Length: 3, 3", method=b"POST") + b"abc",
        "length with sign": get(b"Content-Length: +3", method=b"POST") + b"abc",
        "gzip": get(b"Transfer-Encoding: gzip", method=b"POST"),
        "chunked twice": get(b"Transfer-Encoding: chunked, chunked", method=b"POST"),
        "bad chunk size": get(b"Transfer-Encoding: chunked", method=b"POST") + b"xyz\r\n",
        "101 headers": get(*(b"x-%d: y" % number for number in range(100))),
        "100 headers": get(*(b"x-%d: y" % number for number in range(99))),
        "head too large": get(b"x: " + b"y" * 61_500),
        "many tokens in connection": get(b"Connection: " + b",".join(b"x%d" % number for number in range(12))),
    }
    for name, request in requests.items():
        yield Case(f"refused/{name}", TODAY, (request,))
    for name in ("no host", "HTTP/1.0", "unknown method", "length and chunked", "gzip", "101 headers"):
        yield Case(f"refused/v0.6/{name}", GUIDE, (requests[name],))
    yield Case("refused/after a good one", TODAY, (GET + get(method=b"FOO"),), responses=2)
    yield Case("refused/HEAD without host", TODAY, (get(host=b"", method=b"HEAD"),))


def _upstream_failures() -> Iterator[Case]:
    yield Case("upstream/refuses", NO_BACKEND, (GET, 0.05, GET), responses=2)
    yield Case("upstream/refuses a body", NO_BACKEND, (get(b"Content-Length: 3", method=b"POST") + b"abc",))
    yield Case("upstream/refuses HEAD", NO_BACKEND, (get(method=b"HEAD"),))
    yield Case("upstream/refuses gRPC", NO_BACKEND, (get(b"Content-Type: application/grpc"),))
    broken = {
        "closes before the head": Script((), then="close"),
        "resets before the head": Script((), then="reset"),
        "closes in the head": Script((b"HTTP/1.1 200 OK\r\nContent-Le",), then="close"),
        "sends garbage": Script((b"garbage\r\n\r\n",)),
        "sends a bad header": Script((b"HTTP/1.1 200 OK\r\nbad header\r\n\r\n",)),
        "sends length and chunked": Script(
            (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",)
        ),
        "sends too many headers": Script((b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 101 + b"\r\n",)),
        "sends a body with 204": Script((b"HTTP/1.1 204 OK\r\nContent-Length: 3\r\n\r\nabc",)),
        "closes in the body": Script((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc",), then="close"),
        "closes in a chunked body": Script(
            (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",), then="close"
        ),
        "sends too much": Script((b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nabc",)),
    }
    for name, script in broken.items():
        yield Case(f"upstream/{name}", TODAY, (GET,), script=script)
    for name in ("closes before the head", "sends garbage"):
        request = get(host=b"www.example.com")
        yield Case(f"upstream/v0.6 {name}", GUIDE, (request,), script=broken[name])
    yield Case(
        "upstream/closes after each response", TODAY, (GET, 0.05, GET, 0.05, GET), Script(then="close"), responses=3
    )
    yield Case("upstream/never answers", TODAY, (GET,), Script(()), quiet=17)
    slow = Script((OK_REPLY,), pauses=(0.3,))
    yield Case("upstream/answers late", TODAY, (GET + GET,), script=slow, responses=2, quiet=1)


def _invalid_policy() -> Iterator[Case]:
    """A policy that Kubernetes takes and Envoy Gateway's translator does not: 500, with part of it in force."""
    post = get(b"Content-Length: 3", method=b"POST")
    requests = {
        "GET": (GET, 0.05, GET),
        "POST": (post + b"abc", 0.05, GET),
        "HEAD": (get(method=b"HEAD"),),
        "another host": (get(host=b"other.example"),),
        "encoded slash": (get(path=b"/a%2Fb"),),
        "underscore": (get(b"x_under: 1"),),
        "more than the limit that does not apply": (get(b"x: " + b"y" * 600),),
        "PROXY header": (V1_LINE + GET,),
    }
    for name, steps in requests.items():
        responses = 2 if len(steps) > 1 else 1
        yield Case(f"invalid policy/{name}", INVALID_POLICY, steps, responses=responses)


CASES: tuple[Case, ...] = (
    *_guide(),
    *_proxy_headers(),
    *_framing(),
    *_headers(),
    *_paths(),
    *_refused(),
    *_upstream_failures(),
    *_invalid_policy(),
    *NET_FIELD_CASES,
    Case("keepalive/a request", KEEPALIVE, (GET,), fields=KEEPALIVE_FIELDS),
    Case("keepalive/{} a request", KEEPALIVE_ON, (GET,)),
    *http_field_cases(),
    *http1_cases(),
    *ROUTE_CASES,
    *route_filter_cases(),
    *cases_together(),
)
