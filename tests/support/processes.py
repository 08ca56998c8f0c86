"""pyproxy, and what stands before and behind it, as processes of their own."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pyproxy.envoy.process import free_port

ROOT = Path(__file__).parents[2]
PYPROXY = [sys.executable, "-m", "pyproxy"]
START_TIMEOUT = 15.0

PASS_SOCKET = """\
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1")
os.execv(sys.argv[2], sys.argv[2:])
"""
"""Becomes a command that has the socket with the descriptor that is named first, in systemd's way."""


def run_pyproxy(*arguments: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    """A verb that ends by itself."""
    return subprocess.run(  # type: ignore[call-overload, no-any-return]  # options are run()'s own
        [*PYPROXY, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False, cwd=ROOT, **options
    )


class Running:
    """A process whose output goes to a file."""

    def __init__(self, process: subprocess.Popen[bytes], output: Path) -> None:
        self.process = process
        self._output = output

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def said(self) -> str:
        """All it has written so far."""
        return self._output.read_text()

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until it has written something like ``pattern``."""
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            found = re.search(pattern, self.said)
            if found is not None:
                return found
            if self.process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"no {pattern!r} in: {self.said}")

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it."""
        self.process.send_signal(number)


@contextmanager
def running(
    command: Sequence[str | Path],
    *,
    prefix: Sequence[str] = (),
    stdin: int | IO[str] = subprocess.DEVNULL,
    pass_fds: Sequence[int] = (),
) -> Iterator[Running]:
    """Run ``command`` while the block runs."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / "output"
        with output.open("wb") as sink:
            process = subprocess.Popen(
                [*prefix, *map(str, command)], stdout=sink, stderr=sink, stdin=stdin, pass_fds=pass_fds, cwd=ROOT
            )
        try:
            yield Running(process, output)
        finally:
            process.terminate()
            try:
                process.wait(3)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


@contextmanager
def serving(
    *arguments: str | Path,
    prefix: Sequence[str] = (),
    stdin: int | IO[str] = subprocess.DEVNULL,
    listening: socket.socket | None = None,
) -> Iterator[Running]:
    """``pyproxy serve``, ready; the admin is off unless the arguments say otherwise.

    ``listening`` is passed to it as a service manager does.
    """
    flags = list(arguments) if "--admin" in arguments else [*arguments, "--admin", "off"]
    descriptors = []
    if listening is not None:
        descriptors = [listening.fileno()]
        prefix = [*prefix, sys.executable, "-c", PASS_SOCKET, str(listening.fileno())]
    with running([*PYPROXY, "serve", *flags], prefix=prefix, stdin=stdin, pass_fds=descriptors) as process:
        process.wait_for(r"listening on ")
        yield process


@contextmanager
def echo(address: str = "127.0.0.1", *, prefix: Sequence[str] = ()) -> Iterator[int]:
    """The example application; its port."""
    with running([*PYPROXY, "echo", "--address", address, "--port", "0"], prefix=prefix) as process:
        yield int(process.wait_for(r"echo on http://\S+:(\d+)")[1])


def workers_of(server: Running) -> list[int]:
    """The process ids of the workers of a proxy that has some."""
    tasks = Path(f"/proc/{server.pid}/task").iterdir()
    return sorted(int(pid) for task in tasks for pid in (task / "children").read_text().split())


def wait_for_port(port: int, address: str = "127.0.0.1") -> None:
    """Wait until something listens there."""
    deadline = time.monotonic() + START_TIMEOUT
    while time.monotonic() < deadline:
        try:
            socket.create_connection((address, port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(f"nothing listens on {address}:{port}")


def gateway(port: int, backend_port: int, policy: str = "", *, hostnames: str = "", address: str = "127.0.0.1") -> str:
    """Resources for one listener, its route, its backend and, perhaps, a policy's spec."""
    host_line = f"  hostnames: {hostnames}\n" if hostnames else ""
    text = f"""\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {{name: eg}}
spec: {{controllerName: gateway.envoyproxy.io/gatewayclass-controller}}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: eg}}
spec:
  gatewayClassName: eg
  listeners: [{{name: http, protocol: HTTP, port: {port}}}]
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: backend}}
spec:
  parentRefs: [{{name: eg}}]
{host_line}  rules: [{{backendRefs: [{{group: gateway.envoyproxy.io, kind: Backend, name: backend}}]}}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: backend}}
spec: {{endpoints: [{{ip: {{address: "{address}", port: {backend_port}}}}}]}}
"""
    if policy:
        text += f"""\
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {{name: policy}}
spec:
  targetRefs: [{{group: gateway.networking.k8s.io, kind: Gateway, name: eg}}]
  {policy}
"""
    return text


def curl(*arguments: str, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    """curl, without a progress bar and with what it is told."""
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    command = [*prefix, "curl", "--silent", "--show-error", "--max-time", "20", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False, env=environment)


__all__ = [
    "ROOT",
    "Running",
    "curl",
    "echo",
    "free_port",
    "gateway",
    "run_pyproxy",
    "running",
    "serving",
    "wait_for_port",
    "workers_of",
]
