"""What one process serves: its listeners, taking further settings, draining; and the signals that ask for it."""

from __future__ import annotations

import asyncio
import errno
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol

from pyproxy.net.accept import Acceptor, GlobalConnections
from pyproxy.net.listener import HttpListener, Orders
from pyproxy.net.sockets import node_address
from pyproxy.net.tally import ConnectionIds, Tally
from pyproxy.observe.access_log import AccessLog
from pyproxy.observe.stats import Stats
from pyproxy.server.beside_traffic import beside_traffic
from pyproxy.server.changes import Change, What, compare
from pyproxy.server.listening import Address, address_of
from pyproxy.settings import Listener, Settings

TakeSocket = Callable[[Address], socket.socket]
"""Gives a listening socket for an address; the caller closes it."""

TakeTally = Callable[[Address | None], Tally]
"""Gives what counts the limited connections of the listener at an address; ``None``: all of the process's."""


@dataclass(frozen=True, slots=True)
class _Switch:
    """A change from settings to settings, ready to be made."""

    settings: Settings
    changes: list[Change]
    listeners: dict[Address, HttpListener]
    """For each change but REMOVED."""


class App:
    """Serves the settings it is given last; connections of earlier ones finish on theirs."""

    def __init__(
        self,
        sockets: TakeSocket,
        *,
        access_log: AccessLog | None,
        drain_time: float,
        stats: Stats | None = None,
        tallies: TakeTally = lambda address: Tally(),
        ids: ConnectionIds | None = None,
    ) -> None:
        """``drain_time``: seconds that connections get which newer settings leave behind."""
        self.settings = Settings(())
        self.stats = stats or Stats()
        self.orders = Orders()
        """What the admin asks of the listeners."""
        self._loop = asyncio.get_running_loop()
        self._node_address = node_address()
        self._sockets = sockets
        self._access_log = access_log
        self._drain_time = drain_time
        self._tallies = tallies
        self._connections = GlobalConnections(tally=tallies(None), ids=ids)
        self._acceptors: dict[Address, Acceptor] = {}
        self._former: dict[HttpListener, asyncio.Task[None]] = {}
        """Listeners that take no more connections, and what waits for their last."""

    @property
    def listeners(self) -> list[HttpListener]:
        """Those that take connections."""
        return [acceptor.listener for acceptor in self._acceptors.values()]

    @property
    def all_listeners(self) -> list[HttpListener]:
        """These, and those that newer settings have left behind."""
        return [*self.listeners, *self._former]

    async def serve(self, settings: Settings) -> None:
        """Serve ``settings`` from now on, whose sockets can all be had."""
        self._switch(await beside_traffic(self._prepare, settings))

    def _prepare(self, settings: Settings) -> _Switch:
        """What it takes to serve ``settings`` instead of those now in force; the slow part, in any thread."""
        changes = compare(self.settings, settings)
        new = [change.listener for change in changes if change.what is not What.REMOVED]
        made = {address_of(listener): self._listener(listener, settings.node_cluster) for listener in new}
        return _Switch(settings, changes, made)

    def _switch(self, to: _Switch) -> None:
        """Make the change."""
        for change in to.changes:
            address = address_of(change.listener)
            match change.what:
                case What.ADDED:
                    self._acceptors[address] = Acceptor(self._sockets(address), to.listeners[address])
                case What.ROUTES:
                    self._acceptors[address].listener.take_routes(to.listeners[address])
                case What.CHANGED:
                    acceptor = self._acceptors[address]
                    self._retire(acceptor, acceptor.replace(to.listeners[address]))
                case What.REMOVED:
                    acceptor = self._acceptors.pop(address)
                    acceptor.stop()
                    self._retire(acceptor, acceptor.listener)
        self.settings = to.settings
        self._connections.limit = to.settings.max_active_downstream_connections

    def _listener(self, settings: Listener, node_cluster: str) -> HttpListener:
        return HttpListener(
            settings,
            loop=self._loop,
            node_address=self._node_address,
            node_cluster=node_cluster,
            access_log=self._access_log,
            stats=self.stats,
            orders=self.orders,
            global_connections=self._connections,
            limited=self._tallies(address_of(settings)),
        )

    def _retire(self, acceptor: Acceptor, listener: HttpListener) -> None:
        async def finish() -> None:
            await acceptor.settled()
            await listener.retire(self._drain_time)
            del self._former[listener]

        self._former[listener] = self._loop.create_task(finish(), name=f"retire {listener.settings.name}")

    async def drain(self, seconds: float) -> None:
        """Take no more connections and let those there are finish, for as long at most."""
        self.stop_accepting()
        for acceptor in self._acceptors.values():
            await acceptor.settled()
        await asyncio.gather(*(listener.drain(seconds) for listener in self.all_listeners))

    def stop_accepting(self) -> None:
        """Take no more connections."""
        for acceptor in self._acceptors.values():
            acceptor.stop()

    async def close(self) -> bool:
        """End everything at once; whether there were no connections left to cut off."""
        self.stop_accepting()
        for acceptor in self._acceptors.values():
            await acceptor.settled()
        nothing_cut_off = not any(listener.connections for listener in self.all_listeners)
        for acceptor in self._acceptors.values():
            await acceptor.close()
        for task in self._former.values():
            task.cancel()
        await asyncio.gather(*self._former.values(), return_exceptions=True)
        for listener in self._former:
            await listener.close()
        return nothing_cut_off


