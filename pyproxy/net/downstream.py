"""One client's connection: PROXY header, requests one after the other, deadlines, and the ways it ends.

Bytes go to the PROXY preface until it is decided, then to the request reader. One request is answered at a time; what
a client sends ahead (pipelining) stays in the reader, and past the buffer limit in the kernel. A single ``Deadline``
serves whatever the connection waits for.
"""

from __future__ import annotations

import asyncio
import socket
from enum import Enum, auto
from typing import TYPE_CHECKING, cast

from pyproxy.errors import Fault, Source
from pyproxy.net import sockets
from pyproxy.net.exchange import Exchange
from pyproxy.net.timing import NEVER, Deadline
from pyproxy.net.upstream import format_address
from pyproxy.proxy import replies
from pyproxy.proxy.client_address import Client, identify
from pyproxy.wire.http1 import RequestReader
from pyproxy.wire.proxy_protocol import Preface, Rejected

if TYPE_CHECKING:
    from pyproxy.net.listener import HttpListener

FLUSH_TIMEOUT = 300.0
"""Seconds a client has to read what was written before the connection ended."""

READ_AT_ONCE = 65_536
"""Bytes that Envoy takes from a socket before it looks at them, and so before it refuses a head (measured)."""

STREAM_IDLE = Fault(Source.DOWNSTREAM, "stream_idle", 408, "SI", "stream_idle_timeout")


class Phase(Enum):
    """What the connection is doing."""

    PREFACE = auto()
    """Waiting for the rest of a PROXY header."""
    IDLE = auto()
    """Between requests, no byte of the next one here."""
    HEAD = auto()
    """A request has begun and its head is not complete."""
    EXCHANGE = auto()
    """A request is being answered."""
    DRAINING = auto()
    """Idle for too long after a request; one that comes now is the last."""
    LINGERING = auto()
    """All is said; the client gets time to read it before the socket goes (Envoy's delayed close)."""
    CLOSED = auto()


# Why nothing is read from the client, as bits. Plain numbers: enum.Flag costs a microsecond an operation.
HOLD_UPSTREAM = 1  # the backend does not keep up, or is not connected yet
HOLD_PIPELINE = 2  # the client has sent enough ahead, or does not read its responses
HOLD_CLOSING = 4  # nothing that it says matters any more


