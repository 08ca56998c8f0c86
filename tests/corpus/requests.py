"""The project's own HTTP/1.1 requests, one list a part of the grammar (RFC 9110, RFC 9112, RFC 3986)."""

from __future__ import annotations

from collections.abc import Iterator

HOST = b"Host: a.example\r\n"
CHUNKED_POST = b"POST /upload HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n"
LAST = b"0\r\n\r\n"

METHODS = (
    b"GET", b"HEAD", b"POST", b"PUT", b"DELETE", b"OPTIONS", b"TRACE", b"PATCH", b"CONNECT", b"PROPFIND", b"PROPPATCH",
    b"MKCOL", b"COPY", b"MOVE", b"LOCK", b"UNLOCK", b"REPORT", b"SEARCH", b"PURGE", b"QUERY", b"PRI", b"M-SEARCH",
    b"BREW", b"get", b"Get", b"G", b"GETT", b"G@T", b"GE\tT", b"GET\x00", b"POST/", b"\"GET\"",
)  # fmt: skip
TARGETS = (
    b"/", b"//", b"///", b"/a", b"/a/", b"/a//b", b"/a///b/", b"/.", b"/..", b"/./", b"/../", b"/a/.", b"/a/..",
    b"/a/../b", b"/a/./b", b"/a/b/../../c", b"/a/.../b", b"/a/..b", b"/.a", b"/a/b/../..", b"/..//..", b"/a/;/b",
    b"/a/..;/b", b"/a/.;x=1/b", b"/a;b=c/d", b"/%2e/a", b"/a/%2E%2e/b", b"/a/.%2e/b", b"/%2f", b"/a%2Fb", b"/a%5cb",
    b"/a%5C..%5Cb", b"/a%2f..%2fb", b"/a%2f?q=%2f", b"/a\\b", b"/a\\..\\b", b"/a%00b", b"/a%0", b"/a%", b"/a%g1",
    b"/a%%41", b"/a%2541", b"/%41%5a%61%7a", b"/%7e%2d%5f%2E", b"/%c3%a9", b"/caf\xc3\xa9", b"/a\x7fb", b"/a\x01b",
    b"/a\"b", b"/a<b>", b"/a{b}", b"/a|b", b"/a^b", b"/a`b", b"/a~b", b"/a'b", b"/a!$&'()*+,;=:@b", b"/a#b", b"/#",
    b"/a?b#c", b"/a?", b"?", b"/?", b"/a?b?c", b"/a?b=//c/../d", b"/a?%zz", b"/a?b c", b"*", b"**", b"a", b"a/b",
    b"@", b":80", b"/" + b"a" * 2000, b"/" + b"a/" * 500, b"/" + b"../" * 300,
)  # fmt: skip
ABSOLUTE = (
    b"http://b.example/", b"http://b.example", b"http://b.example?q", b"http://b.example/x#f", b"HTTP://b.example/",
    b"http://b.example:8080/x", b"http://b.example:/x", b"http://b.example:65536/x", b"http://b.example:x/",
    b"http://u@b.example/", b"http://u:p@b.example/", b"http://@b.example/", b"http://b@c@d/", b"http:///x", b"http://",
    b"http:/b.example/", b"http:b.example", b"http://[::1]/", b"http://[::1]:80/", b"http://[::1/", b"http://[zz]/",
    b"http://127.0.0.1/", b"http://b.example/a/../b", b"http://b.example//a", b"http://b.example/a%2fb",
    b"https://b.example/", b"ftp://b.example/", b"ws://b.example/", b"a+b.c-d://b.example/", b"1http://b.example/",
    b"http://b_c.example/", b"http://b.example\\c/", b"http://b%41.example/", b"http://*/",
)  # fmt: skip
VERSIONS = (
    b"HTTP/1.1", b"HTTP/1.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/2.0", b"HTTP/2", b"HTTP/3.0", b"HTTP/9.9", b"HTTP/11.1",
    b"HTTP/1.11", b"HTTP/1.", b"HTTP/.1", b"HTTP/1", b"HTTP1.1", b"http/1.1", b"Http/1.1", b"HTTPS/1.1", b"XTTP/1.1",
    b"HTTP/1.1x", b"HTTP/1 .1", b"HTTP/+1.1", b"HTTP/1,1", b"",
)  # fmt: skip
AUTHORITIES = (
    b"a.example", b"A.EXAMPLE", b"a.example:80", b"a.example:", b"a.example:0", b"a.example:99999", b"a.example:x",
    b"a.example.", b".", b"..a", b"127.0.0.1", b"[::1]", b"[::1]:8080", b"[::1", b"::1", b"a b", b"a,b", b"a, b", b"a/b",
    b"a?b", b"a#b", b"a@b", b"u:p@a", b"a\\b", b"a_b", b"a%41", b"a\x00b", b"a\x7fb", b"\xc3\xa9.example", b"a\tb", b"",
    b" ", b"-", b"a;b", b"a=b", b"(a)", b"a'b", b"a\"b", b"<a>", b"{a}", b"a|b", b"a^b", b"a`b", b"a~b", b"*",
    b"x" * 300,
)  # fmt: skip
FIELDS = (
    b"X: 1", b"X:1", b"X:", b"X: ", b"X:\t1\t", b"X:  1  2  ", b"X : 1", b"X\t: 1", b" X: 1", b"\tX: 1", b": 1", b":",
    b"X", b"X 1", b"X;: 1", b"X@: 1", b"X(): 1", b"X\x00: 1", b"X\x7f: 1", b"X\xe9: 1", b"X_Y: 1", b"_: 1", b"X-_-Y: 1",
    b"x.y: 1", b"x!#$%&'*+-^`|~: 1", b"X: a\x00b", b"X: a\x01b", b"X: a\x1fb", b"X: a\x7fb", b"X: a\x80b", b"X: \xff",
    b"X: caf\xc3\xa9", b"X: a\x0bb", b"X: a\x0cb", b"X: a\rb", b"X: a\r\r", b"X: \"quoted\\\"\"", b"X: a:b::c",
    b"X: " + b"v" * 8000, b"X" * 300 + b": 1", b"X: 1\r\n 2", b"X: 1\r\n\t2", b"X:\r\n 1", b"X: 1\r\n  \r\n 2",
    b"X: 1\n 2", b"X: 1\r\n : 2", b"Content-Type: text/plain", b"Cookie: a=1; b=2", b"Cookie: a\r\nCookie: b",
    b"Accept: a\r\nAccept: b", b"X: 1\r\nX: 2", b"Via: 1.1 a\r\nVia: 1.1 b", b"Range: bytes=0-1", b"If-Match: \"a\"",
    b"Date: now", b"Server: mine", b"Forwarded: for=1.2.3.4", b"X-Real-Ip: 1.2.3.4", b"Max-Forwards: 0",
    b"X-Http-Method-Override: PUT", b"X-Original-Url: /admin", b"X-Rewrite-Url: /admin", b"Content-Encoding: gzip",
)  # fmt: skip
CONNECTIONS = (
    b"Connection: close", b"Connection: Close", b"Connection: CLOSE ", b"Connection: keep-alive", b"Connection:",
    b"Connection: close, keep-alive", b"Connection: keep-alive, close", b"Connection: X", b"Connection: X, close",
    b"Connection: close\r\nConnection: X", b"Connection: ,", b"Connection: ,,close,,", b"Connection: \"close\"",
    b"Connection: close;q=1", b"Connection: host", b"Connection: content-length", b"Connection: transfer-encoding",
    b"Connection: te", b"TE: trailers\r\nConnection: te", b"TE: trailers", b"TE: gzip", b"TE: trailers, gzip;q=1",
    b"Connection: x-forwarded-for", b"Connection: x-forwarded-proto", b"Connection: x-request-id",
    b"Connection: authorization\r\nAuthorization: Basic x", b"Connection: cookie\r\nCookie: a", b"Connection: upgrade",
    b"Connection: :path", b"Connection: connection", b"Keep-Alive: timeout=5", b"Proxy-Connection: close",
    b"Proxy-Connection: keep-alive", b"Proxy-Authorization: Basic x", b"Connection: a,b,c,d,e,f,g,h,i",
    b"Connection: a,b,c,d,e,f,g,h,i,j", b"Trailer: X", b"Connection: trailer\r\nTrailer: X",
)  # fmt: skip
UPGRADES = (
    b"Connection: upgrade\r\nUpgrade: websocket", b"Connection: Upgrade\r\nUpgrade: WebSocket", b"Upgrade: websocket",
    b"Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk", b"Connection: upgrade\r\nUpgrade: foo",
    b"Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk",
    b"Connection: upgrade\r\nUpgrade: websocket, foo", b"Connection: upgrade\r\nUpgrade:", b"Connection: upgrade",
    b"Connection: upgrade, close\r\nUpgrade: websocket", b"Connection: upgrade\r\nUpgrade: TLS/1.2",
    b"Connection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 3",
    b"Connection: upgrade\r\nUpgrade: websocket\r\nTransfer-Encoding: chunked",
)  # fmt: skip
EXPECTATIONS = (b"100-continue", b"100-Continue", b"100-continue, x", b"x", b"", b"100", b"200-ok")
LENGTHS = (
    b"5", b"05", b"0005", b"0", b"+5", b"-5", b" 5 ", b"5 5", b"5,5", b"5, 5", b"5;", b"0x5", b"5.0", b"5e0", b"", b"a",
    b"\xd9\xa5", b"5_0", b"9223372036854775808", b"18446744073709551616", b"99999999999999999999999999",
)  # fmt: skip
CODINGS = (
    b"chunked", b"Chunked", b"CHUNKED", b" chunked ", b"chunked,", b",chunked", b"chunked, chunked", b"gzip",
    b"gzip, chunked", b"chunked, gzip", b"identity", b"identity, chunked", b"\"chunked\"", b"chunked;a=b", b"chunke",
    b"xchunked", b"", b"chunked\x0b", b"\x0bchunked", b"trailers",
)  # fmt: skip
CHUNKS = (
    b"5\r\nhello\r\n" + LAST, b"1\r\na\r\n1\r\nb\r\n" + LAST, b"05\r\nhello\r\n" + LAST, b"A\r\n0123456789\r\n" + LAST,
    b"a\r\n0123456789\r\n" + LAST, b"5;x\r\nhello\r\n" + LAST, b"5;x=y\r\nhello\r\n" + LAST, b"5;x=\"y\"\r\nhello\r\n" + LAST,
    b"5 \r\nhello\r\n" + LAST, b"5\t;x\r\nhello\r\n" + LAST, b"5;\r\nhello\r\n" + LAST, b"5;;\r\nhello\r\n" + LAST,
    b" 5\r\nhello\r\n" + LAST, b"+5\r\nhello\r\n" + LAST, b"-5\r\nhello\r\n" + LAST, b"0x5\r\nhello\r\n" + LAST,
    b"5h\r\nhello\r\n" + LAST, b"g\r\nhello\r\n" + LAST, b"\r\nhello\r\n" + LAST, b"5\nhello\r\n" + LAST,
    b"5\r\nhello\n" + LAST, b"5\r\nhello" + LAST, b"5\r\nhelloX\r\n" + LAST, b"5\r\nhello\r" + LAST, b"5\r\nhell\r\n" + LAST,
    b"5\rhello\r\n" + LAST, b"5;a\rb\r\nhello\r\n" + LAST, b"5;a\nb\r\nhello\r\n" + LAST, b"5;\x00\r\nhello\r\n" + LAST,
    b"FFFFFFFFFFFFFFFF\r\nhello\r\n", b"10000000000000000\r\nhello\r\n", b"0000000000000005\r\nhello\r\n" + LAST,
    b"00000000000000005\r\nhello\r\n" + LAST, b"5;" + b"x" * 5000 + b"\r\nhello\r\n" + LAST, b"5\r\nhel", b"5\r\n", b"5",
    b"0\r\n", b"0", b"00\r\n\r\n", b"0;x\r\n\r\n", b"0\n\n", b"0\r\n\n", b"0\r\nX: 1\r\n\r\n", b"0\r\nX: 1\r\nY: 2\r\n\r\n",
    b"0\r\nX\r\n\r\n", b"0\r\nX : 1\r\n\r\n", b"0\r\n X: 1\r\n\r\n", b"0\r\nX: a\x00\r\n\r\n", b"0\r\nContent-Length: 9\r\n\r\n",
    b"0\r\nTransfer-Encoding: chunked\r\n\r\n", b"0\r\nHost: b\r\n\r\n", b"0\r\nX_Y: 1\r\n\r\n", b"0\r\nX: 1\r\n 2\r\n\r\n",
)  # fmt: skip


