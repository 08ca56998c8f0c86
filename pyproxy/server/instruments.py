"""What one serving process is asked and told by the admin: stats, its connections, draining, logs.

Each verb is answered in the event loop of that process with plain data, so that a process that serves by itself answers
directly and the supervisor of several asks each of them.
"""

from __future__ import annotations

import asyncio
import os
from typing import Any

from pyproxy.net.inspection import RecentRequests, describe_connection
from pyproxy.observe.access_log import AccessLog
from pyproxy.observe.stats import Snapshot
from pyproxy.server import log_levels
from pyproxy.server.app import App

FLUSH_INTERVAL = 5.0
"""Seconds of a histogram's interval; Envoy's stats_flush_interval."""

ATTENTION = 10.0
"""Seconds after a look at the connections in which somebody is taken to be watching."""

_PAGE = 4096


class Instruments:
    """Those of one process, as long as its loop runs."""

    def __init__(self, app: App, *, access_log: AccessLog | None, worker: int = 0) -> None:
        self._app = app
        self._access_log = access_log
        self._worker = worker
        self._loop = asyncio.get_running_loop()
        self._recent = RecentRequests()
        self._watched_until = 0.0
        self._attention: asyncio.TimerHandle | None = None
        self._on_flush()

    @property
    def processes(self) -> set[int]:
        """Implements ``process.Serving`` for a process that serves by itself."""
        return {os.getpid()}

    async def ask(self, verb: str, argument: Any = None) -> list[Any]:
        """As ``processes``."""
        return [self.answer(verb, argument)]

    async def tell(self, verb: str, argument: Any = None) -> None:
        """As ``processes``."""
        self.answer(verb, argument)

    def answer(self, verb: str, argument: Any) -> Any:
        """Do what ``verb`` asks for."""
        match verb:
            case "snapshot":
                return self._snapshot()
            case "connections":
                return self._connections(argument)
            case "health_failed":
                self._app.orders.health_failed = argument
            case "drain_connections":
                self._app.orders.drained = True
            case "stop_accepting":
                self._app.stop_accepting()
            case "reopen_logs":
                self.reopen_logs()
            case "log_levels":
                log_levels.change(argument)
            case _:
                raise ValueError(verb)
        return None

    def reopen_logs(self) -> None:
        """Open the access log's file anew."""
        if self._access_log is not None:
            self._access_log.reopen()

    def _on_flush(self) -> None:
        self._app.stats.flush()
        self._loop.call_later(FLUSH_INTERVAL, self._on_flush)

    def _snapshot(self) -> tuple[int, Snapshot]:
        """The process's id and its stats now."""
        listeners = self._app.all_listeners
        self._app.stats.begin_measuring()
        for listener in listeners:
            listener.measure()
        taken = self._app.stats.snapshot(self._worker)
        for name in ("watchdog_mega_miss", "watchdog_miss"):
            taken.counters[f"server.worker_{self._worker}.{name}"] = 0
        taken.gauges["server.total_connections"] = sum(len(listener.connections) for listener in listeners)
        taken.gauges |= memory()
        return os.getpid(), taken

    def _connections(self, limit: int) -> dict[str, Any]:
        """The connections with the latest traffic, at most ``limit``, and the requests since somebody has watched."""
        self._watch()
        alive = [connection for listener in self._app.all_listeners for connection in listener.connections]
        alive.sort(key=lambda connection: connection.active_at, reverse=True)
        worker = {"worker": self._worker}
        return {
            "total": len(alive),
            "connections": [describe_connection(connection) | worker for connection in alive[:limit]],
            "requests": [request | worker for request in self._recent.describe()],
        }

    def _watch(self) -> None:
        self._app.orders.watcher = self._recent.record
        self._watched_until = self._loop.time() + ATTENTION
        if self._attention is None:
            self._attention = self._loop.call_later(ATTENTION, self._look_away)

    def _look_away(self) -> None:
        if self._loop.time() < self._watched_until:
            self._attention = self._loop.call_at(self._watched_until, self._look_away)
            return
        self._attention = None
        self._app.orders.watcher = None
        self._recent.clear()


def memory() -> dict[str, int]:
    """This process's, under the stats' names, in bytes."""
    with open("/proc/self/statm", encoding="ascii") as file:
        _, resident, shared, _, _, data, _ = (int(pages) * _PAGE for pages in file.read().split())
    return {
        "server.memory_physical_size": resident,
        "server.memory_allocated": resident - shared,
        "server.memory_heap_size": data,
    }
