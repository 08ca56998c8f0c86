"""Connections to backends: opened when needed, kept alive, and handed from request to request.

A pool per cluster gives out at most one request a connection. ``Requester`` is what a request must answer to; the pool
and its connections call it back and never wait for it.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Protocol, cast

from pyproxy.errors import Fault, Source
from pyproxy.net import sockets
from pyproxy.settings import Cluster, Endpoint, HttpOptions
from pyproxy.wire.head import PROTOCOL_ERROR
from pyproxy.wire.http1 import ResponseReader
from pyproxy.wire.messages import ResponseHead

IDLE_TIMEOUT = 3600.0
"""Seconds an unused connection is kept; Envoy's default for clusters."""

_BEFORE_RESPONSE = "upstream_reset_before_response_started{%s}"

CONNECTION_TERMINATION = Fault(
    Source.UPSTREAM, "connection_termination", 503, "UC", _BEFORE_RESPONSE % "connection_termination"
)
CONNECTION_TIMEOUT = Fault(Source.UPSTREAM, "connection_timeout", 503, "UF", _BEFORE_RESPONSE % "connection_timeout")


def connect_failure(error: OSError) -> Fault:
    """A backend that can't be reached, with the words Envoy has for it."""
    reason = os.strerror(error.errno) if error.errno else str(error)
    delayed = "remote_connection_failure|delayed_connect_error:_" + reason.replace(" ", "_")
    return Fault(Source.UPSTREAM, "remote_connection_failure", 503, "UF", _BEFORE_RESPONSE % delayed)


class Requester(Protocol):
    """One request that waits for, or has, an upstream connection."""

    def on_endpoint_chosen(self, address: str) -> None:
        """Which endpoint it will be, as the access log names it."""

    def on_upstream_ready(self, upstream: UpstreamConnection) -> None:
        """The connection is the request's until the response is complete or one of them is reset."""

    def on_upstream_failed(self, fault: Fault) -> None:
        """No connection could be made."""

    def on_response(self, head: ResponseHead, data: bytes, *, end: bool) -> None:
        """The final head, and what has come of the body with it."""

    def on_response_body(self, data: bytes, *, end: bool) -> None:
        """More of the body. With ``end`` the connection is no longer the request's."""

    def on_tunnel_data(self, data: bytes) -> None:
        """Bytes behind a 101."""

    def on_upstream_reset(self, fault: Fault) -> None:
        """The connection ended, or can't be understood, before the response was complete."""

    def on_upstream_blocked(self, *, blocked: bool) -> None:
        """The backend does (not) take bytes as fast as they come."""


