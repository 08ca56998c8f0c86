"""Starting, and giving everything back."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
from dataclasses import replace

import pytest

from pyproxy.server.app import App, StartError, StopSignals, stop_gracefully
from pyproxy.settings import Endpoint, Settings
from tests.support.scenario import Client, eventually, run, settings_for

LISTENER = settings_for(Endpoint("127.0.0.1", 1))


def test_a_port_that_is_taken(loop_name: str) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            app = App(Settings((LISTENER, replace(LISTENER, port=port))))
            with pytest.raises(StartError, match=f"can't listen on 127.0.0.1 port {port}: Address already in use"):
                await app.start()

    run(main, loop_name)


def test_two_signals(loop_name: str) -> None:
    async def main() -> None:
        app = App(Settings((LISTENER,)))
        await app.start()
        async with Client(app.listeners[0].address) as client:
            await client.send(b"GET / HT")
            await eventually(lambda: bool(app.listeners[0].connections))
            with StopSignals() as signals:
                os.kill(os.getpid(), signal.SIGTERM)
                await signals.asked.wait()
                asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
                assert not await stop_gracefully(app, signals, 30)
        assert app.draining

    run(main, loop_name)


def test_what_should_not_happen_is_one_line(loop_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        def broken() -> None:
            raise RuntimeError("no")

        def starved() -> None:
            raise OSError(errno.EMFILE, "Too many open files")

        for callback in (broken, broken, starved, starved):
            asyncio.get_running_loop().call_soon(callback)
        await asyncio.sleep(0.01)

    run(main, loop_name)
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("pyproxy: internal error: RuntimeError('no') (")
    assert second.startswith("pyproxy: out of file descriptors")


def test_one_signal(loop_name: str) -> None:
    async def main() -> None:
        app = App(Settings((LISTENER,)))
        await app.start()
        with StopSignals() as signals:
            assert await stop_gracefully(app, signals, 5)

    run(main, loop_name)
