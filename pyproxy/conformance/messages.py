"""What was seen on the wire, cut into messages and brought into a form in which two proxies can be compared.

Volatile values stand as ``<date>``, ``<uuid>``, ``<ms>`` and ``<node address>``. A chunked body is written as one
chunk, as how a body is cut up depends on when its bytes came.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_DATE = re.compile(rb"(?<=\r\ndate: )[A-Z][a-z]{2}, [^\r]{20} GMT(?=\r\n)", re.IGNORECASE)
_ANY_DATE = re.compile(rb"(?<=\r\ndate: )[^\r]*(?=\r\n)", re.IGNORECASE)
_UUID = re.compile(rb"(?<=\r\nx-request-id: )[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?=\r\n)", re.IGNORECASE)
_SERVICE_TIME = re.compile(rb"(?<=\r\nx-envoy-upstream-service-time: )[0-9]+(?=\r\n)", re.IGNORECASE)
NODE = b"<node address>"

_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)
_CHUNKED = re.compile(rb"\r\ntransfer-encoding: *chunked\r\n", re.IGNORECASE)
_STATUS = re.compile(rb"HTTP/1\.[01] (\d+)(?: |\r)")
_NO_BODY = re.compile(rb"HTTP/1\.[01] (?:1\d\d|204|304) ")


@dataclass(frozen=True, slots=True)
class Message:
    """A request or a response as a proxy wrote it."""

    head: bytes
    """With its blank line, unless it is not complete."""
    body: bytes = b""
    """As it was sent, as far as it came."""
    chunked: bool = False
    length: int | None = None
    """``content-length``, where that frames the body."""
    bodiless: bool = False
    """There is no body whatever the head says."""

    @property
    def head_complete(self) -> bool:
        """The blank line has come."""
        return self.head.endswith(b"\r\n\r\n")

    @property
    def content(self) -> bytes:
        """The body without chunks around it."""
        unchunked = _unchunk(self.body) if self.chunked else None
        return self.body if unchunked is None else unchunked[0]

    @property
    def complete(self) -> bool:
        """All has come, as far as the framing tells."""
        if not self.head_complete:
            return False
        if self.chunked:
            unchunked = _unchunk(self.body)
            return unchunked is not None and unchunked[1] is not None
        return self.length is None or len(self.body) == self.length

    @property
    def status(self) -> int:
        """Of a response; 0 for a request."""
        found = _STATUS.match(self.head)
        return int(found[1]) if found else 0

    @property
    def informational(self) -> bool:
        """A response that another one follows."""
        return 100 <= self.status < 200 and self.status != 101


def messages(stream: bytes, to_head: Sequence[bool] = ()) -> Iterator[Message]:
    """The messages of ``stream``; a last one may be incomplete.

    ``to_head``: of each final response, whether it answers HEAD and so has no body, but for requests that were refused
    before it was clear that they are some.
    """
    answered = 0
    while stream:
        bodiless = answered < len(to_head) and to_head[answered]
        end = stream.find(b"\r\n\r\n")
        if end < 0:
            yield Message(stream)
            return
        head, rest = stream[: end + 4], stream[end + 4 :]
        length = _LENGTH.search(head)
        if (bodiless and rest[:5] in (b"", b"HTTP/")) or _NO_BODY.match(head):
            message = Message(head, bodiless=True)
        elif _CHUNKED.search(head):
            message = Message(head, rest[: _chunked_length(rest)], chunked=True)
        elif length is not None:
            message = Message(head, rest[: int(length[1])], length=int(length[1]))
        elif head.startswith(b"HTTP/") and not rest.startswith(b"HTTP/"):
            message = Message(head, rest)
        else:
            message = Message(head)
        yield message
        answered += not message.informational
        stream = rest[len(message.body) :]


def normalize(stream: bytes, to_head: Sequence[bool] = (), *, node: bytes = b"", any_date: bool = False) -> bytes:
    """``stream`` without what differs from run to run and from machine to machine; twice is as good as once.

    ``to_head``: as of ``messages``. ``node``: the proxy's own address, which stands last in the
    x-forwarded-for of a loopback client. ``any_date``: also what is no date.
    """
    normal = []
    for message in messages(stream, to_head):
        head = message.head
        if node:
            last = rb"(?i)(\r\nx-forwarded-for: (?:[^\r\n]*,)?)" + re.escape(node) + rb"(?=\r\n)"
            head = re.sub(last, rb"\1" + NODE, head)
        normal += [head, _one_chunk(message.body) if message.chunked else message.body]
    whole = (_ANY_DATE if any_date else _DATE).sub(b"<date>", b"".join(normal))
    return _SERVICE_TIME.sub(b"<ms>", _UUID.sub(b"<uuid>", whole))


def count_complete(stream: bytes, to_head: Sequence[bool] = ()) -> int:
    """How many final messages of ``stream`` are complete."""
    return sum(one.complete and not one.informational for one in messages(stream, to_head))


def statuses(stream: bytes, to_head: Sequence[bool] = ()) -> list[int]:
    """The status codes of the responses in ``stream``, informational ones too."""
    return [status for one in messages(stream, to_head) if (status := one.status)]


def says_close(stream: bytes) -> bool:
    """Whether the last head of ``stream`` announces the end of the connection."""
    last = max(stream.rfind(b"HTTP/1.1 "), stream.rfind(b"HTTP/1.0 "), 0)
    return b"\r\nconnection: close\r\n" in stream[last:].lower()


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


def _unchunk(body: bytes) -> tuple[bytes, bytes | None] | None:
    """(content, trailers) of a chunked body, with ``None`` for trailers that have not ended; ``None`` if it is none."""
    content, at = b"", 0
    while (line_end := body.find(b"\r\n", at)) >= 0:
        try:
            size = int(body[at:line_end].partition(b";")[0], 16)
        except ValueError:
            return None
        if size == 0:
            tail = body[line_end + 2 :]
            return content, tail.removesuffix(b"\r\n") if tail == b"\r\n" or tail.endswith(b"\r\n\r\n") else None
        content += body[line_end + 2 : line_end + 2 + size]
        at = line_end + 4 + size
    return content, None


def _one_chunk(body: bytes) -> bytes:
    """A chunked body in one chunk, without the last one where that has not come."""
    unchunked = _unchunk(body)
    if unchunked is None:
        return body
    content, trailers = unchunked
    first = b"%x\r\n%b\r\n" % (len(content), content) if content else b""
    return first if trailers is None else b"%b0\r\n%b\r\n" % (first, trailers)


def first_difference(one: bytes, other: bytes) -> int:
    """Offset of the first byte in which the two differ."""
    for offset, (a, b) in enumerate(zip(one, other, strict=False)):
        if a != b:
            return offset
    return min(len(one), len(other))
