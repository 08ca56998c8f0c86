"""One of several processes that serve together: ``python -m pyproxy.server.worker OPTIONS``, started by ``workers``.

It does what its supervisor says over a channel, drains on SIGTERM and when the supervisor is gone, and ends at once on
SIGQUIT. SIGINT and SIGHUP, which a terminal sends to the whole group of processes, are the supervisor's affair.
"""

from __future__ import annotations

import asyncio
import fcntl
import gc
import json
import signal
import socket
import sys
from dataclasses import dataclass
from typing import Any

from pyproxy.observe.access_log import AccessLog
from pyproxy.observe.log_format import compile_format
from pyproxy.observe.stats import Stats
from pyproxy.server import log_levels
from pyproxy.server.app import App, StopSignals, run_process, stop_gracefully
from pyproxy.server.channel import Channel
from pyproxy.server.instruments import Instruments
from pyproxy.server.listening import Address
from pyproxy.server.tallies import Tallies
from pyproxy.server.terminal import say

EXIT_CUT_OFF = 4
"""Connections were cut off; otherwise the exit code is 0."""


@dataclass(frozen=True, slots=True)
class WorkerOptions:
    """What a worker needs to know before the first message. Descriptors are inherited."""

    number: int
    """Counts from 0."""
    workers: int
    loop: str
    drain_time: float
    channel: int
    tallies: int
    access_log: str | None
    """A path or ``-``."""
    access_log_format: str
    """As ``log_format.compile_format`` takes it."""
    access_log_turn: int
    """A file to lock while writing to the access log."""


class FileTurn:
    """One process at a time, for what several write to the same place; a process that ends gives its turn back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX)

    def __exit__(self, *exc: object) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)


class Worker:
    """Answers the supervisor's messages."""

    def __init__(
        self, options: WorkerOptions, access_log: AccessLog | None, stats: Stats, signals: StopSignals
    ) -> None:
        self._options = options
        self._signals = signals
        self._sockets: dict[Address, socket.socket] = {}
        self._tallies = Tallies(options.workers, descriptor=options.tallies)
        self.app = App(
            self._sockets.pop,
            access_log=access_log,
            drain_time=options.drain_time,
            stats=stats,
            tallies=lambda address: self._tallies.of(address, options.number),
            ids=self._tallies.ids(options.number),
        )
        self.instruments = Instruments(self.app, access_log=access_log, worker=options.number)

    async def follow(self, channel: Channel) -> None:
        """Do what the supervisor says until it is gone."""
        try:
            await channel.send((0, "here"))
            while True:
                (number, verb, argument), sockets = await channel.receive()
                await channel.send((number, await self._do(verb, argument, sockets)))
        except (EOFError, OSError):
            pass  # nobody is left to answer to
        finally:
            self._signals.asked.set()

    async def _do(self, verb: str, argument: Any, sockets: list[socket.socket]) -> Any:
        """What the supervisor asks for, and the answer."""
        if verb != "serve":
            return self.instruments.answer(verb, argument)
        settings, rows, addresses = argument
        for sock in sockets:
            sock.setblocking(False)
        self._sockets |= dict(zip(addresses, sockets, strict=True))
        self._tallies.rows = rows
        is_first = not self.app.settings.listeners
        await self.app.serve(settings)
        if is_first:
            gc.collect()
            gc.freeze()
        return "served"


async def _work(options: WorkerOptions) -> int:
    log_levels.set_up()
    stats = Stats()
    access_log = None
    if options.access_log is not None:
        formatter, turn = compile_format(options.access_log_format), FileTurn(options.access_log_turn)
        access_log = AccessLog(options.access_log, formatter, stats.files, turn=turn)
    signals = StopSignals()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, signals.asked.set)
    loop.add_signal_handler(signal.SIGQUIT, signals.force)
    channel = Channel(socket.socket(fileno=options.channel))
    worker = Worker(options, access_log, stats, signals)
    loop.add_signal_handler(signal.SIGUSR1, worker.instruments.reopen_logs)
    following = loop.create_task(worker.follow(channel), name="channel")
    try:
        await signals.asked.wait()
        finished = await stop_gracefully(worker.app, signals, options.drain_time)
    finally:
        following.cancel()
        (error,) = await asyncio.gather(following, return_exceptions=True)
        if isinstance(error, Exception):
            say(f"pyproxy: worker {options.number}: internal error: {error!r}; please report it")
        channel.close()
        if access_log is not None:
            await asyncio.to_thread(access_log.close)
            if access_log.lost:
                say(f"pyproxy: worker {options.number}: {access_log.lost} access log lines could not be written")
    return 0 if finished else EXIT_CUT_OFF


def main() -> None:
    """Serve until the supervisor says otherwise."""
    options = WorkerOptions(**json.loads(sys.argv[1]))
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.exit(run_process(lambda: _work(options), loop=options.loop))


if __name__ == "__main__":
    main()
