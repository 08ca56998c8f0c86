"""One listening address: its sockets, its connections, and what they share."""

from __future__ import annotations

import asyncio
import socket
import time
from random import Random

from pyproxy.errors import Fault
from pyproxy.net import sockets
from pyproxy.net.downstream import DownstreamConnection
from pyproxy.net.timing import HttpDate
from pyproxy.net.upstream import ClusterPool
from pyproxy.observe.access_log import AccessLog, RequestLog
from pyproxy.proxy.request_id import RequestIds
from pyproxy.proxy.route import RouteTable
from pyproxy.settings import Cluster, Listener

IDLE_GRACE = 1.0
"""Seconds that a connection which has just been used gets, while draining, for a request already on its way."""


class HttpListener:
    """Accepts connections as ``settings`` says and keeps them until they end."""

    def __init__(
        self,
        settings: Listener,
        *,
        loop: asyncio.AbstractEventLoop,
        node_address: str,
        access_log: AccessLog | None,
    ) -> None:
        self.settings = settings
        self.loop = loop
        self.node_address = node_address.encode()
        self.access_log = access_log
        self.date = HttpDate()
        self.random = Random()
        self.request_ids = RequestIds()
        self.routes = RouteTable(settings.virtual_hosts)
        self.connections: set[DownstreamConnection] = set()
        self.draining = False
        self._pools: dict[str, ClusterPool] = {}
        self._server: asyncio.Server | None = None
        self._empty = asyncio.Event()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are bound; the port is the kernel's choice where the settings have 0."""
        assert self._server is not None, "the listener has been started"
        name = self._server.sockets[0].getsockname()
        return name[0], name[1]

    async def start(self) -> None:
        """Bind and accept. Raises ``OSError`` if the address can't be had."""
        await self.serve(sockets.listen(self.settings))

    async def serve(self, sock: socket.socket) -> None:
        """Accept on a socket that is bound and listening already."""
        self._server = await self.loop.create_server(lambda: DownstreamConnection(self), sock=sock)

    def log_refused(self, connection: DownstreamConnection, fault: Fault, bytes_sent: int) -> None:
        """The access log line of what could not be read as a request; ``bytes_sent`` of its reply's body."""
        if self.access_log is not None:
            self.access_log.write(
                RequestLog(
                    start_time=time.time(),
                    response_code=fault.status,
                    response_flags=fault.flag,
                    response_code_details=fault.detail,
                    bytes_sent=bytes_sent,
                    downstream_local_address=connection.local_address,
                    downstream_remote_address=connection.remote_address,
                )
            )

    def pool(self, cluster: Cluster) -> ClusterPool:
        """The connections to ``cluster``."""
        pool = self._pools.get(cluster.name)
        if pool is None:
            pool = self._pools[cluster.name] = ClusterPool(
                cluster, self.loop, self.settings.http, self.settings.buffer_limit
            )
        return pool

    def connection_closed(self) -> None:
        """A connection has gone from ``connections``."""
        if not self.connections:
            self._empty.set()

    def stop_accepting(self) -> None:
        """Close the listening socket; the connections there are go on."""
        if self._server is not None:
            self._server.close()

    async def drain(self, seconds: float) -> bool:
        """Stop accepting, answer what has begun with ``connection: close``, and wait; whether all ended in time."""
        self.draining = True
        self.stop_accepting()
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
        self.stop_accepting()
        for connection in list(self.connections):
            connection.abort()
        for pool in self._pools.values():
            await pool.close()
        while self.connections:
            self._empty.clear()
            await self._empty.wait()
