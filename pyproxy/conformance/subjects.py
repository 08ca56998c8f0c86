"""The two proxies under test, started on the same settings."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import tempfile
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from pyproxy.conformance.case import Group
from pyproxy.conformance.child import Job
from pyproxy.envoy.process import EnvoyProcess, free_port
from pyproxy.policy.load import load_texts
from pyproxy.server.modules import as_process
from pyproxy.settings import Cluster, Endpoint, Listener, Settings, VirtualHost

START_TIMEOUT = 20.0

HOST = f"127.{64 + (os.getpid() >> 16)}.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
"""Where the proxies listen: a loopback address that no other process uses, so that no two runs want the same port."""

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
"""

BACKEND = """\
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
        for number, hostname in enumerate(group.listener_hostnames):
            name = f"lane{lane}-{number}" if number else f"lane{lane}"
            of_host = f", hostname: '{hostname}'" if hostname else ""
            text += f"  - {{name: {name}, protocol: HTTP, port: {port}{of_host}}}\n"
    hostnames = f"  hostnames: [{group.hostname}]\n" if group.hostname else ""
    for lane, backend_port in enumerate(backend_ports):
        text += (group.routes or ROUTE) % {"lane": lane, "port": backend_port, "hostnames": hostnames}
        text += BACKEND % {"lane": lane, "port": backend_port}
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

    @property
    def admin_port(self) -> int:
        """Where its admin answers, on loopback."""

    def complaints(self) -> str:
        """What it has written to standard error about itself; nothing, if all is well."""

    def __enter__(self) -> Subject: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...


def settings_of(group: Group, ports: list[int], backend_ports: list[int]) -> Settings:
    """What a proxy is to do for ``group``: a listener with its backend for each lane."""
    if group.listener is not None:
        lanes = zip(ports, backend_ports, strict=True)
        return Settings(tuple(_lane(group.listener, lane, *lane_ports) for lane, lane_ports in enumerate(lanes)))
    text = resources(group, ports, backend_ports)
    loaded = load_texts([("resources.yaml", text)], release=group.release, address=HOST, now=datetime.now(UTC))
    if group.client_address is None:
        return loaded.settings
    listeners = [
        replace(listener, http=replace(listener.http, client_address=group.client_address))
        for listener in loaded.settings.listeners
    ]
    return replace(loaded.settings, listeners=tuple(listeners))


def _lane(listener: Listener, lane: int, port: int, backend_port: int) -> Listener:
    """``listener`` on ``port``, with one backend behind all its routes."""
    endpoint = Endpoint("127.0.0.1", backend_port)

    def on_lane(cluster: Cluster) -> Cluster:
        return replace(cluster, name=f"{cluster.name}/lane{lane}", endpoints=(endpoint,))

    def host_on_lane(host: VirtualHost) -> VirtualHost:
        routes = [
            replace(route, clusters=tuple((on_lane(cluster), weight) for cluster, weight in route.clusters))
            for route in host.routes
        ]
        return replace(host, routes=tuple(routes))

    return replace(
        listener,
        name=f"{listener.name}-lane{lane}",
        address=HOST,
        port=port,
        gateway_port=port,
        virtual_hosts=tuple(host_on_lane(host) for host in listener.virtual_hosts),
    )


class EnvoySubject:
    """Real Envoy with the bootstrap that the settings translate to."""

    name = "Envoy"

    def __init__(
        self, group: Group, backend_ports: list[int], *, access_log: Path | None = None, log_format: str = "json"
    ) -> None:
        """``log_format``: as ``pyproxy serve`` takes it."""
        self.ports = [free_port() for _ in backend_ports]
        settings = settings_of(group, self.ports, backend_ports)
        self._process = EnvoyProcess(settings, access_log=access_log, log_format=_substitution(log_format))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def admin_port(self) -> int:
        return self._process.admin_port

    def complaints(self) -> str:
        return ""

    def __enter__(self) -> EnvoySubject:
        self._process.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._process.__exit__(kind, error, traceback)


def _substitution(log_format: str) -> dict[str, Any] | None:
    """The format in Envoy's configuration."""
    if log_format in ("json", "default"):
        return None if log_format == "json" else {}
    if log_format.startswith("{"):
        return {"json_format": json.loads(log_format)}
    return {"text_format_source": {"inline_string": log_format + "\n"}}


class PyproxySubject:
    """pyproxy in a process of its own."""

    name = "pyproxy"

    def __init__(
        self, group: Group, backend_ports: list[int], *, access_log: Path | None = None, log_format: str = "json"
    ) -> None:
        """``log_format``: as ``pyproxy serve`` takes it."""
        self.ports = [free_port() for _ in backend_ports]
        self._log_format = log_format
        self._settings = settings_of(group, self.ports, backend_ports)
        self._access_log = None if access_log is None else str(access_log)
        self.admin_port = free_port()
        self._folder = tempfile.TemporaryDirectory(prefix="pyproxy-conformance-")
        self._output = Path(self._folder.name) / "output"
        self._process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        return self._process.pid

    def complaints(self) -> str:
        return self._output.read_text(errors="replace")

    def __enter__(self) -> PyproxySubject:
        folder = Path(self._folder.name)
        file, ready = folder / "job", folder / "ready"
        file.write_bytes(
            pickle.dumps(Job(self._settings, self._access_log, self.admin_port, self._log_format, str(ready)))
        )
        command, environment = as_process("pyproxy.conformance.child", str(file))
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(command, env=environment, stdout=output, stderr=output)
        deadline = time.monotonic() + START_TIMEOUT
        while not ready.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                said = self.complaints()
                self._stop()
                raise RuntimeError(f"pyproxy did not start: {said}")
            time.sleep(0.02)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._folder.cleanup()
