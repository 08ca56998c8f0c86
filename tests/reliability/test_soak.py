"""Long runs: nothing fails, and nothing is left behind."""

from __future__ import annotations

import asyncio
import gc
import logging
from typing import Any

import pytest

from tests.reliability.figures import Figures
from tests.support.load import fast_backend, load_for
from tests.support.measure import descriptors, resident
from tests.support.scenario import GET, Client, answer_all, backend, eventually, proxy, run, settings_for
from tests.support.subjects import Subject

PARTS = 4
SECONDS = 4
RATE = 2000
"""Requests a second: what both can do while other processes run."""
NEVER_RETRIEVED = ("was never retrieved", "Task was destroyed", "was never awaited")


@pytest.mark.asyncio
async def test_r24_soak(subject: Subject, figures: Figures) -> None:
    """At least 20,000 requests in 4 parts, then 2000 connections of one request each"""
    async with fast_backend() as port:
        with subject.serve(port) as served:
            await load_for(4, served.address, connections=40, rate=RATE)
            memory, count, failed = [], 0, 0
            for _ in range(PARTS):
                outcome = await load_for(SECONDS, served.address, connections=40, rate=RATE)
                count, failed = count + outcome.ok, failed + outcome.failed
                memory.append(resident(served.pid))
            open_before = descriptors(served.pid)
            for _ in range(2000):
                async with Client(served.address) as client:
                    await client.send(GET)
                    await client.until(b"ok")
            await asyncio.sleep(0.2)
            after_churn, left = resident(served.pid), descriptors(served.pid) - open_before
            assert not any(words in served.process.said for words in NEVER_RETRIEVED), served.process.said
    figures.add("requests", count, at_least=20_000)
    figures.exactly("failed", failed, 0)
    figures.add("memory after part 1, MB", memory[0] / 1e6)
    figures.add("memory after part 4, % of part 1", 100 * memory[-1] / memory[0], at_most=102)
    figures.add("memory after part 4, % of part 2", 100 * memory[-1] / memory[1], at_most=102)
    figures.add("2000 connections: memory grew by, kB", (after_churn - memory[-1]) / 1000, at_most=1000)
    figures.add("2000 connections: descriptors left", left, at_most=2)


def is_ours(task: asyncio.Task[Any]) -> bool:
    """Whether pyproxy began the task, not the test's clients and backends."""
    code = getattr(task.get_coro(), "cr_code", None)
    return code is not None and "/pyproxy/net/" in code.co_filename


@pytest.mark.parametrize("loop_name", ["uvloop", "asyncio"])
def test_r24_objects(figures: Figures, loop_name: str, caplog: pytest.LogCaptureFixture) -> None:
    """Objects and tasks of a listener in this process, over 4 parts of 1000 requests"""
    counts: list[tuple[int, int]] = []
    unhandled: list[dict[str, Any]] = []

    async def ask(address: tuple[str, int]) -> None:
        async with Client(address) as client:
            for _ in range(10):
                await client.send(GET)
                await client.until(b"ok")

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: unhandled.append(context))
        async with backend(answer_all) as endpoint, proxy(settings_for(endpoint)) as served:
            for _ in range(PARTS + 1):
                for _ in range(10):
                    await asyncio.gather(*(ask(served.address) for _ in range(10)))
                served.log.records.clear()
                await eventually(lambda: not served.listener.connections)
                gc.collect()
                counts.append((len(gc.get_objects()), sum(map(is_ours, asyncio.all_tasks()))))

    with caplog.at_level(logging.WARNING, "asyncio"):
        run(main, loop_name)
        gc.collect()
    assert not unhandled
    assert not [record for record in caplog.messages if any(words in record for words in NEVER_RETRIEVED)]
    _, first, *_, last = counts  # the first part warms up
    figures.add(f"{loop_name}: objects, last part beside first", last[0] - first[0], at_most=300)
    figures.exactly(f"{loop_name}: tasks of ours after each part", max(tasks for _, tasks in counts), 0)
