"""Several workers under load: one is killed, all are drained, the policy changes, the process is restarted."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import pytest

from tests.reliability.figures import Figures
from tests.support.load import fast_backend, load
from tests.support.processes import free_port, gateway, workers_of
from tests.support.restarting import Order, restart, serving_beside
from tests.support.rewriting import rewrite, said

pytestmark = pytest.mark.asyncio

KEPT, FRESH = 20, 20
WORKERS = ("--workers", "2")


async def test_r35_worker_killed(figures: Figures, tmp_path: Path) -> None:
    """One of two workers is killed 5 times under 1,000 requests/s"""
    port, file = free_port(), tmp_path / "gateway.yaml"
    async with fast_backend() as backend:
        file.write_text(gateway(port, backend))
        async with serving_beside("-f", file, *WORKERS, "--access-log", "off") as server:
            async with load(("127.0.0.1", port), connections=KEPT, fresh=FRESH, rate=1000) as clients:
                for killed in range(1, 6):
                    await asyncio.sleep(1)
                    os.kill(workers_of(server)[0], signal.SIGKILL)
                    await said(server, "takes its place", killed)
                await asyncio.sleep(2)
                outcome = await clients.stop()
            figures.exactly("workers in the end", len(workers_of(server)), 2)
    figures.add("requests", outcome.ok, at_least=3000)
    # Its own connections: at most all there were, each time.
    figures.add("failed with their worker", outcome.failed, at_most=5 * (KEPT + FRESH))
    figures.exactly("refused connections", outcome.failures.get("ConnectionRefusedError", 0), 0)
    figures.add("slowest request, ms", outcome.worst)


async def test_r11_workers_drained(figures: Figures, tmp_path: Path) -> None:
    """SIGTERM to two workers under 1,000 requests/s, nobody takes over"""
    port, file = free_port(), tmp_path / "gateway.yaml"
    async with fast_backend() as backend:
        file.write_text(gateway(port, backend))
        async with serving_beside("-f", file, *WORKERS, "--access-log", "off") as server:
            async with load(("127.0.0.1", port), connections=KEPT, rate=1000) as clients:
                await asyncio.sleep(2)
                started = asyncio.get_running_loop().time()
                server.signal(signal.SIGTERM)
                code = await asyncio.to_thread(server.process.wait, 15)
                figures.add("SIGTERM to the end, s", asyncio.get_running_loop().time() - started, at_most=10)
                outcome = await clients.stop()
    figures.exactly("exit code", code, 0)
    figures.exactly("told to close", outcome.told_to_close, KEPT)
    figures.exactly("failed requests", outcome.failed - outcome.failures.get("ConnectionRefusedError", 0), 0)


@pytest.mark.parametrize("order", Order)
async def test_r11_workers_restarted(order: Order, figures: Figures, tmp_path: Path) -> None:
    """Two workers restarted 3 times under 1,000 requests/s, on a socket that stays"""
    result = await restart(tmp_path, order, times=3, rate=1000, flags=WORKERS)
    figures.add(f"{order.value}: requests", result.outcome.ok, at_least=1000)
    figures.exactly(f"{order.value}: failed requests", result.outcome.failed, 0)
    assert set(result.exit_codes) == {0}


async def test_r12_workers_rewritten(figures: Figures, tmp_path: Path) -> None:
    """Two workers: a policy rewritten 100 times, good and bad in turn, under 1,000 requests/s"""
    result = await rewrite(tmp_path, times=100, rate=1000, flags=WORKERS)
    figures.add("requests", result.outcome.ok, at_least=5000)
    figures.exactly("failed requests", result.outcome.failed + result.resets, 0)
    figures.add("in force after, at most, s", max(result.in_force), at_most=1)
    figures.add("reported after, at most, s", max(result.reported), at_most=1)
