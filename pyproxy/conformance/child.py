"""pyproxy in a process of its own on settings that may come from no file: ``python -m pyproxy.conformance.child FILE``.

The file is a pickle of ``Job`` that the parent process has just written.
"""

from __future__ import annotations

import asyncio
import gc
import pickle
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pyproxy.observe.access_log import AccessLog
from pyproxy.observe.log_format import compile_format
from pyproxy.observe.stats import Stats
from pyproxy.server.admin import Admin
from pyproxy.server.app import App, StopSignals, run
from pyproxy.server.inspector import inspector_commands
from pyproxy.server.instruments import Instruments
from pyproxy.server.listening import ListenSockets
from pyproxy.server.process import ProcessOptions, ServingProcess
from pyproxy.settings import Listener, Settings

DRAIN_TIME = 60.0
"""Seconds; the subject Envoy's."""


@dataclass(frozen=True, slots=True)
class Job:
    """What the child is to do."""

    settings: Settings
    access_log: str | None
    admin_port: int
    log_format: str
    ready: str
    """A file that is made when all listeners accept."""


def main() -> None:
    """Serve until SIGTERM."""
    with open(sys.argv[1], "rb") as file:
        job: Job = pickle.load(file)
    gc.collect()
    gc.freeze()  # as pyproxy serve does
    sys.exit(run(lambda: _serve(job), loop="uvloop"))


class _Configuration:
    """Settings that no policy has to do with."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def policies_of(self, listener: Listener) -> list[str]:
        return []

    def decisions(self, listener: Listener) -> list[dict[str, str]]:
        return []

    def describe(self) -> list[dict[str, Any]]:
        return []

    def status(self) -> str:
        return "{}"


async def _serve(job: Job) -> int:
    stats = Stats()
    access_log = None
    if job.access_log is not None:
        access_log = AccessLog(job.access_log, compile_format(job.log_format), stats.files)
    sockets = ListenSockets()
    sockets.bind(job.settings.listeners)
    app = App(sockets.copy, access_log=access_log, drain_time=0, stats=stats)
    await app.serve(job.settings)
    signals = StopSignals()
    configuration = _Configuration(job.settings)
    process = ServingProcess(
        Instruments(app, access_log=access_log),
        lambda: configuration,
        ProcessOptions("uvloop", DRAIN_TIME),
        signals=signals,
        close_sockets=sockets.close,
    )
    admin = Admin(process, inspector_commands(process)).server()
    await admin.start("127.0.0.1", job.admin_port)
    signals.listen()
    await asyncio.to_thread(Path(job.ready).touch)
    await signals.asked.wait()
    admin.close()
    sockets.close()
    await app.close()
    if access_log is not None:
        access_log.close()
    return 0


if __name__ == "__main__":
    main()
