"""HTTP/1.1 bytes to heads and body pieces. The only module that knows h11.

A reader is fed with ``receive(data)`` and asked with ``read_head()`` and, while ``body_complete`` is false,
``read_body()``. It holds only what has not been asked for yet: heads up to their limit, body pieces never.

Heads are stateless: a whole head (``parse_request_head``, ``parse_response_head``) goes through Envoy's rules in
``wire.head`` and through h11, and must satisfy both. Bodies of a known length are counted, chunked ones are
``wire.chunked``'s. No function here raises: what a peer does wrong comes back as a ``Fault``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from typing import ClassVar, Final

import h11

from pyproxy.errors import Fault
from pyproxy.settings import HttpOptions
from pyproxy.wire import fast
from pyproxy.wire import head as rules
from pyproxy.wire.chunked import LAST_CHUNK, BadChunk, ChunkedReader, TrailersTooLarge, last_chunk
from pyproxy.wire.messages import Headers, RequestHead, ResponseHead
from pyproxy.wire.upgrade import Ignores, asks_for, wanted_upgrade, without_ignored

MAX_RESPONSE_HEAD_BYTES: Final = 81_920
"""Envoy's limit of a backend's status line and headers (80 KiB), measured."""

_FRAMING: Final = frozenset((b"content-length", b"transfer-encoding"))
_HOP_BY_HOP: Final = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))


def parse_request_head(head: bytes, options: HttpOptions, ignores: Ignores | None = None) -> RequestHead | Fault:
    """A whole request head, blank line included, as Envoy's codec would hand it on."""
    lines = rules.split_lines(head)
    request_line = rules.parse_request_line(lines[0]) if lines else rules.codec_error()
    if isinstance(request_line, Fault):
        return request_line
    method, target, minor = request_line
    if minor == rules.HTTP_09:
        return _simple_request(lines[0], method, target, options)
    lines_fields = rules.split_fields(lines[1:])
    if lines_fields is None or rules.has_blank_fold(head):
        return rules.codec_error()
    framing = rules.framing(lines_fields)
    if framing == "content_length" or (framing == "both" and rules.is_bad_beside_coding(lines_fields)):
        return rules.codec_error()
    fields = rules.check_request_fields(lines_fields, options)
    if isinstance(fields, Fault):
        return fields
    judged = _judge(request_line, fields, framing, options, ignores)
    if isinstance(judged, RequestHead):
        judged.dropped_headers = len(lines_fields) - len(fields)
    return _in_its_version(judged, minor, options)


def _judge(
    request_line: tuple[bytes, bytes, int],
    fields: Headers,
    framing: str | tuple[int | None, bool],
    options: HttpOptions,
    ignores: Ignores | None,
) -> RequestHead | Fault:
    """What stands in a head whose lines are right."""
    method, target, minor = request_line
    upgrade = wanted_upgrade(fields)
    if upgrade is not None and ignores is not None:
        fields, upgrade = without_ignored(fields, upgrade, ignores)
    if method == b"CONNECT" and any(n == b"content-length" and v.strip(b"0") for n, v in fields):
        return rules.codec_error("http1.body_disallowed")
    if framing == "both":
        return rules.codec_error("http1.content_length_and_chunked_not_allowed")
    if framing == "transfer_encoding" or (method == b"CONNECT" and framing == (None, True)):
        return rules.codec_error("http1.invalid_transfer_encoding", 501)
    # Envoy does not look at what a CONNECT or a request for an upgrade nominates (measured).
    nominated = _nominated(fields) if upgrade is None and method != b"CONNECT" else frozenset[bytes]()
    if isinstance(nominated, Fault):
        return nominated
    split = rules.split_target(method, target)
    if isinstance(split, Fault):
        return split
    path, authority = split
    absolute = authority is not None and method != b"CONNECT"
    if minor != 1 and not options.accept_http_10:
        return rules.codec_error("low_version", 426)
    if b"host" in nominated:
        fields = [field for field in fields if field[0] != b"host"]
    hosts = [value for name, value in fields if name == b"host"]
    if authority is None and hosts:
        authority = hosts[0]
    if authority is not None and not rules.authority_is_valid(authority):
        return rules.codec_error("http.invalid_authority")
    assert isinstance(framing, tuple)
    if authority is None and minor != 1:
        authority = options.default_host_for_http_10
    if authority is None:
        # The connection manager refuses it, whatever else is wrong.
        fields = [field for field in fields if field[0] not in nominated]
        fields = rules.merge(fields, rules.MERGED_REQUEST_HEADERS)
        refused = RequestHead(
            method, path, None, fields, framing[0], chunked=framing[1], minor_version=minor, upgrade=upgrade
        )
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
    request = RequestHead(
        method, path, authority, headers, framing[0], chunked=framing[1], minor_version=minor, upgrade=upgrade
    )
    return _clean_request(request, nominated)


