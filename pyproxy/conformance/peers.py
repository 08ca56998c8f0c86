"""The two ends around a proxy: a client that sends exact bytes, and a backend that follows a script and records."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field

from pyproxy.conformance.messages import count_complete, messages, says_close
from pyproxy.net.sockets import reset_on_close

OK_REPLY = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-backend: 1\r\n\r\nok"

CLOSE_TIMEOUT = 2.5
"""Seconds to wait for the end of a connection that has been announced."""

BETWEEN_WRITES = 0.02
"""Seconds, so that each write is a read of its own."""

SETTLE = 0.03
"""Seconds for an end that nobody announced."""


@dataclass(frozen=True, slots=True)
class Script:
    """What the backend does."""

    replies: tuple[bytes, ...] = (OK_REPLY,)
    """Sent for the first, second … complete request, on whatever connection; the last one for all that follow."""
    at_head: bool = False
    """Answer when the head is there, not the body."""
    cuts: tuple[int, ...] = ()
    """Sizes of the writes in which a reply goes out; what is left is one more."""
    pauses: tuple[float, ...] = ()
    """Seconds before the first, second … reply."""
    then: str = "keep"
    """``keep``, ``close`` or ``reset`` the connection after a reply."""
    echo_tunnel: bool = False
    """Send back what comes after the first reply (an upgrade)."""


@dataclass(slots=True)
class Seen:
    """What one side of a case looked like."""

    received: bytes = b""
    """By the client."""
    end: str = "open"
    """``open``, ``fin`` or ``rst``, as the client saw its connection."""
    seconds: float = 0.0
    requests: list[bytes] = field(default_factory=list)
    """By the backend, a connection each, in the order of their first byte."""
    client: str = ""
    """The client's own address, as Envoy prints it."""
    listener: str = ""
    """The address that it connected to."""
    logged: list[tuple[str, str]] = field(default_factory=list)
    """(remote, local) address in the access log, for each request that the backend got; only where it is asked for."""


class Backend:
    """A scripted backend of one lane."""

    def __init__(self) -> None:
        self.script = Script()
        self.seen: Seen | None = None
        self.answered = 0
        """Requests, in the case at hand."""
        self._server: asyncio.Server | None = None
        self._connections: set[_BackendConnection] = set()

    async def start(self) -> int:
        """Listen on a free port, and return it."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _BackendConnection(self, self._connections), "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close_connections(self) -> bool:
        """End what is open, so that the next case starts afresh; whether there was anything."""
        any_open = bool(self._connections)
        for connection in list(self._connections):
            connection.transport.abort()
        return any_open

    def close(self) -> None:
        """Stop listening and end what is open."""
        if self._server is not None:
            self._server.close()
        self.close_connections()


class _BackendConnection(asyncio.Protocol):
    def __init__(self, backend: Backend, connections: set[_BackendConnection]) -> None:
        self._backend = backend
        self._connections = connections
        self._buffer = b""
        self._answered = False
        self._index: int | None = None
        self._head_answered = False
        self._tasks: set[asyncio.Task[None]] = set()
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        for task in self._tasks:
            task.cancel()

    def data_received(self, data: bytes) -> None:
        seen = self._backend.seen
        if seen is not None:
            if self._index is None or self._index >= len(seen.requests):
                self._index = len(seen.requests)
                seen.requests.append(b"")
            seen.requests[self._index] += data
        self._buffer += data
        script = self._backend.script
        if script.echo_tunnel and self._answered:
            self.transport.write(b"echo:" + data)
            return
        while self._take_request(script):
            task = asyncio.get_running_loop().create_task(self._answer(script, self._backend.answered))
            self._backend.answered += 1
            self._answered = True
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def _take_request(self, script: Script) -> bool:
        """Whether the buffer held another request to answer; it is taken out."""
        if b"\r\n\r\n" not in self._buffer:
            return False
        if script.at_head:
            if self._head_answered:
                return False
            self._head_answered = True
            return True
        first = next(messages(self._buffer))
        if not first.complete:
            return False
        self._buffer = self._buffer[len(first.head) + len(first.body) :]
        return True

    async def _answer(self, script: Script, number: int) -> None:
        if number < len(script.pauses):
            await asyncio.sleep(script.pauses[number])
        if script.replies:
            reply = script.replies[min(number, len(script.replies) - 1)]
            for at in script.cuts:
                self.transport.write(reply[:at])
                reply = reply[at:]
                await asyncio.sleep(BETWEEN_WRITES)
            self.transport.write(reply)
        if script.then == "close":
            self.transport.close()
        elif script.then == "reset":
            reset_on_close(self.transport.get_extra_info("socket"))
            self.transport.abort()


@asynccontextmanager
async def holding(address: tuple[str, int], count: int, send: bytes) -> AsyncIterator[None]:
    """``count`` connections to ``address`` that have sent ``send``, while the block runs."""
    with ExitStack() as stack:
        if count:
            await asyncio.sleep(0.05)  # for the proxy to see the end of those of the case before
        for _ in range(count):
            sock = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, address)
            if send:
                sock.send(send)
                await asyncio.sleep(0.05)  # for the proxy to read it
        yield


async def talk(
    address: tuple[str, int],
    steps: Sequence[bytes | float],
    *,
    responses: int,
    quiet: float,
    half_close: bool,
    to_head: Sequence[bool],
    seen: Seen,
    settle: float = SETTLE,
    see_end: bool = True,
) -> None:
    """Send ``steps`` (bytes, or seconds to pause) and record what comes back until it is clear that nothing will.

    That is: the connection has ended; or ``responses`` complete ones have come, and the end if they announce it; or
    nothing has come for ``quiet`` seconds. ``settle``: seconds in which an end that nobody announced is still waited
    for. ``see_end``: also wait for one that was.
    """
    loop = asyncio.get_running_loop()
    started = loop.time()
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await loop.sock_connect(sock, address)
        seen.client, seen.listener = ("{}:{}".format(*name) for name in (sock.getsockname(), address))
        sender = loop.create_task(_send(sock, steps, half_close=half_close))
        try:
            await _receive(sock, sender, responses, quiet, settle, seen, to_head=to_head, see_end=see_end)
        finally:
            sender.cancel()
            await asyncio.gather(sender, return_exceptions=True)
    except ConnectionError:
        seen.end = "rst"
    finally:
        seen.seconds = loop.time() - started
        sock.close()


async def _send(sock: socket.socket, steps: Sequence[bytes | float], *, half_close: bool) -> None:
    loop = asyncio.get_running_loop()
    for step in steps:
        if isinstance(step, bytes):
            await loop.sock_sendall(sock, step)
        else:
            await asyncio.sleep(step)
    if half_close:
        sock.shutdown(socket.SHUT_WR)


async def _receive(
    sock: socket.socket,
    sender: asyncio.Task[None],
    responses: int,
    quiet: float,
    settle: float,
    seen: Seen,
    *,
    to_head: Sequence[bool],
    see_end: bool,
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        if count_complete(seen.received, to_head) >= responses and sender.done():
            timeout = CLOSE_TIMEOUT if see_end and says_close(seen.received) else settle
        else:
            timeout = quiet
        try:
            async with asyncio.timeout(timeout):
                data = await loop.sock_recv(sock, 65536)
        except TimeoutError:
            if sender.done():
                return
            continue
        if not data:
            seen.end = "fin"
            return
        seen.received += data
