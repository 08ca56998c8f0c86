"""Connections to backends: opened when needed, kept alive, and handed from request to request.

A pool per cluster gives out at most one request a connection. The pool and its connections call a ``Requester`` back
and never wait for it. As in Envoy, a request that has to wait is no connection's: it gets whichever comes first, a new
one or one that another request is done with.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Final, cast

from pyproxy.errors import Fault, Source
from pyproxy.net import sockets
from pyproxy.net.hosts import Address, Host, Hosts, parse_address
from pyproxy.net.requester import Requester
from pyproxy.observe.stats import ClusterStats, EndpointStats, Stats
from pyproxy.settings import Cluster, HttpOptions
from pyproxy.wire.address import format_address
from pyproxy.wire.head import PROTOCOL_ERROR
from pyproxy.wire.http1 import ResponseReader
from pyproxy.wire.messages import ResponseHead

IDLE_TIMEOUT: Final = 3600.0
"""Seconds an unused connection is kept; Envoy's default for clusters."""

_BEFORE_RESPONSE: Final = "upstream_reset_before_response_started{%s}"

CONNECTION_TERMINATION: Final = Fault(
    Source.UPSTREAM, "connection_termination", 503, "UC", _BEFORE_RESPONSE % "connection_termination"
)
CONNECTION_TIMEOUT: Final = Fault(
    Source.UPSTREAM, "connection_timeout", 503, "UF", _BEFORE_RESPONSE % "connection_timeout"
)
NO_HEALTHY_UPSTREAM: Final = Fault(Source.UPSTREAM, "no_healthy_upstream", 503, "UH", "no_healthy_upstream")
"""There is no host: no name of the cluster has an address."""
OVERFLOW: Final = Fault(Source.UPSTREAM, "overflow", 503, "UO", _BEFORE_RESPONSE % "overflow")


