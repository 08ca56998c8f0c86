"""The project's own backend responses (RFC 9110 section 15, RFC 9112 sections 4, 6 and 7)."""

from __future__ import annotations

from collections.abc import Iterator

from tests.corpus.requests import CHUNKS, CODINGS, FIELDS, LENGTHS

OK = b"HTTP/1.1 200 OK\r\n"
STATUSES = (
    0, 1, 99, 100, 101, 102, 103, 150, 199, 200, 201, 202, 203, 204, 205, 206, 226, 299, 300, 301, 302, 303, 304, 305, 307,
    308, 399, 400, 401, 403, 404, 405, 406, 407, 408, 410, 411, 412, 413, 414, 415, 416, 417, 418, 421, 422, 425, 426, 428,
    429, 431, 451, 499, 500, 501, 502, 503, 504, 505, 511, 599, 600, 999,
)  # fmt: skip
STATUS_LINES = (
    b"HTTP/1.0 200 OK", b"HTTP/1.2 200 OK", b"HTTP/2.0 200 OK", b"HTTP/9.9 200 OK", b"HTTP/1.1 200", b"HTTP/1.1 200 ",
    b"HTTP/1.1  200 OK", b"HTTP/1.1\t200\tOK", b"HTTP/1.1 2000 OK", b"HTTP/1.1 20 OK", b"HTTP/1.1 +200 OK",
    b"HTTP/1.1 -200 OK", b"HTTP/1.1 2x0 OK", b"HTTP/1.1 OK", b"HTTP/1.1", b"http/1.1 200 OK", b"ICY 200 OK",
    b"HTTP/11 200 OK", b"HTTP/1.1 200OK", b"HTTP/1.1 200 O\x00K", b"HTTP/1.1 200 caf\xc3\xa9", b" HTTP/1.1 200 OK",
    b"\r\nHTTP/1.1 200 OK", b"GET / HTTP/1.1", b"HTTP/1.1 200 " + b"x" * 3000,
)  # fmt: skip
CONNECTIONS = (
    b"Connection: close", b"Connection: keep-alive", b"Connection: x", b"Keep-Alive: timeout=5", b"Proxy-Connection: close",
    b"Connection: close, x", b"Connection: upgrade\r\nUpgrade: foo", b"Upgrade: foo", b"Trailer: X", b"TE: x",
)  # fmt: skip


def responses() -> Iterator[tuple[str, str, str, bytes]]:
    """(id, source, request method, bytes) of every response."""
    for part, source, method, inputs in _parts():
        for number, data in enumerate(inputs):
            yield f"own/{part}/{number:02}", source, method, data


def _parts() -> Iterator[tuple[str, str, str, list[bytes]]]:
    body = b"Content-Length: 2\r\n\r\nok"
    yield "status", "RFC 9110 section 15", "GET", [b"HTTP/1.1 %03d Text\r\n" % status + body for status in STATUSES]
    yield "status-line", "RFC 9112 section 4", "GET", [line + b"\r\n" + body for line in STATUS_LINES]
    yield "bodiless", "RFC 9112 section 6.3", "GET", [
        b"HTTP/1.1 %d x\r\n" % status + rest
        for status in (204, 304)
        for rest in (
            b"\r\n", b"Content-Length: 0\r\n\r\n", b"Content-Length: 5\r\n\r\n", b"Content-Length: 5\r\n\r\nhello",
            b"Transfer-Encoding: chunked\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"\r\nhello",
        )
    ]  # fmt: skip
    yield "head", "RFC 9110 section 9.3.2", "HEAD", [
        OK + rest
        for rest in (
            b"\r\n", b"Content-Length: 5\r\n\r\n", b"Transfer-Encoding: chunked\r\n\r\n", b"Content-Length: 5\r\n\r\nhello",
            b"Content-Length: 5\r\nContent-Length: 5\r\n\r\n", b"Connection: close\r\n\r\n",
        )
    ]  # fmt: skip
    yield "field", "RFC 9112 section 5", "GET", [OK + field + b"\r\n" + body for field in FIELDS]
    yield "fields", "RFC 9110 section 5.4", "GET", [
        OK + b"X: 1\r\n" * 99 + body, OK + b"X: 1\r\n" * 100 + body, OK + b"X: " + b"v" * 80_000 + b"\r\n" + body,
        OK + b"X: " + b"v" * 82_000 + b"\r\n" + body, OK + b"Set-Cookie: a\r\nSet-Cookie: b\r\n" + body,
    ]  # fmt: skip
    yield "connection", "RFC 9110 section 7.6.1", "GET", [OK + field + b"\r\n" + body for field in CONNECTIONS]
    yield (
        "length",
        "RFC 9112 section 6.2",
        "GET",
        [OK + b"Content-Length: " + value + b"\r\n\r\nhello" for value in LENGTHS],
    )
    yield "lengths", "RFC 9112 section 6.3", "GET", [
        OK + b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", OK + b"Content-Length: 9\r\n\r\nhello",
        OK + b"Content-Length: 3\r\n\r\nhello", OK + b"\r\nhello", OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n", OK + b"Connection: close\r\n\r\nhello", b"HTTP/1.0 200 OK\r\n\r\nhello",
    ]  # fmt: skip
    yield (
        "coding",
        "RFC 9112 section 6.1",
        "GET",
        [OK + b"Transfer-Encoding: " + value + b"\r\n\r\n5\r\nhello\r\n0\r\n\r\n" for value in CODINGS],
    )
    yield "chunk", "RFC 9112 section 7.1", "GET", [OK + b"Transfer-Encoding: chunked\r\n\r\n" + body for body in CHUNKS]
    continued = b"HTTP/1.1 100 Continue\r\n\r\n"
    yield "interim", "RFC 9110 section 15.2", "GET", [
        continued + OK + body, continued * 3 + OK + body, b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n" + OK + body,
        continued, b"HTTP/1.1 100 Continue\r\nContent-Length: 2\r\n\r\nok" + OK + body, b"HTTP/1.1 102 x\r\n\r\n" + OK + body,
    ]  # fmt: skip
    yield "cut", "RFC 9112 section 8", "GET", [
        b"", b"H", b"HTTP/1.1 200", OK, OK + b"Content-Le", OK + b"Content-Length: 2\r\n", OK + b"Content-Length: 2\r\n\r\no",
        b"\r\n", b"\x00", b"\x15\x03\x01\x00\x02\x02F", b"<html>hello</html>", b"HTTP/1.1 200 OK\n" + body,
        OK + body + OK + body, OK + body + b"junk",
    ]  # fmt: skip
