"""The life of one pyproxy process: bind, serve, drain on a signal, end."""

from __future__ import annotations

import asyncio
import errno
import signal
import sys
from collections.abc import Callable, Coroutine
from typing import Any

from pyproxy.net.listener import HttpListener
from pyproxy.net.sockets import node_address
from pyproxy.observe.access_log import AccessLog
from pyproxy.settings import Settings


class StartError(Exception):
    """The process can't serve what it was asked to: an address is taken, a file can't be written."""


class App:
    """Serves ``settings`` until it is told to stop."""

    def __init__(self, settings: Settings, *, access_log: AccessLog | None = None) -> None:
        self.settings = settings
        self.listeners: list[HttpListener] = []
        self._access_log = access_log
        self.draining = False

    async def start(self) -> None:
        """Bind every listener. Raises ``StartError`` and leaves nothing bound if one can't be."""
        loop = asyncio.get_running_loop()
        node = node_address()
        for listener_settings in self.settings.listeners:
            listener = HttpListener(listener_settings, loop=loop, node_address=node, access_log=self._access_log)
            try:
                await listener.start()
            except OSError as error:
                await self.close()
                where = f"{listener_settings.address} port {listener_settings.port}"
                raise StartError(
                    f"listener {listener_settings.name}: can't listen on {where}: {error.strerror}"
                ) from error
            self.listeners.append(listener)

    async def drain(self, seconds: float) -> bool:
        """Take no more connections and let those there are finish; whether all did in time."""
        self.draining = True
        results = await asyncio.gather(*(listener.drain(seconds) for listener in self.listeners))
        return all(results)

    async def close(self) -> None:
        """End everything at once."""
        for listener in self.listeners:
            await listener.close()


class StopSignals:
    """SIGTERM and SIGINT: the first asks to stop, the second forces it."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.forced = asyncio.Event()

    def __enter__(self) -> StopSignals:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._received)
        return self

    def __exit__(self, *exc: object) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

    def _received(self) -> None:
        if self.asked.is_set():
            self.forced.set()
        self.asked.set()


async def stop_gracefully(app: App, signals: StopSignals, seconds: float) -> bool:
    """Drain until all is done, ``seconds`` have passed or a second signal comes; whether nothing was cut off."""
    drain = asyncio.ensure_future(app.drain(seconds))
    forced = asyncio.ensure_future(signals.forced.wait())
    await asyncio.wait((drain, forced), return_when=asyncio.FIRST_COMPLETED)
    finished = drain.done() and drain.result()
    for task in (drain, forced):
        task.cancel()
    await asyncio.gather(drain, forced, return_exceptions=True)
    await app.close()
    return finished


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
