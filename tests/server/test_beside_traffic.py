"""Long work beside the loop."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading

import pytest

from pyproxy.server.beside_traffic import beside_traffic
from tests.support.scenario import run


def test_it_leaves_the_interpreter_as_it_was(loop_name: str) -> None:
    async def main() -> None:
        before = sys.getswitchinterval()

        def work(number: int) -> int:
            assert threading.current_thread() is not threading.main_thread()
            assert sys.getswitchinterval() < before
            assert not gc.isenabled()
            return 1 // number

        assert await beside_traffic(work, 1) == 1
        assert tuple(await asyncio.gather(beside_traffic(work, 1), beside_traffic(work, 2))) == (1, 0)
        with pytest.raises(ZeroDivisionError):
            await beside_traffic(work, number=0)
        assert sys.getswitchinterval() == pytest.approx(before)
        assert gc.isenabled()

    run(main, loop_name)


def test_the_loop_goes_on_meanwhile(loop_name: str) -> None:
    async def main() -> None:
        begun, done = threading.Event(), threading.Event()

        def work() -> None:
            begun.set()
            assert done.wait(5)

        working = asyncio.ensure_future(beside_traffic(work))
        while not begun.is_set():
            await asyncio.sleep(0.001)
        done.set()
        await working

    run(main, loop_name)
