"""HTTP/1.1 bytes to heads and body pieces. The only module that knows h11.

A reader is fed with ``receive(data)`` and asked with ``read_head()`` and, while ``body_complete`` is false,
``read_body()``. It holds only what has not been asked for yet: heads up to their limit, body pieces never.

Heads are stateless: a whole head (``parse_request_head``, ``parse_response_head``) goes through Envoy's rules in
``wire.head`` and through h11, and must satisfy both. Bodies of a known length are counted, chunked ones are
``wire.chunked``'s. No function here raises: what a peer does wrong comes back as a ``Fault``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import h11

from pyproxy.errors import Fault
from pyproxy.settings import HttpOptions
from pyproxy.wire import fast
from pyproxy.wire import head as rules
from pyproxy.wire.chunked import BadChunk, ChunkedReader
from pyproxy.wire.messages import Headers, RequestHead, ResponseHead

MAX_RESPONSE_HEAD_BYTES = 81_920
"""Envoy's limit of a backend's status line and headers (80 KiB), measured."""

_HOP_BY_HOP = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))


def parse_request_head(head: bytes, options: HttpOptions) -> RequestHead | Fault:
    """A whole request head, blank line included, as Envoy's codec would hand it on."""
    lines = rules.split_lines(head)
    request_line = rules.parse_request_line(lines[0]) if lines else rules.codec_error()
    if isinstance(request_line, Fault):
        return request_line
    method, target, minor = request_line
    if minor == rules.HTTP_09:
        return _simple_request(lines[0], method, target)
    lines_fields = rules.split_fields(lines[1:])
    if lines_fields is None:
        return rules.codec_error()
    fields = rules.check_request_fields(lines_fields, options)
    if isinstance(fields, Fault):
        return fields
    framing = rules.framing(fields)
    if framing == "content_length":
        return rules.codec_error()
    upgrade = _wanted_upgrade(fields)
    if method == b"CONNECT" and any(n == b"content-length" and v.strip(b"0") for n, v in fields):
        return rules.codec_error("http1.body_disallowed")
    if framing == "both":
        return rules.codec_error("http1.content_length_and_chunked_not_allowed")
    if framing == "transfer_encoding" or (method == b"CONNECT" and framing == (None, True)):
        return rules.codec_error("http1.invalid_transfer_encoding", 501)
    split = rules.split_target(method, target)
    if isinstance(split, Fault):
        return split
    path, authority = split
    absolute = authority is not None and method != b"CONNECT"
    if minor != 1:
        return rules.codec_error("low_version", 426)
    hosts = [value for name, value in fields if name == b"host"]
    if authority is None and hosts:
        authority = hosts[0]
    if authority is not None and not rules.authority_is_valid(authority):
        return rules.codec_error("http.invalid_authority")
    assert isinstance(framing, tuple)
    if authority is None:
        # The connection manager refuses it, whatever else is wrong but this.
        if any(name == b"connection" and rules.nominated_headers(value) is None for name, value in fields):
            return rules.codec_error("http1.connection_header_rejected")
        fields = rules.merge(fields, rules.MERGED_REQUEST_HEADERS)
        refused = RequestHead(method, path, None, fields, framing[0], framing[1], minor, upgrade=upgrade)
        refused.expect_continue = any(name == b"expect" and value.lower() == b"100-continue" for name, value in fields)
        return refused
    if rules.has_bare_cr(fields):
        return rules.codec_error("http1.invalid_characters")
    if absolute:
        # RFC 9112 section 3.2.2: the Host header of such a request is ignored, however often it stands there.
        fields = [field for field in fields if field[0] != b"host"]
        hosts = []
    headers = _grammar(method, target, fields, has_host=bool(hosts))
    if isinstance(headers, Fault):
        return headers
    return _clean_request(RequestHead(method, path, authority, headers, framing[0], framing[1], minor, upgrade=upgrade))


