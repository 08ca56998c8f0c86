"""Requests a second of pyproxy and of real Envoy on the same resources, side by side: ``make bench``.

Each proxy is pinned to one core, backend and load generator to another, and the rounds alternate, so that a machine
whose speed drifts slows both. What counts is the ratio of the medians.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from pyproxy.envoy.bootstrap import render
from pyproxy.envoy.process import find_envoy, free_port
from pyproxy.policy.load import load_texts
from pyproxy.policy.release import Release
from tests.support.processes import PYPROXY, gateway, running, wait_for_port

CONNECTIONS = 64

NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log /dev/null;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  keepalive_requests 1000000000;
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{ return 200 "hello, world"; }}
  }}
}}
"""


def cores() -> tuple[str, str]:
    """(the proxy's core, the load's); the same one where the machine has no second."""
    available = sorted(os.sched_getaffinity(0))
    return str(available[0]), str(available[-1])


@contextmanager
def backend(folder: Path, core: str) -> Iterator[int]:
    """nginx answering at once; its port."""
    port = free_port()
    config = folder / "nginx.conf"
    config.write_text(NGINX.format(folder=folder, port=port))
    with running(["nginx", "-c", config, "-p", folder], prefix=["taskset", "-c", core]):
        wait_for_port(port)
        yield port


@contextmanager
def pyproxy(folder: Path, backend_port: int, core: str) -> Iterator[int]:
    """pyproxy with its access log in a file; its port."""
    port = free_port()
    file = folder / "pyproxy.yaml"
    file.write_text(gateway(port, backend_port))
    flags: list[str | Path] = [
        "serve",
        "-f",
        file,
        "--release",
        "v1.9",
        "--admin",
        "off",
        "--access-log",
        folder / "pyproxy.log",
    ]
    with running([*PYPROXY, *flags], prefix=["taskset", "-c", core]):
        wait_for_port(port)
        yield port


@contextmanager
def envoy(folder: Path, backend_port: int, core: str) -> Iterator[int]:
    """Envoy with one worker and the same access log; its port."""
    port = free_port()
    text = gateway(port, backend_port)
    loaded = load_texts([("r.yaml", text)], release=Release.V1_9, address="127.0.0.1", now=datetime.now(UTC))
    config = folder / "envoy.json"
    config.write_text(render(loaded.settings, admin_port=free_port(), access_log=str(folder / "envoy.log")))
    command: list[str | Path] = [
        find_envoy(),
        "-c",
        config,
        "--concurrency",
        "1",
        "--use-dynamic-base-id",
        "-l",
        "error",
    ]
    with running(command, prefix=["taskset", "-c", core]):
        wait_for_port(port)
        yield port


def requests_a_second(port: int, seconds: float, core: str) -> float:
    """What wrk measures over ``CONNECTIONS`` keep-alive connections. Fails if a single response was not a 200."""
    command = ["taskset", "-c", core, "wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", f"http://127.0.0.1:{port}/"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said or "Socket errors" in said:
        raise RuntimeError(said)
    found = re.search(r"Requests/sec:\s+([0-9.]+)", said)
    assert found is not None, said
    return float(found[1])


def main() -> int:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    console = Console()
    proxy_core, load_core = cores()
    figures: dict[str, list[float]] = {"pyproxy": [], "Envoy": []}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pyproxy-bench-")))
        backend_port = stack.enter_context(backend(folder, load_core))
        ports = {
            "pyproxy": stack.enter_context(pyproxy(folder, backend_port, proxy_core)),
            "Envoy": stack.enter_context(envoy(folder, backend_port, proxy_core)),
        }
        progress = stack.enter_context(Progress(console=console, disable=not console.is_terminal, transient=True))
        task = progress.add_task("rounds", total=len(ports) * (options.rounds + 1))
        for number in range(options.rounds + 1):
            for name, port in ports.items():
                figure = requests_a_second(port, options.seconds if number else 1, load_core)
                if number:  # the first round warms up
                    figures[name].append(figure)
                progress.advance(task)
    table = Table("", "requests/s (median)", "lowest", "highest")
    for name, measured in figures.items():
        table.add_row(
            name, *(f"{figure:,.0f}" for figure in (statistics.median(measured), min(measured), max(measured)))
        )
    console.print(f"keep-alive GET, {CONNECTIONS} connections, one core each, access log on in both")
    console.print(table)
    ratio = statistics.median(figures["pyproxy"]) / statistics.median(figures["Envoy"])
    console.print(f"pyproxy / Envoy: {ratio:.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
