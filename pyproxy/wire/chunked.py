"""The chunked transfer coding (RFC 9112 section 7.1), as strict as Envoy and h11 together.

A request's framing must mean the same to everyone who reads it, so this reader takes what both take: a size
that fits into 64 bits, behind it an extension of printable bytes, CRLF and nothing else behind size and data.
Envoy by itself lets junk pass between a chunk's data and the next size, which is how CVE-2025-43859 smuggled requests.
A backend's response is read as Envoy reads it, junk included: nobody smuggles by it, as it is framed anew.
"""

from __future__ import annotations

import re
from typing import Final

from pyproxy.wire.head import MAX_TRAILER_BYTES, has_control_character, head_end, split_fields, split_lines
from pyproxy.wire.messages import Headers

LAST_CHUNK: Final = b"0\r\n\r\n"

MAX_CHUNK_LINE: Final = 16_384
"""Limit of a size and its extension. Envoy has none, which lets a peer send 100 bytes for each it counts."""

# What stands behind blanks counts as an extension even without its semicolon, as in Envoy: size and line end are clear.
_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t;][\t\x20-\x7e\x80-\xff]*)?")
_RESPONSE_CHUNK_LINE: Final = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t;][^\r\n]*)?")

_LAST_CHUNK_START: Final = re.compile(rb"0+[ \t;\r\n]")

_SIZE_LIMIT: Final = 2**64

_MANY: Final = 4
"""Chunks in one read after which there may be very many of them."""

_TINY: Final = {line: size for size in range(1, 256) for line in (b"%x" % size, b"%X" % size)}
"""Size lines of the chunks that are read many at a time."""

_WINDOW: Final = 8192
"""Bytes in which they are looked for at a time."""