def _simple_request(line: bytes, method: bytes, target: bytes) -> RequestHead | Fault:
    """HTTP/0.9: the version gate's 426, but Envoy takes a line that ends in ``HTTP/1.1`` for a request without Host."""
    split = rules.split_target(method, target)
    if isinstance(split, Fault):
        return split
    if not line.endswith(b"HTTP/1.1"):
        return rules.codec_error("low_version", 426)
    return RequestHead(method, split[0], None, [])


def _wanted_upgrade(fields: Headers) -> bytes | None:
    """The Upgrade header of a request whose Connection header names it; ``h2c`` is ignored, as Envoy does."""
    wanted = b",".join(value for name, value in fields if name == b"upgrade")
    if not wanted or wanted.lower() == b"h2c":
        return None
    named = any(b"upgrade" in rules.tokens(value) for name, value in fields if name == b"connection")
    return wanted if named else None


def _grammar(method: bytes, target: bytes, fields: Headers, *, has_host: bool) -> Headers | Fault:
    """h11's verdict on a head whose lines are in their plainest form; it is stricter about two Hosts and the like."""
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    lines = [b"%b %b HTTP/1.1" % (method, target)]
    lines += [b"%b: %b" % field for field in fields]
    if not has_host:
        lines.append(b"host: -")
    try:
        connection.receive_data(b"\r\n".join(lines) + b"\r\n\r\n")
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return rules.codec_error()
    assert isinstance(event, h11.Request)
    return [(name, value) for name, value in event.headers if name != b"host"]


def _clean_request(request: RequestHead) -> RequestHead | Fault:
    """Take out what concerns only this connection (RFC 9110 section 7.6.1), as Envoy does it."""
    headers = rules.merge(request.headers, rules.MERGED_REQUEST_HEADERS)
    nominated: frozenset[bytes] = frozenset()
    dropped = _HOP_BY_HOP
    for name, value in headers:
        if name == b"connection":
            found = rules.nominated_headers(value)
            if found is None:
                return rules.codec_error("http1.connection_header_rejected")
            nominated = found
            request.close = request.close or b"close" in rules.tokens(value)
        elif name == b"proxy-connection":
            request.close = request.close or b"close" in rules.tokens(value)
        elif name == b"expect":
            request.expect_continue = value.lower() == b"100-continue"
    if b"content-length" in nominated and request.content_length is not None:
        # Envoy forwards such a body without its length, so re-framed (measured).
        request.reframe = True
    if b"host" in nominated:
        request.authority = None
    if request.upgrade is not None:
        dropped = frozenset((b"keep-alive", b"proxy-connection", b"transfer-encoding"))
    cleaned: Headers = []
    for name, value in headers:
        if name in dropped or name in nominated or (name == b"expect" and request.expect_continue):
            continue
        if name == b"te":
            if b"trailers" not in rules.tokens(value):
                continue
            value = b"trailers"
        elif name == b"http2-settings":
            continue
        cleaned.append((name, value))
    request.headers = cleaned
    return request


