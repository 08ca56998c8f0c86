"""Deadlines that cost nothing while they move, and the date header's clock."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Final

NEVER: Final = math.inf


class Deadline:
    """One point in time that calls back when it has passed, by the loop's monotonic clock.

    Moving it later only stores a number: the timer that is already armed looks again when it fires. A connection with a
    deadline for each request so has one timer in many seconds, not one a request.
    """

    __slots__ = ("_armed", "_callback", "_handle", "_loop", "_when")

    def __init__(self, loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._callback = callback
        self._when = NEVER
        self._armed = NEVER
        self._handle: asyncio.TimerHandle | None = None

    def set(self, when: float) -> None:
        """Call back at ``when`` (seconds of ``loop.time()``), and not before; ``NEVER`` is allowed."""
        self._when = when
        if when < self._armed:
            if self._handle is not None:
                self._handle.cancel()
            self._armed = when
            self._handle = self._loop.call_at(when, self._fire)

    def close(self) -> None:
        """Never call back; nothing stays behind in the loop, and no reference to whom it would have called."""
        self._when = self._armed = NEVER
        self._callback = _nothing
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _fire(self) -> None:
        when, self._handle, self._armed = self._when, None, NEVER
        # Loops round timers to their clock's resolution, uvloop's to a millisecond.
        if when <= self._loop.time() + 0.0015:
            self._when = NEVER
            self._callback()
        elif when != NEVER:
            self.set(when)


def _nothing() -> None:
    pass


class HttpDate:
    """The current date in the form of RFC 9110 section 5.6.7, made once a second."""

    __slots__ = ("_clock", "_second", "_text")

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._second = -1
        self._text = b""

    def now(self) -> bytes:
        """``Tue, 24 Nov 2026 10:48:16 GMT``."""
        second = int(self._clock())
        if second != self._second:
            self._second = second
            self._text = formatdate(second, usegmt=True).encode()
        return self._text
