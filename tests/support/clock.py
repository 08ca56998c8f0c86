"""A clock that stands still until a test moves it."""

from __future__ import annotations

from collections.abc import Callable


class FakeHandle:
    """A timer that can be cancelled."""

    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class FakeLoop:
    """As much of an event loop as deadlines need; its time is what a test says it is."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[tuple[float, Callable[[], None], FakeHandle]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, callback: Callable[[], None]) -> FakeHandle:
        handle = FakeHandle()
        self.timers.append((when, callback, handle))
        return handle

    def move_to(self, now: float) -> None:
        """Let time pass: every timer on the way is called at its time, those set meanwhile too."""
        while due := [timer for timer in self.timers if timer[0] <= now and not timer[2].cancelled]:
            timer = min(due, key=lambda timer: timer[0])
            self.timers.remove(timer)
            self.now = max(self.now, timer[0])
            timer[1]()
        self.now = now

    @property
    def armed(self) -> list[float]:
        """When the timers that still count are due."""
        return [when for when, _, handle in self.timers if not handle.cancelled]
