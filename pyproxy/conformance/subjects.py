"""The two proxies under test, started on the same resources."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Protocol

from pyproxy.conformance.case import Group
from pyproxy.envoy.process import EnvoyProcess, free_port
from pyproxy.policy.load import load_texts

START_TIMEOUT = 20.0

GATEWAY = """\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec:
  gatewayClassName: eg
  listeners:
"""

ROUTE = """\
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: lane%(lane)d}
spec:
  parentRefs: [{name: eg, sectionName: lane%(lane)d}]
%(hostnames)s  rules:
  - matches: [{path: {type: PathPrefix, value: /}}]
    backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: lane%(lane)d}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: lane%(lane)d}
spec:
  endpoints: [{ip: {address: 127.0.0.1, port: %(port)d}}]
"""

POLICY = """\
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {name: under-test}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: eg}]
"""


def resources(group: Group, ports: list[int], backend_ports: list[int]) -> str:
    """The YAML of ``group``: a listener, route and backend for each lane, and the policy."""
    text = GATEWAY
    for lane, port in enumerate(ports):
        text += f"  - {{name: lane{lane}, protocol: HTTP, port: {port}}}\n"
    hostnames = f"  hostnames: [{group.hostname}]\n" if group.hostname else ""
    for lane, backend_port in enumerate(backend_ports):
        text += ROUTE % {"lane": lane, "port": backend_port, "hostnames": hostnames}
    if group.spec:
        text += POLICY + "".join(f"  {line}\n" for line in group.spec.strip().splitlines())
    return text


class Subject(Protocol):
    """A proxy that serves a group; a context manager that leaves no process behind."""

    name: str
    ports: list[int]

    @property
    def pid(self) -> int:
        """Its process."""

    def __enter__(self) -> Subject: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


class EnvoySubject:
    """Real Envoy with the bootstrap that the resources translate to."""

    name = "Envoy"

    def __init__(self, group: Group, backend_ports: list[int], *, access_log: Path | None = None) -> None:
        self.ports = [free_port() for _ in backend_ports]
        text = resources(group, self.ports, backend_ports)
        loaded = load_texts(
            [("resources.yaml", text)], release=group.release, address="127.0.0.1", now=datetime.now(UTC)
        )
        self._process = EnvoyProcess(loaded.settings, access_log=access_log)

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> EnvoySubject:
        self._process.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.__exit__(kind, error, traceback)


class PyproxySubject:
    """``pyproxy serve`` in a process of its own."""

    name = "pyproxy"

    def __init__(self, group: Group, backend_ports: list[int], *, access_log: Path | None = None) -> None:
        self.ports = [free_port() for _ in backend_ports]
        self._text = resources(group, self.ports, backend_ports)
        self._release = group.release
        self._access_log = str(access_log or "off")
        self._stack = ExitStack()
        self._process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self._process.pid

    def __enter__(self) -> PyproxySubject:
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pyproxy-conformance-")))
        file, output = folder / "resources.yaml", folder / "output"
        file.write_text(self._text)
        command = [sys.executable, "-m", "pyproxy", "serve", "-f", str(file), "--release", self._release.value]
        command += ["--admin", "off", "--access-log", self._access_log, "--drain-time", "0"]
        with output.open("wb") as sink:
            self._process = subprocess.Popen(command, stdout=sink, stderr=sink)
        self._stack.callback(self._stop)
        deadline = time.monotonic() + START_TIMEOUT
        while output.read_bytes().count(b"listening on") < len(self.ports):
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = output.read_text()
                self._stack.close()
                raise RuntimeError(f"pyproxy did not start: {said}")
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stack.close()

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
