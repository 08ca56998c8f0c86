"""The chunked transfer coding (RFC 9112 section 7.1), as strict as Envoy and h11 together.

A message's framing must mean the same to everyone who reads it, so this reader takes what both take: a size of at most
16 hex digits, behind it an extension of printable bytes, CRLF and nothing else behind size and data.
Envoy by itself lets junk pass between a chunk's data and the next size, which is how CVE-2025-43859 smuggled requests.
"""

from __future__ import annotations

import re

from pyproxy.wire.head import MAX_TRAILER_BYTES, head_end, split_fields, split_lines

LAST_CHUNK = b"0\r\n\r\n"

MAX_CHUNK_LINE = 16_384
"""Limit of a size and its extension. Envoy has none, which lets a peer send 100 bytes for each it counts."""

# What stands behind blanks counts as an extension even without its semicolon, as in Envoy: size and line end are clear.
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t;][\t\x20-\x7e\x80-\xff]*)?")


def chunk(data: bytes) -> bytes:
    """``data``, not empty, as one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


class BadChunk(ValueError):
    """The bytes are not chunked coding; nothing behind them can be trusted."""


class ChunkedReader:
    """One chunked body out of the bytes of its connection."""

    __slots__ = ("_left", "complete")

    def __init__(self) -> None:
        self._left = 0
        """Bytes of the current chunk still to come, its CRLF included; 0 between chunks, -1 in the trailers."""
        self.complete = False
        """The trailer section has ended."""

    def read(self, buffer: bytes | bytearray) -> tuple[bytes, int]:
        """(body bytes, bytes consumed) of what is in ``buffer``. Trailers are checked and dropped.

        Raises ``BadChunk``. What was not consumed must stand at the front of the next call's buffer.
        """
        pieces: list[bytes | bytearray] = []
        at, size = 0, len(buffer)
        while not self.complete:
            if self._left < 0:
                end = self._trailer_end(buffer, at)
                if end < 0:
                    break
                self.complete = True
                at = end
            elif self._left == 0:
                line_end = buffer.find(b"\n", at)
                if (line_end if line_end >= 0 else size) - at > MAX_CHUNK_LINE:
                    raise BadChunk("chunk line too long")
                if line_end < 0:
                    if not _may_be_chunk_line(bytes(buffer[at:])):
                        raise BadChunk("bad chunk size")
                    break
                match = _CHUNK_LINE.fullmatch(buffer, at, line_end - 1) if line_end > at else None
                if match is None or buffer[line_end - 1] != 0x0D:
                    raise BadChunk("bad chunk size")
                length = int(match[1], 16)
                self._left = length + 2 if length else -1
                at = line_end + 1
            else:
                take = min(self._left - 2, size - at)
                if take > 0:
                    pieces.append(buffer[at : at + take])
                    at += take
                    self._left -= take
                if self._left > 2 or at == size:
                    break
                # RFC 9112 section 7.1: chunk-data is followed by CRLF.
                if buffer[at] != (0x0D if self._left == 2 else 0x0A):
                    raise BadChunk("no CRLF behind chunk data")
                at += 1
                self._left -= 1
        return (bytes(pieces[0]) if len(pieces) == 1 else b"".join(pieces)), at

    def _trailer_end(self, buffer: bytes | bytearray, at: int) -> int:
        if buffer[at : at + 2] == b"\r\n":
            return at + 2
        # The "\n" before ``at`` ends the last chunk's line, so that an empty trailer section is found too.
        end = head_end(buffer, at) if buffer[at : at + 1] != b"\n" else at + 1
        if (end if end >= 0 else len(buffer)) - at > MAX_TRAILER_BYTES:
            raise BadChunk("trailers too large")
        if end >= 0 and split_fields(split_lines(bytes(buffer[at:end]))) is None:
            raise BadChunk("bad trailer")
        return end


def _may_be_chunk_line(start: bytes) -> bool:
    """Whether more bytes could still make a chunk line of this."""
    return not start or _CHUNK_LINE.fullmatch(start.removesuffix(b"\r")) is not None
