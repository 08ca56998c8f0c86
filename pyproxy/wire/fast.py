"""The fast lane: ordinary heads in one pass, with the very result that the slow lane has for them.

One pattern says whether a head is ordinary, in C; a few dictionary look-ups make its result. Whatever is the least bit
unusual is declined (``None``) and goes to h11 and Envoy's rules in ``wire.http1``. Nothing is ever refused here.
A property test holds the two lanes to the same result.
"""

from __future__ import annotations

import re

from pyproxy.settings import HttpOptions
from pyproxy.wire.head import MERGED_RESPONSE_HEADERS
from pyproxy.wire.messages import Headers, RequestHead, ResponseHead

# A name without underscore, a value of visible characters and blanks; no folds, no bare CR or LF, no controls.
_FIELDS = rb"((?:[A-Za-z0-9!#$%&'*+\-.^`|~]+:[\t\x20-\x7e\x80-\xff]*\r\n)*)\r\n"
_REQUEST = re.compile(rb"(GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS) (/[!-~]*) HTTP/1\.1\r\n" + _FIELDS)
_RESPONSE = re.compile(rb"HTTP/1\.1 ([2-5][0-9][0-9])(?: [\t\x20-\x7e]*)?\r\n" + _FIELDS)
_HOST = re.compile(rb"[A-Za-z0-9.\-]+(?::[0-9]+)?")

# These change more than themselves.
_UNUSUAL_IN_REQUESTS = frozenset(
    (b"transfer-encoding", b"upgrade", b"expect", b"te", b"proxy-connection", b"keep-alive", b"http2-settings")
)
_UNUSUAL_IN_RESPONSES = frozenset((b"upgrade", b"proxy-connection", b"keep-alive"))

_MAX_LENGTH_DIGITS = 18


def request_head(head: bytes, options: HttpOptions) -> RequestHead | None:
    """The result of ``http1.parse_request_head`` for an ordinary ``head``; ``None``: the slow lane is to decide."""
    match = _REQUEST.fullmatch(head)
    if match is None:
        return None
    method, path, block = match.groups()
    headers: Headers = []
    authority: bytes | None = None
    length: int | None = None
    close = False
    seen: set[bytes] = set()
    for line in block.split(b"\r\n")[:-1]:
        name, _, value = line.partition(b":")
        name = name.lower()
        value = value.strip(b" \t")
        if name in seen or name in _UNUSUAL_IN_REQUESTS:
            return None
        seen.add(name)
        if name == b"host":
            if _HOST.fullmatch(value) is None:
                return None
            authority = value
            continue
        if name == b"connection":
            if value.lower() not in (b"close", b"keep-alive"):
                return None
            close = len(value) == 5
            continue
        if name == b"content-length":
            if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
                return None
            length = int(value)
        headers.append((name, value))
    if authority is None or len(seen) > options.max_headers:
        return None
    return RequestHead(method, path, authority, headers, length, close=close)


def response_head(head: bytes, options: HttpOptions) -> ResponseHead | None:
    """The result of ``http1.parse_response_head`` for an ordinary answer to anything but HEAD, or ``None``."""
    match = _RESPONSE.fullmatch(head)
    if match is None:
        return None
    status = int(match[1])
    if status in (204, 304):
        return None
    headers: Headers = []
    length: int | None = None
    chunked = close = False
    seen: set[bytes] = set()
    lines = match[2].split(b"\r\n")
    if len(lines) - 1 > options.max_headers:
        return None
    for line in lines[:-1]:
        name, _, value = line.partition(b":")
        name = name.lower()
        value = value.strip(b" \t")
        if name in seen:
            if name in _FRAMING or name in MERGED_RESPONSE_HEADERS:
                return None
        elif name in _UNUSUAL_IN_RESPONSES:
            return None
        else:
            seen.add(name)
        if name == b"connection":
            if value.lower() not in (b"close", b"keep-alive"):
                return None
            close = len(value) == 5
            continue
        if name == b"transfer-encoding":
            if value.lower() != b"chunked":
                return None
            chunked = True
            continue
        if name == b"content-length":
            if not value.isdigit() or len(value) > _MAX_LENGTH_DIGITS:
                return None
            length = int(value)
        headers.append((name, value))
    if chunked and length is not None:
        return None
    return ResponseHead(
        status, headers, length, chunked=chunked, until_close=length is None and not chunked, close=close
    )


_FRAMING = frozenset((b"content-length", b"transfer-encoding", b"connection"))
