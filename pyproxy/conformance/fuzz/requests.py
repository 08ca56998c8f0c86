"""Requests along the grammar of RFC 9112: each token as it should be, and as parsers disagree about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pyproxy.conformance.fuzz.choose import Chooser
from pyproxy.conformance.fuzz.chunks import chunked_body

METHODS = (
    (b"GET",) * 6 + (b"POST",) * 4 + (b"PUT", b"HEAD", b"DELETE", b"OPTIONS", b"PATCH", b"TRACE", b"PROPFIND", b"PURGE")
)
BAD_METHODS = (
    b"get", b"FOO", b"", b"GE T", b"G\x00T", b"GET\t", b"CONNECT", b"PRI", b"QUERY", b"M-SEARCH", b"GET\r",
    b"\x16\x03\x01",
    b"G" * 70, b"POST\x0b", b"GET,", b"(GET)", b"GET/", b"UPDATE", b"HTTP/1.1", b"P\xc3\x96ST", b"\xa0GET",
    b"SOURCE", b"ACL",
)  # fmt: skip

SEGMENTS = (
    b"a", b"b", b"a.b", b"a;b=c", b"a,b", b"%41", b"%7e", b"~x", b"@", b":", b"a=b", b"%20", b"!$&'()*+", b"-._~",
    b"%C3%A9",
)  # fmt: skip
BAD_SEGMENTS = (
    b".", b"..", b"%2e", b"%2E%2e", b"..;", b".;x", b"", b"%2f", b"%5C", b"\\", b"%00", b"%zz", b"%", b"%4",
    b"%25%32%66", b"#f", b"a#",
    b'"', b"<a>", b"`", b"{a}", b"|", b"^", b"\xc3\xa9", b"\x00", b"\x01", b"\x7f", b"a b", b"\t", b"[", b"]",
    b"%0d%0a", b"%u002f",
    b"%2", b"%2F..%2f", b"...", b"%c0%ae", b"\x80", b"a\rb", b"%5c..%5c", b"%2e%2e%2f", b";", b"*",
)  # fmt: skip
QUERIES = (b"", b"", b"", b"?", b"?a=b", b"?a=%2F..%2f", b"?a//b", b"?/../", b"?a?b")
BAD_QUERIES = (b"?a b", b"?\x00", b"?\xc3\xa9", b"?#", b"?a#b", b"?\x7f", b"?\t", b"?%", b"?%00", b'?"<>', b"?\\")

HOST_FORMS = (b"%h", b"%h", b"%h", b"%h:80", b"%h:8080")
BAD_HOSTS = (
    b"", b" ", b"%h:", b"%h:x", b"%h:99999", b"u@%h", b"u:p@%h", b"%h/", b"%h/a", b"%h,%h", b"%h, b", b"[::1]",
    b"[::1]:80", b"[::1",
    b"::1", b"%h:80:80", b"127.0.0.1", b"%h.", b".", b"%h\x00", b"%h\t", b"a b", b"%h%%20", b"\xc3\xa9", b"%h#",
    b"%h?", b"%h\\",
    b"<%h>", b"_%h", b"a_b.example", b"*.example", b"%h;", b"'%h'", b"%h:-1", b"%h:+80", b"%h:080", b"@", b"@%h",
    b"%h@", b"a@b@%h",
    b"%h\r", b"\x7f", b"%h|", b"1", b"[%h]", b"[::1%25eth0]", b"[v1.a]", b"%h:80a", b"localhost", b"%H",
)  # fmt: skip

SCHEMES = (b"http://", b"http://", b"HTTP://")
BAD_SCHEMES = (
    b"https://",
    b"ftp://",
    b"ws://",
    b"http:/",
    b"http:",
    b"//",
    b"http:///",
    b"hTTp://",
    b"1http://",
    b"http ://",
    b"://",
    b"h2c://",
)

VERSIONS = (b"HTTP/1.1",)
BAD_VERSIONS = (
    b"HTTP/1.0", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/0.9", b"HTTP/9.9", b"http/1.1", b"HTTP/1.01", b"HTTP/01.1",
    b"HTTP/11", b"HTTP/1,1",
    b"", b"HTTP/1.1 x", b"HTTP/1.", b"HTTP/1", b"HTTP/", b"HTTP", b"HTTP/1.1\x00", b"XTTP/1.1", b"HTTP /1.1",
    b"HTTP/ 1.1", b"HTTP/1 .1",
    b"HTTP/1.1\t", b"HTTP/1.1 ", b"HTTP/-1.1", b"HTTP/+1.1", b"ICE/1.0", b"RTSP/1.0", b"HTTP/1.10", b"HTTP/1.\xb1",
    b"HTTP/1.1HTTP/1.1",
)  # fmt: skip

BAD_BLANKS = (b"  ", b"\t", b" \t", b"", b"\x0b", b"\x0c", b"\xa0", b"\r", b"\x00", b"   ", b"\n", b"\r\n ")
BAD_LINE_ENDS = (
    b"\n",
    b"\n",
    b"\r\r\n",
    b"\r",
    b"\n\r",
    b" \r\n",
    b"\t\r\n",
    b"\r\n ",
    b"\x00\r\n",
    b"\r \n",
    b"\x0b\r\n",
    b"\r\n\r\n",
    b"",
)

NAMES_AND_VALUES: tuple[tuple[bytes, Sequence[bytes]], ...] = (
    (b"X-A", (b"1", b"2", b"", b"a, b", b"a\tb", b"  a  ", b"\xe9", b'"q"', b"a;b=c", b"x" * 500, b"\xff\xfe")),
    (b"Connection", (
        b"close", b"keep-alive", b"Close", b"CLOSE", b"close, keep-alive", b"keep-alive, X-A", b"X-A", b"upgrade",
        b"Upgrade, close", b"te",
        b"TE, trailers", b"host", b"content-length", b"transfer-encoding", b"x-forwarded-for", b"cookie", b"", b",",
        b"close,", b", close",
        b"close close", b"a,b,c,d,e,f,g,h,i,j,k,l,m", b"a,b,c,d,e,f,g,h,i,j,k", b"\xe9", b'"close"',
        b"x-forwarded-proto", b"x-request-id",
        b":path", b":authority", b"expect", b"http2-settings", b"proxy-connection", b"connection", b"x_y",
        b"x-envoy-internal", b"close;a",
    )),
    (b"Upgrade", (
        b"websocket", b"WebSocket", b"h2c", b"foo", b"websocket, foo", b"h2c, websocket", b"", b"websocket/13",
        b"TLS/1.0", b" websocket ",
    )),
    (b"Expect", (b"100-continue", b"100-Continue", b"100-continue, foo", b"foo", b"", b" 100-continue ", b"100")),
    (b"TE", (
        b"trailers", b"gzip", b"trailers, gzip", b"", b"Trailers", b"trailers;q=1", b"chunked", b"gzip, trailers",
    )),
    (b"Trailer", (b"X-Trailer", b"Content-Length", b"")),
    (b"Keep-Alive", (b"timeout=5", b"")),
    (b"Proxy-Connection", (b"keep-alive", b"close")),
    (b"X-Forwarded-For", (
        b"1.1.1.1", b"1.1.1.1, 2.2.2.2", b"", b",", b"1.1.1.1,", b"::1", b"[::1]:80", b"junk", b"\xe9",
        b" 1.1.1.1 ",
    )),
    (b"X-Forwarded-Proto", (b"https", b"http", b"HTTPS", b"ftp", b"", b"https, http")),
    (b"X-Forwarded-Host", (b"other.example",)),
    (b"X-Request-Id", (b"mine", b"", b"77fb2875-4bf3-49dc-9de6-54d4710eb83c", b"a, b")),
    (b"X-Envoy-Internal", (b"true",)),
    (b"X-Envoy-External-Address", (b"6.6.6.6",)),
    (b"X-Envoy-Original-Path", (b"/secret",)),
    (b"X-Envoy-Expected-Rq-Timeout-Ms", (b"1",)),
    (b"X-Envoy-Max-Retries", (b"3",)),
    (b"X-Envoy-Attempt-Count", (b"7",)),
    (b"X-Envoy-Decorator-Operation", (b"x",)),
    (b"X-Envoy-Peer-Metadata", (b"x",)),
    (b"X-Forwarded-Client-Cert", (b"By=me",)),
    (b"Cookie", (b"a=1", b"a=1; b=2", b"")),
    (b"Content-Type", (
        b"application/grpc", b"application/grpc+proto", b"text/plain", b"application/grpc-web",
        b"APPLICATION/GRPC", b"",
    )),
    (b"Via", (b"1.1 a",)),
    (b"Date", (b"Tue, 24 Nov 2026 10:48:16 GMT", b"yesterday")),
    (b"User-Agent", (b"x", b"", b"a b")),
    (b"Server", (b"x",)),
    (b"Http2-Settings", (b"AAMAAABkAARAAAAAAAIAAAAA",)),
    (b"Content-Encoding", (b"gzip",)),
    (b"Range", (b"bytes=0-1", b"bytes=0-1,5-")),
    (b"Accept", (b"*/*", b"")),
    (b":path", (b"/pseudo",)),
    (b":authority", (b"pseudo.example",)),
    (b"X-Forwarded-Port", (b"1",)),
    (b"Forwarded", (b"for=1.1.1.1",)),
    (b"Authorization", (b"Basic eA==",)),
    (b"Early-Data", (b"1",)),
    (b"Max-Forwards", (b"0",)),
    (b"Alt-Used", (b"x",)),
    (b"X-HTTP-Method-Override", (b"DELETE",)),
    (b"Sec-WebSocket-Key", (b"dGhlIHNhbXBsZSBub25jZQ==",)),
)  # fmt: skip

BAD_LINES = (
    b"nonsense", b": empty", b"X : 1", b"X\t: 1", b" X: 1", b"\tX: 1", b"X_Y: 1", b"X\xe9: 1", b"X\x00: 1",
    b"X: a\x00b", b"X: a\x01b", b"X: a\x7fb",
    b"X: a\rb", b"X: a\r", b"X: \r\ra", b"X: a\nY: b", b"X: a\r\n b", b"X: a\r\n\tb", b"X: a\r\n \r\n b",
    b"X: a\n b", b"X:\r\n b", b"(X): 1", b"X,Y: 1",
    b"X;: 1", b'"X": 1', b"X/Y: 1", b"X@: 1", b"X[]: 1", b"X{}: 1", b"X\\: 1", b"X=: 1", b"X?: 1", b"X<>: 1",
    b"X Y: 1", b"GET / HTTP/1.1", b"X", b"X\r",
    b"\x00", b"\xef\xbb\xbfX: 1", b"X: \x0b", b"X: \x0c1", b"X: a\x1fb", b"X: a\x80b", b"X:: 1", b"X: :",
    b"Host : b", b"Content-Length : 3", b"'X': 1",
    b"Transfer-Encoding : chunked", b"Content_Length: 3", b"Transfer_Encoding: chunked",
    b"\x0bTransfer-Encoding: chunked", b"X\x0b: 1", b"X*: 1", b"X|~: 1",
    b"x" * 300 + b": 1", b"Content-Length\x00: 3", b"Content-\r\nLength: 3", b"\r", b"\rX: 1", b"X: 1\r\r",
    b"X:\x00", b"X:\xff", b"Content-Length", b"Transfer-Encoding",
)  # fmt: skip

BAD_LENGTHS = (
    b"+%d", b"-%d", b" %d ", b"0%d", b"000%d", b"%d.0", b"0x%d", b"%d,%d", b"%d, %d", b"%d %d", b"", b"a", b"%d\x00",
    b"%d;", b"%d_0", b"\xef\xbc\x95", b"1e1",
    b"9223372036854775807", b"9223372036854775808", b"18446744073709551615", b"18446744073709551616",
    b"99999999999999999999999", b"-0", b"+0", b"%d\t", b"\t%d",
    b"\x0b%d", b"%d\r\n ", b"\xa0%d", b"(%d)", b"%d\xa0", b"'%d'",
)  # fmt: skip
BAD_CODINGS = (
    b"Chunked", b"CHUNKED", b" chunked", b"chunked ", b"chunked\t", b"\tchunked", b"xchunked", b"chunkedx",
    b"chunked, chunked", b"chunked,", b",chunked", b"gzip",
    b"gzip, chunked", b"chunked, gzip", b"identity", b"chunked, identity", b"identity, chunked", b"", b"chunked;q=1",
    b"\x0bchunked", b"chunked\x00", b'"chunked"',
    b"chunk", b"\xefchunked", b"c hunked", b"chunked\r\n ", b"\r\n chunked", b"chunked\r", b"\xa0chunked",
    b"chunked;", b"deflate", b"cow", b"trailers",
)  # fmt: skip
FRAMING_NAMES = (b"Content-Length", b"content-length", b"CONTENT-LENGTH")
CODING_NAMES = (b"Transfer-Encoding", b"transfer-encoding", b"TRANSFER-ENCODING", b"transfer-Encoding")

LEADING = (
    b"\r\n",
    b"\n",
    b"\r\n\r\n",
    b"\r",
    b" ",
    b"\t",
    b"\r\n ",
    b"\x00",
    b"\xef\xbb\xbf",
    b"\r\n" * 6,
    b"\n\r\n",
    b"\x0b",
)


@dataclass(frozen=True, slots=True)
class Place:
    """A host and a path under which the listener under test has a route."""

    host: bytes = b"h.example"
    path: bytes = b"/"


def request(choose: Chooser, place: Place) -> bytes:
    """One request, complete unless a fault makes it otherwise."""
    method = choose.good(METHODS, BAD_METHODS)
    host = choose.one(HOST_FORMS).replace(b"%h", place.host)
    line = b"".join(
        (method, _blank(choose), target(choose, place), _blank(choose), choose.good(VERSIONS, BAD_VERSIONS))
    )
    framing, body = _framing_and_body(choose, method)
    headers = [b"Host: " + host] if not choose.fault() else _bad_host_lines(choose, host)
    headers += [_header(choose) for _ in range(choose.one((0, 0, 1, 1, 2, 3, 5)))]
    headers += framing
    if choose.chance(0.15):
        choose.random.shuffle(headers)
    head = b"".join(one + choose.good((b"\r\n",), BAD_LINE_ENDS) for one in (line, *headers))
    leading = choose.one(LEADING) if choose.fault() else b"\r\n" if choose.chance(0.03) else b""
    return leading + head + choose.good((b"\r\n",), BAD_LINE_ENDS) + body


def _blank(choose: Chooser) -> bytes:
    return choose.good((b" ",), BAD_BLANKS)


def target(choose: Chooser, place: Place) -> bytes:
    """A request target in one of the four forms."""
    form = choose.random.random()
    if form < 0.8:
        return path(choose, place)
    if form < 0.95:
        host = choose.good(HOST_FORMS, BAD_HOSTS).replace(b"%h", place.host).replace(b"%H", place.host.upper())
        rest = path(choose, place) if choose.chance(0.8) else choose.one((b"", b"?a", b"#a", b"/"))
        return choose.good(SCHEMES, BAD_SCHEMES) + host + rest
    if choose.fault():
        return choose.one(
            (
                b"*",
                b"",
                b"h.example:80",
                b"h.example",
                b"**",
                b"*/",
                b"a/b",
                b"?",
                b"?a=b",
                b"#",
                b".",
                b"..",
                b"\\",
                b"//",
                b"///",
            )
        )
    return choose.one((b"*", b"h.example:80", b"/"))


def path(choose: Chooser, place: Place) -> bytes:
    """A path below the route's, with a query perhaps."""
    segments = [choose.good(SEGMENTS, BAD_SEGMENTS) for _ in range(choose.one((0, 0, 1, 1, 2, 4)))]
    start = place.path.rstrip(b"/") if choose.chance(0.9) else b""
    return start + b"/" + b"/".join(segments) + choose.good(QUERIES, BAD_QUERIES)


