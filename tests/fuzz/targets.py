"""What a parser must do with any bytes: raise nothing, say the same however they are cut up, and in both lanes.

Each target takes (bytes, where to cut) and fails with an exception if its parser breaks a promise. ``make fuzz`` feeds
them for minutes, guided by coverage; the suite feeds them a little from hypothesis and from the corpora.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pyproxy.errors import Fault
from pyproxy.settings import HttpOptions, ProxyProtocol
from pyproxy.wire import fast
from pyproxy.wire.chunked import BadChunk, ChunkedReader
from pyproxy.wire.http1 import RequestReader, ResponseReader, parse_request_head, parse_response_head
from pyproxy.wire.messages import RequestHead, ResponseHead
from pyproxy.wire.proxy_protocol import Accepted, Preface, Rejected

OPTIONS = HttpOptions()
MAX_MESSAGES = 50

Target = Callable[[bytes, Sequence[int]], None]


def pieces(data: bytes, cuts: Sequence[int]) -> list[bytes]:
    """``data`` cut at ``cuts`` (any numbers), without empty pieces."""
    if not data:
        return []
    offsets = sorted({cut % len(data) for cut in cuts} | {0})
    return [data[start:end] for start, end in zip(offsets, [*offsets[1:], len(data)], strict=True)]


def requests(data: bytes, cuts: Sequence[int]) -> None:
    """RequestReader: the same requests, or the same refusal, from any pieces."""
    assert _read_requests([data]) == _read_requests(pieces(data, cuts))


def _read_requests(parts: Sequence[bytes]) -> list[object]:
    reader = RequestReader(OPTIONS)
    seen: list[object] = []
    body: bytearray | None = None
    for part in parts:
        reader.receive(part)
        while len(seen) < MAX_MESSAGES:
            if body is None:
                head = reader.read_head()
                if head is None:
                    break
                if isinstance(head, Fault):
                    return [*seen, head]
                if head.authority is None:
                    return [*seen, "refused"]  # the connection manager ends the connection, whatever follows
                seen.append(head)
                body = bytearray()
            while not reader.body_complete and (piece := reader.read_body()):
                if isinstance(piece, Fault):
                    return [*seen, piece]  # how much of the body came before depends on the pieces
                body += piece
            if not reader.body_complete:
                break
            seen.append(bytes(body))
            body = None
    return [*seen, bytes(body)] if body is not None else seen


def responses(data: bytes, cuts: Sequence[int]) -> None:
    """ResponseReader: the same responses, or the same refusal, from any pieces."""
    for method in (b"GET", b"HEAD"):
        assert _read_responses([data], method) == _read_responses(pieces(data, cuts), method)


def _read_responses(parts: Sequence[bytes], method: bytes) -> list[object]:
    reader = ResponseReader(OPTIONS)
    seen: list[object] = []
    body: bytearray | None = None
    for part in parts:
        reader.receive(part)
        while len(seen) < MAX_MESSAGES:
            if body is None:
                reader.expect(method, upgrade=False)
                head = reader.read_head()
                if head is None:
                    break
                seen.append(head)
                if isinstance(head, Fault):
                    return seen
                body = bytearray()
            while not reader.body_complete and (piece := reader.read_body()):
                if isinstance(piece, Fault):
                    return [*seen, piece]  # how much of the body came before depends on the pieces
                body += piece
            if not reader.body_complete:
                break
            seen.append(bytes(body))
            body = None
    reader.end()
    return [*seen, bytes(body)] if body is not None else seen


def chunks(data: bytes, cuts: Sequence[int]) -> None:
    """ChunkedReader: the same body, or BadChunk, from any pieces."""
    assert _read_chunks([data]) == _read_chunks(pieces(data, cuts))


def _read_chunks(parts: Sequence[bytes]) -> tuple[bytes, bool, bool]:
    reader = ChunkedReader()
    body = buffer = b""
    for part in parts:
        buffer += part
        data: bytes | None = None
        while not reader.complete and data != b"":
            try:
                data, used = reader.read(buffer)
            except BadChunk:
                return b"", False, True
            body += data
            buffer = buffer[used:]
    return body, reader.complete, False


def prefaces(data: bytes, cuts: Sequence[int]) -> None:
    """Preface, required and optional: the same verdict from any pieces."""
    for optional in (False, True):
        whole, cut = (_read_preface(parts, optional=optional) for parts in ([data], pieces(data, cuts)))
        assert type(whole) is type(cut)
        assert whole == cut or isinstance(whole, Rejected)


def _read_preface(parts: Sequence[bytes], *, optional: bool) -> Accepted | Rejected | None:
    preface = Preface(ProxyProtocol(optional=optional))
    for part in parts:
        result = preface.receive(part)
        if result is not None:
            return result
    return None


def lanes(data: bytes, cuts: Sequence[int]) -> None:
    """The fast lane declines a head, or has the slow lane's result for it."""
    request: RequestHead | Fault | None = fast.request_head(data, OPTIONS)
    assert request is None or request == parse_request_head(data, OPTIONS)
    response: ResponseHead | Fault | None = fast.response_head(data, OPTIONS)
    assert response is None or response == parse_response_head(data, b"GET", OPTIONS)


TARGETS: dict[str, Target] = {
    "requests": requests,
    "responses": responses,
    "chunks": chunks,
    "prefaces": prefaces,
    "lanes": lanes,
}
