"""What every test is held to: it leaves no socket, process or thread behind."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.measure import open_sockets


def children() -> set[str]:
    """The child processes of this one, zombies included."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            found.update((task / "children").read_text().split())
    return found


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """Fail a test that leaves something behind."""
    sockets, processes, threads = open_sockets(), children(), set(threading.enumerate())
    yield
    deadline = time.monotonic() + 2
    while True:
        left = (open_sockets() - sockets, children() - processes, set(threading.enumerate()) - threads)
        if not any(left):
            return
        if time.monotonic() > deadline:
            break
        time.sleep(0.02)
    pytest.fail(f"left behind: sockets {left[0]}, processes {left[1]}, threads {left[2]}")


@pytest.fixture(params=["uvloop", "asyncio"])
def loop_name(request: pytest.FixtureRequest) -> str:
    """Each event loop in turn."""
    name: str = request.param
    return name
