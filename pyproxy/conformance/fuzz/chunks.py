"""Chunked bodies, part by part (RFC 9112 section 7.1), for requests and responses."""

from __future__ import annotations

from pyproxy.conformance.fuzz.choose import Chooser

DATA = (b"a", b"hello", b"0123456789", b"GET /in-a-chunk HTTP/1.1\r\nHost: x\r\n\r\n", b"0\r\n\r\n", b"\r\n", b"\n")

EXTENSIONS = (b"", b"", b"", b";a", b";a=b", b';a="b c"', b";a;b=c", b" ;a", b"; a = b", b";" + b"x" * 300)
BAD_EXTENSIONS = (
    b";\x00", b";a\rb", b";a\x7f", b";\x80", b" ", b"\t", b" 5", b",1", b":1", b";a=\n", b";a\r", b"\x0b", b"=a",
    b"\xa0",
    b";" + b"x" * 16_400,
)  # fmt: skip

BAD_SIZES = (
    b"", b"0x%x", b"+%x", b"-%x", b" %x", b"\t%x", b"%x_", b"_%x", b"%xg", b"\xef\xbc\x95", b"%x.0", b"1%x",
    b"00000000000000000%x",
    b"ffffffffffffffff", b"10000000000000000", b"fffffffffffffffff", b"7fffffffffffffff", b"%x%x", b"\r\n%x",
    b"\n%x", b"0%x",
    b"-1", b"%x\x00", b"\x00%x",
)  # fmt: skip

BAD_LINE_ENDS = (
    b"\n",
    b"\r",
    b"",
    b"\r\r\n",
    b" \r\n",
    b"\r\n ",
    b"\n\r",
    b"\r\n\r\n",
    b"\t\r\n",
    b"\x00\r\n",
    b"\r\n\n",
)
BAD_DATA_ENDS = (
    b"", b"\n", b"\r", b"x\r\n", b"\r\r\n", b"xx", b"\rX", b"\r\n\r\n", b"\n\n", b"\r\n ", b"0\r\n\r\n", b"junk\n",
    b"\x00\n", b" \n",
)  # fmt: skip

TRAILERS = (b"", b"", b"", b"X-Trailer: 1\r\n", b"X-A: 1\r\nX-B: 2\r\n", b"Content-Length: 5\r\n", b"Host: other\r\n")
BAD_TRAILERS = (
    b"nonsense\r\n", b"X : 1\r\n", b": 1\r\n", b"X: a\x00\r\n", b"X: a\rb\r\n", b"X: 1\n", b" X: 1\r\n",
    b"X: 1\r\n 2\r\n",
    b"Transfer-Encoding: chunked\r\n", b"X_Y: 1\r\n", b"X\xe9: 1\r\n", b"GET / HTTP/1.1\r\n",
    b"X: " + b"y" * 70_000 + b"\r\n",
    b"a: b\r\n" * 101, b"X\r\n", b"X:\r\n", b"\x00\r\n", b"X: \x7f\r\n", b"X: \xff\r\n",
)  # fmt: skip
BAD_FINAL_ENDS = (b"", b"\n", b"\r", b"\r\r\n", b"x\r\n", b"\r\nx", b" \r\n", b"\n\n")


def chunked_body(choose: Chooser) -> bytes:
    """A body that ends, or not."""
    body = b"".join(_chunk(choose, choose.one(DATA)) for _ in range(choose.one((0, 1, 1, 2, 3))))
    if choose.fault():
        return body[: choose.number(0, len(body))]
    body += choose.good((b"0", b"0", b"00", b"000"), (b"", b"0x0", b"-0", b"+0", b" 0", b"0 ", b"0\x00", b"0" * 17))
    body += _extension(choose) + _line_end(choose)
    body += choose.good(TRAILERS, BAD_TRAILERS)
    return body + choose.good((b"\r\n",), BAD_FINAL_ENDS)


def _chunk(choose: Chooser, data: bytes) -> bytes:
    size = b"%x" % len(data)
    if choose.chance(0.2):
        size = choose.one((size.upper(), size.zfill(choose.number(2, 16))))
    if choose.fault():
        bad = choose.one(BAD_SIZES)
        size = bad.replace(b"%x", b"%x" % choose.one((len(data), len(data) + 1, max(0, len(data) - 1))))
    return size + _extension(choose) + _line_end(choose) + data + choose.good((b"\r\n",), BAD_DATA_ENDS)


def _extension(choose: Chooser) -> bytes:
    return choose.good(EXTENSIONS, BAD_EXTENSIONS)


def _line_end(choose: Chooser) -> bytes:
    return choose.good((b"\r\n",), BAD_LINE_ENDS)
