"""Restarts under load on a socket that a service manager keeps."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from time import monotonic

from tests.support.load import Outcome, fast_backend, load
from tests.support.processes import Running, gateway, serving


class Order(Enum):
    """Who comes and goes first."""

    NEW_FIRST = "new one first"
    OLD_FIRST = "old one first"


@dataclass(slots=True)
class Restarted:
    """How it went."""

    outcome: Outcome
    exit_codes: list[int] = field(default_factory=list)
    stopped_after: list[float] = field(default_factory=list)
    """Seconds from each SIGTERM to the process's end."""


@asynccontextmanager
async def serving_beside(*arguments: str | Path, listening: socket.socket | None = None) -> AsyncIterator[Running]:
    """``serving``, without holding up the loop."""
    context = serving(*arguments, listening=listening)
    server = await asyncio.to_thread(context.__enter__)
    try:
        yield server
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


async def restart(folder: Path, order: Order, *, times: int, rate: float, flags: Sequence[str] = ()) -> Restarted:
    """Restart ``times`` times under a load of ``rate`` requests a second, half of them on connections of their own."""
    async with fast_backend() as backend:
        with socket.create_server(("127.0.0.1", 0), backlog=4096) as sock:
            address = sock.getsockname()
            file = folder / "gateway.yaml"
            file.write_text(gateway(address[1], backend))
            arguments = ["-f", str(file), "--access-log", "off", *flags]
            async with AsyncExitStack() as stack:
                server = await stack.enter_async_context(serving_beside(*arguments, listening=sock))
                clients = await stack.enter_async_context(load(address, connections=20, fresh=20, rate=rate))
                result = Restarted(Outcome())
                for _ in range(times):
                    await asyncio.sleep(0.5)
                    if order is Order.OLD_FIRST:
                        await _stop(server, result)
                    old, server = server, await stack.enter_async_context(serving_beside(*arguments, listening=sock))
                    if order is Order.NEW_FIRST:
                        await _stop(old, result)
                await asyncio.sleep(0.5)
                result.outcome = await clients.stop()
    return result


async def _stop(server: Running, result: Restarted) -> None:
    started = monotonic()
    server.signal(signal.SIGTERM)
    result.exit_codes.append(await asyncio.to_thread(server.process.wait, 15))
    result.stopped_after.append(monotonic() - started)
