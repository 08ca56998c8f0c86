"""Well-behaved clients in a process of their own.

They send GETs and POSTs until standard input ends, honour ``connection: close``, reconnect, and count what does
not come back as a whole 200. A process of its own, so that what a test does meanwhile does not show in the times.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, field
from typing import cast

from pyproxy.settings import HttpOptions
from pyproxy.wire.http1 import RequestReader
from pyproxy.wire.messages import RequestHead
from tests.support.processes import ROOT
from tests.support.scenario import OK

REQUEST_TIMEOUT = 20.0
_LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n")


@dataclass(slots=True)
class Outcome:
    """What came of the requests."""

    ok: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    """How often something else than a whole 200 came, by what it was."""
    connections: int = 0
    told_to_close: int = 0
    """Responses with ``connection: close``."""
    p50: float = 0.0
    """Milliseconds."""
    p99: float = 0.0
    worst: float = 0.0

    @property
    def failed(self) -> int:
        return sum(self.failures.values())


class Load:
    """Clients that are running."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def stop(self) -> Outcome:
        """Let the requests that have begun end; what came of all of them."""
        said, _ = await self._process.communicate(b"")
        assert self._process.returncode == 0, "the load generator failed"
        return Outcome(**json.loads(said))


@asynccontextmanager
async def load(
    address: tuple[str, int], *, connections: int = 20, fresh: int = 0, rate: float = 0, path: str = "/"
) -> AsyncIterator[Load]:
    """Run clients that send ``rate`` requests a second together; 0 is as many as they can.

    ``connections`` of them keep theirs; ``fresh`` more open one for each request.
    """
    arguments = [address[0], str(address[1]), str(connections), str(fresh), str(rate), path]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.support.load", *arguments, cwd=ROOT,
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield Load(process)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def load_for(seconds: float, address: tuple[str, int], **options: float) -> Outcome:
    """What ``load`` gives in ``seconds``."""
    async with load(address, **options) as clients:  # type: ignore[arg-type]
        await asyncio.sleep(seconds)
        return await clients.stop()


_BACKEND_OPTIONS = HttpOptions(max_request_headers_bytes=1 << 20, max_headers=1000)


async def best_of_three(seconds: float, address: tuple[str, int], *, connections: int, rate: float) -> Outcome:
    """``load_for`` in three parts: all requests, but the times of the part in which other processes disturbed least."""
    parts = [await load_for(seconds / 3, address, connections=connections, rate=rate) for _ in range(3)]
    best = min(parts, key=lambda part: part.p99)
    for part in parts:
        if part is not best:
            best.ok += part.ok
            best.failures = dict(Counter(best.failures) + Counter(part.failures))
    return best


class _AnswerAtOnce(asyncio.Protocol):
    def __init__(self, connections: set[_AnswerAtOnce]) -> None:
        self._connections = connections
        self._reader = RequestReader(_BACKEND_OPTIONS)
        self.transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self._connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)

    def data_received(self, data: bytes) -> None:
        self._reader.receive(data)
        while True:
            if self._reader.body_complete:
                head = self._reader.read_head()
                if head is None:
                    return
                assert isinstance(head, RequestHead), head
            if not self._reader.body_complete:
                self._reader.read_body()
            if not self._reader.body_complete:
                return
            self.transport.write(OK)


@asynccontextmanager
async def fast_backend() -> AsyncIterator[int]:
    """A backend on loopback that answers every request with OK and does nothing else; its port."""
    connections: set[_AnswerAtOnce] = set()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _AnswerAtOnce(connections), "127.0.0.1", 0, backlog=4096)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        while connections:
            for connection in connections:
                connection.transport.abort()
            await asyncio.sleep(0)
        await server.wait_closed()


class _Clients:
    def __init__(self, host: str, port: int, connections: int, fresh: int, rate: float, path: str) -> None:
        self._address = (host, port)
        self._kept = connections
        self._clients = connections + fresh
        self._interval = self._clients / rate if rate else 0.0
        self._requests = itertools.cycle(
            head.encode() + body
            for head, body in (
                (f"GET {path} HTTP/1.1\r\nHost: h\r\n\r\n", b""),
                (f"POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\n", b"x" * 1000),
                (f"GET {path} HTTP/1.1\r\nHost: h\r\nUser-Agent: load\r\nAccept: */*\r\n\r\n", b""),
                (f"POST {path} HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n"),
            )
        )
        self._stopping = asyncio.Event()
        self._times: list[float] = []
        self._connections = 0
        self._told_to_close = 0
        self._failures: Counter[str] = Counter()

    async def run(self) -> Outcome:
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._wait_for_end, args=(loop,), daemon=True).start()
        await asyncio.gather(*(self._client(number) for number in range(self._clients)))
        times = sorted(self._times) or [0.0]
        return Outcome(
            ok=len(self._times),
            failures=dict(self._failures),
            connections=self._connections,
            told_to_close=self._told_to_close,
            p50=1000 * times[len(times) // 2],
            p99=1000 * times[len(times) * 99 // 100],
            worst=1000 * times[-1],
        )

    def _wait_for_end(self, loop: asyncio.AbstractEventLoop) -> None:
        sys.stdin.buffer.read()
        loop.call_soon_threadsafe(self._stopping.set)

    async def _client(self, number: int) -> None:
        next_at = time.monotonic() + self._interval * number / self._clients
        while not self._stopping.is_set():
            try:
                reader, writer = await asyncio.open_connection(*self._address)
            except OSError as error:
                self._failures[type(error).__name__] += 1
                await asyncio.sleep(0.01)
                continue
            self._connections += 1
            try:
                keep = True
                while keep and not self._stopping.is_set():
                    if self._interval:
                        await self._sleep_until(next_at)
                        next_at += self._interval
                        if self._stopping.is_set():
                            break
                    if reader.at_eof() or writer.is_closing():
                        break  # the proxy has closed an idle connection
                    keep = await self._request_once(reader, writer) and number < self._kept
            finally:
                writer.close()

    async def _sleep_until(self, when: float) -> None:
        delay = when - time.monotonic()
        if delay > 0:
            try:
                async with asyncio.timeout(delay):
                    await self._stopping.wait()
            except TimeoutError:
                pass

    async def _request_once(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can take another request."""
        started = time.monotonic()
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT):
                writer.write(next(self._requests))
                head = await reader.readuntil(b"\r\n\r\n")
                length = _LENGTH.search(head)
                await reader.readexactly(int(length[1]) if length else 0)
        except (OSError, EOFError, TimeoutError, RuntimeError) as error:  # uvloop's for a connection that is gone
            self._failures[type(error).__name__] += 1
            return False
        close = b"\r\nconnection: close\r\n" in head
        self._told_to_close += close
        if head.startswith(b"HTTP/1.1 200 "):
            self._times.append(time.monotonic() - started)
        else:
            self._failures[head[9:12].decode()] += 1
        return not close


async def _main() -> None:
    host, port, connections, fresh, rate, path = sys.argv[1:]
    outcome = await _Clients(host, int(port), int(connections), int(fresh), float(rate), path).run()
    print(json.dumps(asdict(outcome)))  # noqa: T201


if __name__ == "__main__":
    import uvloop

    uvloop.run(_main())