def _in_its_version(judged: RequestHead | Fault, minor: int, options: HttpOptions) -> RequestHead | Fault:
    """What is only found wrong once all lines are right is refused in HTTP/1.0 where that is spoken (measured)."""
    if isinstance(judged, Fault) and minor != 1 and options.accept_http_10:
        return replace(judged, http_10=True)
    return judged


def _nominated(fields: Headers) -> frozenset[bytes] | Fault:
    """What Connection takes away (RFC 9110 section 7.6.1), before anything else looks at it, or why it may not."""
    values = [value for name, value in fields if name == b"connection"]
    nominated = rules.nominated_headers(b",".join(values))
    return rules.codec_error("http1.connection_header_rejected") if nominated is None else nominated


def _simple_request(line: bytes, method: bytes, target: bytes, options: HttpOptions) -> RequestHead | Fault:
    """HTTP/0.9: the version gate's 426, but Envoy takes a line that ends in ``HTTP/1.1`` for a request without Host."""
    split = rules.split_target(method, target)
    if isinstance(split, Fault):
        return _in_its_version(split, rules.HTTP_09, options)
    path, authority = split
    if line.endswith(b"HTTP/1.1"):
        return RequestHead(method, path, None, [], spellings={})
    if not options.accept_http_10:
        return rules.codec_error("low_version", 426)
    authority = authority or options.default_host_for_http_10
    return RequestHead(method, path, authority, [], minor_version=-1, close=True, spellings={})


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


def _clean_request(request: RequestHead, nominated: frozenset[bytes]) -> RequestHead:
    """Take out what concerns only this connection (RFC 9110 section 7.6.1), as Envoy does it.

    What Connection nominates is gone before anything else looks at it.
    """
    headers = rules.merge(request.headers, rules.MERGED_REQUEST_HEADERS)
    named = {name: value for name, value in headers if name not in nominated}
    request.close = rules.closes(named, http_10=request.http_10)
    request.expect_continue = named.get(b"expect", b"").lower() == b"100-continue"
    nominates_te = b"te" in rules.tokens(named.get(b"connection", b""))
    if request.http_10 and request.chunked:
        # RFC 9112 section 6.1: who sends chunks in HTTP/1.0 may not know where its own message ends.
        request.close = True
    if b"content-length" in nominated and request.content_length is not None:
        # Envoy forwards such a body without its length, so re-framed (measured).
        request.reframe = request.content_length > 0
        request.content_length = request.content_length or None
    dropped = _HOP_BY_HOP
    if request.upgrade is not None:
        dropped = frozenset((b"keep-alive", b"proxy-connection", b"transfer-encoding"))
    elif asks_for(headers, b"h2c"):
        dropped = _HOP_BY_HOP | {b"http2-settings"}
    cleaned: Headers = []
    for name, value in headers:
        if name in dropped or name in nominated or (name == b"expect" and request.expect_continue):
            continue
        if name == b"te" and request.upgrade is None:
            # Envoy compares this one as it is written, unless it is nominated.
            written = value.lower() if nominates_te else value
            if (value or nominates_te) and b"trailers" not in [token.strip(b" \t") for token in written.split(b",")]:
                continue
            value = value and b"trailers"
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
    if fields is None or rules.has_blank_fold(head):
        return rules.PROTOCOL_ERROR
    refused = rules.check_response_fields(fields, options)
    if refused is not None:
        return refused
    has_bare_cr = rules.has_bare_cr(fields)
    framing = rules.framing(_as_framed(fields) if has_bare_cr else fields)
    if status == 304 and framing == "content_length" and rules.says_no_length(fields):
        # It says how long the body would have been, and Envoy does not look at it.
        framing = None, False
    if not isinstance(framing, tuple):
        return rules.PROTOCOL_ERROR
    length, chunked = framing
    if has_bare_cr:
        # As Envoy does (measured). A request with one is refused, but a backend's can mislead nobody once it is gone.
        fields = rules.without_bare_cr(fields)
        if rules.framing(fields) == "both":
            return rules.PROTOCOL_ERROR
    if (status < 200 or status == 204) and any(
        name == b"transfer-encoding" or (name == b"content-length" and value != b"0") for name, value in fields
    ):
        return rules.PROTOCOL_ERROR  # Envoy lets a 0 pass, and only that: not 00 (measured)
    refused = _check_response_grammar([field for field in fields if field[0] not in _FRAMING])
    if refused is not None:
        return refused
    headers = rules.merge(fields, rules.MERGED_RESPONSE_HEADERS)
    response = ResponseHead(status, headers)
    response.close = rules.closes(dict(headers), http_10=minor == 0)
    if not (method == b"HEAD" or 100 <= status < 200 or status in (204, 304)):
        response.content_length, response.chunked = length, chunked
        response.until_close = length is None and not chunked
    dropped = _HOP_BY_HOP
    if status < 200 or status == 204:
        dropped = _HOP_BY_HOP | {b"content-length"}
    if upgrade:
        response.upgrade = asks_for(headers, None)
        if response.upgrade and status < 200 and status != 101:
            # Envoy takes it for the answer, and sends what follows in chunks without a head before them.
            return rules.PROTOCOL_ERROR
        dropped = _dropped_after_upgrade(response)
        if response.upgrade and not chunked and (response.until_close or method == b"HEAD" or status == 304):
            response.until_close = False
            response.content_length = 0
    response.headers = [field for field in headers if field[0] not in dropped]
    return response


