"""Messages out of few words, so that words meet which each are rare: where Envoy and pyproxy have differed before.

Each function gives bytes for a place; the cases around them are ``generate``'s.
"""

from __future__ import annotations

from pyproxy.conformance.fuzz.choose import Chooser
from pyproxy.conformance.fuzz.requests import Place

CONTROLS = (b"\0", b"\x01", b"\x0b", b"\x0c", b"\x1f", b"\x7f", b"\r", b"\t", b" ")

REQUEST_LINES = (
    b"GET / HTTP/1.1",
    b"GET /",
    b"GET",
    b"HEAD\t/\tHTTP/1.0",
    b"OPTIONS * HTTP/1.1",
    b"GET http://a/ HTTP/1.1",
)
STATUS_LINES = (b"HTTP/1.1 200 OK", b"HTTP/1.1 200", b"HTTP/1.0 204 No", b"HTTP/1.1  404  Not Found", b"HTTP/1.1 +2")
LINE_ENDS = (b"\r\n", b"\n", b"\r\nX: 1\r\n", b"\r\n\r\n", b"\nHost: a\n\n")

NOMINATIONS = (
    b"te close keep-alive content-length host x : upgrade expect transfer-encoding connection cookie x-forwarded-for "
    b"via http2-settings proxy-connection content-type"
).split()
NOMINATED = (
    *(b"TE:", b"TE: trailers", b"TE: gzip", b"X: 1", b"Expect: 100-continue", b"Upgrade: websocket", b"Upgrade: h2c"),
    *(
        b"HTTP2-Settings: a",
        b"Via: v",
        b"Content-Type: t",
        b"Proxy-Connection: close",
        b"Keep-Alive: 5",
        b"Cookie: a=b",
    ),
)

ADDRESSES = (
    b"1.2.3.4",
    b"10.0.0.1",
    b"::1",
    b"2001:db8::1",
    b"[::1]:80",
    b"1.2.3.4:80",
    b"unknown",
    b"",
    b"1.2.3.4, 5.6.7.8",
)
TRUSTED = {
    b"X-Forwarded-For": ADDRESSES,
    b"X-Forwarded-Proto": (b"http", b"https", b"HTTPS", b"ws", b"", b"http,https"),
    b"X-Request-Id": (b"a", b"", b"12345678-1234-4234-8234-123456789abc", b"12345678-1234-1234-8234-123456789abc"),
    b"X-Envoy-External-Address": ADDRESSES,
    b"X-Envoy-Internal": (b"true", b"false", b""),
    b"X-Envoy-Expected-Rq-Timeout-Ms": (b"7", b"x"),
    b"X-Envoy-Upstream-Rq-Timeout-Ms": (b"9000", b"0", b"x", b"-1", b"+8000"),
    b"X-Envoy-Upstream-Rq-Per-Try-Timeout-Ms": (b"7000", b"0", b"99999", b""),
    b"X-Envoy-Force-Trace": (b"1",),
    b"X-Envoy-Original-Path": (b"/x",),
    b"X-Forwarded-Host": (b"h", b""),
    b"X-Forwarded-Client-Cert": (b"By=a",),
    b"Content-Type": (b"application/grpc", b"t"),
    b"Expect": (b"100-continue", b"x"),
}

FIELDS = {
    b"X": (b"1", b"", b"a b"),
    b"Transfer-Encoding": (b"chunked", b"chunked", b"gzip", b""),
    b"Content-Length": (b"2", b"0", b"", b"x"),
    b"Connection": (b"close", b"keep-alive", b"upgrade", b"close, x"),
    b"Proxy-Connection": (b"close", b"keep-alive"),
    b"Upgrade": (b"websocket", b"foo"),
    b"Server": (b"s",),
    b"Date": (b"d",),
    b"Trailer": (b"t",),
}
STATUSES = b"200 200 204 304 101 404 426 500 100 103 199 0 99 999".split()

SIZES = (
    b"2 ",
    b" 2",
    b"02",
    b"2;x=y",
    b"2 ;x",
    b"0x2",
    b"+2",
    b"-2",
    b"2g",
    b"",
    b"ffffffffffffffff",
    b"10000000000000000",
)
TRAILERS = (b"x: y", b"x:\r y", b"x", b" x", b"x : y", b"Content-Length: 5", b"Host: z", b"x_y: 1", b":", b"x: \x01")


def request_line(choose: Chooser, place: Place) -> bytes:
    """A request line with control characters somewhere, and perhaps more."""
    return _spoilt(choose, choose.one(REQUEST_LINES)) + choose.one(LINE_ENDS).replace(b"a", place.host)


