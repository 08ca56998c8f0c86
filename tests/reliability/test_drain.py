"""How Envoy restarts and drains under load, and how pyproxy ends without a successor."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pyproxy.envoy.bootstrap import bootstrap
from pyproxy.envoy.process import find_envoy, free_port
from pyproxy.policy.load import load_texts
from pyproxy.policy.release import Release
from tests.reliability.figures import Figures
from tests.support.load import fast_backend, load
from tests.support.processes import Running, gateway, running
from tests.support.subjects import Subject

pytestmark = pytest.mark.asyncio

only_envoy = pytest.mark.parametrize("subject", ["Envoy"], indirect=True)


async def test_r11_sigterm(subject: Subject, figures: Figures) -> None:
    """SIGTERM under 1,000 requests/s, nobody takes over"""
    async with fast_backend() as port:
        with subject.serve(port, flags=("--drain-time", "10")) as proxy:
            async with load(proxy.address, connections=20, rate=1000) as clients:
                await asyncio.sleep(2)
                started = time.monotonic()
                proxy.process.signal(signal.SIGTERM)
                await asyncio.to_thread(proxy.process.process.wait, 15)
                figures.add("SIGTERM to the end, s", time.monotonic() - started, at_most=10)
                outcome = await clients.stop()
    # Connections that come when nobody listens any more are refused; that is what a successor is for.
    refused = outcome.failures.get("ConnectionRefusedError", 0)
    figures.exactly("failed requests", outcome.failed - refused, 0)
    figures.add("told to close", outcome.told_to_close)


async def test_r11_admin_drain(subject: Subject, figures: Figures) -> None:
    """The admin's drain, as Envoy Gateway's shutdown does it, under 1,000 requests/s"""
    async with fast_backend() as port:
        with subject.serve(port, flags=("--drain-time", "10"), admin=True) as proxy:
            async with load(proxy.address, connections=20, rate=1000) as clients:
                await asyncio.sleep(2)
                for path in ("/healthcheck/fail", "/drain_listeners?graceful&skip_exit"):
                    await asyncio.to_thread(post, proxy.admin_port, path)
                await asyncio.sleep(2)
                outcome = await clients.stop()
            assert proxy.process.process.poll() is None
    figures.add("requests", outcome.ok, at_least=3000)
    figures.exactly("failed requests", outcome.failed, 0)
    figures.add("told to close", outcome.told_to_close, at_least=20)


def post(admin_port: int, path: str) -> None:
    """A command to an admin."""
    request = urllib.request.Request(f"http://127.0.0.1:{admin_port}{path}", method="POST")
    with urllib.request.urlopen(request, timeout=5) as response:
        assert response.status == 200


def envoy_config(port: int, backend: int) -> dict[str, Any]:
    """Envoy's configuration of one listener."""
    text = gateway(port, backend)
    loaded = load_texts([("r.yaml", text)], release=Release.V1_9, address="127.0.0.1", now=datetime.now(UTC))
    return bootstrap(loaded.settings, admin_port=free_port(), access_log="/dev/null")


@contextmanager
def envoy(config: Path, *flags: str | Path) -> Iterator[Running]:
    """A running Envoy with one worker."""
    command: list[str | Path] = [find_envoy(), "-c", config, "--concurrency", "1", "-l", "warning", *flags]
    with running([*command, "--component-log-level", "config:info"]) as process:
        process.wait_for("starting workers")
        yield process


@only_envoy
async def test_r11_restarted(subject: Subject, figures: Figures, tmp_path: Path) -> None:
    """Restarted 5 times under 1,000 requests/s, on a socket that stays"""
    config, port = tmp_path / "envoy.json", free_port()
    flags = ["--base-id", str(os.getpid()), "--drain-strategy", "immediate"]
    flags += ["--drain-time-s", "1", "--parent-shutdown-time-s", "2"]
    async with fast_backend() as backend:
        rendered = envoy_config(port, backend)
        config.write_text(json.dumps(rendered))
        with ExitStack() as stack:
            process = await asyncio.to_thread(stack.enter_context, envoy(config, *flags))
            async with load(("127.0.0.1", port), connections=20, rate=1000) as clients:
                for epoch in range(1, 6):
                    await asyncio.sleep(0.5)
                    old = process
                    process = await asyncio.to_thread(
                        stack.enter_context, envoy(config, *flags, "--restart-epoch", str(epoch))
                    )
                    await asyncio.to_thread(old.process.wait, 15)
                outcome = await clients.stop()
    figures.add("hot restart: requests", outcome.ok)
    figures.add("hot restart: failed requests", outcome.failed)
    figures.add("hot restart: told to close", outcome.told_to_close)
    figures.add("hot restart: slowest request, ms", outcome.worst)