def parse_response_head(
    head: bytes, method: bytes, options: HttpOptions, *, upgrade: bool = False
) -> ResponseHead | Fault:
    """A whole response head to a request with ``method``, as Envoy's codec would hand it on.

    ``upgrade``: the request asked for one, so that a 101 keeps its Upgrade and Connection headers.
    """
    lines = rules.split_lines(head)
    status_line = rules.parse_status_line(lines[0]) if lines else rules.PROTOCOL_ERROR
    if isinstance(status_line, Fault):
        return status_line
    status, minor = status_line
    fields = rules.split_fields(lines[1:])
    if fields is None:
        return rules.PROTOCOL_ERROR
    refused = rules.check_response_fields(fields, options)
    if refused is not None:
        return refused
    framing = rules.framing(fields)
    if not isinstance(framing, tuple):
        return rules.PROTOCOL_ERROR
    length, chunked = framing
    if (status == 204 and (length or chunked)) or (status == 101 and (length is not None or chunked)):
        return rules.PROTOCOL_ERROR
    headers = _response_grammar(fields)
    if isinstance(headers, Fault):
        return headers
    headers = rules.merge(headers, rules.MERGED_RESPONSE_HEADERS)
    response = ResponseHead(status, headers)
    connection = b",".join(value for name, value in headers if name in (b"connection", b"proxy-connection"))
    wishes = rules.tokens(connection)
    response.close = b"close" in wishes or (minor == 0 and b"keep-alive" not in wishes)
    if not (method == b"HEAD" or status < 200 or status in (204, 304)):
        response.content_length, response.chunked = length, chunked
        response.until_close = length is None and not chunked
    dropped = _HOP_BY_HOP
    if status == 101 and upgrade:
        dropped = _HOP_BY_HOP - {b"connection", b"upgrade"}
    elif status == 204 or upgrade:
        # A refused upgrade goes on without its body (measured).
        dropped = _HOP_BY_HOP | {b"content-length"}
    response.headers = [field for field in headers if field[0] not in dropped]
    return response