def _as_framed(fields: Headers) -> Headers:
    """``fields`` as Envoy frames a response by them: CRs in ``chunked`` make a coding of it that is none (measured)."""
    framed = [(name, value.strip(b" \t\r")) for name, value in fields]
    return [
        (name, value)
        for name, value in framed
        if name != b"transfer-encoding" or b"\r" not in value or value.replace(b"\r", b"").lower() != b"chunked"
    ]


def _dropped_after_upgrade(response: ResponseHead) -> frozenset[bytes]:
    """The headers that don't go on from the answer to a request for an upgrade (measured)."""
    dropped = _HOP_BY_HOP | {b"content-length"} if response.status == 101 else _HOP_BY_HOP
    if 101 != response.status < 400:
        # An upgrade refused without an error goes on without its body.
        dropped = dropped - {b"keep-alive"} | {b"content-length", b"content-type"}
    return dropped - {b"connection", b"upgrade"} if response.upgrade else dropped


def _check_response_grammar(fields: Headers) -> Fault | None:
    """h11's verdict on a response's header lines but for those that frame it."""
    connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=1 << 20)
    connection.send(h11.Request(method="GET", target="/", headers=[("host", "-")]))
    try:
        connection.receive_data(b"HTTP/1.1 200 \r\n" + b"".join(b"%b: %b\r\n" % field for field in fields) + b"\r\n")
        event = connection.next_event()
    except h11.RemoteProtocolError:
        return rules.PROTOCOL_ERROR
    assert isinstance(event, h11.Response)
    return None


