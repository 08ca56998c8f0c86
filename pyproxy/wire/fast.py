"""The fast lane: ordinary heads in one pass, with the very result that the slow lane has for them.

A request's header lines, or a response's head, are looked up among those that came lately, as a whole and then line by
line: clients and backends say the same again and again, which is what HPACK lives on in HTTP/2. One pattern says of a
new line whether it is ordinary. Whatever is the least bit unusual is declined (``None``) and goes to h11 and Envoy's
rules in ``wire.http1``. Nothing is ever refused here. A property test holds the two lanes to the same result.
"""

from __future__ import annotations

import re
from typing import Final

from pyproxy.settings import HttpOptions
from pyproxy.wire.head import MERGED_RESPONSE_HEADERS
from pyproxy.wire.messages import Headers, RequestHead, ResponseHead

_REQUEST_LINE: Final = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[!-~]*) HTTP/1\.1\r\n")
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t\x20-\x7e]*)?")
# A name without underscore, a value of visible characters and blanks; no folds, no bare CR or LF, no controls.
_FIELD: Final = re.compile(rb"([A-Za-z0-9!#$%&'*+\-.^`|~]+):([\t\x20-\x7e\x80-\xff]*)")
_HOST: Final = re.compile(rb"[A-Za-z0-9.\-]+(?::[0-9]+)?")

# These change more than themselves.
_UNUSUAL_IN_REQUESTS: Final = frozenset(
    (b"transfer-encoding", b"upgrade", b"expect", b"te", b"proxy-connection", b"keep-alive", b"http2-settings")
)
_UNUSUAL_IN_RESPONSES: Final = frozenset((b"upgrade", b"proxy-connection", b"keep-alive"))
_ONCE_IN_RESPONSES: Final = MERGED_RESPONSE_HEADERS | {b"content-length", b"transfer-encoding", b"connection"}
_SECRET: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"))

_MAX_LENGTH_DIGITS: Final = 18
_MAX_LINES: Final = 4_000
_MAX_LINE: Final = 200
"""Bytes."""
_MAX_BLOCKS: Final = 1_000
_MAX_BLOCK: Final = 1_000
"""Bytes."""

# What a line is. Plain numbers: enum members cost a look-up each.
_PLAIN: Final = 0
_UNUSUAL: Final = 1
_HOST_LINE: Final = 2
_LENGTH: Final = 3
_KEEP_ALIVE: Final = 4
_CLOSE: Final = 5
_CHUNKED: Final = 6


class _Line:
    """A header line that has been looked at."""

    __slots__ = ("field", "is_secret", "kind", "name", "number", "value")

    def __init__(self, kind: int, name: bytes = b"", value: bytes = b"") -> None:
        self.kind = kind
        self.name = name
        self.value = value
        self.field = (name, value)
        self.number = int(value) if kind == _LENGTH else 0
        self.is_secret = name in _SECRET


class _Block:
    """What all header lines of a head say together, and the status where it is a response's."""

    __slots__ = ("authority", "chunked", "close", "count", "headers", "is_secret", "length", "status")

    def __init__(self) -> None:
        self.status = 0
        self.headers: Headers = []
        self.count = 0
        """Lines."""
        self.authority: bytes | None = None
        self.length: int | None = None
        self.chunked = False
        self.close = False
        self.is_secret = False

    def add(self, line: _Line) -> None:
        """One more line, which is not an unusual one."""
        self.is_secret |= line.is_secret
        if line.kind == _PLAIN or line.kind == _LENGTH:
            self.headers.append(line.field)
        if line.kind == _LENGTH:
            self.length = line.number
        elif line.kind == _HOST_LINE:
            self.authority = line.value
        elif line.kind == _CHUNKED:
            self.chunked = True
        elif line.kind == _CLOSE:
            self.close = True


_request_blocks: Final[dict[bytes, _Block]] = {}
_request_lines: Final[dict[bytes, _Line]] = {}
_response_heads: Final[dict[bytes, _Block]] = {}
_response_lines: Final[dict[bytes, _Line]] = {}


def request_head(head: bytes, options: HttpOptions) -> RequestHead | None:
    """The result of ``http1.parse_request_head`` for an ordinary ``head``; ``None``: the slow lane is to decide."""
    first = _REQUEST_LINE.match(head)
    if first is None:
        return None
    text = head[first.end() :]
    block = _request_blocks.get(text)
    if block is None:
        block = _read_request_block(text)
        if block is None:
            return None
    if block.count > options.max_headers:
        return None
    return RequestHead(first[1], first[2], block.authority, list(block.headers), block.length, close=block.close)