def _response_grammar(fields: Headers) -> Headers | Fault:
    """h11's verdict on a response's header lines."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "-")]))
    try:
        connection.receive_data(b"HTTP/1.1 200 \r\n" + b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n")
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return rules.PROTOCOL_ERROR
    assert isinstance(event, h11.Response)
    return list(event.headers)


class _MessageReader(ABC):
    """Buffer and body framing, the same for both directions."""

    __slots__ = ("_buffer", "_chunks", "_remaining", "_scanned", "body_complete")

    def __init__(self) -> None:
        self._buffer: bytes | bytearray = b""
        self._scanned = 0
        self._remaining: int | None = 0
        """Body bytes still to come; ``None``: the body ends with the connection."""
        self._chunks: ChunkedReader | None = None
        self.body_complete = True
        """Nothing more belongs to the current message."""

    @property
    def buffered(self) -> int:
        """Bytes received and not handed on."""
        return len(self._buffer)

    def take_rest(self) -> bytes:
        """All that is buffered, to be handed on as it is: what follows is not HTTP."""
        rest, self._buffer = bytes(self._buffer), b""
        return rest

    def receive(self, data: bytes) -> None:
        """Take in what the socket gave; ``read_head`` or ``read_body`` then say what it was."""
        if not self._buffer:
            self._buffer = data
        else:
            if isinstance(self._buffer, bytes):
                self._buffer = bytearray(self._buffer)
            self._buffer += data

    def _take_head(self, limit: int) -> bytes | bool:
        """The next whole head; ``False`` while there is none, ``True`` if it is longer than ``limit``."""
        end = rules.head_end(self._buffer, max(self._scanned - 2, 0))
        if end > limit or (end < 0 and len(self._buffer) > limit):
            return True
        if end < 0:
            self._scanned = len(self._buffer)
            return False
        self._scanned = 0
        head = bytes(self._buffer[:end])
        self._buffer = self._buffer[end:] if end < len(self._buffer) else b""
        return head

    def _expect_body(self, length: int | None, *, chunked: bool) -> None:
        self._remaining = length
        self._chunks = ChunkedReader() if chunked else None
        self.body_complete = not chunked and length == 0

    def read_body(self) -> bytes | Fault:
        """The body bytes that have arrived since the last call, possibly none. Chunk framing and trailers are gone."""
        if self._chunks is not None:
            return self._read_chunks(self._chunks)
        data = self._buffer
        if self._remaining is not None:
            if len(data) > self._remaining:
                self._buffer = data[self._remaining :]
                data = data[: self._remaining]
            else:
                self._buffer = b""
            self._remaining -= len(data)
            self.body_complete = self._remaining == 0
        else:
            self._buffer = b""
        return bytes(data)

    def _read_chunks(self, chunks: ChunkedReader) -> bytes | Fault:
        try:
            data, used = chunks.read(self._buffer)
        except BadChunk:
            return self._bad_body()
        self._buffer = self._buffer[used:] if used < len(self._buffer) else b""
        self.body_complete = chunks.complete
        return data

    @abstractmethod
    def _bad_body(self) -> Fault: ...


class RequestReader(_MessageReader):
    """The requests of one downstream connection."""

    __slots__ = ("_options",)

    def __init__(self, options: HttpOptions) -> None:
        super().__init__()
        self._options = options

    def read_head(self) -> RequestHead | Fault | None:
        """The next request's head, ``None`` while it is not complete, or why the connection can't go on.

        The body of the request before must have been read: ``body_complete``.
        """
        buffer = self._buffer
        if not self._scanned and buffer[:1] in (b"\r", b"\n"):
            # RFC 9112 section 2.2: empty lines before a request line are to be ignored.
            buffer = self._buffer = buffer.lstrip(b"\r\n")
        if not buffer:
            return None
        if buffer[0] <= 0x20:
            # Envoy refuses a control character or a blank at once (so TLS), and waits for the line otherwise.
            return rules.codec_error()
        limit = self._options.max_request_headers_bytes
        head = self._take_head(limit)
        if head is True:
            return rules.codec_error("http1.headers_too_large", 431)
        if head is False:
            return self._check_incomplete()
        assert isinstance(head, bytes)
        request = fast.request_head(head, self._options) or parse_request_head(head, self._options)
        if isinstance(request, RequestHead):
            if request.upgrade is not None:
                self._expect_body(None, chunked=False)
            else:
                self._expect_body(request.content_length or 0, chunked=request.chunked)
        return request

    def _check_incomplete(self) -> RequestHead | Fault | None:
        """Envoy judges the request line as soon as it is whole."""
        line_end = self._buffer.find(b"\n")
        if line_end < 0:
            return None
        line = bytes(self._buffer[:line_end]).removesuffix(b"\r")
        parsed = rules.parse_request_line(line)
        if isinstance(parsed, Fault):
            return parsed
        method, target, minor = parsed
        return _simple_request(line, method, target) if minor == rules.HTTP_09 else None

    def _bad_body(self) -> Fault:
        return rules.codec_error()


class ResponseReader(_MessageReader):
    """The responses of one upstream connection."""

    __slots__ = ("_method", "_options", "_upgrade")

    def __init__(self, options: HttpOptions) -> None:
        super().__init__()
        self._options = options
        self._method = b"GET"
        self._upgrade = False

    def expect(self, method: bytes, *, upgrade: bool) -> None:
        """A request with ``method`` has been sent; what comes next is its response."""
        self._method = method
        self._upgrade = upgrade

    def read_head(self) -> ResponseHead | Fault | None:
        """The next head, interim ones too; ``None`` while it is not complete, or why it can't be understood."""
        if not self._buffer:
            return None
        if not (self._buffer.startswith(b"HTTP/") or b"HTTP/".startswith(self._buffer)):
            return rules.PROTOCOL_ERROR
        head = self._take_head(MAX_RESPONSE_HEAD_BYTES)
        if head is True:
            return rules.PROTOCOL_ERROR
        if head is False:
            return None
        assert isinstance(head, bytes)
        response: ResponseHead | Fault | None = None
        if self._method != b"HEAD" and not self._upgrade:
            response = fast.response_head(head, self._options)
        if response is None:
            response = parse_response_head(head, self._method, self._options, upgrade=self._upgrade)
        if isinstance(response, ResponseHead):
            length = None if response.until_close else response.content_length or 0
            self._expect_body(length, chunked=response.chunked)
        return response

    def end(self) -> bool:
        """The backend closed its side; whether that ends the message as it should."""
        if self._remaining is None and self._chunks is None:
            self.body_complete = True
        return self.body_complete

    def _bad_body(self) -> Fault:
        return rules.PROTOCOL_ERROR