class _MessageReader(ABC):
    """Buffer and body framing, the same for both directions."""

    __slots__ = ("_buffer", "_chunks", "_options", "_remaining", "_scanned", "body_complete", "ending", "fault")

    _STRICT_CHUNKS: ClassVar[bool] = True
    _MAX_TRAILER_BYTES: ClassVar[int] = rules.MAX_TRAILER_BYTES

    def __init__(self, options: HttpOptions) -> None:
        self._options = options
        self._buffer: bytes | bytearray = b""
        self._scanned = 0
        self._remaining: int | None = 0
        """Body bytes still to come; ``None``: the body ends with the connection."""
        self._chunks: ChunkedReader | None = None
        self.body_complete = True
        """Nothing more belongs to the current message."""
        self.ending = LAST_CHUNK
        """What ends the current body, where it goes on in chunks, once it is complete: trailers may be in it."""

        self.fault: Fault | None = None
        """What is wrong behind the body bytes that ``read_body`` gave last."""

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
        """The next whole head; ``False`` while there is none, ``True`` if it is, or can only be, over ``limit``."""
        end = rules.head_end(self._buffer, max(self._scanned - 2, 0))
        if end > limit or (end < 0 and len(self._buffer) >= limit):
            return True
        if end < 0:
            self._scanned = len(self._buffer)
            return False
        self._scanned = 0
        head = bytes(self._buffer[:end])
        self._buffer = self._buffer[end:] if end < len(self._buffer) else b""
        return head

    def _whole_head(self, limit: int) -> bytes:
        """What there is up to the first CRLF CRLF, for the fast lane; empty where that is not within ``limit``."""
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", max(self._scanned - 3, 0)) + 4
        if end < 4 or end > limit:
            return b""
        head = buffer if end == len(buffer) else buffer[:end]
        return head if isinstance(head, bytes) else bytes(head)

    def _take_whole_head(self, head: bytes) -> None:
        """``head`` has been understood."""
        self._scanned = 0
        self._buffer = self._buffer[len(head) :] if len(head) < len(self._buffer) else b""

    def _expect_body(self, length: int | None, *, chunked: bool) -> None:
        self._remaining = length
        if chunked:
            self._chunks = ChunkedReader(strict=self._STRICT_CHUNKS, max_trailer_bytes=self._MAX_TRAILER_BYTES)
        else:
            self._chunks = None
        self.ending = LAST_CHUNK
        self.body_complete = not chunked and length == 0

    def read_body(self) -> bytes | Fault:
        """The body bytes that have arrived since the last call, possibly none, without their chunk framing."""
        if self._chunks is not None:
            return self._read_chunks(self._chunks)
        data = self._buffer
        if self._remaining is not None:
            if isinstance(data, bytes) and len(data) == self._remaining:
                self._buffer = b""
                self._remaining = 0
                self.body_complete = True
                return data
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
        if self.fault is not None:
            return self.fault
        try:
            data, used = chunks.read(self._buffer)
        except BadChunk as error:
            return self._bad_body(error)
        self._buffer = self._buffer[used:] if used < len(self._buffer) else b""
        if chunks.trailers and self._options.enable_trailers:
            trailers = self._check_trailers(chunks.trailers)
            if isinstance(trailers, Fault):
                self.fault = trailers
                return data or trailers
            self.ending = last_chunk(trailers)
        self.body_complete = chunks.complete
        return data

    @abstractmethod
    def _check_trailers(self, trailers: Headers) -> Headers | Fault: ...

    @abstractmethod
    def _bad_body(self, error: BadChunk) -> Fault: ...


class RequestReader(_MessageReader):
    """The requests of one downstream connection."""

    __slots__ = ("_ignores", "_line_judged")

    def __init__(self, options: HttpOptions, ignores: Ignores | None = None) -> None:
        super().__init__(options)
        self._ignores = ignores
        self._line_judged = False

    def read_head(self) -> RequestHead | Fault | None:
        """The next request's head, ``None`` while it is not complete, or why the connection can't go on.

        The body of the request before must have been read: ``body_complete``.
        """
        limit = self._options.max_request_headers_bytes
        head = self._whole_head(limit)
        ordinary = fast.request_head(head, self._options) if head else None
        if ordinary is None:
            return self._read_any_head(limit)
        self._take_whole_head(head)
        self._line_judged = False
        if self._options.preserve_header_case:
            ordinary.spellings = rules.spellings(head)
        self._expect_body(ordinary.content_length or 0, chunked=False)
        return ordinary

    def _read_any_head(self, limit: int) -> RequestHead | Fault | None:
        buffer = self._buffer
        if not self._scanned and buffer[:1] in (b"\r", b"\n"):
            # RFC 9112 section 2.2: empty lines before a request line are to be ignored.
            buffer = self._buffer = buffer.lstrip(b"\r\n")
        if not buffer:
            return None
        if buffer[0] <= 0x20:
            # Envoy refuses a control character or a blank at once (so TLS), and waits for the line otherwise.
            return rules.codec_error()
        head = self._take_head(limit)
        if head is True:
            return rules.codec_error("http1.headers_too_large", 431)
        if head is False:
            return self._check_incomplete()
        assert isinstance(head, bytes)
        self._line_judged = False
        request = parse_request_head(head, self._options, self._ignores)
        if isinstance(request, RequestHead):
            if self._options.preserve_header_case and request.spellings is None:
                request.spellings = rules.spellings(head)
            if request.upgrade is not None:
                self._expect_body(None, chunked=False)
            else:
                self._expect_body(request.content_length or 0, chunked=request.chunked)
        return request

    def _check_incomplete(self) -> RequestHead | Fault | None:
        """Envoy judges the request line as soon as it is whole."""
        if self._line_judged:
            return None
        line_end = self._buffer.find(b"\n")
        if line_end < 0:
            return None
        line = bytes(self._buffer[:line_end]).removesuffix(b"\r")
        blanked = rules.blank_controls(line)
        parsed = rules.parse_request_line(blanked)
        if isinstance(parsed, Fault):
            return parsed
        method, target, minor = parsed
        if minor != rules.HTTP_09:
            self._line_judged = True
            return None
        if line != blanked:
            # The line is the whole head, and a complete one has no control characters.
            return rules.codec_error()
        self._buffer = self._buffer[line_end + 1 :]
        self._scanned = 0
        self._expect_body(0, chunked=False)
        return _simple_request(line, method, target, self._options)

    def _check_trailers(self, trailers: Headers) -> Headers | Fault:
        if rules.has_bare_cr(trailers):
            return rules.codec_error("http1.invalid_characters")
        return rules.check_request_fields(trailers, self._options)

    def _bad_body(self, error: BadChunk) -> Fault:
        if isinstance(error, TrailersTooLarge):
            return rules.codec_error("http1.headers_too_large", 431)
        return rules.codec_error()


