"""Deadlines that move, on a clock that does not."""

from __future__ import annotations

import asyncio

from pyproxy.net.timing import NEVER, Deadline, HttpDate
from tests.support.clock import FakeLoop


def make() -> tuple[FakeLoop, Deadline, list[float]]:
    loop, fired = FakeLoop(), list[float]()
    deadline = Deadline(loop, lambda: fired.append(loop.now))  # type: ignore[arg-type]  # all that is used of a loop
    return loop, deadline, fired


def test_it_fires_once_when_it_is_due() -> None:
    loop, deadline, fired = make()
    deadline.set(105)
    loop.move_to(104)
    assert fired == []
    loop.move_to(105)
    loop.move_to(200)
    assert fired == [105]


def test_moving_it_later_arms_nothing_new() -> None:
    loop, deadline, fired = make()
    deadline.set(105)
    for when in range(106, 120):
        deadline.set(when)
    assert loop.armed == [105]
    loop.move_to(105)
    assert fired == []
    assert loop.armed == [119]
    loop.move_to(119)
    assert fired == [119]


def test_moving_it_sooner_arms_it_anew() -> None:
    loop, deadline, fired = make()
    deadline.set(200)
    deadline.set(101)
    assert loop.armed == [101]
    loop.move_to(101)
    assert fired == [101]


def test_never_and_close() -> None:
    loop, deadline, fired = make()
    deadline.set(105)
    deadline.set(NEVER)
    loop.move_to(106)
    assert (fired, loop.armed) == ([], [])
    deadline.set(110)
    deadline.close()
    deadline.close()
    assert loop.armed == []


def test_on_a_real_loop() -> None:
    async def main() -> None:
        done = asyncio.Event()
        Deadline(asyncio.get_running_loop(), done.set).set(asyncio.get_running_loop().time() + 0.01)
        await asyncio.wait_for(done.wait(), 5)

    asyncio.run(main())


def test_the_date_is_made_once_a_second() -> None:
    now = [0.0]
    date = HttpDate(lambda: now[0])
    first = date.now()
    assert first == b"Thu, 01 Jan 1970 00:00:00 GMT"
    now[0] = 0.9
    assert date.now() is first
    now[0] = 1.0
    assert date.now() == b"Thu, 01 Jan 1970 00:00:01 GMT"