class UpstreamConnection(asyncio.Protocol):
    """One connection to an endpoint."""

    def __init__(self, pool: ClusterPool, endpoint: Endpoint, sock: socket.socket) -> None:
        self._pool = pool
        self._sock = sock
        self._news = sockets.News(sock)
        self._reader = ResponseReader(pool.options)
        self._requester: Requester | None = None
        self._transport: asyncio.Transport
        self._tunnel = False
        self._upgrade = False
        self._reusable = True
        self._head_read = False
        self._request_sent = False
        self.endpoint = endpoint
        self.idle_since = 0.0
        self.closed = False
        local = sock.getsockname()
        peer = sock.getpeername()
        self.local_address = format_address(local[0], local[1])
        self.remote_address = format_address(peer[0], peer[1])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        limit = self._pool.buffer_limit
        self._transport.set_write_buffer_limits(high=limit, low=limit // 2)

    def take(self, requester: Requester, method: bytes, *, upgrade: bool) -> None:
        """Make the connection ``requester``'s."""
        self._requester = requester
        self._head_read = False
        self._request_sent = False
        self._upgrade = upgrade
        self._reader.expect(method, upgrade=upgrade)

    def write(self, data: bytes) -> None:
        """Send request bytes; ``on_upstream_blocked`` says when they pile up."""
        self._transport.write(data)

    def end_request(self) -> None:
        """The request is complete; a connection that still owes body bytes can't be given to the next request."""
        self._request_sent = True

    def pause_reading(self) -> None:
        """Take no more of the response from the socket."""
        if not self.closed:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take the response from the socket again."""
        if not self.closed:
            self._transport.resume_reading()

    def reset(self) -> None:
        """End the connection and whatever it was doing; the requester hears nothing more."""
        self._let_go()
        self._close()

    def _let_go(self) -> Requester | None:
        requester, self._requester = self._requester, None
        if requester is not None:
            self._pool.count_active(self.endpoint, -1)
        return requester

    @property
    def usable(self) -> bool:
        """Whether an idle connection can take another request, as far as the kernel knows."""
        return not self.closed and not self._news

    def data_received(self, data: bytes) -> None:
        requester = self._requester
        if requester is None:
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
            requester.on_response(head, body, end=end)
        elif body or end:
            requester.on_response_body(body, end=end)

    def _read_final_head(self, requester: Requester) -> ResponseHead | None:
        while True:
            head = self._reader.read_head()
            if head is None:
                return None
            if isinstance(head, Fault):
                self._fail(head)
                return None
            if head.status == 101 and self._upgrade:
                self._tunnel = self._head_read = True
                self._reusable = False
                requester.on_response(head, self._reader.take_rest(), end=False)
                return None
            if head.status >= 200 or head.status == 101 or head.status < 100:
                self._head_read = True
                self._reusable = not head.close and not head.until_close and head.status >= 200
                return head
            # Envoy swallows 100, 102 and 103 of a backend: it has answered Expect itself.

    def _release(self) -> None:
        self._let_go()
        if self._reusable and self._request_sent and not self._reader.buffered:
            self._transport.resume_reading()
            self._pool.give_back(self)
        else:
            self._close()

    def _fail(self, fault: Fault) -> None:
        requester = self._let_go()
        self._close()
        if requester is not None:
            requester.on_upstream_reset(fault)

    def eof_received(self) -> None:
        self._ended()

    def connection_lost(self, exc: Exception | None) -> None:
        self._ended()
        self.closed = True
        self._pool.forget(self)

    def _ended(self) -> None:
        requester = self._let_go()
        if requester is None:
            return
        if self._head_read and not self._tunnel and self._reader.end():
            self._close()
            requester.on_response_body(b"", end=True)
            return
        fault = CONNECTION_TERMINATION
        if not self._tunnel and (self._head_read or self._reader.buffered):
            # An end inside a message is no end to it: Envoy's codec calls that a protocol error (measured).
            fault = PROTOCOL_ERROR
        self._close()
        requester.on_upstream_reset(fault)

    def pause_writing(self) -> None:
        if self._requester is not None:
            self._requester.on_upstream_blocked(blocked=True)

    def resume_writing(self) -> None:
        if self._requester is not None:
            self._requester.on_upstream_blocked(blocked=False)

    def _close(self) -> None:
        if not self.closed:
            self.closed = True
            self._transport.abort()


class ClusterPool:
    """The connections of one cluster."""

    def __init__(
        self, cluster: Cluster, loop: asyncio.AbstractEventLoop, options: HttpOptions, buffer_limit: int
    ) -> None:
        self.cluster = cluster
        self.options = options
        self.buffer_limit = buffer_limit
        self._loop = loop
        self._random = Random()
        self._idle: dict[Endpoint, deque[UpstreamConnection]] = {endpoint: deque() for endpoint in cluster.endpoints}
        self._active: dict[Endpoint, int] = dict.fromkeys(cluster.endpoints, 0)
        self._connections: set[UpstreamConnection] = set()
        self._connecting: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None
        self._closed = False

    def request(self, requester: Requester, method: bytes, *, upgrade: bool) -> Callable[[], None]:
        """Find ``requester`` a connection: at once where one is idle, else when it has been made.

        Returns what to call if the requester does not want one any more.
        """
        endpoint = self._choose()
        requester.on_endpoint_chosen(format_address(endpoint.host, endpoint.port))
        idle = self._idle[endpoint]
        while idle:
            upstream = idle.pop()
            if upstream.usable:
                self._hand_over(upstream, requester, method, upgrade=upgrade)
                return _nothing
            upstream.reset()
        waiting = _Waiting(requester, method, upgrade=upgrade)
        task = self._loop.create_task(self._connect(endpoint, waiting), name=f"connect {self.cluster.name}")
        self._connecting.add(task)
        task.add_done_callback(self._connecting.discard)
        return waiting.cancel

    def _choose(self) -> Endpoint:
        """The less busy of two random endpoints (Envoy's least_request)."""
        endpoints = self.cluster.endpoints
        if len(endpoints) == 1:
            return endpoints[0]
        first, second = self._random.sample(endpoints, 2)
        return first if self._active[first] <= self._active[second] else second

    def _hand_over(self, upstream: UpstreamConnection, requester: Requester, method: bytes, *, upgrade: bool) -> None:
        self.count_active(upstream.endpoint, 1)
        upstream.take(requester, method, upgrade=upgrade)
        requester.on_upstream_ready(upstream)

    async def _connect(self, endpoint: Endpoint, waiting: _Waiting) -> None:
        fault: Fault
        try:
            async with asyncio.timeout(self.cluster.connect_timeout):
                upstream = await self._open(endpoint)
        except TimeoutError:
            fault = CONNECTION_TIMEOUT
        except OSError as error:
            fault = connect_failure(error)
        else:
            if waiting.requester is not None and not upstream.closed:
                self._hand_over(upstream, waiting.requester, waiting.method, upgrade=waiting.upgrade)
            elif not upstream.closed:
                self._park(upstream)
            return
        if waiting.requester is not None:
            waiting.requester.on_upstream_failed(fault)

    async def _open(self, endpoint: Endpoint) -> UpstreamConnection:
        family, address = await _resolve(self._loop, endpoint)
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setblocking(False)
            sockets.set_nodelay(sock)
            await self._loop.sock_connect(sock, address)
            _, upstream = await self._loop.create_connection(
                lambda: UpstreamConnection(self, endpoint, sock), sock=sock
            )
        except BaseException:
            sock.close()
            raise
        self._connections.add(upstream)
        return upstream

    def count_active(self, endpoint: Endpoint, change: int) -> None:
        """Requests that an endpoint is busy with, for the choice between endpoints."""
        self._active[endpoint] += change

    def give_back(self, upstream: UpstreamConnection) -> None:
        """The connection's response is complete and it can take another request."""
        if self._closed:
            upstream.reset()
        else:
            self._park(upstream)

    def _park(self, upstream: UpstreamConnection) -> None:
        upstream.idle_since = self._loop.time()
        self._idle[upstream.endpoint].append(upstream)
        if self._sweep is None:
            self._sweep = self._loop.call_later(IDLE_TIMEOUT, self._drop_old)

    def _drop_old(self) -> None:
        self._sweep = None
        oldest = self._loop.time() - IDLE_TIMEOUT
        for idle in self._idle.values():
            while idle and idle[0].idle_since <= oldest + 1:
                idle.popleft().reset()
        if any(self._idle.values()):
            self._sweep = self._loop.call_later(IDLE_TIMEOUT, self._drop_old)

    def forget(self, upstream: UpstreamConnection) -> None:
        """The connection is gone."""
        self._connections.discard(upstream)
        idle = self._idle[upstream.endpoint]
        if upstream in idle:
            idle.remove(upstream)

    async def close(self) -> None:
        """End every connection; those with a request too."""
        self._closed = True
        if self._sweep is not None:
            self._sweep.cancel()
        for upstream in list(self._connections):
            upstream.reset()
        for task in list(self._connecting):
            task.cancel()
        await asyncio.gather(*self._connecting, return_exceptions=True)


class _Waiting:
    """A request between asking for a connection and getting one."""

    __slots__ = ("method", "requester", "upgrade")

    def __init__(self, requester: Requester, method: bytes, *, upgrade: bool) -> None:
        self.requester: Requester | None = requester
        self.method = method
        self.upgrade = upgrade

    def cancel(self) -> None:
        self.requester = None


def _nothing() -> None:
    pass


async def _resolve(loop: asyncio.AbstractEventLoop, endpoint: Endpoint) -> tuple[socket.AddressFamily, tuple[str, int]]:
    """Family and address to connect to; IPv4 first (Envoy Gateway's ``V4_PREFERRED``)."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            socket.inet_pton(family, endpoint.host)
        except OSError:
            continue
        return family, (endpoint.host, endpoint.port)
    found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_STREAM)
    family, _, _, _, address = min(found, key=lambda entry: entry[0] != socket.AF_INET)
    return family, (str(address[0]), int(address[1]))


def format_address(host: str, port: int) -> str:
    """``host:port`` as Envoy logs it, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
