"""One listener as one configuration has it: its connections and what they share.

On a reload that changes it there is a new one for the same address, and the old one drains; ``net.accept`` owns the
socket that both got their connections from.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from random import Random

from pyproxy.errors import Fault
from pyproxy.net import sockets
from pyproxy.net.accept import GlobalConnections
from pyproxy.net.downstream import DownstreamConnection
from pyproxy.net.hosts import has_names
from pyproxy.net.tally import Tally
from pyproxy.net.timing import NEVER, HttpDate
from pyproxy.net.upstream import ClusterPool, cluster_stats
from pyproxy.observe.request_log import RecordWriter, RequestLog
from pyproxy.observe.stats import HealthCheckStats, ProxyProtocolStats, Stats
from pyproxy.proxy.client_address import identify
from pyproxy.proxy.headers import HeaderRules
from pyproxy.proxy.request_id import RequestIds
from pyproxy.proxy.route import RouteTable
from pyproxy.proxy.string_match import match_any
from pyproxy.proxy.timeouts import StreamTimeouts
from pyproxy.settings import Cluster, Listener
from pyproxy.wire.address import format_address
from pyproxy.wire.proxy_protocol import Address

IDLE_GRACE = 1.0
"""Seconds that a connection which has just been used gets, while draining, for a request already on its way."""


@dataclass(slots=True)
class Orders:
    """What the admin asks of every listener of a process, those of later settings too."""

    health_failed: bool = False
    """Health checks are to fail, and connections to go."""
    drained: bool = False
    """Connections are to go: each response is the last but those of a drain."""
    watcher: Callable[[HttpListener, RequestLog], None] | None = None
    """Gets each record too, while somebody looks at the inspector."""


class HttpListener:
    """Has the connections that were accepted for ``settings``, until they end."""

    def __init__(
        self,
        settings: Listener,
        *,
        loop: asyncio.AbstractEventLoop,
        node_address: str,
        access_log: RecordWriter | None,
        stats: Stats | None = None,
        node_cluster: str = "",
        global_connections: GlobalConnections | None = None,
        limited: Tally | None = None,
        orders: Orders | None = None,
    ) -> None:
        self.settings = settings
        self.loop = loop
        self.node_cluster = node_cluster.encode()
        self.global_connections = global_connections or GlobalConnections()
        self.access_log = access_log
        self._all_stats = stats or Stats()
        self.stats = self._all_stats.http(settings.stat_prefix)
        self.listener_stats = self._all_stats.listener(
            format_address(settings.address, settings.port), settings.stat_prefix
        )
        self.codec_stats = self._all_stats.codec
        if settings.http.health_check_path is not None and self.stats.health_checks is None:
            self.stats.health_checks = HealthCheckStats()
        has_headers = settings.proxy_protocol is not None
        self.proxy_stats = self._all_stats.proxy_protocol() if has_headers else ProxyProtocolStats()
        self.orders = orders or Orders()
        self.date = HttpDate()
        self.random = Random()
        self.request_ids = RequestIds()
        # Who has connected once does so again.
        self.identify = lru_cache(maxsize=1024)(
            partial(
                identify,
                node_address=node_address.encode(),
                options=settings.http.client_address,
                scope_index=sockets.interface_index,
            )
        )
        """What follows from a client's IP address."""
        self.rules = HeaderRules(settings.http, sockets.interface_index)
        self.read_at_once = sockets.read_at_once(settings.buffer_limit)
        ignored = settings.http.ignored_upgrade_types
        self.ignores_upgrade = match_any(ignored) if ignored else None
        self.routes = RouteTable(settings.virtual_hosts)
        self.timeouts = StreamTimeouts(settings.http)
        self.idle_timeout = settings.http.idle_timeout or NEVER
        """Seconds that a connection may be without a request."""
        self.connections: set[DownstreamConnection] = set()
        self.limited = limited or Tally()
        """Connections that count against ``connection_limit``."""
        self.draining = False
        """Every response says ``connection: close``."""
        self.superseded = False
        """That is because other settings are in force, and nothing is in a hurry."""
        self._pools: dict[str, ClusterPool] = {}
        self._former_pools: list[ClusterPool] = []
        self._meet_clusters()
        self._empty = asyncio.Event()

    def new_connection(self, sock: socket.socket, peer: Address, local: Address) -> DownstreamConnection:
        """The protocol for a connection that has just been accepted, which ``global_connections`` counts already."""
        return DownstreamConnection(self, sock, peer, local)

    def take_routes(self, other: HttpListener) -> None:
        """Take the routes of ``other``, whose settings differ in nothing else, for every request from now on.

        Connections stay as they are, as they do in Envoy when a RouteConfiguration or a cluster changes (measured).
        """
        self.settings, self.routes = other.settings, other.routes
        clusters = set(self.settings.clusters)
        self._former_pools = [pool for pool in self._former_pools if pool.busy]
        for name, pool in list(self._pools.items()):
            if pool.cluster not in clusters:
                del self._pools[name]
                pool.drain()
                self._former_pools.append(pool)
        self._meet_clusters()
        self.look_names_up()

    def look_names_up(self) -> None:
        """Now, so that the first request need not wait for it."""
        for cluster in self.settings.clusters:
            if has_names(cluster):
                self.pool(cluster)

    def _meet_clusters(self) -> None:
        """Have the stats of each cluster there before its first request."""
        for cluster in self.settings.clusters:
            cluster_stats(cluster, self._all_stats)

    def log_refused(self, connection: DownstreamConnection, fault: Fault, bytes_sent: int, reply: bytes = b"") -> None:
        """The access log line of what did not become a request; ``bytes_sent`` of its reply's body."""
        if self.records_requests:
            self.record(
                RequestLog(
                    connection=connection,
                    downstream_remote_address=connection.remote_address,
                    start_time=connection.stream_started_wall,
                    began=connection.stream_started,
                    ended=self.loop.time(),
                    response_head=reply,
                    adds_length=True,
                    response_code=fault.status,
                    response_flags=fault.flag,
                    response_code_details=fault.detail,
                    bytes_sent=bytes_sent,
                )
            )

    @property
    def announces_failure(self) -> bool:
        """Whether responses say that health checks fail."""
        return self.orders.health_failed and self.settings.http.health_check_path is not None

    @property
    def records_requests(self) -> bool:
        """Whether anybody wants to have the records of requests."""
        return self.access_log is not None or self.orders.watcher is not None

    def record(self, record: RequestLog) -> None:
        """A request is over."""
        if self.access_log is not None:
            self.access_log.write(record)
        if self.orders.watcher is not None:
            self.orders.watcher(self, record)

    def pool(self, cluster: Cluster) -> ClusterPool:
        """The connections to ``cluster``."""
        pool = self._pools.get(cluster.name)
        if pool is None:
            pool = self._pools[cluster.name] = ClusterPool(
                cluster, self.loop, self.settings.http, cluster_stats(cluster, self._all_stats)
            )
        return pool

    def measure(self) -> None:
        """Add what is buffered at this moment to the gauges that nobody keeps; see ``Stats.begin_measuring``."""
        self.stats.downstream_cx_rx_bytes_buffered += sum(one.bytes_to_read for one in self.connections)
        self.stats.downstream_cx_tx_bytes_buffered += sum(one.bytes_to_write for one in self.connections)
        for pool in (*self._pools.values(), *self._former_pools):
            pool.measure()

    def connection_closed(self) -> None:
        """A connection has gone from ``connections``."""
        self.global_connections.release()
        if not self.connections:
            self._empty.set()

    async def retire(self, seconds: float) -> None:
        """Let the connections finish that a newer configuration leaves behind, and cut what is left in the end.

        As in Envoy after a listener update with ``--drain-time-s`` (measured): with the next response on each a drain
        begins, and an idle connection stays until then or until the time is up.
        """
        self.draining = self.superseded = True
        await self._wait_until_empty(self.loop.time() + seconds)
        await self.close()

    async def drain(self, seconds: float) -> bool:
        """Answer what has begun with ``connection: close``, end what is idle, and wait; whether all ended in time."""
        self.draining, self.superseded = True, False
        deadline = self.loop.time() + seconds
        grace = min(IDLE_GRACE, seconds)
        self._drain_idle(self.loop.time() - grace)
        if await self._wait_until_empty(self.loop.time() + grace):
            return True
        self._drain_idle(self.loop.time())
        return await self._wait_until_empty(deadline)

    def _drain_idle(self, idle_since: float) -> None:
        for connection in list(self.connections):
            connection.drain(idle_since=idle_since)

    async def _wait_until_empty(self, deadline: float) -> bool:
        while self.connections:
            self._empty.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await self._empty.wait()
            except TimeoutError:
                return not self.connections
        return True

    async def close(self) -> None:
        """End everything at once."""
        for connection in list(self.connections):
            connection.abort()
        for pool in (*self._pools.values(), *self._former_pools):
            await pool.close()
        while self.connections:
            self._empty.clear()
            await self._empty.wait()
