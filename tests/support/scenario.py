"""A listener and a backend in this process, for tests of the data path on real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from pyproxy.net.accept import Acceptor
from pyproxy.net.listener import HttpListener
from pyproxy.net.sockets import listen
from pyproxy.observe.request_log import RequestLog
from pyproxy.server.app import run as run_loop
from pyproxy.settings import Cluster, Endpoint, Listener, PathMatch, PathMatchType, Route, VirtualHost

GET = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"

T = TypeVar("T")


class Log:
    """An access log that keeps its records."""

    def __init__(self) -> None:
        self.records: list[RequestLog] = []

    def write(self, record: RequestLog) -> None:
        self.records.append(record)


@dataclass
class Proxy:
    """A running listener."""

    acceptor: Acceptor
    log: Log

    @property
    def listener(self) -> HttpListener:
        return self.acceptor.listener

    @property
    def address(self) -> tuple[str, int]:
        return self.acceptor.address


def run(main: Callable[[], Coroutine[Any, Any, None]], loop_name: str, *, seconds: float = 20) -> None:
    """Run a scenario on ``uvloop`` or ``asyncio``."""

    async def and_say_zero() -> int:
        async with asyncio.timeout(seconds):
            await main()
        return 0

    assert run_loop(and_say_zero, loop=loop_name) == 0


def settings_for(*endpoints: Endpoint, timeout: float = 15.0, connect_timeout: float = 10.0) -> Listener:
    """A listener on a free port whose every request goes to ``endpoints``."""
    cluster = Cluster("cluster", endpoints, connect_timeout)
    route = Route("route", PathMatch(PathMatchType.PREFIX, "/"), ((cluster, 1),), timeout=timeout)
    return Listener("default/eg/http", "127.0.0.1", 0, 80, (VirtualHost("all", ("*",), (route,)),))


@asynccontextmanager
async def proxy(settings: Listener, **http: Any) -> AsyncIterator[Proxy]:
    """The listener, running; ``http`` replaces options of its HTTP connection manager."""
    if http:
        settings = replace(settings, http=replace(settings.http, **http))
    log = Log()
    acceptor = Acceptor(listen(settings), http_listener(settings, log))
    try:
        yield Proxy(acceptor, log)
    finally:
        await acceptor.close()


def http_listener(settings: Listener, log: Log) -> HttpListener:
    """A listener that nothing accepts for yet."""
    return HttpListener(
        settings,
        loop=asyncio.get_running_loop(),
        node_address="192.0.2.9",
        access_log=log,
    )


Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def backend(handler: Handler) -> AsyncIterator[Endpoint]:
    """A backend that calls ``handler`` for each connection, and what it was sent last."""
    tasks: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks[asyncio.create_task(serve(reader, writer))] = writer

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    try:
        yield Endpoint("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()
        for _ in range(4):
            await asyncio.sleep(0)  # in which what has just been accepted comes to its task
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in tasks.values():
            writer.transport.abort()  # one that was cancelled before it began has not closed
        await asyncio.sleep(0)  # in which their sockets are closed


async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer every request without a body with OK."""
    while True:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)


class Client:
    """A raw connection to a proxy."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.address = address
        self.sock = socket.socket(socket.AF_INET6 if ":" in address[0] else socket.AF_INET)
        self.sock.setblocking(False)
        self._loop = asyncio.get_running_loop()

    async def __aenter__(self) -> Client:
        try:
            await self._loop.sock_connect(self.sock, self.address)
        except OSError:
            self.sock.close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.sock.close()

    async def send(self, data: bytes) -> None:
        await self._loop.sock_sendall(self.sock, data)

    async def receive(self, size: int = 65536) -> bytes:
        """Some bytes; empty at the end. Raises ``ConnectionResetError`` for a reset."""
        return await self._loop.sock_recv(self.sock, size)

    async def until(self, end: bytes, *, within: bool = False) -> bytes:
        """All bytes up to and with ``end``; ``within``: it may come in the middle of what is read."""
        data = b""
        while not (end in data if within else data.endswith(end)):
            piece = await self.receive()
            assert piece, f"the connection ended after {data!r}"
            data += piece
        return data

    async def to_the_end(self) -> bytes:
        """All bytes to the end of the connection."""
        data = b""
        while piece := await self.receive():
            data += piece
        return data


async def eventually(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait until ``condition`` holds."""
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.005)
