"""x-request-id: a version 4 UUID (RFC 9562 section 5.4), as Envoy writes it for requests that are not traced."""

from __future__ import annotations

import os
from typing import ClassVar, Final

from pyproxy.settings import HttpOptions

_VARIANTS: Final = (b"8", b"9", b"a", b"b")
_UUID_LENGTH: Final = 36
_VERSION_DIGIT: Final = 14


def format_request_id(random: bytes) -> bytes:
    """The UUID of 16 random bytes; their version and variant bits are overwritten."""
    digits = random.hex().encode()
    variant = _VARIANTS[random[8] & 3]
    return b"%b-%b-4%b-%b%b-%b" % (digits[:8], digits[8:12], digits[13:16], variant, digits[17:20], digits[20:])


def keep_request_id(sent: bytes | None, *, edge: bool, options: HttpOptions) -> bytes | None:
    """The x-request-id that a request goes on with, where it needs no new one; ``None``: it needs one or has none.

    ``edge``: the client comes from outside, so that its own id counts only if the policy says so. The version digit of
    a UUID from there is set to 4: Envoy notes in it that a request is traced, which is not the client's to say.
    """
    if not options.generate_request_id:
        return sent
    if not sent or not edge:
        return sent or None
    if not options.preserve_external_request_id:
        return None
    return sent[:_VERSION_DIGIT] + b"4" + sent[_VERSION_DIGIT + 1 :] if len(sent) == _UUID_LENGTH else sent


class RequestIds:
    """One new request id after the other, from the operating system's randomness, fetched for many at a time."""

    __slots__ = ("_at", "_random")

    BATCH: ClassVar[int] = 256

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
