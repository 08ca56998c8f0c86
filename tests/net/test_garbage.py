"""Connections and requests leave nothing for the garbage collector, whose pauses every other client would feel."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from pyproxy.net.sockets import reset_on_close
from pyproxy.settings import Endpoint
from tests.support.scenario import GET, OK, Client, Handler, answer_all, backend, proxy, run, settings_for

CHUNKED = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"


async def answer_and_close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(OK)


async def close_at_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")


async def switch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nok")
    await reader.read()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.read()


@contextmanager
def garbage() -> Iterator[Counter[str]]:
    """Counts the types of pyproxy's objects that only the collector can free."""
    found: Counter[str] = Counter()
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found.update(kind for kind in map(_kind, gc.garbage) if kind.startswith("pyproxy."))
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def _kind(thing: object) -> str:
    return f"{type(thing).__module__}.{type(thing).__qualname__}"


@pytest.mark.parametrize(
    ("handler", "request_bytes", "reset"),
    [
        (answer_all, GET, False),
        (answer_all, GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"), False),
        (answer_all, b"", False),
        (answer_all, b"GET", False),
        (answer_all, b"GET\r\n\r\n", False),
        (answer_all, b"GET / HTTP/1.1\r\n\r\n", False),
        (answer_all, CHUNKED, False),
        (answer_and_close, GET, False),
        (close_at_once, GET, False),
        (switch, UPGRADE + b"early", False),
        (silent, GET, True),
        (silent, GET, False),
        (None, GET, False),
    ],
)
def test_a_connection_leaves_no_cycles(
    loop_name: str, handler: Handler | None, request_bytes: bytes, reset: bool
) -> None:
    async def main() -> None:
        times = {"delayed_close_timeout": 0.02, "timeout": 0.05}
        async with backend(handler or silent) as endpoint:
            if handler is None:
                endpoint = Endpoint("127.0.0.1", 1)
            settings = settings_for(endpoint, timeout=times.pop("timeout"))
            async with proxy(settings, **times) as served:

                async def visit() -> None:
                    async with Client(served.address) as client:
                        await client.send(request_bytes)
                        with suppress(TimeoutError, ConnectionError):
                            async with asyncio.timeout(0.1):
                                await client.to_the_end()
                        if reset:
                            reset_on_close(client.sock)

                await visit()
                with garbage() as found:
                    for _ in range(3):
                        await visit()
                    while served.listener.connections:
                        await asyncio.sleep(0.005)
                assert not found

    run(main, loop_name)
