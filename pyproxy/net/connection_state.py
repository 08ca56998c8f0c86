"""What a client's connection keeps while it lasts: for itself, for the stats, and for who looks at it."""

from __future__ import annotations

import asyncio
import socket
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

from pyproxy.net.timing import NEVER
from pyproxy.proxy.client_address import Client
from pyproxy.proxy.command_operators import Address
from pyproxy.wire.address import format_address
from pyproxy.wire.http1 import RequestReader
from pyproxy.wire.proxy_protocol import Accepted, Preface

if TYPE_CHECKING:
    from pyproxy.net.exchange import Exchange
    from pyproxy.net.listener import HttpListener

PREFACE_KEPT: Final = 1024
"""Bytes of a PROXY header that are kept for who looks at the connection."""


class Phase(Enum):
    """What the connection is doing."""

    PREFACE = auto()
    """Waiting for the rest of a PROXY header."""
    EXCESS = auto()
    """Past the connection limit: nothing that it says is looked at, and it is closed when the limit's delay is over."""
    IDLE = auto()
    """Between requests, no byte of the next one here."""
    HEAD = auto()
    """A request has begun and its head is not complete."""
    EXCHANGE = auto()
    """A request is being answered."""
    LINGERING = auto()
    """All is said; the client gets time to read it before the socket goes (Envoy's delayed close)."""
    CLOSED = auto()


# Why nothing is read from the client, as bits. Plain numbers: enum.Flag costs a microsecond an operation.
HOLD_UPSTREAM: Final = 1  # the backend does not keep up, or is not connected yet
HOLD_PIPELINE: Final = 2  # the client has sent enough ahead, or does not read its responses
HOLD_CLOSING: Final = 4  # nothing that it says matters any more


class ConnectionState:
    """The attributes of ``downstream.DownstreamConnection``. Slotted: there may be tens of thousands of them."""

    __deletable__ = ("_transport",)  # for mypyc

    __slots__ = (
        "_active_at",
        "_advancing",
        "_counted",
        "_cut_short",
        "_drain_ends",
        "_drained",
        "_draining",
        "_ended_here",
        "_ends_at",
        "_exchange",
        "_expires_at",
        "_held",
        "_idle_at",
        "_last_has_body",
        "_last_request",
        "_left",
        "_limited",
        "_max_requests",
        "_phase",
        "_preface",
        "_reader",
        "_requests",
        "_sock",
        "_transport",
        "_unsent",
        "_write_blocked",
        "accepted",
        "accepted_at",
        "client",
        "direct",
        "direct_local_address",
        "direct_remote_address",
        "id",
        "listener",
        "local",
        "local_address",
        "loop",
        "proxy_header",
        "remote",
        "remote_address",
        "stats",
        "stream_idle",
        "stream_started",
        "stream_started_wall",
    )

    def __init__(self, listener: HttpListener, sock: socket.socket, peer: Address, local: Address) -> None:
        self.listener = listener
        self.loop = listener.loop
        self.stats = listener.stats
        self.client: Client
        self.id = listener.global_connections.ids.next()
        self.direct = peer
        """The other end of the connection, whatever a PROXY header says."""
        self.remote, self.local = peer, local
        """Both ends as the PROXY header has them, or else the connection."""
        self.direct_remote_address = self.remote_address = format_address(*peer)
        self.direct_local_address = self.local_address = format_address(*local)
        self.accepted: Accepted | None = None
        """What the PROXY header has said."""
        self.proxy_header = b""
        """Its first bytes."""
        self.accepted_at = self.loop.time()
        self._transport: asyncio.Transport
        self._sock = sock
        self._preface: Preface | None = None
        self._reader = RequestReader(listener.settings.http, listener.ignores_upgrade)
        self._exchange: Exchange | None = None
        self._phase = Phase.IDLE
        self._held = 0
        self._write_blocked = False
        self._advancing = False
        self._unsent = 0
        self._last_has_body = False
        self._limited = False
        self._counted = False
        self._ended_here = False
        self._left = False
        self._cut_short = False
        self._requests = 0
        self._max_requests: float = listener.settings.http.max_requests_per_connection or NEVER
        self._last_request = False
        self._draining = False
        self._drained = False
        self.stream_started = 0.0
        self.stream_started_wall = 0.0
        self.stream_idle = listener.timeouts.idle
        """Seconds that the current request may be without progress."""
        self._active_at = 0.0
        self._idle_at = NEVER
        self._expires_at = NEVER
        self._drain_ends = NEVER
        self._ends_at = NEVER
        """The sooner of the two."""

    @property
    def phase(self) -> str:
        """What it is doing."""
        return self._phase.name

    @property
    def sock(self) -> socket.socket:
        """For questions to the kernel."""
        return self._sock

    @property
    def active_at(self) -> float:
        """When something last happened, in ``loop.time()``."""
        return self._active_at

    @property
    def requests(self) -> int:
        """Begun so far."""
        return self._requests

    @property
    def bytes_to_read(self) -> int:
        """Bytes that have come and wait."""
        return self._reader.buffered

    @property
    def bytes_to_write(self) -> int:
        """Bytes that the client has not taken yet."""
        return self._transport.get_write_buffer_size()

    @property
    def exchange(self) -> Exchange | None:
        """The request that is being answered."""
        return self._exchange

    def __repr__(self) -> str:
        return f"<DownstreamConnection {self.remote_address} {self._phase.name} requests={self._requests}>"

    # -- stats --------------------------------------------------------------------------------------------------------

    def _leave_preface(self) -> None:
        self._preface = None
        self.listener.listener_stats.downstream_pre_cx_active -= 1

    def _keep_preface(self, accepted: Accepted, received: bytes) -> None:
        proxy = self.listener.proxy_stats
        if accepted.version is None:
            proxy.not_found_allowed += 1
        else:
            proxy.found[accepted.version] += 1
            self.proxy_header = received[: min(accepted.length, PREFACE_KEPT)]
        self.accepted = accepted

    def _end_stream(self, now: float) -> None:
        """A request has been answered, whoever had the answer."""
        self.stats.downstream_rq_active -= 1
        self.stats.downstream_rq_time.record(int((now - self.stream_started) * 1000))

    def _count_end(self) -> None:
        http, listener = self.stats, self.listener.listener_stats
        http.downstream_cx_active -= 1
        if self._requests:
            http.downstream_cx_http1_active -= 1
        if self._ended_here:
            http.downstream_cx_destroy_local += 1
            http.downstream_cx_destroy_local_active_rq += self._cut_short
        else:
            http.downstream_cx_destroy_remote += 1
            http.downstream_cx_destroy_remote_active_rq += self._cut_short
        listener.downstream_cx_active -= 1
        listener.downstream_cx_destroy += 1
        length = int((self.loop.time() - self.accepted_at) * 1000)
        http.downstream_cx_length_ms.record(length)
        listener.downstream_cx_length_ms.record(length)
