"""The process that the admin speaks for: what it serves, alone or with workers, and its end."""

from __future__ import annotations

import asyncio
import os
import platform
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

from pyproxy import __version__
from pyproxy.envoy.bootstrap import bootstrap
from pyproxy.observe.stats import ServerStats, Snapshot, UpdateStats
from pyproxy.server import log_levels
from pyproxy.server.app import StopSignals
from pyproxy.server.clusters import clusters_of
from pyproxy.settings import Listener, Settings
from pyproxy.wire.address import format_address

Json = Any


@dataclass(frozen=True, slots=True)
class ProcessOptions:
    """What ``/server_info`` tells of how the process was started."""

    loop: str
    drain_time: float
    workers: int = 1


class Configuration(Protocol):
    """What is served now, and what there is to tell about it."""

    @property
    def settings(self) -> Settings:
        """As they are in force."""

    def policies_of(self, listener: Listener) -> list[str]:
        """The policies that apply to a listener."""

    def decisions(self, listener: Listener) -> list[Json]:
        """Each setting with its value, where that comes from and the field that decided, if one did."""

    def describe(self) -> list[Json]:
        """All settings of each listener, with the same facts and its routes."""

    def status(self) -> str:
        """The policies and their conditions as JSON."""


class Serving(Protocol):
    """The processes that serve; ``instruments`` says what they can be asked."""

    @property
    def processes(self) -> set[int]:
        """Their ids."""

    async def ask(self, verb: str, argument: Any = None) -> list[Any]:
        """The answer of each that gives one soon."""

    async def tell(self, verb: str, argument: Any = None) -> None:
        """Have each do something; those that start later too."""


class ServingProcess:
    """Implements ``admin.Process``."""

    def __init__(
        self,
        serving: Serving,
        configuration: Callable[[], Configuration],
        options: ProcessOptions,
        *,
        signals: StopSignals,
        close_sockets: Callable[[], None],
        updates: UpdateStats | None = None,
    ) -> None:
        """``configuration`` gives what is in force; ``close_sockets`` keeps the kernel from taking connections.

        ``updates``: of what ``configuration`` gives, where that changes.
        """
        self._serving = serving
        self._configuration = configuration
        self._options = options
        self._signals = signals
        self._close_sockets = close_sockets
        self._updates = updates or UpdateStats()
        self._started = time.monotonic()
        self._health_failed = False
        self._last: dict[int, Snapshot] = {}
        """Each serving process's stats, by its id, when it gave them last: one that is stuck keeps its numbers."""
        self._gone = Snapshot()
        """Those of processes that have ended."""
        self._counting = asyncio.Lock()
        """So that none of them is counted as ended twice."""
        self._later: list[asyncio.Task[None]] = []
        self._server = ServerStats(concurrency=options.workers, version=_version_number())
        self.drained = False
        """The admin has had the listening sockets closed for good."""
        self.admin_address = ("127.0.0.1", 19000)
        """What ``config_dump`` says of where the admin is."""
        self.quitting = False
        """The admin has ended the process."""

    @property
    def settings(self) -> Settings:
        return self._configuration().settings

    @property
    def live(self) -> bool:
        return not self._health_failed and not self._signals.asked.is_set()

    def initialized(self, seconds: float) -> None:
        """Everything is bound, ``seconds`` after the start."""
        self._server.initialization_time_ms.record(int(seconds * 1000))
        self._server.initialization_time_ms.flush()

    async def snapshot(self) -> Snapshot:
        async with self._counting:
            self._last |= dict(await self._serving.ask("snapshot"))
            for gone in self._last.keys() - self._serving.processes:
                self._gone.add(self._last.pop(gone).history())
        taken = Snapshot()
        for one in (self._gone, *self._last.values()):
            taken.add(one)
        server = self._server
        server.live, server.state = int(self.live), int(self._signals.asked.is_set())
        server.uptime = int(time.monotonic() - self._started)
        server.collect("server.", taken)
        self._updates.collect("listener_manager.lds.", taken)
        settings = self.settings
        taken.gauges["listener_manager.total_listeners_active"] = len(settings.listeners)
        taken.gauges["cluster_manager.active_clusters"] = len(clusters_of(settings))
        return taken

    async def connections(self, limit: int) -> Json:
        configuration = self._configuration()
        listeners = [
            {
                "name": one.name,
                "address": format_address(one.address, one.port),
                "policies": configuration.policies_of(one),
                "decisions": configuration.decisions(one),
            }
            for one in configuration.settings.listeners
        ]
        now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        answers = await self._serving.ask("connections", limit)
        connections = [one for answer in answers for one in answer["connections"]]
        connections.sort(key=lambda one: one["quiet"])
        requests = [one for answer in answers for one in answer["requests"]]
        requests.sort(key=lambda one: one["ago"])
        return {
            "time": now,
            "listeners": listeners,
            "total": sum(answer["total"] for answer in answers),
            "connections": connections[:limit],
            "requests": requests,
        }

    def server_info(self) -> Json:
        uptime = f"{int(time.monotonic() - self._started)}s"
        options = self._options
        return {
            "version": f"pyproxy/{__version__}/Python-{platform.python_version()}/{options.loop}",
            "state": "LIVE" if self.live else "DRAINING",
            "uptime_current_epoch": uptime,
            "uptime_all_epochs": uptime,
            "command_line_options": {
                "concurrency": options.workers,
                "service_cluster": self.settings.node_cluster,
                "drain_time": f"{options.drain_time:g}s",
                "mode": "Serve",
            },
            "node": {
                "id": f"pyproxy-{os.getpid()}",
                "cluster": self.settings.node_cluster,
                "user_agent_name": "pyproxy",
            },
        }

    def config_dump(self) -> Json:
        configuration = self._configuration()
        address, port = self.admin_address
        envoys = bootstrap(configuration.settings, admin_address=address, admin_port=port)
        return {
            "configs": [
                {"@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", "bootstrap": envoys},
                {"@type": "pyproxy.SettingsDump", "listeners": configuration.describe()},
            ]
        }

    def status(self) -> str:
        return self._configuration().status()

    async def fail_health_check(self, *, failed: bool) -> None:
        self._health_failed = failed
        await self._serving.tell("health_failed", failed)

    async def drain_listeners(self, *, graceful: bool, skip_exit: bool) -> None:
        await self._serving.tell("drain_connections")
        if skip_exit:
            return
        if not graceful:
            await self._stop_accepting()
        else:
            self._begin(self._stop_accepting(self._options.drain_time))

    async def _stop_accepting(self, delay: float = 0) -> None:
        await asyncio.sleep(delay)
        self.drained = True
        await self._serving.tell("stop_accepting")
        self._close_sockets()

    async def reopen_logs(self) -> None:
        await self._serving.tell("reopen_logs")

    def reopen_logs_soon(self) -> None:
        """For a signal's handler."""
        self._begin(self.reopen_logs())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._later = [one for one in self._later if not one.done()]
        self._later.append(asyncio.get_running_loop().create_task(work))

    def quit(self) -> None:
        self.quitting = True
        self._signals.force()

    async def change_log_levels(self, levels: Mapping[str, str]) -> None:
        log_levels.change(levels)  # this process, which has the admin, need not be a serving one
        await self._serving.tell("log_levels", levels)


def _version_number() -> int:
    major, minor, patch = (int(part) for part in __version__.split("."))
    return (major * 1000 + minor) * 1000 + patch