def chunk(data: bytes) -> bytes:
    """``data``, not empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Headers) -> bytes:
    """The end of a chunked body: each trailer a line of its own, as Envoy writes them (measured)."""
    if not trailers:
        return LAST_CHUNK
    return b"0\r\n%b\r\n" % b"".join(b"%b: %b\r\n" % trailer for trailer in trailers)


class BadChunk(ValueError):
    """The bytes are not chunked coding; nothing behind them can be trusted.

    ``in_last``: it is the last chunk or a trailer that is wrong.
    """

    def __init__(self, message: str, *, in_last: bool = False) -> None:
        super().__init__(message)
        self.in_last = in_last


class TrailersTooLarge(BadChunk):
    """There are more bytes of trailers than the limit."""


class ChunkedReader:
    """One chunked body out of the bytes of its connection. ``strict``: it is a request's."""

    __slots__ = ("_left", "_limit", "_scanned", "_strict", "complete", "trailers")

    def __init__(self, *, strict: bool = True, max_trailer_bytes: int = MAX_TRAILER_BYTES) -> None:
        self._strict = strict
        self._limit = max_trailer_bytes
        self.trailers: Headers = []
        """Well-formed, but not looked at any further; complete when the body is."""
        self._left = 0
        """Bytes of the current chunk still to come, its CRLF included; 0 between chunks, -1 in the trailers."""
        self._scanned = 0
        """Bytes of an unfinished trailer section without its end."""
        self.complete = False
        """The trailer section has ended."""

    def read(self, buffer: bytes | bytearray) -> tuple[bytes, int]:
        """(body bytes, bytes consumed) of what is in ``buffer``.

        Raises ``BadChunk``, and what came with the bad chunk is lost, as in Envoy; only in front of a bad last chunk
        the body is handed out, and the next call raises (measured). What was not consumed must stand at the front of
        the next call's buffer.
        """
        pieces: list[bytes | bytearray] = []
        at = 0
        tiny = True
        while not self.complete:
            if tiny and not self._left and len(pieces) >= _MANY:
                at, tiny = _read_tiny(buffer, at, pieces)
            try:
                end = self._step(buffer, at, pieces)
            except BadChunk as bad:
                if pieces and bad.in_last:
                    break
                raise
            if end == at:
                break
            at = end
        return (bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)), at

    def _step(self, buffer: bytes | bytearray, at: int, pieces: list[bytes | bytearray]) -> int:
        """One size line, piece of data, line end or trailer section; the offset behind it, or ``at`` without one."""
        if self._left < 0:
            return self._read_trailers(buffer, at)
        if self._left == 0:
            return self._read_size(buffer, at)
        if self._left > 2:
            data = buffer[at : at + self._left - 2]
            if data:
                pieces.append(data)
                self._left -= len(data)
            return at + len(data)
        return self._read_data_end(buffer, at)

    def _read_size(self, buffer: bytes | bytearray, at: int) -> int:
        line_end = buffer.find(b"\n", at)
        if (line_end if line_end >= 0 else len(buffer)) - at > MAX_CHUNK_LINE:
            raise BadChunk("chunk line too long")
        pattern = _CHUNK_LINE if self._strict else _RESPONSE_CHUNK_LINE
        if line_end < 0:
            start = pattern.fullmatch(bytes(buffer[at:]).removesuffix(b"\r"))
            if (start is None and at < len(buffer)) or (start is not None and int(start[1], 16) >= _SIZE_LIMIT):
                raise BadChunk("bad chunk size", in_last=_LAST_CHUNK_START.match(buffer, at) is not None)
            return at
        match = pattern.fullmatch(buffer, at, line_end - 1) if line_end > at else None
        if match is None or buffer[line_end - 1] != 0x0D:
            raise BadChunk("bad chunk size", in_last=_LAST_CHUNK_START.match(buffer, at) is not None)
        length = int(match[1], 16)
        if length >= _SIZE_LIMIT:
            raise BadChunk("chunk too large")
        self._left = length + 2 if length else -1
        return line_end + 1

    def _read_data_end(self, buffer: bytes | bytearray, at: int) -> int:
        if at == len(buffer):
            return at
        if not self._strict:
            # Envoy looks for the end of the line and for nothing else (measured).
            line_end = buffer.find(b"\n", at)
            if line_end < 0:
                return len(buffer)
            self._left = 0
            return line_end + 1
        # RFC 9112 section 7.1: chunk-data is followed by CRLF.
        if buffer[at] != (0x0D if self._left == 2 else 0x0A):
            raise BadChunk("no CRLF behind chunk data")
        self._left -= 1
        return at + 1

    def _read_trailers(self, buffer: bytes | bytearray, at: int) -> int:
        if buffer[at : at + 2] == b"\r\n":
            self.complete = True
            return at + 2
        # The "\n" before ``at`` ends the last chunk's line, so that an empty trailer section is found too.
        end = head_end(buffer, at + max(self._scanned - 2, 0)) if buffer[at : at + 1] != b"\n" else at + 1
        if (end if end >= 0 else len(buffer)) - at > self._limit:
            raise TrailersTooLarge("trailers too large", in_last=True)
        if end < 0:
            self._scanned = len(buffer) - at
            return at
        section = bytes(buffer[at:end])
        if not self._strict:
            section = section.lstrip(b"\r\n")  # Envoy passes over CRs and blank lines made of them (measured)
        trailers = split_fields(split_lines(b"\n" + section)[1:]) if section else []
        if trailers is None or has_control_character(trailers):
            raise BadChunk("bad trailer", in_last=True)
        self.trailers = trailers
        self.complete = True
        return end


def _read_tiny(buffer: bytes | bytearray, at: int, pieces: list[bytes | bytearray]) -> tuple[int, bool]:
    """Append the data of whole chunks under 256 bytes in their plainest form, as far as there are any.

    Returns the offset behind them, and whether it is worth to ask again. A chunk that is read by itself costs a few
    microseconds, which is too much to give for six bytes: so these are compared in lists, in C.
    """
    if buffer[at + 1 : at + 2] != b"\r" and buffer[at + 2 : at + 3] != b"\r":
        return at, True
    parts = bytes(buffer[at : at + _WINDOW]).split(b"\r\n")
    count = (len(parts) - 1) // 2
    lengths = list(map(_TINY.get, parts[0 : 2 * count : 2]))
    data = parts[1 : 2 * count : 2]
    if lengths != list(map(len, data)):
        count = next(i for i, (length, piece) in enumerate(zip(lengths, data, strict=True)) if length != len(piece))
    pieces += data[:count]
    return at + sum(map(len, parts[: 2 * count])) + 4 * count, count > _MANY