def nominations(choose: Chooser, place: Place) -> bytes:
    """What Connection can say of other headers that are there."""
    lines = [
        b"Connection: " + b",".join(choose.one(NOMINATIONS) for _ in range(choose.number(1, 3)))
        for _ in range(choose.number(1, 2))
    ]
    lines += [choose.one(NOMINATED) for _ in range(choose.number(0, 3))]
    body = choose.one((b"", b"", b"ab", b"2\r\nab\r\n0\r\n\r\n"))
    if body or choose.chance(0.2):
        lines.append(b"Content-Length: %d" % len(body) if len(body) < 3 else b"Transfer-Encoding: chunked")
    return _request(choose, place, lines) + body


def trusted_headers(choose: Chooser, place: Place) -> bytes:
    """Headers that say where a request comes from, and those of Envoy's own."""
    names = list(TRUSTED)
    return _request(choose, place, [_line(choose, TRUSTED, choose.one(names)) for _ in range(choose.number(1, 5))])


def redirects(choose: Chooser, place: Place) -> bytes:
    """Some requests at once of which some are answered locally."""
    heads = (b"GET %b", b"GET /%%2f", b"HEAD /%%5c", b"POST /%%2f", b"GET %b")
    return b"".join(
        (head % place.path if b"%b" in head else head % ()) + b" HTTP/1.1\r\nHost: " + place.host + b"\r\n\r\n"
        for head in (choose.one(heads) for _ in range(choose.number(2, 4)))
    )


def chunked_request(choose: Chooser, place: Place) -> bytes:
    """A body in chunks that are a little odd."""
    return b"POST %b HTTP/1.1\r\nHost: %b\r\nTransfer-Encoding: chunked\r\n\r\n" % (place.path, place.host) + _chunks(
        choose
    )


def status_line(choose: Chooser) -> bytes:
    """A status line with control characters somewhere, and perhaps more."""
    return _spoilt(choose, choose.one(STATUS_LINES)) + choose.one(LINE_ENDS)


def response_fields(choose: Chooser) -> bytes:
    """Heads, interim ones too, of few fields with blanks and CRs in them."""
    replies = b""
    for _ in range(choose.number(1, 3)):
        version = choose.one((b"1.1", b"1.1", b"1.1", b"1.0", b"2.0"))
        replies += b"HTTP/%b %b r\r\n" % (version, choose.one(STATUSES))
        for _ in range(choose.number(0, 3)):
            name, _, value = _line(choose, FIELDS, choose.one(list(FIELDS))).partition(b": ")
            replies += name + b":" + (_spoilt(choose, value, b"\r\r\t ") if choose.chance(0.3) else value) + b"\r\n"
        replies += b"\r\n"
    return replies + choose.one((b"", b"ok", b"2\r\nok\r\n0\r\n\r\n"))


def chunked_response(choose: Chooser) -> bytes:
    """The same as a request's chunks."""
    return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + _chunks(choose)


def _request(choose: Chooser, place: Place, lines: list[bytes]) -> bytes:
    lines.insert(choose.number(0, len(lines)), b"Host: " + place.host)
    method = choose.one((b"GET", b"GET", b"POST", b"HEAD", b"OPTIONS"))
    target = choose.one((place.path, place.path, place.path, b"http://" + place.host + place.path))
    version = choose.one((b"1.1",) * 8 + (b"1.0", b"0.9"))
    return b"%b %b HTTP/%b\r\n%b\r\n\r\n" % (method, target, version, b"\r\n".join(lines))


def _line(choose: Chooser, of: dict[bytes, tuple[bytes, ...]], name: bytes) -> bytes:
    return name + b": " + choose.one(of[name])


def _spoilt(choose: Chooser, line: bytes, controls: bytes = b"".join(CONTROLS)) -> bytes:
    """``line`` with one character or a few put in, or in place of others."""
    for _ in range(choose.one((1, 1, 2, 3))):
        at = choose.number(1, len(line)) if line else 0
        line = line[:at] + bytes((choose.one(controls),)) + line[at + choose.one((0, 0, 1)) :]
    return line


def _chunks(choose: Chooser) -> bytes:
    def line_end() -> bytes:
        return choose.one((b"\r\n",) * 10 + (b"\n", b"\r\r\n", b" \r\n"))

    body = b""
    for _ in range(choose.number(0, 3)):
        body += (choose.one(SIZES) if choose.chance(0.3) else b"2") + line_end() + b"ab" + line_end()
    body += choose.one((b"0", b"0", b"0", b"00", b"0;x", b"0 ")) + line_end()
    for _ in range(choose.one((0, 0, 0, 1, 2))):
        body += choose.one(TRAILERS) + line_end()
    return body + choose.one((b"\r\n",) * 5 + (b"\n", b"", b"\r"))


REQUESTS = (request_line, nominations, nominations, trusted_headers, trusted_headers, redirects, chunked_request)
RESPONSES = (status_line, response_fields, response_fields, chunked_response)
