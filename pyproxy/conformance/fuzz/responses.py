"""Backend responses along the grammar, right and wrong, and what the backend does with its connection afterwards."""

from __future__ import annotations

from pyproxy.conformance.fuzz.choose import Chooser
from pyproxy.conformance.fuzz.chunks import chunked_body
from pyproxy.conformance.fuzz.requests import BAD_CODINGS, BAD_LENGTHS, BAD_LINE_ENDS, BAD_LINES

VERSIONS = (b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.1", b"HTTP/1.0")
BAD_VERSIONS = (
    b"HTTP/2.0", b"HTTP/0.9", b"HTTP/1.2", b"HTTP/9.1", b"http/1.1", b"HTTP/1", b"HTTP/1.", b"HTTP", b"",
    b"HTTP/1.1\x00", b"ICY", b"XTTP/1.1", b"HTTP/11",
    b" HTTP/1.1", b"HTTP/1.01", b"HTTP/1.1\t", b"HTTP /1.1", b"HTTP/1.1,",
)  # fmt: skip
STATUSES = (b"200",) * 6 + (
    b"201",
    b"202",
    b"204",
    b"205",
    b"206",
    b"301",
    b"304",
    b"400",
    b"404",
    b"500",
    b"502",
    b"503",
    b"299",
    b"418",
)
BAD_STATUSES = (
    b"", b"20", b"2000", b"099", b"000", b"100", b"101", b"102", b"103", b"199", b"600", b"999", b"1000", b"+200",
    b"-200", b"2O0", b"200.0", b"0200", b" 200", b"abc",
    b"200\x00", b"2 00", b"\xb2\x30\x30", b"99", b"599", b"65536", b"4294967496", b"0x200",
)  # fmt: skip
REASONS = (b" OK", b" OK", b" OK", b" Fine, thanks", b" ", b" \xe9", b" a  b")
BAD_REASONS = (
    b"",
    b" \x00",
    b" \x01",
    b"  OK",
    b"\tOK",
    b"OK",
    b" O\rK",
    b" \x7f",
    b" " + b"x" * 3000,
    b" HTTP/1.1 200 OK",
)

HEADERS = (
    b"X-B: 1", b"Server: backend", b"Date: Tue, 24 Nov 2026 10:48:16 GMT", b"Connection: close",
    b"Connection: keep-alive", b"Connection: X-B", b"Keep-Alive: 5",
    b"Proxy-Connection: close", b"Set-Cookie: a=1", b"Set-Cookie: b=2", b"Vary: a", b"Via: 1.0 x",
    b"X-Envoy-Upstream-Service-Time: 9", b"X-Envoy-Internal: true",
    b"X-Envoy-Decorator-Operation: x", b"Upgrade: websocket", b"Connection: upgrade", b"Trailer: X", b"TE: trailers",
    b"Content-Type: text/plain", b"X-Request-Id: b",
    b"Content-Encoding: gzip", b"Etag: x", b"Location: /x", b"Content-Type: application/grpc", b"grpc-status: 0",
    b"X-Empty:", b"X-Blank:  ", b"Transfer-Encoding-X: a",
    b"Connection: transfer-encoding", b"Connection: content-length", b"Connection: close, X-B", b"Retry-After: 1",
    b"X-Envoy-Degraded: 1", b"Alt-Svc: h2", b"X-Forwarded-For: 1",
    b"x-envoy-immediate-health-check-fail: 1", b"X-Envoy-Overloaded: 1", b"X-Envoy-Ratelimited: 1", b"Status: 500",
    b":status: 500", b"Age: 1", b"x-b: 2", b"HOST: a",
)  # fmt: skip

BODIES = (
    b"",
    b"ok",
    b"hello world",
    b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
    b"\r\n",
    b"x" * 3000,
    b"0\r\n\r\n",
)
BEFORE = (
    b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n",
    b"HTTP/1.1 102 Processing\r\n\r\n", b"HTTP/1.1 100 Continue\r\nContent-Length: 0\r\n\r\n",
)  # fmt: skip
BAD_BEFORE = (
    b"HTTP/1.1 100\r\n\r\n", b"\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n", b"HTTP/1.1 199 X\r\n\r\n", b"x",
    b"\x00", b"HTTP/1.1 100 Continue\r\nContent-Length: 3\r\n\r\nabc",
    b"HTTP/1.1 100 Continue\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", b"HTTP/1.1 100 Continue\r\n\r\n" * 3,
    b"\n", b" ", b"HTTP/1.1 200 OK\r\n\r\n",
)  # fmt: skip
BEHIND = (
    b"x",
    b"\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-Evil: 1\r\n\r\nextra",
    b"\x00" * 20,
    b"0\r\n\r\n",
    b"HTTP/1.1 100 Continue\r\n\r\n",
)


def response(choose: Chooser) -> bytes:
    """One response, with what may come before and behind it."""
    status = choose.good(STATUSES, BAD_STATUSES)
    line = choose.good(VERSIONS, BAD_VERSIONS) + choose.good((b" ",), (b"  ", b"\t", b"", b"\x00", b"\r")) + status
    line += choose.good(REASONS, BAD_REASONS)
    framing, body = _framing_and_body(choose)
    headers = [choose.good(HEADERS, BAD_LINES) for _ in range(choose.one((0, 1, 1, 2, 4)))] + framing
    if choose.chance(0.2):
        choose.random.shuffle(headers)
    head = b"".join(one + choose.good((b"\r\n",), BAD_LINE_ENDS) for one in (line, *headers))
    before = choose.one(BAD_BEFORE) if choose.fault() else choose.one(BEFORE) if choose.chance(0.08) else b""
    behind = choose.one(BEHIND) if choose.fault() else b""
    whole = before + head + choose.good((b"\r\n",), BAD_LINE_ENDS) + body + behind
    return whole[: choose.number(0, len(whole))] if choose.fault() else whole


def _framing_and_body(choose: Chooser) -> tuple[list[bytes], bytes]:
    body = choose.one(BODIES)
    kind = choose.random.random()
    if kind < 0.45:
        if not choose.fault():
            return [b"Content-Length: %d" % len(body)], body
        kind = choose.random.random()
        if kind < 0.4:
            return [b"Content-Length: " + choose.one(BAD_LENGTHS).replace(b"%d", b"%d" % len(body))], body
        if kind < 0.6:
            return [b"Content-Length: %d" % max(0, len(body) + choose.one((-1, 1, 5, 1000)))], body
        if kind < 0.8:
            return [b"Content-Length: %d" % len(body), b"Content-Length: %d" % (len(body) + choose.number(0, 1))], body
        lines = [b"Content-Length: %d" % len(body), b"Transfer-Encoding: " + choose.one((b"chunked", *BAD_CODINGS))]
        choose.random.shuffle(lines)
        return lines, chunked_body(choose)
    if kind < 0.85:
        return [b"Transfer-Encoding: " + choose.good((b"chunked", b"Chunked"), BAD_CODINGS)], chunked_body(choose)
    return [], body