def connect_failure(error: OSError) -> Fault:
    """A backend that can't be reached, with the words Envoy has for it."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    delayed = "remote_connection_failure|delayed_connect_error:_" + reason.replace(" ", "_")
    return Fault(Source.UPSTREAM, "remote_connection_failure", 503, "UF", _BEFORE_RESPONSE % delayed)


class UpstreamConnection:
    """One connection to an endpoint. Implements ``asyncio.Protocol``."""

    __deletable__ = ("_transport",)  # for mypyc

    def __init__(self, pool: ClusterPool, host: UpstreamHost, sock: socket.socket) -> None:
        self._pool = pool
        self._sock = sock
        self._news = sockets.News(sock)
        self._reader = ResponseReader(pool.options)
        self._requester: Requester | None = None
        self._transport: asyncio.Transport
        self._paused = False
        self._tunnel = False
        self._takes_any_1xx = False
        """As final, but for those that are swallowed: after a request for an upgrade (measured)."""
        self._reusable = True
        self._head_read = False
        self._request_sent = False
        self._said_close = False
        self._peer_ended = False
        self._closed_here = False
        self._active_at_end = False
        self._served = 0
        self.stats = pool.stats
        self.host = host
        self.opened_at = pool.now()
        self.idle_since = 0.0
        self.closed = False
        local = sock.getsockname()
        peer = sock.getpeername()
        self.local_address = format_address(local[0], local[1])
        self.remote_address = format_address(peer[0], peer[1])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._pool.remember(self)
        sockets.set_watermarks(self._transport, self._pool.cluster.buffer_limit)

    def take(self, requester: Requester, method: bytes, *, upgrade: bool) -> None:
        """Make the connection ``requester``'s."""
        self._requester = requester
        self._active_at_end = False
        self._served += 1
        self._head_read = False
        self._request_sent = False
        self._takes_any_1xx = upgrade and method != b"HEAD"
        self._reader.expect(method, upgrade=upgrade)

    def write(self, data: bytes) -> None:
        """Send request bytes; ``on_upstream_blocked`` says when they pile up."""
        self.stats.upstream_cx_tx_bytes_total += len(data)
        self._transport.write(data)

    def end_request(self) -> None:
        """The request is complete; a connection that still owes body bytes can't be given to the next request."""
        self._request_sent = True

    def pause_reading(self) -> None:
        """Take no more of the response from the socket."""
        if not self.closed:
            self._paused = True
            self.stats.upstream_flow_control_paused_reading_total += 1
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take the response from the socket again."""
        if self._paused and not self.closed:
            self._paused = False
            self.stats.upstream_flow_control_resumed_reading_total += 1
            self._transport.resume_reading()

    def reset(self) -> None:
        """End the connection and whatever it was doing; the requester hears nothing more."""
        self._active_at_end = self._let_go() is not None
        self._close()

    def _let_go(self) -> Requester | None:
        requester, self._requester = self._requester, None
        if requester is not None:
            self.host.active -= 1
        return requester

    @property
    def bytes_to_write(self) -> int:
        """Bytes that the backend has not taken yet."""
        return self._transport.get_write_buffer_size()

    @property
    def usable(self) -> bool:
        """Whether an idle connection can take another request, as far as the kernel knows."""
        return not self.closed and not self._news

    def data_received(self, data: bytes) -> None:
        self.stats.upstream_cx_rx_bytes_total += len(data)
        requester = self._requester
        if requester is None:
            self.stats.upstream_cx_protocol_error += 1
            # Nobody asked: the rest of a response that was too long, or a backend that talks by itself.
            self._close()
        elif self._tunnel:
            requester.on_tunnel_data(data)
        else:
            self._reader.receive(data)
            self._advance(requester)

    def _advance(self, requester: Requester) -> None:
        reader = self._reader
        head: ResponseHead | None = None
        if not self._head_read:
            head = self._read_final_head(requester)
            if head is None:
                return
        body = b""
        if not reader.body_complete:
            piece = reader.read_body()
            if isinstance(piece, Fault):
                # The client still gets the head: it is the body that can't be trusted.
                if head is not None:
                    requester.on_response(head, b"", end=False)
                self._fail(piece)
                return
            body = piece
        end = reader.body_complete
        if end:
            self._release()
        if head is not None:
            requester.on_response(head, body, end=end, ending=reader.ending)
        elif body or end:
            requester.on_response_body(body, end=end, ending=reader.ending)
        if body and not end and isinstance(piece := reader.read_body(), Fault):
            self._fail(piece)

    def _read_final_head(self, requester: Requester) -> ResponseHead | None:
        while True:
            head = self._reader.read_head()
            if head is None:
                return None
            if isinstance(head, Fault):
                self._fail(head)
                return None
            if head.status == 101 and head.upgrade:
                self._tunnel = self._head_read = True
                self._reusable = False
                requester.on_response(head, self._reader.take_rest(), end=False)
                return None
            if (
                head.status >= 200
                or head.status == 101
                or head.status < 100
                or (self._takes_any_1xx and head.status > 104)
            ):
                self._head_read = True
                self._said_close = head.close
                self._reusable = not head.close and not head.until_close
                return head
            # Envoy swallows 100, 102 and 103 of a backend: it has answered Expect itself.
            requester.responses.by_status[head.status] += 1

    def _release(self) -> None:
        self._let_go()
        self._active_at_end = not self._request_sent
        self.stats.upstream_cx_close_notify += self._said_close
        self.stats.upstream_cx_protocol_error += bool(self._reader.buffered)
        if self._reusable and self._request_sent and not self._reader.buffered:
            self.resume_reading()
            self._pool.give_back(self)
        else:
            self._close()

    def _fail(self, fault: Fault) -> None:
        requester = self._let_go()
        self._active_at_end = requester is not None
        self.stats.upstream_cx_protocol_error += 1
        self._close()
        if requester is not None:
            requester.on_upstream_reset(fault)

    def eof_received(self) -> None:
        self._peer_ended = True
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        self._peer_ended = True
        self._ended()
        self.closed = True
        # The transport keeps the protocol: together they would wait for the garbage collector.
        del self._transport
        self._count_end()
        self._pool.forget(self)

    def _count_end(self) -> None:
        stats = self.stats
        if self._closed_here:
            stats.upstream_cx_destroy_local += 1
            stats.upstream_cx_destroy_local_with_active_rq += self._active_at_end
        else:
            stats.upstream_cx_destroy_remote += 1
            stats.upstream_cx_destroy_remote_with_active_rq += self._active_at_end
        self.host.stats.cx_active -= 1
        stats.upstream_rq_per_cx.record(self._served)
        stats.upstream_cx_length_ms.record(int((self._pool.now() - self.opened_at) * 1000))

    def _ended(self) -> None:
        requester = self._let_go()
        if requester is None:
            return
        self._active_at_end = not (self._head_read and not self._tunnel and self._reader.end())
        if not self._active_at_end:
            self._close()
            requester.on_response_body(b"", end=True)
            return
        fault = CONNECTION_TERMINATION
        if not self._tunnel and (self._head_read or self._reader.buffered):
            # An end inside a message is no end to it: Envoy's codec calls that a protocol error (measured).
            fault = PROTOCOL_ERROR
            self.stats.upstream_cx_protocol_error += 1
        self._close()
        requester.on_upstream_reset(fault)

    def pause_writing(self) -> None:
        self.stats.upstream_flow_control_backed_up_total += 1
        if self._requester is not None:
            self._requester.on_upstream_blocked(blocked=True)

    def resume_writing(self) -> None:
        self.stats.upstream_flow_control_drained_total += 1
        if self._requester is not None:
            self._requester.on_upstream_blocked(blocked=False)

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            self._closed_here = not self._peer_ended
            self._transport.abort()


class ClusterPool:
    """The connections of one cluster, no more than its circuit breakers let there be."""

    def __init__(
        self, cluster: Cluster, loop: asyncio.AbstractEventLoop, options: HttpOptions, stats: ClusterStats | None = None
    ) -> None:
        self.cluster = cluster
        self.stats = stats or cluster_stats(cluster, Stats())
        self.options = options
        self._loop = loop
        self._hosts = Hosts(cluster, loop, self._make_host, self._on_hosts_changed)
        self._unplaced: dict[_Waiting, None] = {}
        """Requests that came before any name had an answer."""
        self._connections: set[UpstreamConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._pending = 0
        self._total = 0
        """Connections, those being opened too."""
        self._sweep: asyncio.TimerHandle | None = None
        self._draining = False
        self._closed = False

    def request(self, requester: Requester, method: bytes, *, upgrade: bool) -> Callable[[], None]:
        """Find ``requester`` a connection: at once where one is idle, else when there is one.

        Returns what to call if the requester does not want one any more.
        """
        host, upstream = self._choose()
        if upstream is not None:
            self._hand_over(upstream, requester, method, upgrade=upgrade)
            return _nothing
        waiting = _Waiting(requester, method, upgrade=upgrade)
        return partial(self._cancel, waiting) if self._waits(waiting, host) else _nothing

    def _choose(self) -> tuple[UpstreamHost | None, UpstreamConnection | None]:
        """A host, and a connection of its that waits for a request and can take one."""
        host = self._hosts.choose()
        while host is not None and host.idle:
            upstream = host.idle.pop()
            if upstream.usable:
                return host, upstream
            upstream.reset()
        return host, None

    def _waits(self, waiting: _Waiting, host: UpstreamHost | None) -> bool:
        """Make a request wait for a connection to ``host``, or for a host at all; whether it has to."""
        if host is None:
            if self._hosts.is_complete:
                self.stats.upstream_cx_none_healthy += 1
                waiting.requester.on_upstream_failed(NO_HEALTHY_UPSTREAM)
                return False
            self._unplaced[waiting] = None
            return True
        if self._pending >= self.cluster.max_pending_requests:
            self.stats.upstream_rq_pending_overflow += 1
            waiting.requester.on_upstream_failed(OVERFLOW)
            return False
        waiting.requester.on_endpoint_chosen(host.name)
        waiting.host = host
        host.waiting[waiting] = None
        self._pending += 1
        self.stats.upstream_rq_pending_total += 1
        self.stats.upstream_rq_pending_active += 1
        self._connect_for_waiting(host)
        return True

    def _cancel(self, waiting: _Waiting) -> None:
        self._unplaced.pop(waiting, None)
        if waiting.host is not None and waiting in waiting.host.waiting:
            self.stats.upstream_rq_cancelled += 1
            self._take_out(waiting.host, waiting)

    def _take_out(self, host: UpstreamHost, waiting: _Waiting) -> None:
        del host.waiting[waiting]
        self._pending -= 1
        self.stats.upstream_rq_pending_active -= 1

    def _make_host(self, address: Address) -> UpstreamHost:
        return UpstreamHost(address, self.stats.endpoint(format_address(address[1][0], address[1][1])))

    def _on_hosts_changed(self, removed: list[UpstreamHost]) -> None:
        self.stats.members = frozenset(host.name for host in self._hosts)
        for host in removed:
            while host.idle:
                host.idle.pop().reset()
        unplaced, self._unplaced = self._unplaced, {}
        for waiting in unplaced:
            chosen, upstream = self._choose()
            if upstream is not None:
                self._hand_over(upstream, waiting.requester, waiting.method, upgrade=waiting.upgrade)
            else:
                self._waits(waiting, chosen)
        self._end_look_ups()

    def _hand_over(self, upstream: UpstreamConnection, requester: Requester, method: bytes, *, upgrade: bool) -> None:
        upstream.host.active += 1
        upstream.host.stats.rq_total += 1
        upstream.take(requester, method, upgrade=upgrade)
        requester.on_upstream_ready(upstream)

    def _connect_for_waiting(self, host: UpstreamHost) -> None:
        """Open a connection if more requests wait for ``host`` than connections are being opened."""
        if self._closed or len(host.waiting) <= host.connecting:
            return
        if self._total >= self.cluster.max_connections:
            self.stats.upstream_cx_overflow += 1
        # A host without any connection gets one whatever the others have, or its requests would wait for ever.
        if self._total < self.cluster.max_connections or not host.connections:
            self._total += 1
            host.connections += 1
            host.connecting += 1
            host.stats.cx_total += 1
            host.stats.cx_active += 1
            task = self._loop.create_task(self._connect(host), name=f"connect {self.cluster.name}")
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, host: UpstreamHost) -> None:
        fault: Fault
        started = self.now()
        try:
            async with asyncio.timeout(self.cluster.connect_timeout):
                upstream = await self._open(host)
        except TimeoutError:
            self.stats.upstream_cx_connect_timeout += 1
            fault = CONNECTION_TIMEOUT
        except OSError as error:
            fault = connect_failure(error)
        else:
            host.connecting -= 1
            upstream.opened_at = started
            self.stats.upstream_cx_connect_ms.record(int((self.now() - started) * 1000))
            if not upstream.closed:
                self._make_use_of(upstream)
            return
        self._total -= 1
        host.connecting -= 1
        host.connections -= 1
        # Envoy fails all that wait for a host that can't be reached.
        waiting, host.waiting = host.waiting, {}
        self._pending -= len(waiting)
        self.stats.upstream_cx_length_ms.record(int((self.now() - started) * 1000))
        self._count_failure(host.stats, len(waiting), timed_out=fault is CONNECTION_TIMEOUT)
        for one in waiting:
            one.requester.on_upstream_failed(fault)

    def _count_failure(self, host: EndpointStats, waiting: int, *, timed_out: bool) -> None:
        stats = self.stats
        host.cx_active -= 1
        host.cx_connect_fail += 1
        if timed_out:
            stats.upstream_cx_destroy_local += 1
        else:
            stats.upstream_cx_destroy_remote += 1
        stats.upstream_rq_pending_active -= waiting
        stats.upstream_rq_pending_failure_eject += waiting

    def now(self) -> float:
        """The loop's time."""
        return self._loop.time()

    def measure(self) -> None:
        """Add what there is at this moment to the gauges that nobody keeps; see ``Stats.begin_measuring``."""
        self.stats.upstream_cx_tx_bytes_buffered += sum(one.bytes_to_write for one in self._connections)
        for host in {one.host for one in self._connections}:
            host.stats.rq_active += host.active

    async def _open(self, host: UpstreamHost) -> UpstreamConnection:
        family, address = host.address
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sockets.set_nodelay(sock)
            await self._loop.sock_connect(sock, address)
            upstream = UpstreamConnection(self, host, sock)
            await self._loop.create_connection(lambda: cast("asyncio.Protocol", upstream), sock=sock)
        except BaseException:
            sock.close()
            raise
        return upstream

    def give_back(self, upstream: UpstreamConnection) -> None:
        """The connection's response is complete and it can take another request."""
        if self._closed:
            upstream.reset()
        else:
            self._make_use_of(upstream)

    def _make_use_of(self, upstream: UpstreamConnection) -> None:
        """Give a free connection to the request that has waited longest, or keep it for the next one."""
        host = upstream.host
        if host.waiting:
            waiting = next(iter(host.waiting))
            self._take_out(host, waiting)
            self._hand_over(upstream, waiting.requester, waiting.method, upgrade=waiting.upgrade)
            return
        if host.removed or self._draining:
            upstream.reset()
            return
        upstream.idle_since = self._loop.time()
        host.idle.append(upstream)
        if self._sweep is None:
            self._sweep = self._loop.call_later(IDLE_TIMEOUT, self._drop_old)

    def _drop_old(self) -> None:
        self._sweep = None
        oldest = self._loop.time() - IDLE_TIMEOUT
        for host in self._hosts:
            while host.idle and host.idle[0].idle_since <= oldest + 1:
                self.stats.upstream_cx_idle_timeout += 1
                host.idle.popleft().reset()
        if any(host.idle for host in self._hosts):
            self._sweep = self._loop.call_later(IDLE_TIMEOUT, self._drop_old)

    def remember(self, upstream: UpstreamConnection) -> None:
        """The connection is made."""
        self._connections.add(upstream)

    def forget(self, upstream: UpstreamConnection) -> None:
        """The connection is gone."""
        self._connections.discard(upstream)
        self._total -= 1
        host = upstream.host
        host.connections -= 1
        if upstream in host.idle:
            host.idle.remove(upstream)
        if self._pending:
            self._connect_for_waiting(host)
            for other in self._hosts:
                self._connect_for_waiting(other)

    @property
    def busy(self) -> bool:
        """Whether there is a connection, or one is being made or waited for."""
        return bool(self._connections or self._connecting or self._unplaced)

    def drain(self) -> None:
        """Get no more requests: end what is idle now, and every other connection once nobody waits for it."""
        self._draining = True
        if self._sweep is not None:
            self._sweep.cancel()
        for host in self._hosts:
            while host.idle:
                host.idle.pop().reset()
        self._end_look_ups()

    def _end_look_ups(self) -> None:
        """Once nobody waits for a name, and nobody will."""
        if self._draining and not self._unplaced:
            self._hosts.close()

    async def close(self) -> None:
        """End every connection; those with a request too."""
        self._closed = True
        self._hosts.close()
        if self._sweep is not None:
            self._sweep.cancel()
        for upstream in list(self._connections):
            upstream.reset()
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)


