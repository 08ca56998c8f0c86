"""Switching from settings to settings, and giving everything back."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

import pytest

from pyproxy.server.app import App, StopSignals, stop_gracefully
from pyproxy.server.listening import ListenSockets
from pyproxy.settings import Endpoint, Listener, Settings
from tests.support.scenario import GET, Client, answer_all, backend, eventually, run, settings_for

LISTENER = settings_for(Endpoint("127.0.0.1", 1))


class Server:
    """An app with its sockets, as a process has them."""

    def __init__(self, drain_time: float) -> None:
        self.sockets = ListenSockets()
        self.app = App(self.sockets.copy, access_log=None, drain_time=drain_time)

    async def serve(self, *listeners: Listener) -> None:
        self.sockets.bind(listeners)
        await self.app.serve(Settings(listeners))
        self.sockets.release(listeners)

    @property
    def address(self) -> tuple[str, int]:
        return next(iter(self.app._acceptors.values())).address


@asynccontextmanager
async def server(*listeners: Listener, drain_time: float = 30) -> AsyncIterator[Server]:
    running = Server(drain_time)
    try:
        await running.serve(*listeners)
        yield running
    finally:
        running.sockets.close()
        await running.app.close()


def test_two_signals(loop_name: str) -> None:
    async def main() -> None:
        async with server(LISTENER) as running, Client(running.address) as client:
            await client.send(b"GET / HT")
            await eventually(lambda: bool(running.app.listeners[0].connections))
            signals = StopSignals()
            signals.listen()
            os.kill(os.getpid(), signal.SIGTERM)
            await signals.asked.wait()
            asyncio.get_running_loop().call_later(0.05, os.kill, os.getpid(), signal.SIGINT)
            assert not await stop_gracefully(running.app, signals, 30)

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
        async with server(LISTENER) as running:
            assert await stop_gracefully(running.app, StopSignals(), 5)

    run(main, loop_name)


@pytest.mark.parametrize("connected", [False, True])
def test_two_signals_at_once(connected: bool, loop_name: str) -> None:
    async def main() -> None:
        async with server(LISTENER) as running, AsyncExitStack() as stack:
            if connected:
                await stack.enter_async_context(Client(running.address))
                await eventually(lambda: bool(running.app.listeners[0].connections))
            signals = StopSignals()
            signals.force()
            assert await stop_gracefully(running.app, signals, 30) is not connected

    run(main, loop_name)


def test_signals_at_the_very_end_do_not_change_the_exit_code(loop_name: str) -> None:
    program = f"""\
import os, signal, sys
from pyproxy.server.app import StopSignals, run_process

async def main():
    StopSignals().listen()
    return 7

code = run_process(main, loop={loop_name!r})
for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGQUIT):
    os.kill(os.getpid(), number)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=20, check=False)
    assert (done.returncode, done.stderr) == (7, "")


def test_connections_that_wait_to_be_accepted_are_served_while_draining(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint, server(settings_for(endpoint)) as running:
            async with Client(running.address) as client:
                # The loop has had no turn to accept it: a socket that is closed now would reset it.
                await client.send(GET)
                running.sockets.close()
                drain = asyncio.ensure_future(running.app.drain(10))
                assert b"connection: close\r\n" in await client.until(b"ok")
                await drain
            with pytest.raises(ConnectionRefusedError):
                async with Client(client.address):
                    pass

    run(main, loop_name)


def test_a_change_lets_open_connections_finish_on_the_old_settings(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint:
            old = settings_for(endpoint)
            old = replace(old, http=replace(old.http, drain_timeout=0.3, delayed_close_timeout=0.02))
            new = replace(old, http=replace(old.http, server_name=b"new"))
            async with server(old) as running, Client(running.address) as before:
                await before.send(GET)
                assert b"connection: close" not in await before.until(b"ok")
                await running.serve(new)
                async with Client(running.address) as after:
                    await after.send(GET)
                    reply = await after.until(b"ok")
                    assert b"server: new\r\n" in reply
                    assert b"connection: close\r\n" not in reply
                # As in Envoy, what a client sends that has not heard it yet is not lost.
                for _ in range(2):
                    await before.send(GET)
                    reply = await before.until(b"ok")
                    assert b"connection: close\r\n" in reply
                    assert b"server: new\r\n" not in reply
                assert await before.to_the_end() == b""
                await eventually(lambda: not running.app._former)

    run(main, loop_name)


def test_an_idle_connection_of_old_settings_stays_until_the_drain_time_is_up(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint:
            old = settings_for(endpoint)
            async with server(old, drain_time=0.3) as running, Client(running.address) as idle:
                await idle.send(GET)
                await idle.until(b"ok")
                await running.serve(replace(old, http=replace(old.http, server_name=b"new")))
                started = asyncio.get_running_loop().time()
                assert await idle.to_the_end() == b""
                assert asyncio.get_running_loop().time() - started > 0.25

    run(main, loop_name)


def test_a_change_of_routes_is_for_open_connections_too(loop_name: str) -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await release.wait()
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nold")

        async with backend(slow) as first, backend(answer_all) as second:
            async with server(settings_for(first)) as running:
                async with Client(running.address) as busy, Client(running.address) as idle:
                    await busy.send(GET)
                    await eventually(lambda: any(pool.busy for pool in running.app.listeners[0]._pools.values()))
                    await running.serve(settings_for(second))
                    await idle.send(GET)
                    assert b"connection: close" not in await idle.until(b"ok")
                    release.set()
                    assert b"connection: close" not in await busy.until(b"old")
                    await busy.send(GET)
                    await busy.until(b"ok")

    run(main, loop_name)


def test_a_listener_that_is_taken_away_and_one_that_comes(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint:
            first = settings_for(endpoint)
            first = replace(first, http=replace(first.http, drain_timeout=0.1, delayed_close_timeout=0.02))
            async with server(first) as running:
                async with Client(running.address) as client:
                    await client.send(GET)
                    await client.until(b"ok")
                    gone = running.address
                    await running.serve(replace(first, address="127.0.0.2"))
                    with pytest.raises(ConnectionRefusedError):
                        async with Client(gone):
                            pass
                    assert running.address[0] == "127.0.0.2"
                    await client.send(GET)
                    assert b"connection: close\r\n" in await client.to_the_end()

    run(main, loop_name)


def test_the_end_comes_while_old_connections_still_finish(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint:
            old = settings_for(endpoint)
            async with server(old) as running, Client(running.address) as client:
                await client.send(GET)
                await client.until(b"ok")
                await running.serve(replace(old, http=replace(old.http, server_name=b"new")))
                running.sockets.close()
                drain = asyncio.ensure_future(running.app.drain(10))
                await client.send(GET)
                assert b"connection: close\r\n" in await client.to_the_end()
                await drain

    run(main, loop_name)