class DownstreamConnection(asyncio.Protocol):
    """A connection that a listener has accepted."""

    def __init__(self, listener: HttpListener) -> None:
        self.listener = listener
        self.loop = listener.loop
        self.client: Client
        self.local_address = ""
        self.remote_address = ""
        self._transport: asyncio.Transport
        self._sock: socket.socket
        self._preface: Preface | None = None
        self._reader = RequestReader(listener.settings.http)
        self._exchange: Exchange | None = None
        self._phase = Phase.IDLE
        self._held = 0
        self._write_blocked = False
        self._advancing = False
        self._requests = 0
        self._last_request = False
        self._active_at = 0.0
        self._deadline = Deadline(self.loop, self._on_deadline)

    def __repr__(self) -> str:
        return f"<DownstreamConnection {self.remote_address} {self._phase.name} requests={self._requests}>"

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._sock = transport.get_extra_info("socket")
        sockets.set_nodelay(self._sock)
        limit = self.listener.settings.buffer_limit
        self._transport.set_write_buffer_limits(high=limit, low=limit // 2)
        self.listener.connections.add(self)
        peer, local = transport.get_extra_info("peername"), transport.get_extra_info("sockname")
        if not peer or not local:
            # The client reset the connection before it was accepted.
            self._transport.abort()
            return
        self._identify(peer[0], peer[1])
        self.local_address = format_address(local[0], local[1])
        now = self._active_at = self.loop.time()
        if self.listener.settings.proxy_protocol is not None:
            self._preface = Preface(self.listener.settings.proxy_protocol)
            self._phase = Phase.PREFACE
            self._deadline.set(now + self.listener.settings.listener_filters_timeout)
        else:
            self._wait_for_request()

    def data_received(self, data: bytes) -> None:
        if self._phase in (Phase.LINGERING, Phase.CLOSED):
            return
        self._active_at = self.loop.time()
        if self._preface is not None:
            rest = self._read_preface(self._preface, data)
            if not rest:
                return
            data = rest
        self._reader.receive(data)
        if not self._advancing:
            self._advance()

    def eof_received(self) -> bool:
        # Envoy takes a half-closed client for one that has gone: no answer, not even to a complete request (measured).
        if self._exchange is not None:
            self._exchange.on_downstream_gone()
            self._exchange = None
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._phase = Phase.CLOSED
        self._deadline.cancel()
        self.listener.connections.discard(self)
        if self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            exchange.on_downstream_gone()
        self.listener.connection_closed()

    def pause_writing(self) -> None:
        self._write_blocked = True
        if self._exchange is not None:
            self._exchange.on_downstream_blocked(blocked=True)

    def resume_writing(self) -> None:
        self._write_blocked = False
        if self._exchange is not None:
            self._exchange.on_downstream_blocked(blocked=False)
        elif self._preface is None and not self._advancing:
            self._advance()

    # -- PROXY header -------------------------------------------------------------------------------------------------

    def _read_preface(self, preface: Preface, data: bytes) -> bytes:
        """What follows the PROXY header, empty while it is not complete."""
        result = preface.receive(data)
        if result is None:
            return b""
        if isinstance(result, Rejected):
            self._reset()
            return b""
        self._preface = None
        if result.source is not None:
            self._identify(*result.source)
        if result.destination is not None:
            self.local_address = format_address(*result.destination)
        self._wait_for_request()
        return result.rest

    def _identify(self, address: str, port: int) -> None:
        options = self.listener.settings.http
        self.client = identify(address, port, self.listener.node_address, options)
        self.remote_address = format_address(address, port)

    # -- requests -----------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Go as far as the bytes at hand allow."""
        self._advancing = True
        while self._phase not in (Phase.LINGERING, Phase.CLOSED):
            exchange = self._exchange
            if exchange is None:
                # A client that does not read its responses gets no further ones into memory.
                self._hold(HOLD_PIPELINE, hold=self._write_blocked)
                if self._write_blocked or not self._begin_request():
                    break
            elif self._reader.body_complete:
                # Answered when its response is; the next one waits.
                self._hold(HOLD_PIPELINE, hold=self._reader.buffered > self.listener.settings.buffer_limit)
                break
            else:
                piece = self._reader.read_body()
                if isinstance(piece, Fault):
                    exchange.on_bad_body(piece)
                elif piece or self._reader.body_complete:
                    exchange.send_body(piece, end=self._reader.body_complete)
                else:
                    break
        self._advancing = False

    def _begin_request(self) -> bool:
        """Start on the next request; whether there is one."""
        head = self._reader.read_head()
        if head is None:
            if self._reader.buffered and self._phase is Phase.IDLE:
                self._phase = Phase.HEAD
                self._deadline.set(self._stream_idle_at())
            return False
        if isinstance(head, Fault):
            self._refuse(head)
            return False
        self._last_request = self._phase is Phase.DRAINING
        self._phase = Phase.EXCHANGE
        self._exchange = Exchange(self, head)
        self.reschedule()
        self._exchange.start()
        return True

    def _refuse(self, fault: Fault) -> None:
        """The codec's reply to what is no request. Nobody knows where the next one begins, so the connection ends."""
        body = replies.STREAM_TIMEOUT if fault is STREAM_IDLE else replies.phrase(fault.status)
        self.write(
            replies.local_reply(
                fault.status,
                date=self.listener.date.now(),
                server=self.listener.settings.http.server_name,
                body=body,
                close=True,
            )
        )
        self.listener.log_refused(self, fault, len(body))
        if self._reader.buffered > READ_AT_ONCE:
            # Envoy would have left the rest in the kernel, whose answer to a close is then a reset.
            sockets.reset_on_close(self._sock)
        self._linger()

    # -- what the exchange asks for ----------------------------------------------------------------------------

    @property
    def closing_soon(self) -> bool:
        """Whether the response being written is to be this connection's last."""
        return self._last_request or self.listener.draining

    def write(self, data: bytes) -> None:
        """Send bytes to the client; ``pause_writing`` tells the exchange when they pile up."""
        self._transport.write(data)

    def hold_for_upstream(self, *, hold: bool) -> None:
        """Read no more of the request (for now)."""
        self._hold(HOLD_UPSTREAM, hold=hold)

    def touch(self) -> None:
        """The response moved on."""
        self._active_at = self.loop.time()

    def start_tunnel(self) -> None:
        """From here on both sides send what they like; the client's bytes are an endless body."""
        self.reschedule()

    def exchange_done(self, *, close: bool, delayed: bool) -> None:
        """The response is complete: on to the next request, or to the end."""
        self._exchange = None
        self._requests += 1
        if close or not self._reader.body_complete:
            if delayed:
                self._linger()
            else:
                self._end()
            return
        self._hold(HOLD_UPSTREAM | HOLD_PIPELINE, hold=False)
        self._wait_for_request()
        if self._reader.buffered and not self._advancing:
            self._advance()

    def abandon(self) -> None:
        """The response broke off in the middle: the client must not take it for a whole one."""
        self._exchange = None
        self._linger()

    # -- time --------------------------------------------------------------------------------------------------

    def reschedule(self) -> None:
        """Take the exchange's deadline, and that of a stream without progress, into account."""
        if self._exchange is not None:
            self._deadline.set(min(self._exchange.deadline, self._stream_idle_at()))

    def _stream_idle_at(self) -> float:
        timeout = self.listener.settings.http.stream_idle_timeout
        return self._active_at + timeout if timeout else NEVER

    def _wait_for_request(self) -> None:
        self._phase = Phase.IDLE
        timeout = self.listener.settings.http.idle_timeout
        self._deadline.set(self.loop.time() + timeout if timeout else NEVER)

    def _on_deadline(self) -> None:
        now = self.loop.time() + 0.002
        options = self.listener.settings.http
        match self._phase:
            case Phase.PREFACE:
                self._reset()
            case Phase.IDLE if self._requests:
                # Envoy starts to drain a connection that has served; a request that still comes is answered.
                self._phase = Phase.DRAINING
                self._deadline.set(now + options.drain_timeout)
            case Phase.IDLE:
                self._end()
            case Phase.DRAINING:
                self._linger()
            case Phase.HEAD if now >= self._stream_idle_at():
                self._refuse(STREAM_IDLE)
            case Phase.HEAD:
                self._deadline.set(self._stream_idle_at())
            case Phase.EXCHANGE:
                self._check_exchange(now)
            case Phase.LINGERING:
                self._cut()
            case Phase.CLOSED:
                # A client that does not read what was written before the end.
                self._transport.abort()

    def _check_exchange(self, now: float) -> None:
        exchange = self._exchange
        if exchange is None:
            return
        if now >= exchange.deadline:
            exchange.on_timeout()
        elif now >= self._stream_idle_at():
            exchange.on_stream_idle()
        else:
            self.reschedule()

    # -- the ends ----------------------------------------------------------------------------------------------

    def _hold(self, reason: int, *, hold: bool) -> None:
        held = self._held | reason if hold else self._held & ~reason
        if bool(held) != bool(self._held) and self._phase is not Phase.CLOSED:
            if held:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
        self._held = held

    def _linger(self) -> None:
        """Envoy's FlushWriteAndDelay: read nothing, and close ``delayed_close_timeout`` later.

        Closing at once would reset the connection where the client has sent more, and could take the reply with it.
        """
        self._hold(HOLD_CLOSING, hold=True)
        self._phase = Phase.LINGERING
        self._deadline.set(self.loop.time() + self.listener.settings.http.delayed_close_timeout)

    def _cut(self) -> None:
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._end()

    def _end(self) -> None:
        """Close once all has been written."""
        self._phase = Phase.CLOSED
        self._transport.close()
        self._deadline.set(self.loop.time() + FLUSH_TIMEOUT)

    def _reset(self) -> None:
        """RST, and nothing written: what Envoy does to a connection without the PROXY header it must have."""
        self._phase = Phase.CLOSED
        sockets.reset_on_close(self._sock)
        self._transport.abort()

    def drain(self, *, idle_since: float) -> None:
        """The listener is going: end the connection if it has been idle since then; else its next response will."""
        if self._phase in (Phase.IDLE, Phase.DRAINING, Phase.PREFACE) and self._active_at <= idle_since:
            self._end()

    def abort(self) -> None:
        """End at once, whatever is going on."""
        self._transport.abort()
