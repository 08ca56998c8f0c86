"""What was seen on the wire, brought into a form in which two proxies can be compared.

Volatile values stand as ``<date>``, ``<uuid>`` and ``<ms>``. A chunked body is written as one chunk, as how a body is
cut up depends on when its bytes came.
"""

from __future__ import annotations

import re

_DATE = re.compile(rb"(?<=\r\ndate: )[A-Z][a-z]{2}, [^\r]{20} GMT(?=\r\n)")
_UUID = re.compile(rb"(?<=\r\nx-request-id: )[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=\r\n)")
_SERVICE_TIME = re.compile(rb"(?<=\r\nx-envoy-upstream-service-time: )[0-9]+(?=\r\n)")
UNFINISHED = b"[unfinished]"
"""Stands behind a chunked body whose last chunk has not come."""

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)


def normalize(stream: bytes, *, bodiless: bool = False) -> bytes:
    """``stream`` without what differs from run to run. ``bodiless``: the messages answer HEAD requests."""
    normal = b""
    while stream:
        head, body, stream = split_message(stream, bodiless=bodiless)
        head = _DATE.sub(b"<date>", head)
        head = _UUID.sub(b"<uuid>", head)
        normal += _SERVICE_TIME.sub(b"<ms>", head)
        normal += _one_chunk(body) if _CHUNKED.search(head) and not bodiless else body
    return normal


def split_message(stream: bytes, *, bodiless: bool = False) -> tuple[bytes, bytes, bytes]:
    """(head, body as sent, rest) of the first message; what is not complete is all head, or all body."""
    end = stream.find(b"\r\n\r\n")
    if end < 0:
        return stream, b"", b""
    head, rest = stream[: end + 4], stream[end + 4 :]
    if bodiless or re.match(rb"HTTP/1\.1 (?:1\d\d|204|304) ", head):
        return head, b"", rest
    if _CHUNKED.search(head):
        size = _chunked_length(rest)
        return head, rest[:size], rest[size:]
    length = _LENGTH.search(head)
    if length is not None:
        size = int(length[1])
        return head, rest[:size], rest[size:]
    if head.startswith(b"HTTP/"):
        return head, rest, b""
    return head, b"", rest


def count_complete(stream: bytes, *, bodiless: bool = False) -> int:
    """How many final messages of ``stream`` are complete."""
    count = 0
    while b"\r\n\r\n" in stream:
        head, body, stream = split_message(stream, bodiless=bodiless)
        if re.match(rb"HTTP/1\.1 1\d\d ", head) and not head.startswith(b"HTTP/1.1 101"):
            continue
        if not bodiless and _CHUNKED.search(head):
            count += body.endswith(b"0\r\n\r\n")
        else:
            length = _LENGTH.search(head)
            no_body = bodiless or re.match(rb"HTTP/1\.1 (?:1\d\d|204|304) ", head) is not None
            count += no_body or length is None or len(body) == int(length[1])
    return count


def says_close(stream: bytes) -> bool:
    """Whether the last head of ``stream`` announces the end of the connection."""
    return b"\r\nconnection: close\r\n" in stream[stream.rfind(b"HTTP/1.1 ") :]


def _chunked_length(data: bytes) -> int:
    """Bytes of a chunked body at the front of ``data``, as far as it has come."""
    at = 0
    while True:
        line_end = data.find(b"\r\n", at)
        if line_end < 0:
            return len(data)
        try:
            size = int(data[at:line_end].partition(b";")[0], 16)
        except ValueError:
            return len(data)
        if size == 0:
            end = data.find(b"\r\n\r\n", line_end)
            return end + 4 if end >= 0 else len(data)
        at = line_end + 2 + size + 2
        if at >= len(data):
            return len(data)


def _one_chunk(body: bytes) -> bytes:
    content, at = b"", 0
    ended = False
    while (line_end := body.find(b"\r\n", at)) >= 0:
        try:
            size = int(body[at:line_end].partition(b";")[0], 16)
        except ValueError:
            return body
        if size == 0:
            ended = body.startswith(b"\r\n", line_end + 2)
            break
        content += body[line_end + 2 : line_end + 2 + size]
        at = line_end + 4 + size
    return b"[chunked]" + content + (b"[end]" if ended else UNFINISHED)


def first_difference(one: bytes, other: bytes) -> int:
    """Offset of the first byte in which the two differ."""
    for offset, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return offset
    return min(len(one), len(other))
