"""The verbs that run until they are told to stop, and what they tell the person at the terminal."""

from __future__ import annotations

import asyncio
import gc
import sys
from dataclasses import dataclass
from datetime import UTC, datetime

from pyproxy.observe.access_log import AccessLog
from pyproxy.policy.load import Loaded
from pyproxy.server.admin import admin_server
from pyproxy.server.app import App, StartError, StopSignals, run, stop_gracefully
from pyproxy.server.echo import start_echo
from pyproxy.settings import Endpoint, Listener, Settings

EXIT_CANNOT_START = 3
EXIT_DRAIN_TIMED_OUT = 4


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """The flags of ``pyproxy serve``."""

    address: str
    admin: tuple[str, int] | None
    access_log: str | None
    """A path or ``-``."""
    drain_time: float
    with_echo: bool
    loop: str


def serve_forever(loaded: Loaded, options: ServeOptions) -> int:
    """Serve until a signal; the exit code."""
    # A request leaves no cycles behind, so the collector has little to find; what is loaded by now stays.
    gc.collect()
    gc.freeze()
    try:
        return run(lambda: _serve(loaded, options), loop=options.loop)
    except StartError as error:
        _say(f"pyproxy: {error}")
        return EXIT_CANNOT_START


async def _serve(loaded: Loaded, options: ServeOptions) -> int:
    access_log = _open_access_log(options.access_log)
    app = App(loaded.settings, access_log=access_log)
    echo = admin = None
    try:
        if options.with_echo:
            endpoint = _echo_endpoint(loaded.settings)
            try:
                echo = await start_echo(endpoint.host, endpoint.port)
            except OSError as error:
                raise StartError(
                    f"the example backend can't listen on port {endpoint.port}: {error.strerror}"
                ) from error
        await app.start()
        if options.admin is not None:
            admin = admin_server(lambda: not app.draining, lambda: loaded.status("json", datetime.now(UTC)))
            try:
                await admin.start(*options.admin)
            except OSError as error:
                where = "{}:{}".format(*options.admin)
                raise StartError(
                    f"the admin can't listen on {where}: {error.strerror}; --admin off runs without"
                ) from error
        with StopSignals() as signals:
            for line in banner(loaded, options):
                _say(line)
            await signals.asked.wait()
            _say(f"pyproxy: draining for up to {options.drain_time:g} s; once more to stop now")
            finished = await stop_gracefully(app, signals, options.drain_time)
        if not finished:
            _say("pyproxy: connections were cut off")
        return 0 if finished else EXIT_DRAIN_TIMED_OUT
    finally:
        await app.close()
        for server in (echo, admin):
            if server is not None:
                server.close()
        if access_log is not None:
            await asyncio.to_thread(access_log.close)
            if access_log.lost:
                _say(f"pyproxy: {access_log.lost} access log lines could not be written")


def _open_access_log(target: str | None) -> AccessLog | None:
    try:
        return AccessLog(target) if target is not None else None
    except OSError as error:
        raise StartError(f"the access log {target} can't be written: {error.strerror}") from error


def _echo_endpoint(settings: Settings) -> Endpoint:
    return settings.listeners[0].virtual_hosts[0].routes[0].clusters[0][0].endpoints[0]


def banner(loaded: Loaded, options: ServeOptions) -> list[str]:
    """What listens where, which policies apply, and lines to paste into a terminal."""
    lines = []
    for listener in loaded.settings.listeners:
        url = _url(listener)
        moved = "" if listener.port == listener.gateway_port else f" (the Gateway's port {listener.gateway_port})"
        lines.append(f"listening on {url}{moved} for {listener.name}")
        policies = ", ".join(loaded.policies_of(listener)) or "none"
        lines.append(f"  policies: {policies}")
        lines += [f"  {line}" for line in _try_lines(listener, url)]
    if options.with_echo:
        endpoint = _echo_endpoint(loaded.settings)
        lines.append(f"example backend on http://{endpoint.host}:{endpoint.port}")
    if options.admin is not None:
        lines.append("admin on http://{}:{}".format(*options.admin))
    return lines


def _url(listener: Listener) -> str:
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.address, listener.address)
    return f"http://[{address}]:{listener.port}" if ":" in address else f"http://{address}:{listener.port}"


def _try_lines(listener: Listener, url: str) -> list[str]:
    proxy = " --haproxy-protocol" if listener.proxy_protocol is not None else ""
    lines = []
    for host in listener.virtual_hosts[:3]:
        name = host.domains[0].replace("*.", "any.")
        header = "" if name == "*" else f' --header "Host: {name}"'
        path = host.routes[0].match.value if host.routes else "/"
        lines.append(f"try: curl --verbose{proxy}{header} {url}{path}")
    return lines


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)  # noqa: T201 - standard output is the access log's


def echo_forever(address: str, port: int) -> int:
    """Run the example application until a signal; the exit code."""

    async def serve_echo() -> int:
        try:
            server = await start_echo(address, port)
        except OSError as error:
            _say(f"pyproxy: echo can't listen on {address} port {port}: {error.strerror}")
            return EXIT_CANNOT_START
        with StopSignals() as signals:
            _say(f"echo on http://{address}:{server.port}")
            await signals.asked.wait()
        server.close()
        return 0

    return run(serve_echo, loop="uvloop")
