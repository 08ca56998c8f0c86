"""What a client or a backend sent, cut into the parts that a deviation may be about.

Cut as leniently as Envoy reads, so that what pyproxy refuses has a name too: lines end at LF, a chunk's data may have
anything behind it, and a head without an end is a head.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

PROXY_HEADER, HEAD, CHUNK_LINE, CHUNK_END, TRAILERS = "PROXY header", "head", "chunk line", "chunk end", "trailers"
PARTS = (PROXY_HEADER, HEAD, CHUNK_LINE, CHUNK_END, TRAILERS)

V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"

_HEAD_END = re.compile(rb"\n\r*\n")
_CHUNKED = re.compile(rb"\ntransfer-encoding[ \t]*:(?:[^\n]|\n[ \t])*chunked", re.IGNORECASE)
_LENGTH = re.compile(rb"\ncontent-length[ \t]*:[ \t]*([0-9]{1,18})[ \t\r]*\n", re.IGNORECASE)
_SIZE = re.compile(rb"[0-9A-Fa-f]+")
_NO_BODY = re.compile(rb"HTTP/\S+ +(?:1\d\d|204|304)\b")


def parts(data: bytes, *, proxy_protocol: bool = False) -> Iterator[tuple[str, bytes]]:
    """(name, bytes) of each part of ``data``, line ends included. ``proxy_protocol``: it may begin with a header."""
    if proxy_protocol and (size := _proxy_header_length(data)):
        yield PROXY_HEADER, data[:size]
        data = data[size:]
    while data := data.lstrip(b"\r\n"):
        end = _HEAD_END.search(data)
        if end is None:
            yield HEAD, data
            return
        head, data = data[: end.end()], data[end.end() :]
        yield HEAD, head
        length = _LENGTH.search(head)
        if _NO_BODY.match(head):
            continue
        if _CHUNKED.search(head):
            at = 0
            for name, start, at in _chunked(data):
                yield name, data[start:at]
            data = data[at:] if data[at - 1 : at] == b"\n" else b""
        elif length is not None:
            data = data[int(length[1]) :]
        elif head.startswith(b"HTTP/"):
            return  # the rest is its body


def _proxy_header_length(data: bytes) -> int:
    if data.startswith(V2_SIGNATURE[: len(data)]):
        return 16 + int.from_bytes(data[14:16], "big")
    if data.startswith(b"PROXY "):
        return data.find(b"\n") + 1 or len(data)
    return 0


def _chunked(data: bytes) -> Iterator[tuple[str, int, int]]:
    """(name, start, end) of the parts of a chunked body at the front of ``data``."""
    at = 0
    while at < len(data):
        start, at = at, data.find(b"\n", at) + 1 or len(data)
        yield CHUNK_LINE, start, at
        size = _SIZE.match(data, start)
        if size is None:
            return
        if int(size[0], 16) == 0:
            end = re.compile(rb"(?:\A|(?<=\n))\r*\n").search(data, at)
            yield TRAILERS, at, end.end() if end is not None else len(data)
            return
        start = at + int(size[0], 16)
        at = data.find(b"\n", start) + 1 or len(data)
        if start < at:
            yield CHUNK_END, start, at
