"""How connections are taken: for whom, a few at a time, so many at all, and none while descriptors are out."""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any, cast

import pytest

from pyproxy.net.accept import BACK_OFF, Acceptor
from pyproxy.net.listener import HttpListener
from pyproxy.net.sockets import listen
from tests.support.clock import FakeHandle, FakeLoop
from tests.support.scenario import (
    GET,
    Client,
    Log,
    answer_all,
    backend,
    eventually,
    http_listener,
    proxy,
    run,
    settings_for,
)


@contextmanager
def connected(address: tuple[str, int], count: int) -> Iterator[list[socket.socket]]:
    """Connections that the kernel has made: the loop gets no turn to accept them."""
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(address)) for _ in range(count)]


@pytest.mark.enforces("spec.connection.maxAcceptPerSocketEvent")
@pytest.mark.parametrize(("per_event", "turns"), [(1, [1] * 5), (2, [2, 2, 1]), (None, [5])])
@pytest.mark.interpreted
def test_how_many_are_accepted_before_others_get_their_turn(
    loop_name: str, per_event: int | None, turns: list[int]
) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        turn = 0
        made: list[int] = []

        def next_turn() -> None:
            nonlocal turn
            turn += 1
            if len(made) < 5:
                loop.call_soon(next_turn)

        settings = replace(settings_for(), max_connections_to_accept_per_socket_event=per_event)
        async with proxy(settings) as served:
            new_connection = served.listener.new_connection

            def count(*of_it: Any) -> Any:
                made.append(turn)
                return new_connection(*of_it)

            served.listener.new_connection = count  # type: ignore[assignment, method-assign]
            with connected(served.address, 5):
                next_turn()
                await eventually(lambda: len(made) == 5)
        assert [made.count(number) for number in sorted(set(made))] == turns

    run(main, loop_name)


def test_what_waits_in_the_kernel_is_still_the_former_listeners(loop_name: str) -> None:
    async def main() -> None:
        async with proxy(settings_for()) as served:
            former = served.listener
            with connected(served.address, 2):
                assert served.acceptor.replace(http_listener(former.settings, Log())) is former
                with connected(served.address, 1):
                    await eventually(lambda: bool(served.listener.connections))
                    await served.acceptor.settled()
                    assert (len(served.listener.connections), len(former.connections)) == (1, 2)
            await eventually(lambda: not former.connections)

    run(main, loop_name)


def test_the_port_is_free_when_it_has_stopped(loop_name: str) -> None:
    async def main() -> None:
        settings = settings_for()
        sock = listen(settings)
        stopped = Acceptor(sock, http_listener(settings, Log()))
        stopped.stop()
        stopped.stop()
        await stopped.settled()
        assert sock.fileno() == -1

    run(main, loop_name)


def test_a_connection_past_the_process_limit_is_closed_at_once(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint, proxy(settings_for(endpoint)) as served:
            connections = served.listener.global_connections
            connections.limit = 1
            async with Client(served.address) as first:
                await eventually(lambda: connections.active == 1)
                async with Client(served.address) as second:
                    assert await second.to_the_end() == b""
                assert connections.active == served.listener.listener_stats.downstream_global_cx_overflow == 1
                await first.send(GET)
                await first.until(b"ok")
            await eventually(lambda: connections.active == 0)
            async with Client(served.address) as third:
                await third.send(GET)
                await third.until(b"ok")

    run(main, loop_name)


class StarvedSocket:
    """A listening socket of a process that has no descriptor left."""

    def __init__(self) -> None:
        self.asked = 0
        self.closed = False

    def accept(self) -> tuple[socket.socket, Any]:
        self.asked += 1
        raise OSError(errno.EMFILE, "Too many open files")

    def getsockname(self) -> tuple[str, int]:
        return "127.0.0.1", 80

    def setsockopt(self, *option: int) -> None: ...

    def fileno(self) -> int:
        return -1 if self.closed else 3

    def close(self) -> None:
        self.closed = True


class ReaderLoop(FakeLoop):
    """A loop with one readable socket."""

    def __init__(self) -> None:
        super().__init__()
        self.reader: Callable[[], None] | None = None
        self.reported: list[dict[str, Any]] = []

    def add_reader(self, sock: object, callback: Callable[[], None]) -> None:
        self.reader = callback

    def remove_reader(self, sock: object) -> None:
        self.reader = None

    def call_later(self, delay: float, callback: Callable[..., None], *args: object) -> FakeHandle:
        return self.call_at(self.now + delay, lambda: callback(*args))

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.reported.append(context)

    def turn(self) -> None:
        if self.reader is not None:
            self.reader()


def test_without_descriptors_it_asks_again_only_after_a_while() -> None:
    loop, sock = ReaderLoop(), StarvedSocket()
    listener = HttpListener(
        replace(settings_for(), max_connections_to_accept_per_socket_event=None),
        loop=cast("asyncio.AbstractEventLoop", loop),
        node_address="192.0.2.9",
        access_log=None,
    )
    acceptor = Acceptor(cast("socket.socket", sock), listener)
    for _ in range(100):
        loop.turn()
    assert sock.asked == len(loop.reported) == 1
    assert isinstance(loop.reported[0]["exception"], OSError)
    for _ in range(3):
        loop.move_to(loop.now + BACK_OFF)
        loop.turn()
    assert sock.asked == 4
    assert listener.global_connections.active == 0
    acceptor.stop()
    assert sock.closed
    loop.move_to(loop.now + 10)
    assert loop.reader is None


@contextmanager
def no_descriptors() -> Iterator[None]:
    """Let this process have no more descriptors than it has now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with ExitStack() as stack:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(map(int, os.listdir("/proc/self/fd"))) + 8, hard))
        stack.callback(resource.setrlimit, resource.RLIMIT_NOFILE, (soft, hard))
        while True:
            try:
                stack.callback(os.close, os.dup(0))
            except OSError:
                break
        yield


def test_without_descriptors_connections_wait(loop_name: str, capsys: pytest.CaptureFixture[str]) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint, proxy(settings_for(endpoint)) as served:
            with connected(served.address, 1) as (client,):
                with no_descriptors():
                    client.sendall(GET)
                    await asyncio.sleep(0.1)
                    assert not served.listener.connections
                assert b"200 OK" in await asyncio.to_thread(client.recv, 1000)

    run(main, loop_name)
    assert capsys.readouterr().err.count("out of file descriptors") == 1
