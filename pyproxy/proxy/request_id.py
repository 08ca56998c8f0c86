"""x-request-id: a version 4 UUID (RFC 9562 section 5.4), as Envoy writes it for requests that are not traced."""

from __future__ import annotations

import os
from typing import ClassVar, Final

from pyproxy.settings import HttpOptions

_UUID_LENGTH: Final = 36
_VERSION_DIGIT: Final = 14
_VARIANT_DIGIT: Final = 19
_DASHES: Final = (8, 13, 18, 23)
# The two highest bits of that digit are 10, whatever it was.
_TO_VARIANT: Final = bytes.maketrans(b"0123456789abcdef", b"89ab89ab89ab89ab")


def format_request_ids(random: bytes) -> bytes:
    """The UUIDs of 16 random bytes each, one behind the other; version and variant bits are overwritten.

    Column by column, each in C: one after the other costs ten times as much.
    """
    digits = random.hex().encode()
    count = len(random) // 16
    ids = bytearray(_UUID_LENGTH * count)
    column = 0
    for place in range(_UUID_LENGTH):
        if place in _DASHES:
            ids[place::_UUID_LENGTH] = b"-" * count
            continue
        if place == _VERSION_DIGIT:
            ids[place::_UUID_LENGTH] = b"4" * count
        elif place == _VARIANT_DIGIT:
            ids[place::_UUID_LENGTH] = digits[column::32].translate(_TO_VARIANT)
        else:
            ids[place::_UUID_LENGTH] = digits[column::32]
        column += 1
    return bytes(ids)


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

    __slots__ = ("_at", "_ids")

    BATCH: ClassVar[int] = 256

    def __init__(self) -> None:
        self._ids = b""
        self._at = 0

    def next(self) -> bytes:
        """A request id that nobody has seen."""
        if self._at == len(self._ids):
            self._ids = format_request_ids(os.urandom(16 * self.BATCH))
            self._at = 0
        self._at += _UUID_LENGTH
        return self._ids[self._at - _UUID_LENGTH : self._at]
