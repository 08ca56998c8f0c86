"""Configuration that is rewritten under load, good and bad in turn, and what came of it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from pyproxy.envoy.bootstrap import render
from pyproxy.envoy.process import find_envoy
from pyproxy.policy.load import load_texts
from pyproxy.policy.release import Release
from tests.support.load import Outcome, fast_backend, load
from tests.support.measure import resident
from tests.support.processes import Running, free_port, gateway, running, serving, workers_of
from tests.support.scenario import GET, Client


@dataclass(slots=True)
class Rewritten:
    """How it went."""

    outcome: Outcome = field(default_factory=Outcome)
    in_force: list[float] = field(default_factory=list)
    """Seconds from each good configuration to the first connection that was served as it says."""
    reported: list[float] = field(default_factory=list)
    """Seconds from each bad one to its being reported."""
    resets: int = 0
    """Connections that were reset while it was looked whether a configuration is in force."""
    growth: float = 0.0
    """Of resident memory from the middle to the end, in percent."""


class Rewritable(Protocol):
    """A proxy that follows files."""

    def good(self, number: int, policy: str) -> None:
        """Write a configuration with the spec ``policy``."""

    async def bad(self, number: int) -> None:
        """Write one that is wrong, and wait until that is reported."""

    def resident(self) -> int:
        """Bytes of memory."""


def replace_file(file: Path, text: str) -> None:
    """Put ``text`` there all at once."""
    beside = file.with_name(f".{file.name}.new")
    beside.write_text(text)
    os.replace(beside, file)


class _Pyproxy:
    """``pyproxy serve -f``. Two rewrites put another file in the place of the first, two are of the very file."""

    def __init__(self, server: Running, file: Path, text: Callable[[str], str]) -> None:
        self._server = server
        self._file = file
        self._text = text

    def good(self, number: int, policy: str) -> None:
        self._write(number, policy)

    async def bad(self, number: int) -> None:
        mistake = f"mistake{number}: {{}}"
        self._write(number, mistake)
        line = self._file.read_text().splitlines().index(f"  {mistake}") + 1
        await said(self._server, f"{self._file}:{line}:3: spec.mistake{number}: ")

    def resident(self) -> int:
        return sum(map(resident, (self._server.pid, *workers_of(self._server))))

    def _write(self, number: int, policy: str) -> None:
        if number % 4 < 2:
            replace_file(self._file, self._text(policy))
        else:
            self._file.write_text(self._text(policy))


@contextmanager
def pyproxy_on_files(folder: Path, text: Callable[[str], str], flags: Sequence[str] = ()) -> Iterator[Rewritable]:
    """pyproxy, which follows a file of resources."""
    file = folder / "gateway.yaml"
    file.write_text(text(""))
    with serving("-f", file, "--access-log", "off", "--release", "v1.9", *flags) as server:
        yield _Pyproxy(server, file, text)


class _Envoy:
    """Envoy, whose listeners come from a file (LDS)."""

    def __init__(self, server: Running, admin_port: int, file: Path, text: Callable[[str], str]) -> None:
        self._server = server
        self._admin_port = admin_port
        self._file = file
        self._text = text

    def good(self, number: int, policy: str) -> None:
        replace_file(self._file, listeners_file(self._text(policy), number))

    async def bad(self, number: int) -> None:
        before = self._refused()
        replace_file(self._file, json.dumps({"resources": [{"mistake": number}]}))
        async with asyncio.timeout(10):
            while self._refused() == before:
                await asyncio.sleep(0.005)

    def resident(self) -> int:
        return resident(self._server.pid)

    def _refused(self) -> int:
        url = f"http://127.0.0.1:{self._admin_port}/stats?filter=listener_manager.lds.update_(failure|rejected)"
        with urllib.request.urlopen(url, timeout=5) as response:
            return sum(map(int, re.findall(r": (\d+)", response.read().decode())))


@contextmanager
def envoy_on_files(folder: Path, text: Callable[[str], str]) -> Iterator[Rewritable]:
    """Envoy with what Envoy Gateway would send it, the listeners in a file of their own."""
    admin_port, file = free_port(), folder / "listeners.json"
    bootstrap = _bootstrap(text(""), admin_port)
    del bootstrap["static_resources"]["listeners"]
    source = {"path": str(file), "watched_directory": {"path": str(folder)}}
    bootstrap["dynamic_resources"] = {"lds_config": {"resource_api_version": "V3", "path_config_source": source}}
    file.write_text(listeners_file(text(""), -1))
    (folder / "envoy.json").write_text(json.dumps(bootstrap))
    command: list[str | Path] = [
        find_envoy(),
        "-c",
        folder / "envoy.json",
        "--use-dynamic-base-id",
        "--concurrency",
        "1",
    ]
    with running([*command, "--drain-strategy", "immediate", "--drain-time-s", "60"]) as server:
        server.wait_for("starting workers")
        yield _Envoy(server, admin_port, file, text)


def listeners_file(text: str, number: int) -> str:
    """The listeners of the resources in ``text`` as a DiscoveryResponse."""
    kind = {"@type": "type.googleapis.com/envoy.config.listener.v3.Listener"}
    listeners = _bootstrap(text, 1)["static_resources"]["listeners"]
    return json.dumps({"version_info": str(number), "resources": [kind | listener for listener in listeners]})


def _bootstrap(text: str, admin_port: int) -> Any:
    now = datetime.now(UTC)
    settings = load_texts([("gateway.yaml", text)], release=Release.V1_9, address="127.0.0.1", now=now).settings
    return json.loads(render(settings, admin_port=admin_port, access_log="/dev/null"))


async def rewrite(
    folder: Path, *, times: int, rate: float, flags: Sequence[str] = (), envoy: bool = False
) -> Rewritten:
    """Rewrite ``times`` times under a load of ``rate`` requests a second, half of them on connections of their own."""
    port, result = free_port(), Rewritten()
    address = ("127.0.0.1", port)
    async with fast_backend() as backend:

        def text(policy: str) -> str:
            return gateway(port, backend, policy)

        context = envoy_on_files(folder, text) if envoy else pyproxy_on_files(folder, text, flags)
        proxy = await asyncio.to_thread(context.__enter__)
        try:
            async with load(address, connections=20, fresh=20, rate=rate) as clients:
                middle = 0
                await asyncio.sleep(0.5)  # until there is a load
                for number in range(times):
                    await asyncio.sleep(0.05)
                    if number == times // 2:
                        middle = proxy.resident()
                    started = time.monotonic()
                    if number % 2:
                        wanted = number % 4 == 1
                        headers = f"headers: {{enableEnvoyHeaders: {str(wanted).lower()}}}"
                        proxy.good(number, f"{headers}\n  tcpKeepalive: {{probes: {number}}}")
                        result.resets += await _resets_until_served(address, envoy_headers=wanted)
                        result.in_force.append(time.monotonic() - started)
                    else:
                        await proxy.bad(number)
                        result.reported.append(time.monotonic() - started)
                result.growth = 100 * (proxy.resident() / middle - 1)
                result.outcome = await clients.stop()
        finally:
            await asyncio.to_thread(context.__exit__, None, None, None)
    return result


async def _resets_until_served(address: tuple[str, int], *, envoy_headers: bool) -> int:
    resets = 0
    while True:
        try:
            async with Client(address) as client:
                await client.send(GET)
                if (b"\r\nx-envoy-upstream-service-time:" in await client.until(b"ok")) is envoy_headers:
                    return resets
        except ConnectionError:
            resets += 1
        await asyncio.sleep(0.005)


async def said(server: Running, text: str, times: int = 1) -> None:
    """Wait until it has said something so often."""
    async with asyncio.timeout(10):
        while server.said.count(text) < times:
            await asyncio.sleep(0.005)