class StopSignals:
    """SIGTERM and SIGINT: the first asks to stop, the second forces it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.forced = asyncio.Event()

    def listen(self) -> None:
        """Hear them from now on, as long as the loop runs."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received)

    def force(self) -> None:
        """Stop at once."""
        self.asked.set()
        self.forced.set()

    def _received(self) -> None:
        if self.asked.is_set():
            self.forced.set()
        self.asked.set()


class Engine(Protocol):
    """What serves: this process, or several of its children."""

    async def serve(self, settings: Settings) -> None:
        """Serve ``settings`` from now on, whose sockets can all be had."""

    async def drain(self, seconds: float) -> None:
        """Take no more connections and let those there are finish, for as long at most."""

    async def close(self) -> bool:
        """End everything at once; whether no connection has been cut off in the end."""


async def stop_gracefully(engine: Engine, signals: StopSignals, seconds: float) -> bool:
    """Drain until all is done, ``seconds`` have passed or a second signal comes; whether nothing was cut off."""
    drain = asyncio.ensure_future(engine.drain(seconds))
    forced = asyncio.ensure_future(signals.forced.wait())
    await asyncio.wait((drain, forced), return_when=asyncio.FIRST_COMPLETED)
    for task in (drain, forced):
        task.cancel()
    await asyncio.gather(drain, forced, return_exceptions=True)
    return await engine.close()


class ErrorReporter:
    """One line for what should not happen, and for running out of descriptors; the same one at most once a second.

    The loop has closed the connection that it happened on, or will accept again when it can.
    """

    def __init__(self) -> None:
        self._last: tuple[str, float] = ("", 0.0)

    def __call__(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        text = self._describe(context)
        last, when = self._last
        if text != last or loop.time() - when > 1:
            self._last = (text, loop.time())
            print(text, file=sys.stderr, flush=True)  # noqa: T201 - the operator's log is standard error

    @staticmethod
    def _describe(context: dict[str, Any]) -> str:
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return "pyproxy: out of file descriptors; connections wait until some are free (see ulimit -n)"
        where = ""
        if error is not None and (frame := error.__traceback__) is not None:
            while frame.tb_next is not None:
                frame = frame.tb_next
            where = f" ({frame.tb_frame.f_code.co_qualname} line {frame.tb_lineno})"
        return f"pyproxy: internal error: {error or context.get('message')!r}{where}; please report it"


def run(main: Callable[[], Coroutine[Any, Any, int]], *, loop: str) -> int:
    """Run ``main`` on the event loop called ``loop``: ``uvloop`` or ``asyncio``."""
    if loop == "uvloop":
        import uvloop

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.get_loop().set_exception_handler(ErrorReporter())
            return runner.run(main())
    with asyncio.Runner() as runner:
        runner.get_loop().set_exception_handler(ErrorReporter())
        return runner.run(main())


def run_process(main: Callable[[], Coroutine[Any, Any, int]], *, loop: str) -> int:
    """``run`` for a process that ends with ``main``: from then on no signal changes its exit code."""

    async def to_the_end() -> int:
        try:
            return await main()
        finally:
            # Closing the loop would bring back what signals do by default, which is to kill.
            for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1):
                asyncio.get_running_loop().remove_signal_handler(number)
                signal.signal(number, signal.SIG_IGN)

    return run(to_the_end, loop=loop)
