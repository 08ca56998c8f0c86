"""x-request-id: a version 4 UUID (RFC 9562 section 5.4), as Envoy writes it for requests that are not traced."""

from __future__ import annotations

import os

_VARIANT = "89ab"


def format_request_id(random: bytes) -> bytes:
    """The UUID of 16 random bytes; their version and variant bits are overwritten."""
    digits = random.hex()
    variant = _VARIANT[random[8] & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}".encode()


class RequestIds:
    """One new request id after the other, from the operating system's randomness, fetched for many at a time."""

    __slots__ = ("_at", "_random")

    BATCH = 256

    def __init__(self) -> None:
        self._random = b""
        self._at = 0

    def next(self) -> bytes:
        """A request id that nobody has seen."""
        if self._at == len(self._random):
            self._random = os.urandom(16 * self.BATCH)
            self._at = 0
        self._at += 16
        return format_request_id(self._random[self._at - 16 : self._at])
