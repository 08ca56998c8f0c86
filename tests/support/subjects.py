"""pyproxy and real Envoy, each as a process on the same resources, for tests that look at the process itself."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pyproxy.envoy.bootstrap import render
from pyproxy.envoy.process import find_envoy, free_port
from pyproxy.policy.load import load_texts
from pyproxy.policy.release import Release
from tests.support.namespaces import Host
from tests.support.processes import PYPROXY, Running, gateway, running


@dataclass(frozen=True, slots=True)
class Served:
    """A proxy that serves."""

    process: Running
    host: str
    port: int
    admin_port: int
    """0 where there is no admin."""

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port


@dataclass(frozen=True, slots=True)
class Subject:
    """One of the two, not started."""

    name: str
    """``pyproxy`` or ``Envoy``."""

    @property
    def is_envoy(self) -> bool:
        return self.name == "Envoy"

    @contextmanager
    def serve(
        self,
        backend_port: int,
        policy: str = "",
        *,
        host: Host | None = None,
        address: str = "",
        resources: str = "",
        access_log: str = "/dev/null",
        prefix: Sequence[str] = (),
        flags: Sequence[str] = ("--drain-time", "0"),
        admin: bool = False,
    ) -> Iterator[Served]:
        """Serve a route to ``backend_port`` under ``policy``, on ``address``, ``host``'s own or loopback.

        ``resources`` stands in place of ``gateway``'s; ``{port}`` there is the listener's. ``prefix`` is put before the
        command, ``flags`` behind pyproxy's. pyproxy has an admin only with ``admin``, Envoy always.
        """
        port = free_port()
        address = address or (host.address if host is not None else "127.0.0.1")
        text = resources.replace("{port}", str(port)) if resources else gateway(port, backend_port, policy)
        prefix = [*(host.prefix if host is not None else ()), *prefix]
        with tempfile.TemporaryDirectory(prefix="pyproxy-reliability-") as folder:
            command, admin_port, ready = (
                self._envoy(Path(folder), text, address, access_log)
                if self.is_envoy
                else self._pyproxy(Path(folder), text, address, access_log, flags, admin=admin)
            )
            with running(command, prefix=prefix) as process:
                process.wait_for(ready)
                yield Served(process, address, port, admin_port)

    @staticmethod
    def _pyproxy(
        folder: Path, text: str, address: str, access_log: str, flags: Sequence[str], *, admin: bool
    ) -> tuple[list[str | Path], int, str]:
        file = folder / "gateway.yaml"
        file.write_text(text)
        command: list[str | Path] = [*PYPROXY, "serve", "-f", file, "--release", "v1.9", "--address", address]
        admin_port = free_port() if admin else 0
        command += ["--admin", f"127.0.0.1:{admin_port}" if admin else "off"]
        return [*command, "--access-log", access_log, *flags], admin_port, "listening on "

    @staticmethod
    def _envoy(folder: Path, text: str, address: str, access_log: str) -> tuple[list[str | Path], int, str]:
        settings = load_texts(
            [("gateway.yaml", text)], release=Release.V1_9, address=address, now=datetime.now(UTC)
        ).settings
        admin_port, config = free_port(), folder / "envoy.json"
        config.write_text(render(settings, admin_port=admin_port, access_log=access_log))
        command: list[str | Path] = [find_envoy(), "-c", config, "--use-dynamic-base-id", "--concurrency", "1"]
        command += ["--drain-strategy", "immediate", "-l", "warning", "--component-log-level", "config:info"]
        return command, admin_port, "starting workers"