class _Waiting:
    """A request between asking for a connection and getting one."""

    __slots__ = ("host", "method", "requester", "upgrade")

    def __init__(self, requester: Requester, method: bytes, *, upgrade: bool) -> None:
        self.requester = requester
        self.method = method
        self.upgrade = upgrade
        self.host: UpstreamHost | None = None
        """Which it waits for."""


class UpstreamHost(Host):
    """A host, and what there is to it."""

    __slots__ = ("connecting", "connections", "idle", "stats", "waiting")

    def __init__(self, address: Address, stats: EndpointStats) -> None:
        super().__init__(address)
        self.stats = stats
        self.connections = 0
        """All, those being opened too."""
        self.connecting = 0
        self.idle: deque[UpstreamConnection] = deque()
        self.waiting: dict[_Waiting, None] = {}
        """Requests in the order in which they came."""


def cluster_stats(cluster: Cluster, stats: Stats) -> ClusterStats:
    """Those of ``cluster``, with what is known of it before anything happens."""
    found = stats.cluster(cluster.name)
    found.max_connections, found.max_pending_requests = cluster.max_connections, cluster.max_pending_requests
    addresses = [endpoint for endpoint in cluster.endpoints if parse_address(endpoint) is not None]
    found.members = frozenset(format_address(endpoint.host, endpoint.port) for endpoint in addresses)
    return found


def _nothing() -> None:
    pass
