"""Several processes that serve the same listeners, and the one that starts, tells, counts and replaces them.

As in Envoy, each worker has a listening socket of its own for each address (SO_REUSEPORT), and the kernel spreads the
connections. The supervisor keeps all of them open: connections to a worker that has died wait for its successor.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from asyncio.subprocess import Process
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from socket import socket
from typing import Any

from pyproxy.server.channel import Channel
from pyproxy.server.listening import Address, ListenSockets, StartError, address_of
from pyproxy.server.modules import as_process
from pyproxy.server.tallies import Tallies
from pyproxy.server.terminal import say
from pyproxy.server.worker import WorkerOptions
from pyproxy.settings import Settings

ANSWER_TIMEOUT = 30.0
"""Seconds that a worker has for an answer, its first one too; one that takes longer is replaced."""

LOOK_TIMEOUT = 2.0
"""Seconds that a worker has to say what whoever looks at the admin waits for; Prometheus waits 10."""

FORCED_EXIT = 5.0
"""Seconds that a worker has to end when it is to end at once."""

PAUSES = (0.0, 0.1, 0.3, 1.0)
"""Seconds before a worker is replaced: after its first end, its second in a row, and so on."""

LONG_ENOUGH = 10.0
"""Seconds of life after which a worker's end is not one more in a row."""


@dataclass(frozen=True, slots=True)
class WorkersOptions:
    """What all workers have in common."""

    count: int
    loop: str
    drain_time: float
    access_log: str | None
    """A path or ``-``."""
    access_log_format: str
    """As ``log_format.compile_format`` takes it."""


class Workers:
    """The workers, as one ``Engine``."""

    def __init__(self, options: WorkersOptions, sockets: ListenSockets) -> None:
        self._options = options
        self._sockets = sockets
        self._settings = Settings(())
        self._tallies = Tallies(options.count)
        self._turn = os.memfd_create("access log turn", os.MFD_CLOEXEC)
        self._telling = asyncio.Lock()
        """Held while settings or orders change, so that a worker that starts meanwhile gets the new ones."""
        self._orders: dict[str, Any] = {}
        self._keepers: list[asyncio.Task[None]] = []
        self._processes: dict[int, Process] = {}
        self._ready: dict[int, _Worker] = {}
        self._everyone_is_ready = asyncio.Event()
        self._stopping = asyncio.Event()
        self._ending: list[Process] = []
        """Those that served when they were told to stop."""

    async def serve(self, settings: Settings) -> None:
        """Have every worker serve ``settings`` from now on. Raises ``StartError`` if the first ones do not start."""
        async with self._telling:
            self._tallies.assign(self._settings, settings)
            self._settings = settings
            await asyncio.gather(*map(self._tell, self._ready.values()))
        if not self._keepers:
            await self._start()

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()
        for number in range(self._options.count):
            self._keepers.append(loop.create_task(self._keep(number), name=f"worker {number}"))
        ready = loop.create_task(self._everyone_is_ready.wait())
        await asyncio.wait((ready, *self._keepers), return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            raise StartError("a worker ended while it started")

    @property
    def processes(self) -> set[int]:
        """Implements ``process.Serving``."""
        return {worker.process.pid for worker in self._ready.values()}

    async def ask(self, verb: str, argument: Any = None) -> list[Any]:
        """The answer of each worker that gives one soon."""
        answers = await asyncio.gather(*(worker.look(verb, argument) for worker in self._ready.values()))
        return [answer for answer in answers if answer is not None]

    async def tell(self, verb: str, argument: Any = None) -> None:
        """Have each worker do something, those that start later too."""
        async with self._telling:
            self._orders[verb] = argument
            await asyncio.gather(*(worker.ask(verb, argument) for worker in self._ready.values()))

    async def drain(self, seconds: float) -> None:
        """Have every worker drain, for as long at most."""
        self._stop(signal.SIGTERM)
        await asyncio.wait(self._keepers, timeout=seconds + FORCED_EXIT)

    async def close(self) -> bool:
        """End every worker at once; whether none of them cut a connection off."""
        self._stop(signal.SIGQUIT)
        if self._keepers:
            _, late = await asyncio.wait(self._keepers, timeout=FORCED_EXIT)
            self._signal(signal.SIGKILL)
            await asyncio.gather(*late)
            self._keepers.clear()
            self._tallies.close()
            os.close(self._turn)
        return all(process.returncode == 0 for process in self._ending)

    def _stop(self, number: signal.Signals) -> None:
        if not self._stopping.is_set():
            self._stopping.set()
            self._ending = [worker.process for worker in self._ready.values()]
        self._signal(number)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)

    # -- one worker -----------------------------------------------------------------------------------------------

    async def _keep(self, number: int) -> None:
        """Have a worker of this number until all are to end."""
        loop = asyncio.get_running_loop()
        ends = 0
        while not self._stopping.is_set():
            started = loop.time()
            code = await self._run(number)
            self._tallies.clear(number)
            if self._stopping.is_set() or not self._everyone_is_ready.is_set():
                return
            ends = 1 if loop.time() - started > LONG_ENOUGH else ends + 1
            say(f"pyproxy: worker {number} {_describe(code)}; another one takes its place")
            await self._pause(PAUSES[min(ends, len(PAUSES)) - 1])

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            pass

    async def _run(self, number: int) -> int:
        """Start a worker, let it serve what the others do, and wait for its end; its exit code."""
        ours, theirs = Channel.pair()
        channel = Channel(ours)
        try:
            with theirs:
                process = self._processes[number] = await self._spawn(number, theirs)
            if self._stopping.is_set():
                self._signal(signal.SIGTERM)
            worker = _Worker(number, process, channel)
            try:
                if await worker.is_there():
                    async with self._telling:
                        await self._tell(worker)
                        for verb, argument in self._orders.items():
                            await worker.ask(verb, argument)
                        self._ready[number] = worker
                if len(self._ready) == self._options.count:
                    self._everyone_is_ready.set()
                return await process.wait()
            finally:
                self._ready.pop(number, None)
                worker.forget()
        finally:
            channel.close()

    async def _spawn(self, number: int, channel: socket) -> Process:
        options = WorkerOptions(
            number=number,
            workers=self._options.count,
            loop=self._options.loop,
            drain_time=self._options.drain_time,
            channel=channel.fileno(),
            tallies=self._tallies.descriptor,
            access_log=self._options.access_log,
            access_log_format=self._options.access_log_format,
            access_log_turn=self._turn,
        )
        command, environment = as_process("pyproxy.server.worker", json.dumps(asdict(options)))
        inherited = (channel.fileno(), self._tallies.descriptor, self._turn)
        return await asyncio.create_subprocess_exec(
            *command, env=environment, pass_fds=inherited, stdin=asyncio.subprocess.DEVNULL
        )

    async def _tell(self, worker: _Worker) -> None:
        """Have ``worker`` serve the settings, with sockets for those addresses that it has none for."""
        addresses = [address_of(listener) for listener in self._settings.listeners]
        new = [address for address in addresses if address not in worker.addresses]
        sockets = [self._sockets.copy(address, worker.number) for address in new]
        try:
            await worker.ask("serve", (self._settings, dict(self._tallies.rows), new), sockets)
        finally:
            for sock in sockets:
                sock.close()
        worker.addresses = set(addresses)