def _read_request_block(text: bytes) -> _Block | None:
    lines = text.split(b"\r\n")
    if len(lines) < 2 or lines[-1] or lines[-2]:
        return None
    block = _Block()
    block.count = len(lines) - 2
    seen: set[bytes] = set()
    for one in lines[:-2]:
        line = _request_lines.get(one) or _read_request_line(one)
        if line.kind == _UNUSUAL:
            return None
        seen.add(line.name)
        block.add(line)
    if block.authority is None or len(seen) != block.count:
        return None
    return _remember_block(_request_blocks, text, block)


def _read_request_line(text: bytes) -> _Line:
    found = _FIELD.fullmatch(text)
    if found is None:
        return _Line(_UNUSUAL)
    name, value = found[1].lower(), found[2].strip(b" \t")
    kind = _kind(name, value)
    if name in _UNUSUAL_IN_REQUESTS or (name == b"host" and _HOST.fullmatch(value) is None):
        kind = _UNUSUAL
    elif name == b"host":
        kind = _HOST_LINE
    return _remember(_request_lines, text, _Line(kind, name, value))


def response_head(head: bytes, options: HttpOptions) -> ResponseHead | None:
    """The result of ``http1.parse_response_head`` for an ordinary answer to anything but HEAD, or ``None``."""
    block = _response_heads.get(head)
    if block is None:
        block = _read_response(head)
        if block is None:
            return None
    if block.count > options.max_headers:
        return None
    return ResponseHead(
        block.status,
        list(block.headers),
        block.length,
        chunked=block.chunked,
        until_close=block.length is None and not block.chunked,
        close=block.close,
    )


def _read_response(head: bytes) -> _Block | None:
    lines = head.split(b"\r\n")
    first = _STATUS_LINE.fullmatch(lines[0])
    if first is None or len(lines) < 3 or lines[-1] or lines[-2]:
        return None
    block = _Block()
    block.status = int(first[1])
    if block.status in (204, 304):
        return None
    block.count = len(lines) - 3
    seen: set[bytes] = set()
    for one in lines[1:-2]:
        line = _response_lines.get(one) or _read_response_line(one)
        if line.kind == _UNUSUAL or (line.name in seen and line.name in _ONCE_IN_RESPONSES):
            return None
        seen.add(line.name)
        block.add(line)
    if block.chunked and block.length is not None:
        return None
    return _remember_block(_response_heads, head, block)


def _read_response_line(text: bytes) -> _Line:
    found = _FIELD.fullmatch(text)
    if found is None:
        return _Line(_UNUSUAL)
    name, value = found[1].lower(), found[2].strip(b" \t")
    kind = _kind(name, value)
    if name in _UNUSUAL_IN_RESPONSES:
        kind = _UNUSUAL
    elif name == b"transfer-encoding":
        kind = _CHUNKED if value.lower() == b"chunked" else _UNUSUAL
    return _remember(_response_lines, text, _Line(kind, name, value))


def _kind(name: bytes, value: bytes) -> int:
    """What a line is in either direction."""
    if name == b"content-length":
        return _LENGTH if value.isdigit() and len(value) <= _MAX_LENGTH_DIGITS else _UNUSUAL
    if name == b"connection":
        wish = value.lower()
        return _CLOSE if wish == b"close" else _KEEP_ALIVE if wish == b"keep-alive" else _UNUSUAL
    return _PLAIN


def _remember(lines: dict[bytes, _Line], text: bytes, line: _Line) -> _Line:
    """Keep ``line`` for the next head that has it, unless it is long or a secret; all are forgotten now and then."""
    if len(text) <= _MAX_LINE and not line.is_secret:
        if len(lines) >= _MAX_LINES:
            lines.clear()
        lines[text] = line
    return line


def _remember_block(blocks: dict[bytes, _Block], text: bytes, block: _Block) -> _Block:
    """The same for a block."""
    if len(text) <= _MAX_BLOCK and not block.is_secret:
        if len(blocks) >= _MAX_BLOCKS:
            blocks.clear()
        blocks[text] = block
    return block