class ResponseReader(_MessageReader):
    """The responses of one upstream connection."""

    __slots__ = ("_method", "_upgrade")

    _STRICT_CHUNKS: ClassVar[bool] = False
    _MAX_TRAILER_BYTES: ClassVar[int] = MAX_RESPONSE_HEAD_BYTES

    def __init__(self, options: HttpOptions) -> None:
        super().__init__(options)
        self._method = b"GET"
        self._upgrade = False

    def expect(self, method: bytes, *, upgrade: bool) -> None:
        """A request with ``method`` has been sent; what comes next is its response."""
        self._method = method
        self._upgrade = upgrade

    def read_head(self) -> ResponseHead | Fault | None:
        """The next head, interim ones too; ``None`` while it is not complete, or why it can't be understood."""
        if self._method != b"HEAD" and not self._upgrade:
            head = self._whole_head(MAX_RESPONSE_HEAD_BYTES)
            ordinary = fast.response_head(head, self._options) if head else None
            if ordinary is not None:
                self._take_whole_head(head)
                if self._options.preserve_header_case:
                    ordinary.spellings = rules.spellings(head)
                length = None if ordinary.until_close else ordinary.content_length or 0
                self._expect_body(length, chunked=ordinary.chunked)
                return ordinary
        return self._read_any_head()

    def _read_any_head(self) -> ResponseHead | Fault | None:
        if not self._buffer:
            return None
        if self._buffer[0] != 0x48:
            # Envoy looks at the first byte, an H, and then waits for the line.
            return rules.PROTOCOL_ERROR
        head = self._take_head(MAX_RESPONSE_HEAD_BYTES)
        if head is True:
            return rules.PROTOCOL_ERROR
        if head is False:
            line_end = self._buffer.find(b"\n")
            if line_end < 0:
                return None
            line = bytes(self._buffer[:line_end]).removesuffix(b"\r")
            return None if rules.may_be_status_line(line) else rules.PROTOCOL_ERROR
        assert isinstance(head, bytes)
        response = parse_response_head(head, self._method, self._options, upgrade=self._upgrade)
        if isinstance(response, ResponseHead):
            if self._options.preserve_header_case:
                response.spellings = rules.spellings(head)
            length = None if response.until_close else response.content_length or 0
            self._expect_body(length, chunked=response.chunked)
        return response

    def end(self) -> bool:
        """The backend closed its side; whether that ends the message as it should."""
        if self._remaining is None and self._chunks is None:
            self.body_complete = True
        return self.body_complete

    def _check_trailers(self, trailers: Headers) -> Headers | Fault:
        if rules.has_bare_cr(trailers):
            trailers = rules.without_bare_cr(trailers)
        return rules.check_response_fields(trailers, self._options) or trailers

    def _bad_body(self, error: BadChunk) -> Fault:
        return rules.PROTOCOL_ERROR
