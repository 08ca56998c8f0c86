"""What it was measured on, and what the kernel says about processes there."""

from __future__ import annotations

import os
import platform
import re
import resource
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path

from pyproxy import __version__
from pyproxy.envoy.process import find_envoy
from tests.support import measure


def cores() -> tuple[str, str]:
    """(the proxy's core, the load's) as taskset takes them; the same one where the machine has no second."""
    available = sorted(os.sched_getaffinity(0))
    return str(available[0]), str(available[-1])


def describe() -> str:
    """Cores, processor and kernel."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    processor = " ".join(found[1].split()) if found else platform.machine()
    return f"{len(os.sched_getaffinity(0))} cores, {processor}, Linux {platform.release().split('-')[0]}"


def versions(bench_python: Path) -> dict[str, str]:
    """Of all that takes part. ``bench_python``: the interpreter of the Python peers."""
    found = {
        "pyproxy": f"{__version__} (compiled)",
        "Python": f"{platform.python_version()} ({_build()})",
        "uvloop": version("uvloop"),
        "Envoy": _says([str(find_envoy()), "--version"], r"/([0-9.]+)/"),
        "HAProxy": _says(["haproxy", "-v"], r"version ([0-9.]+)"),
        "nginx": _says(["nginx", "-v"], r"nginx/([0-9.]+)"),
        "wrk": _says(["wrk", "-v"], r"wrk (?:debian/)?([0-9.]+)"),
        "h2load": _says(["h2load", "--version"], r"nghttp2/([0-9.]+)"),
    }
    script = "import sys, importlib.metadata as m; print(*map(m.version, sys.argv[1:]))"
    peers = ("aiohttp", "mitmproxy", "proxy.py")
    said = subprocess.run([bench_python, "-c", script, *peers], capture_output=True, text=True, check=True).stdout
    return found | dict(zip(peers, said.split(), strict=True))


def _build() -> str:
    """Where the interpreter's code is, which is worth a sixth of its speed."""
    return "shared library" if "libpython" in Path("/proc/self/maps").read_text() else "no shared library"


def _says(command: list[str], pattern: str) -> str:
    """A version out of what a program says about itself, wherever it says it."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found = re.search(pattern, done.stdout + done.stderr)
    return found[1] if found else "?"


def family(pid: int) -> list[int]:
    """A process and all that have come of it."""
    pids = [pid]
    for parent in pids:  # grows while it is walked
        for task in Path(f"/proc/{parent}/task").iterdir():
            pids += map(int, (task / "children").read_text().split())
    return pids


def cpu_seconds(pids: Iterable[int]) -> float:
    """CPU that the processes have used, user and system, all threads: the operating system's accounting."""
    return sum(map(measure.cpu_seconds, pids))


def resident(pids: Iterable[int]) -> int:
    """Bytes of resident memory."""
    return sum(map(measure.resident, pids))


def allow_many_descriptors() -> None:
    """For this process and those it starts."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def bench_python(folder: Path) -> Path:
    """The interpreter of the virtual environment with the Python peers and matplotlib. Exits if there is none."""
    python = folder / "bin" / "python"
    if not python.exists():
        sys.exit(f"{folder} has no Python peers; `make bench` installs them")
    return python