def _request(line: bytes, *, host: bytes = HOST, rest: bytes = b"") -> bytes:
    return line + b"\r\n" + host + rest + b"\r\n"


def requests() -> Iterator[tuple[str, str, bytes, list[int]]]:
    """(id, source, bytes, how long each write is) of every request; no lengths for one write."""
    for part, source, inputs in _parts():
        for number, data in enumerate(inputs):
            yield f"own/{part}/{number:02}", source, data, []
    whole = _request(b"POST /split HTTP/1.1", rest=b"Content-Length: 5\r\nX: 1\r\n") + b"hello"
    for at in range(1, len(whole), 5):
        yield f"own/split/length-{at:02}", "RFC 9112 section 2.1", whole, [at, len(whole) - at]
    whole = CHUNKED_POST + b"3;x\r\nabc\r\n0\r\nX: 1\r\n\r\n"
    for at in range(len(CHUNKED_POST) - 3, len(whole)):
        yield f"own/split/chunked-{at:02}", "RFC 9112 section 7.1", whole, [at, len(whole) - at]


def _parts() -> Iterator[tuple[str, str, list[bytes]]]:
    yield "method", "RFC 9110 section 9", [_request(method + b" / HTTP/1.1") for method in METHODS]
    yield "target", "RFC 9112 section 3.2.1", [_request(b"GET " + target + b" HTTP/1.1") for target in TARGETS]
    yield "absolute", "RFC 9112 section 3.2.2", [_request(b"GET " + target + b" HTTP/1.1") for target in ABSOLUTE]
    yield (
        "absolute-alone",
        "RFC 9112 section 3.2.2",
        [_request(b"GET " + target + b" HTTP/1.1", host=b"") for target in ABSOLUTE[:8]],
    )
    yield (
        "asterisk",
        "RFC 9112 section 3.2.4",
        [_request(method + b" * HTTP/1.1") for method in (b"OPTIONS", b"GET", b"POST", b"HEAD")],
    )
    yield (
        "connect",
        "RFC 9112 section 3.2.3",
        [
            _request(b"CONNECT " + target + b" HTTP/1.1")
            for target in (
                b"b.example:443",
                b"b.example",
                b"b.example:x",
                b"[::1]:80",
                b"/",
                b"http://b.example/",
                b"*",
                b"b:0",
            )
        ],
    )
    yield "version", "RFC 9112 section 2.3", [_request(b"GET / " + version) for version in VERSIONS]
    yield "line", "RFC 9112 section 3", [
        _request(b"GET  / HTTP/1.1"), _request(b"GET\t/\tHTTP/1.1"), _request(b"GET / HTTP/1.1 "),
        _request(b" GET / HTTP/1.1"), _request(b"GET / x HTTP/1.1"), _request(b"GET /\rHTTP/1.1"),
        _request(b"\r\nGET / HTTP/1.1"), _request(b"\r\n\r\n\r\nGET / HTTP/1.1"), _request(b"\n\nGET / HTTP/1.1"),
        _request(b"\rGET / HTTP/1.1"), b"GET / HTTP/1.1\n" + HOST + b"\n", b"GET / HTTP/1.1\r" + HOST + b"\r\n",
        b"GET / HTTP/1.1\r\n" + HOST + b"\n", b"GET\r\n\r\n", b"GET /\r\n\r\n", b"\x00", b"\x16\x03\x01\x00\x05hello",
        b"PRI * HTTP/2.0\r\n\r\nSM", b"GET / HTTP/1.1", b"GET / HTTP/1.1\r\n", b"GET / HTTP/1.1\r\n" + HOST, b"G", b"\r\n",
    ]  # fmt: skip
    yield (
        "host",
        "RFC 9112 section 3.2",
        [_request(b"GET / HTTP/1.1", host=b"Host: " + value + b"\r\n") for value in AUTHORITIES],
    )
    yield "hosts", "RFC 9112 section 3.2", [
        _request(b"GET / HTTP/1.1", host=b""), _request(b"GET / HTTP/1.1", host=HOST + HOST),
        _request(b"GET / HTTP/1.1", host=HOST + b"Host: b\r\n"), _request(b"GET / HTTP/1.1", host=HOST + b"hOST:\r\n"),
    ]  # fmt: skip
    yield "field", "RFC 9112 section 5", [_request(b"GET / HTTP/1.1", rest=field + b"\r\n") for field in FIELDS]
    yield (
        "field-first",
        "RFC 9112 section 5",
        [b"GET / HTTP/1.1\r\n" + field + b"\r\n" + HOST + b"\r\n" for field in FIELDS[:12]],
    )
    yield "fields", "RFC 9110 section 5.4", [
        _request(b"GET / HTTP/1.1", rest=b"X: 1\r\n" * 99), _request(b"GET / HTTP/1.1", rest=b"X: 1\r\n" * 100),
        _request(b"GET / HTTP/1.1", rest=b"X: " + b"v" * 61_300 + b"\r\n"),
        _request(b"GET / HTTP/1.1", rest=b"X: " + b"v" * 61_500 + b"\r\n"),
    ]  # fmt: skip
    yield (
        "connection",
        "RFC 9110 section 7.6.1",
        [_request(b"GET / HTTP/1.1", rest=field + b"\r\n") for field in CONNECTIONS],
    )
    yield (
        "connection-post",
        "RFC 9110 section 7.6.1",
        [
            _request(b"POST / HTTP/1.1", rest=field + b"\r\nContent-Length: 2\r\n") + b"ab"
            for field in CONNECTIONS[14:18]
        ],
    )
    yield "upgrade", "RFC 9110 section 7.8", [_request(b"GET / HTTP/1.1", rest=field + b"\r\n") for field in UPGRADES]
    yield (
        "expect",
        "RFC 9110 section 10.1.1",
        [
            _request(b"POST / HTTP/1.1", rest=b"Expect: " + value + b"\r\nContent-Length: 2\r\n") + b"ab"
            for value in EXPECTATIONS
        ],
    )
    yield (
        "length",
        "RFC 9112 section 6.2",
        [_request(b"POST / HTTP/1.1", rest=b"Content-Length: " + value + b"\r\n") + b"hello" for value in LENGTHS],
    )
    yield (
        "lengths",
        "RFC 9112 section 6.3",
        [
            _request(b"POST / HTTP/1.1", rest=b"Content-Length: 5\r\nContent-Length: 5\r\n") + b"hello",
            _request(b"POST / HTTP/1.1", rest=b"Content-Length: 5\r\nContent-Length: 6\r\n") + b"hello!",
            _request(b"GET / HTTP/1.1", rest=b"Content-Length: 5\r\n") + b"hello",
            _request(b"POST / HTTP/1.1", rest=b"Content-Length: 9\r\n") + b"hello",
            _request(b"POST / HTTP/1.1", rest=b"Content-Length: 3\r\n") + b"hello",
        ],
    )
    yield (
        "coding",
        "RFC 9112 section 6.1",
        [
            _request(b"POST / HTTP/1.1", rest=b"Transfer-Encoding: " + value + b"\r\n") + b"5\r\nhello\r\n" + LAST
            for value in CODINGS
        ],
    )
    both = (b"Content-Length: 5", b"Transfer-Encoding: chunked")
    yield (
        "codings",
        "RFC 9112 section 6.3",
        [
            _request(b"POST / HTTP/1.1", rest=b"\r\n".join(lines) + b"\r\n") + b"5\r\nhello\r\n" + LAST
            for lines in (
                both,
                both[::-1],
                (both[1], both[1]),
                (b"Transfer-Encoding: gzip", both[1]),
                (both[1], b"TE: chunked"),
            )
        ],
    )
    yield "chunk", "RFC 9112 section 7.1", [CHUNKED_POST + body for body in CHUNKS]
    get = _request(b"GET /next HTTP/1.1")
    yield "pipeline", "RFC 9112 section 9.3.2", [
        get + get, get * 5, _request(b"POST / HTTP/1.1", rest=b"Content-Length: 5\r\n") + b"hello" + get,
        CHUNKED_POST + CHUNKS[0] + get, get + b"\r\n" + get, get + b"BAD\r\n\r\n", get + _request(b"GET / HTTP/1.0"),
        _request(b"GET / HTTP/1.1", rest=b"Connection: close\r\n") + get, CHUNKED_POST + b"zz\r\n" + get,
        _request(b"GET / HTTP/1.1", host=b"") + get,
    ]  # fmt: skip
