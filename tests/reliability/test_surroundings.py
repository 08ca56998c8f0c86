"""What a process can't choose: a log that is not read, a full disk, a clock that is set."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import signal
import time
from pathlib import Path

import pytest

from tests.reliability.figures import CALM, Figures
from tests.support.load import best_of_three, fast_backend, load_for
from tests.support.measure import is_alive, resident
from tests.support.scenario import GET, OK, Client, backend
from tests.support.subjects import Subject

pytestmark = pytest.mark.asyncio


LOGS = ("a full disk", "a pipe whose reader leaves", "a pipe nobody reads")


async def test_r30_log(subject: Subject, figures: Figures, tmp_path: Path) -> None:
    """The access log is not read, or can't be written"""
    async with fast_backend() as port:
        with subject.serve(port) as proxy:
            before = await best_of_three(2, proxy.address, connections=20, rate=1000)
        for log in LOGS:
            target, reader = "/dev/full", -1
            if log.startswith("a pipe"):
                target = str(tmp_path / log.replace(" ", "-"))
                os.mkfifo(target)
                reader = os.open(target, os.O_RDONLY | os.O_NONBLOCK)
            try:
                with subject.serve(port, access_log=target) as proxy:
                    if log == "a pipe whose reader leaves":
                        os.close(reader)
                        reader = -1
                    await load_for(1, proxy.address, connections=20, rate=1000)
                    memory = resident(proxy.pid)
                    outcome = await best_of_three(3, proxy.address, connections=20, rate=1000)
                    figures.exactly(f"{log}: failed requests", outcome.failed, 0)
                    figures.add(f"{log}: p99, ms", outcome.p99, at_most=max(2 * before.p99, CALM))
                    growth = resident(proxy.pid) - memory
                    figures.add(f"{log}: memory grew by, MB", growth / 1e6, at_most=20)
                    if not subject.is_envoy:
                        proxy.process.signal(signal.SIGTERM)
                        lost = await asyncio.to_thread(proxy.process.wait_for, r"(\d+) access log lines could not be")
                        figures.add(f"{log}: lost lines are counted", int(lost[1]), at_least=1000)
                    else:
                        assert is_alive(proxy.pid)
            finally:
                if reader >= 0:
                    os.close(reader)


FAKETIME = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"), None)


@pytest.mark.parametrize("step", ["+3600", "-3600"])
async def test_r31_clock_step(subject: Subject, figures: Figures, step: str, tmp_path: Path) -> None:
    """The clock is set by an hour while requests run and connections are idle"""
    if FAKETIME is None:
        pytest.skip("needs the Debian package libfaketime")
    if subject.is_envoy:
        pytest.skip("does not start under libfaketime")
    offset, log = tmp_path / "offset", tmp_path / "access.log"
    offset.write_text("+0\n")
    environment = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }

    async def after_a_second(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(1)
            writer.write(OK)

    prefix = ["env", *(f"{name}={value}" for name, value in environment.items())]
    async with backend(after_a_second) as endpoint:
        with subject.serve(endpoint.port, prefix=prefix, access_log=str(log)) as proxy:
            async with Client(proxy.address) as busy, Client(proxy.address) as idle, Client(proxy.address) as begun:
                await idle.send(GET)
                dates = [date_of(await idle.until(b"ok"))]
                await begun.send(GET[:10])
                await busy.send(GET)
                await asyncio.sleep(0.2)
                offset.write_text(f"{step}\n")
                started = time.monotonic()
                answers = [await busy.until(b"ok")]
                seconds = time.monotonic() - started
                await begun.send(GET[10:])
                answers.append(await begun.until(b"ok"))
                await idle.send(GET)
                answers.append(await idle.until(b"ok"))
                dates.append(date_of(answers[-1]))
                await asyncio.sleep(1.5)
                with contextlib.suppress(ConnectionError):
                    await idle.send(GET)
                    answers.append(await idle.until(b"ok"))
            assert is_alive(proxy.pid)
    good = sum(answer.startswith(b"HTTP/1.1 200 ") for answer in answers)
    figures.exactly(f"{step} s: of 4 requests answered 200", good, 4)
    figures.add(f"{step} s: the one that was under way took, s more", seconds, at_least=0.5, at_most=1.2)
    moved = dates[1] - dates[0]
    figures.add(f"{step} s: the date header moved by, s", moved, at_least=int(step) - 5, at_most=int(step) + 10)


def date_of(response: bytes) -> float:
    from email.utils import parsedate_to_datetime

    found = re.search(rb"\r\ndate: ([^\r]+)\r\n", response)
    assert found is not None
    return parsedate_to_datetime(found[1].decode()).timestamp()
