"""The fast lane: ordinary heads in one pass, with the very result that the slow lane has for them.

A head is split at its line ends, and each of its lines looked up among those that came lately: clients and backends
say most of theirs again and again. One pattern says of a new line whether it is ordinary. Whatever is the least bit
unusual is declined (``None``) and goes to h11 and Envoy's rules in ``wire.http1``. Nothing is ever refused here.
A property test holds the two lanes to the same result.
"""

from __future__ import annotations

import re
from typing import Final

from pyproxy.settings import HttpOptions
from pyproxy.wire.head import MERGED_RESPONSE_HEADERS
from pyproxy.wire.messages import Headers, RequestHead, ResponseHead

_REQUEST_LINE: Final = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[!-~]*) HTTP/1\.1")
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

    __slots__ = ("field", "kind", "name", "number", "value")

    def __init__(self, kind: int, name: bytes = b"", value: bytes = b"") -> None:
        self.kind = kind
        self.name = name
        self.value = value
        self.field = (name, value)
        self.number = int(value) if kind == _LENGTH else 0


_request_lines: Final[dict[bytes, _Line]] = {}
_response_lines: Final[dict[bytes, _Line]] = {}
_statuses: Final[dict[bytes, int]] = {}


def request_head(head: bytes, options: HttpOptions) -> RequestHead | None:
    """The result of ``http1.parse_request_head`` for an ordinary ``head``; ``None``: the slow lane is to decide."""
    lines = head.split(b"\r\n")
    if len(lines) < 3 or lines[-1] or lines[-2] or len(lines) - 3 > options.max_headers:
        return None
    match = _REQUEST_LINE.fullmatch(lines[0])
    if match is None:
        return None
    headers: Headers = []
    authority: bytes | None = None
    length: int | None = None
    close = False
    seen: set[bytes] = set()
    for text in lines[1:-2]:
        line = _request_lines.get(text)
        if line is None:
            line = _read_request_line(text)
        seen.add(line.name)
        kind = line.kind
        if kind == _PLAIN:
            headers.append(line.field)
        elif kind == _HOST_LINE:
            authority = line.value
        elif kind == _LENGTH:
            length = line.number
            headers.append(line.field)
        elif kind == _CLOSE:
            close = True
        elif kind == _UNUSUAL:
            return None
    if authority is None or len(seen) != len(lines) - 3:
        return None
    return RequestHead(match[1], match[2], authority, headers, length, close=close)


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
    lines = head.split(b"\r\n")
    if len(lines) < 3 or lines[-1] or lines[-2] or len(lines) - 3 > options.max_headers:
        return None
    status = _statuses.get(lines[0])
    if status is None:
        status = _read_status_line(lines[0])
    if status in (0, 204, 304):
        return None
    headers: Headers = []
    length: int | None = None
    chunked = close = False
    seen: set[bytes] = set()
    for text in lines[1:-2]:
        line = _response_lines.get(text)
        if line is None:
            line = _read_response_line(text)
        kind = line.kind
        if kind != _UNUSUAL and line.name in seen and line.name in _ONCE_IN_RESPONSES:
            return None
        seen.add(line.name)
        if kind == _PLAIN:
            headers.append(line.field)
        elif kind == _LENGTH:
            length = line.number
            headers.append(line.field)
        elif kind == _CHUNKED:
            chunked = True
        elif kind == _CLOSE:
            close = True
        elif kind == _UNUSUAL:
            return None
    if chunked and length is not None:
        return None
    return ResponseHead(
        status, headers, length, chunked=chunked, until_close=length is None and not chunked, close=close
    )


def _read_status_line(text: bytes) -> int:
    """The status, or 0 if the line is unusual."""
    found = _STATUS_LINE.fullmatch(text)
    status = 0 if found is None else int(found[1])
    if len(_statuses) < _MAX_LINES and len(text) <= _MAX_LINE:
        _statuses[text] = status
    return status


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
    if len(text) <= _MAX_LINE and line.name not in _SECRET:
        if len(lines) >= _MAX_LINES:
            lines.clear()
        lines[text] = line
    return line
