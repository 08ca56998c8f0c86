"""The verbs that run until they are told to stop, and what they tell the person at the terminal."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import time
from dataclasses import dataclass

from pyproxy.observe.access_log import AccessLog
from pyproxy.observe.log_format import compile_format
from pyproxy.observe.stats import FileStats, Stats
from pyproxy.policy.load import Loaded
from pyproxy.server import log_levels
from pyproxy.server.admin import Admin
from pyproxy.server.app import App, Engine, StopSignals, run_process, stop_gracefully
from pyproxy.server.configuration import LoadedConfiguration
from pyproxy.server.echo import start_echo
from pyproxy.server.inspector import inspector_commands
from pyproxy.server.instruments import Instruments
from pyproxy.server.listening import ListenSockets, StartError
from pyproxy.server.plain_http import HttpServer
from pyproxy.server.process import ProcessOptions, Serving, ServingProcess
from pyproxy.server.reload import Reloader, Source
from pyproxy.server.systemd import Notifier, take_sockets
from pyproxy.server.terminal import listening_lines, say
from pyproxy.server.workers import Workers, WorkersOptions
from pyproxy.settings import Endpoint, Settings
from pyproxy.wire.address import format_address

EXIT_CANNOT_START = 3
EXIT_DRAIN_TIMED_OUT = 4


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The flags of ``pyproxy serve``."""

    admin: tuple[str, int] | None
    access_log: str | None
    """A path or ``-``."""
    access_log_format: str
    """As ``log_format.compile_format`` takes it, and without a mistake."""
    drain_time: float
    with_echo: bool
    watch: bool
    workers: int
    loop: str


def serve_forever(source: Source, loaded: Loaded, options: ServeOptions) -> int:
    """Serve what ``source`` gave, and what it will give, until a signal; the exit code."""
    # A request leaves no cycles behind, so the collector has little to find; what is loaded by now stays.
    gc.collect()
    gc.freeze()
    try:
        return run_process(lambda: _serve(source, loaded, options), loop=options.loop)
    except StartError as error:
        say(f"pyproxy: {error}")
        return EXIT_CANNOT_START


async def _serve(source: Source, loaded: Loaded, options: ServeOptions) -> int:
    started = time.monotonic()
    notifier = Notifier(os.environ)
    log_levels.set_up()
    sockets = ListenSockets(take_sockets(os.environ), workers=options.workers)
    stats = Stats()
    access_log = _open_access_log(options, stats.files)
    engine: Engine
    serving: Serving
    if options.workers > 1:
        engine = serving = Workers(_workers_options(options), sockets)
    else:
        engine = app = App(sockets.copy, access_log=access_log, drain_time=options.drain_time, stats=stats)
        serving = Instruments(app, access_log=access_log)
    signals = StopSignals()

    async def apply(settings: Settings) -> None:
        if process.drained:
            raise StartError("the listeners have been drained")
        sockets.bind(settings.listeners)
        await engine.serve(settings)
        sockets.release(settings.listeners)

    reloader = Reloader(source, loaded, apply, notifier)
    process = ServingProcess(
        serving,
        lambda: LoadedConfiguration(reloader.loaded),
        ProcessOptions(options.loop, options.drain_time, options.workers),
        signals=signals,
        close_sockets=sockets.close,
        updates=reloader.stats,
    )
    echo = admin = None
    try:
        signals.listen()
        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, process.reopen_logs_soon)
        if options.with_echo:
            echo = await _start_echo(loaded.settings)
        await apply(loaded.settings)
        sockets.refuse_unused()
        process.initialized(time.monotonic() - started)
        if options.admin is not None:
            admin = await _start_admin(options.admin, process)
        async with reloader.running(watch=options.watch, stop=signals.asked.set):
            _say_what_is_served(loaded, options, process.admin_address)
            notifier.ready("serving")
            await signals.asked.wait()
        if not signals.forced.is_set():
            notifier.stopping(f"draining for up to {options.drain_time:g} s")
            say(f"pyproxy: draining for up to {options.drain_time:g} s; once more to stop now")
        sockets.close()
        finished = await stop_gracefully(engine, signals, options.drain_time) or process.quitting
        if not finished:
            say("pyproxy: connections were cut off")
        return 0 if finished else EXIT_DRAIN_TIMED_OUT
    finally:
        sockets.close()
        await engine.close()
        for server in (echo, admin):
            if server is not None:
                server.close()
        if access_log is not None:
            await asyncio.to_thread(access_log.close)
            if access_log.lost:
                say(f"pyproxy: {access_log.lost} access log lines could not be written")


def _workers_options(options: ServeOptions) -> WorkersOptions:
    return WorkersOptions(
        options.workers, options.loop, options.drain_time, options.access_log, options.access_log_format
    )


def _say_what_is_served(loaded: Loaded, options: ServeOptions, admin: tuple[str, int]) -> None:
    for line in listening_lines(loaded):
        say(line)
    if options.with_echo:
        endpoint = _echo_endpoint(loaded.settings)
        say(f"example backend on http://{endpoint.host}:{endpoint.port}")
    if options.admin is not None:
        say(f"admin on http://{format_address(*admin)}")


async def _start_echo(settings: Settings) -> HttpServer:
    endpoint = _echo_endpoint(settings)
    try:
        return await start_echo(endpoint.host, endpoint.port)
    except OSError as error:
        raise StartError(f"the example backend can't listen on port {endpoint.port}: {_reason(error)}") from error


async def _start_admin(address: tuple[str, int], process: ServingProcess) -> HttpServer:
    admin = Admin(process, inspector_commands(process)).server()
    try:
        await admin.start(*address)
    except OSError as error:
        where = format_address(*address)
        message = f"the admin can't listen on {where}: {_reason(error)}; --admin HOST:PORT names another, off none"
        raise StartError(message) from error
    process.admin_address = (address[0], admin.port)
    return admin


def _reason(error: OSError) -> str | None:
    """Why an address can't be had, without what asyncio says around it."""
    return error.strerror if isinstance(error, socket.gaierror) or not error.errno else os.strerror(error.errno)


def _open_access_log(options: ServeOptions, stats: FileStats) -> AccessLog | None:
    target = options.access_log
    try:
        return AccessLog(target, compile_format(options.access_log_format), stats) if target is not None else None
    except OSError as error:
        raise StartError(f"the access log {target} can't be written: {error.strerror}") from error


def _echo_endpoint(settings: Settings) -> Endpoint:
    return settings.listeners[0].virtual_hosts[0].routes[0].clusters[0][0].endpoints[0]


def echo_forever(address: str, port: int) -> int:
    """Run the example application until a signal; the exit code."""

    async def serve_echo() -> int:
        try:
            server = await start_echo(address, port)
        except OSError as error:
            say(f"pyproxy: echo can't listen on {address} port {port}: {_reason(error)}")
            return EXIT_CANNOT_START
        signals = StopSignals()
        signals.listen()
        say(f"echo on http://{address}:{server.port}")
        await signals.asked.wait()
        server.close()
        return 0

    return run_process(serve_echo, loop="uvloop")
