"""Messages and sockets between processes."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager

import pytest

from pyproxy.server.channel import MAX_DESCRIPTORS, Channel
from tests.support.scenario import run


@asynccontextmanager
async def channels() -> AsyncIterator[tuple[Channel, Channel]]:
    one, other = map(Channel, Channel.pair())
    try:
        yield one, other
    finally:
        one.close()
        other.close()


def test_a_message_of_any_length(loop_name: str) -> None:
    async def main() -> None:
        async with channels() as (one, other):
            for message in (None, ("serve", list(range(100))), "x" * 3_000_000):
                await one.send(message)
                assert await other.receive() == (message, [])
            await other.send("answer")
            assert await one.receive() == ("answer", [])

    run(main, loop_name)


@pytest.mark.parametrize("count", [1, MAX_DESCRIPTORS - 1, MAX_DESCRIPTORS, 2 * MAX_DESCRIPTORS + 5])
def test_sockets_go_along(loop_name: str, count: int) -> None:
    async def main() -> None:
        async with channels() as (one, other):
            with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as stack:
                copies = [stack.enter_context(listening.dup()) for _ in range(count)]
                await one.send("sockets", copies)
                message, received = await other.receive()
                for sock in received:
                    stack.enter_context(sock)
                assert message == "sockets"
                assert {sock.getsockname() for sock in received} == {listening.getsockname()}
                assert len(received) == count
                assert not any(os.get_inheritable(sock.fileno()) for sock in received)

    run(main, loop_name)


def test_a_reader_who_takes_his_time_and_one_who_is_gone(loop_name: str) -> None:
    async def main() -> None:
        async with channels() as (one, other):

            async def send_many() -> None:
                for number in range(2000):
                    await one.send(number)

            sending = asyncio.ensure_future(send_many())
            await asyncio.sleep(0.1)
            assert not sending.done()
            assert [(await other.receive())[0] for _ in range(2000)] == list(range(2000))
            await sending
            receiving = asyncio.ensure_future(other.receive())
            await asyncio.sleep(0.01)
            one.close()
            with pytest.raises(EOFError):
                await receiving
            with pytest.raises(OSError):
                await other.send("anybody?")

    run(main, loop_name)