class _Worker:
    """A process that can be asked."""

    def __init__(self, number: int, process: Process, channel: Channel) -> None:
        self.number = number
        self.process = process
        self.addresses: set[Address] = set()
        """Those that it listens on."""
        self._channel = channel
        self._asking = asyncio.Lock()
        self._asked = 0
        self._late: dict[str, asyncio.Task[Any]] = {}
        """By the verb, the question that was asked last, if its answer did not come soon."""

    async def is_there(self) -> bool:
        """Whether it has started; else it is ended."""
        return await self._exchange(None, ()) is not None

    async def ask(self, verb: str, argument: Any = None, sockets: Sequence[socket] = ()) -> Any:
        """Its answer; ``None`` from one that gives none in time, which is ended."""
        async with self._asking:
            self._asked += 1
            return await self._exchange((self._asked, verb, argument), sockets)

    async def look(self, verb: str, argument: Any = None) -> Any:
        """Its answer; ``None`` where it does not come soon. It is not asked again then, but waited for."""
        question = self._late.pop(verb, None)
        if question is None or question.done():
            question = asyncio.ensure_future(self.ask(verb, argument))
        await asyncio.wait((question,), timeout=LOOK_TIMEOUT)
        if not question.done():
            self._late[verb] = question
        return question.result() if question.done() and not question.cancelled() else None

    def forget(self) -> None:
        """Wait for no answers any more."""
        for question in self._late.values():
            question.cancel()

    async def _exchange(self, message: tuple[int, str, Any] | None, sockets: Sequence[socket]) -> Any:
        try:
            async with asyncio.timeout(ANSWER_TIMEOUT):
                if message is not None:
                    await self._channel.send(message, sockets)
                while True:
                    (number, answer), _ = await self._channel.receive()
                    if number == self._asked:  # else that to a question that was given up
                        return answer
        except (EOFError, OSError):  # TimeoutError is one
            with contextlib.suppress(ProcessLookupError):
                self.process.kill()
            return None


def _describe(code: int) -> str:
    return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