def _bad_host_lines(choose: Chooser, host: bytes) -> list[bytes]:
    kind = choose.number(0, 5)
    if kind == 0:
        return []
    if kind == 1:
        return [b"Host: " + host, b"Host: " + choose.one((host, b"other.example", b""))]
    bad = choose.one(BAD_HOSTS).replace(b"%h", host).replace(b"%H", host.upper())
    if kind == 2:
        return [
            choose.one((b"Host : ", b"Host:", b"Host:\t", b"host:  ", b"HOST: ", b" Host: ", b"Hos: ", b"X-Host: "))
            + host
        ]
    return [b"Host: " + bad]


def _header(choose: Chooser) -> bytes:
    if choose.fault():
        return choose.one(BAD_LINES)
    name, values = choose.one(NAMES_AND_VALUES)
    if choose.chance(0.1):
        name = choose.one((name.lower(), name.upper()))
    return name + choose.one((b": ", b": ", b": ", b":", b":\t", b":  ")) + choose.one(values)


def _framing_and_body(choose: Chooser, method: bytes) -> tuple[list[bytes], bytes]:
    """Header lines that frame the body, and the body."""
    likely = 0.7 if method in (b"POST", b"PUT", b"PATCH") else 0.15
    if not choose.chance(likely):
        return [], b"" if not choose.fault() else b"body without a frame"
    body = choose.one(
        (b"", b"abc", b"x" * 50, b"0\r\n\r\n", b"GET /in-a-body HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n", b"\x00\xff")
    )
    length = choose.one(FRAMING_NAMES) + b": "
    coding = choose.one(CODING_NAMES) + b": "
    if choose.chance(0.5):
        if not choose.fault():
            return [length + b"%d" % len(body)], body
        kind = choose.number(0, 4)
        if kind == 0:
            bad = choose.one(BAD_LENGTHS).replace(b"%d", b"%d" % len(body))
            return [length + bad], body
        if kind == 1:
            return [length + b"%d" % max(0, len(body) + choose.one((-1, 1, -3, 5, 100)))], body
        if kind == 2:
            return [length + b"%d" % len(body), length + b"%d" % (len(body) + choose.one((0, 0, 1)))], body
        lines = [length + b"%d" % choose.one((len(body), 0, 5)), coding + choose.one((b"chunked", *BAD_CODINGS))]
        choose.random.shuffle(lines)
        return lines, chunked_body(choose)
    if not choose.fault():
        return [coding + b"chunked"], chunked_body(choose)
    if choose.chance(0.3):
        return [coding + b"chunked", coding + choose.one((b"chunked", b"identity", b"gzip", b""))], chunked_body(choose)
    return [coding + choose.one(BAD_CODINGS)], chunked_body(choose)
