"""One client's connection: PROXY header, requests one after the other, deadlines, and the ways it ends.

Bytes go to the PROXY preface until it is decided, then to the request reader. One request is answered at a time; what
a client sends ahead (pipelining) stays in the reader, and past the buffer limit in the kernel. A single ``Deadline``
serves whatever the connection waits for.

A connection has two ends that are announced. The last request (``maxRequestsPerConnection``, a safe
``maxConnectionDuration``) is known when it begins, and its response closes. A drain (idle for too long, an unsafe
``maxConnectionDuration``, a response under settings that others have superseded) answers whatever comes with
``connection: close`` and goes on until ``drain_timeout`` has passed: what a client sends meanwhile is not lost.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from typing import TYPE_CHECKING, Final, cast

from pyproxy.errors import Fault, Source
from pyproxy.net import sockets
from pyproxy.net.connection_state import HOLD_CLOSING, HOLD_PIPELINE, HOLD_UPSTREAM, ConnectionState, Phase
from pyproxy.net.counting import count_refusal, count_rejected_preface
from pyproxy.net.exchange import Exchange
from pyproxy.net.timing import NEVER, Deadline
from pyproxy.proxy import replies
from pyproxy.proxy.command_operators import Expand, Facts
from pyproxy.proxy.timeouts import Timeout
from pyproxy.wire.address import format_address
from pyproxy.wire.proxy_protocol import Address, Preface, Rejected

if TYPE_CHECKING:
    from pyproxy.net.listener import HttpListener

FLUSH_TIMEOUT: Final = 300.0
"""Seconds a client has to read what was written before the connection ended."""

MAX_UNSENT: Final = 2
"""Responses that may wait to be written; a further request ends the connection (measured).

Envoy takes those of one read to be waiting, and the one before if it had a body that is not in chunks: that one counts
until the next write.
"""

TOO_MANY_RESPONSES: Final = Fault(
    Source.DOWNSTREAM, "too_many_responses_queued", 0, "DPE", "codec_error:Too_many_responses_queued."
)
GONE: Final = Fault(Source.DOWNSTREAM, "downstream_remote_disconnect", 0, "DC", "downstream_remote_disconnect")

_log = logging.getLogger("pyproxy.connection")


class DownstreamConnection(ConnectionState):
    """A connection that a listener has accepted. Implements ``asyncio.Protocol``."""

    __slots__ = ("_deadline",)

    def __init__(self, listener: HttpListener, sock: socket.socket, peer: Address, local: Address) -> None:
        """``sock`` is that of the connection between ``peer`` and ``local``."""
        super().__init__(listener, sock, peer, local)
        self._deadline = Deadline(self.loop, self._on_deadline)

    # -- asyncio.Protocol ---------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        sockets.set_watermarks(self._transport, self.listener.settings.buffer_limit)
        self.listener.connections.add(self)
        self._active_at = self.loop.time()
        if self.listener.settings.proxy_protocol is not None:
            self.listener.listener_stats.downstream_pre_cx_active += 1
            self._preface = Preface(self.listener.settings.proxy_protocol)
            self._phase = Phase.PREFACE
            self._deadline.set(self._active_at + (self.listener.settings.listener_filters_timeout or NEVER))
        else:
            self._begin_http()

    def data_received(self, data: bytes) -> None:
        if not self._is_served():
            if self._phase is Phase.EXCESS:
                self.stats.downstream_cx_rx_bytes_total += len(data)
                self._reader.receive(data)
                self._hold_pipeline(self._reader.buffered)
            elif self._phase is Phase.LINGERING:
                # Envoy leaves it in the kernel, whose answer to the close is then a reset.
                self._hold(HOLD_CLOSING, hold=True)
                sockets.reset_on_close(self._sock)
            return
        if self._preface is not None:
            rest = self._read_preface(self._preface, data)
            if not rest:
                return
            data = rest
        if len(data) > self.listener.read_at_once and self._exchange is None:
            self._receive_slowly(data)
            return
        self.stats.downstream_cx_rx_bytes_total += len(data)
        self._reader.receive(data)
        if not self._advancing:
            self._unsent = int(self._last_has_body)
            self._advance()

    def _is_served(self) -> bool:
        """Whether what the client says is still looked at."""
        phase = self._phase
        return phase is not Phase.EXCESS and phase is not Phase.LINGERING and phase is not Phase.CLOSED

    def _receive_slowly(self, data: bytes) -> None:
        """Take as much at a time as Envoy does: what is refused leaves the rest unread, and is reset (measured)."""
        size = self.listener.read_at_once
        for start in range(0, len(data), size):
            if self._phase in (Phase.LINGERING, Phase.CLOSED):
                sockets.reset_on_close(self._sock)
                return
            piece = data[start : start + size]
            self.stats.downstream_cx_rx_bytes_total += len(piece)
            self._reader.receive(piece)
            if not self._advancing:
                self._unsent = int(self._last_has_body)
                self._advance()

    def eof_received(self) -> bool:
        # Envoy takes a half-closed client for one that has gone: no answer, not even to a complete request (measured).
        self._left = True
        self._lose_request()
        self._end()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._lose_request()
        self._phase = Phase.CLOSED
        self._deadline.close()
        # The transport keeps the protocol: together they would wait for the garbage collector.
        del self._transport
        self.listener.connections.discard(self)
        if self._limited:
            self.listener.limited.release()
        if self._counted:
            self._count_end()
        elif self._preface is not None:
            self._leave_preface()
            if not self._ended_here:
                self.listener.listener_stats.downstream_listener_filter_remote_close += 1
        _log.debug("%d %s: closed after %d requests", self.id, self.remote_address, self._requests)
        self.listener.connection_closed()

    def _lose_request(self) -> None:
        """The client has gone: nobody is there to be answered."""
        if self._exchange is not None:
            exchange, self._exchange = self._exchange, None
            exchange.on_downstream_gone()
        elif self._phase is Phase.HEAD:
            self.listener.log_refused(self, GONE, 0)
        else:
            return
        self._phase = Phase.CLOSED
        self._cut_short = True
        self.stats.downstream_rq_active -= 1
        self.stats.downstream_rq_rx_reset += 1

    def pause_writing(self) -> None:
        self._write_blocked = True
        if self._exchange is not None:
            self._exchange.on_downstream_blocked(blocked=True)

    def resume_writing(self) -> None:
        self._write_blocked = False
        if self._exchange is not None:
            self._exchange.on_downstream_blocked(blocked=False)
        elif self._preface is None and not self._advancing:
            self._unsent = int(self._last_has_body)
            self._advance()

    # -- PROXY header -------------------------------------------------------------------------------------------------

    def _read_preface(self, preface: Preface, data: bytes) -> bytes:
        """What follows the PROXY header, empty while it is not complete."""
        result = preface.receive(data)
        if result is None:
            return b""
        if isinstance(result, Rejected):
            count_rejected_preface(self.listener.proxy_stats, result)
            _log.debug("%d %s: reset: %s", self.id, self.remote_address, result.reason)
            self._reset()
            return b""
        self._leave_preface()
        self._keep_preface(result, preface.received)
        if result.source is not None:
            self.remote, self.remote_address = result.source, format_address(*result.source)
        if result.destination is not None:
            self.local, self.local_address = result.destination, format_address(*result.destination)
        self._begin_http()
        return preface.received[result.length :]

    def _begin_http(self) -> None:
        """What has been accepted is a client's connection: it counts, and its requests are awaited."""
        settings = self.listener.settings
        self.client = self.listener.identify(self.remote[0])
        self._counted = True
        self.stats.downstream_cx_total += 1
        self.stats.downstream_cx_active += 1
        self.listener.listener_stats.downstream_cx_total += 1
        self.listener.listener_stats.downstream_cx_active += 1
        _log.debug("%d %s: accepted", self.id, self.remote_address)
        limit = settings.connection_limit
        if limit is not None:
            if not self.listener.limited.take(limit.max_connections):
                self._phase = Phase.EXCESS
                self._deadline.set(self.loop.time() + limit.delay)
                if not limit.delay:
                    self._end()
                return
            self._limited = True
        if settings.http.max_connection_duration is not None:
            self._expires_at = self._ends_at = self.loop.time() + settings.http.max_connection_duration
        self._wait_for_request(self.loop.time())

    # -- requests -----------------------------------------------------------------------------------------------------

    def _advance(self) -> None:
        """Go as far as the bytes at hand allow."""
        self._advancing = True
        while self._is_served():
            exchange = self._exchange
            if exchange is None:
                # A client that does not read its responses gets no further ones into memory.
                if self._held or self._write_blocked:
                    self._hold(HOLD_PIPELINE, hold=self._write_blocked)
                if self._write_blocked or not self._begin_request():
                    break
            elif self._reader.body_complete:
                # Answered when its response is; the next one waits.
                self._hold_pipeline(self._reader.buffered)
                break
            else:
                piece = self._reader.read_body()
                if isinstance(piece, Fault):
                    exchange.on_bad_body(piece)
                elif piece or self._reader.body_complete:
                    self.touch()
                    exchange.send_body(piece, end=self._reader.body_complete, ending=self._reader.ending)
                else:
                    break
        self._advancing = False

    def _begin_request(self) -> bool:
        """Start on the next request; whether there is one."""
        if self._phase is Phase.IDLE:
            if not self._reader.buffered:
                return False
            self._begin_stream()
            if self._unsent >= MAX_UNSENT:
                # Envoy's guard against clients that only ask: its local replies would pile up.
                self.listener.log_refused(self, TOO_MANY_RESPONSES, 0)
                self.listener.codec_stats.response_flood += 1
                self.stats.downstream_rq_active -= 1
                self.stats.downstream_rq_rx_reset += 1
                self.stats.downstream_cx_destroy_local_active_rq += 1
                self._linger()
                return False
        else:
            self.touch()
        head = self._reader.read_head()
        if head is None:
            self.reschedule()
            return False
        if isinstance(head, Fault):
            self._refuse(head, replies.phrase(head.status))
            return False
        if head.dropped_headers:
            self.listener.codec_stats.dropped_headers_with_underscores += head.dropped_headers
        self._phase = Phase.EXCHANGE
        self._exchange = Exchange(self, head, self._active_at)
        self._exchange.start()
        self.reschedule()
        return True

    def _begin_stream(self) -> None:
        """The first byte of a request is here, be it of a blank line before it."""
        self._phase = Phase.HEAD
        self.stream_started = self._active_at = self.loop.time()
        self.stream_started_wall = time.time()
        self.stream_idle = self.listener.timeouts.idle
        stats = self.stats
        if not self._requests:
            # Only now does Envoy give the connection a codec.
            stats.downstream_cx_http1_total += 1
            stats.downstream_cx_http1_active += 1
        stats.downstream_rq_total += 1
        stats.downstream_rq_active += 1
        self._requests += 1
        if self._requests >= self._max_requests:
            self._last_request = True
            stats.downstream_cx_max_requests_reached += self._max_requests > 0

    def _refuse(self, fault: Fault, body: bytes) -> None:
        """The reply to what is no request, or not yet one. Nobody knows where the next begins: the connection ends."""
        reply = replies.local_reply(
            fault.status,
            date=self.listener.date.now(),
            server=self.listener.settings.http.server_name,
            mutations=self.listener.rules.late,
            expand=self._expand(fault) if self.listener.rules.has_commands else None,
            body=body,
            close=True,
            health_failing=self.listener.announces_failure,
            http_10=fault.http_10,
        )
        self.closes_soon()
        self.write(reply)
        self.listener.log_refused(self, fault, len(body), reply)
        count_refusal(self.stats, self.listener.codec_stats, fault)
        self._end_stream(self.loop.time())
        self._linger()

    def _expand(self, fault: Fault) -> Expand:
        """For the reply to what is no request."""
        details = fault.detail.encode()
        return Facts(self.remote, self.direct, self.local, [], request=[], code=fault.status, details=details).expand

    # -- what the exchange asks for ----------------------------------------------------------------------------

    def closes_soon(self) -> bool:
        """Whether the response about to be written is to say ``connection: close``."""
        orders = self.listener.orders
        if (orders.drained or orders.health_failed) and not self._draining:
            self.stats.downstream_cx_drain_close += 1
            self._start_drain(self.loop.time())
        return self._last_request or self._draining or self.listener.draining

    def write(self, data: bytes) -> None:
        """Send bytes to the client; ``pause_writing`` tells the exchange when they pile up."""
        self.stats.downstream_cx_tx_bytes_total += len(data)
        self._transport.write(data)

    def hold_for_upstream(self, *, hold: bool) -> None:
        """Read no more of the request (for now)."""
        if hold != bool(self._held & HOLD_UPSTREAM):
            if hold:
                self.stats.downstream_flow_control_paused_reading_total += 1
            else:
                self.stats.downstream_flow_control_resumed_reading_total += 1
            self._hold(HOLD_UPSTREAM, hold=hold)

    def touch(self) -> None:
        """The request or its response moved on."""
        self._active_at = self.loop.time()

    def start_tunnel(self) -> None:
        """From here on both sides send what they like; the client's bytes are an endless body."""
        self.touch()
        self.reschedule()

    def exchange_done(self, now: float, *, close: bool, asked: bool, complete: bool, has_body: bool) -> None:
        """The response is complete (``now``, in ``loop.time()``): on to the next request, or to the end.

        ``close``: the response has announced the end; ``asked``: at the client's wish. ``complete``: so is the request.
        """
        self._exchange = None
        self._last_has_body = has_body
        self._end_stream(now)
        self._unsent = self._unsent + 1 if self._advancing else int(has_body)
        shutting = self.listener.draining
        if shutting and self.listener.superseded:
            self._start_drain(now)
            shutting = False
        # A drain goes on until its time is over, whatever its responses say (measured).
        if not complete or self._last_request or self._drained or (close and (shutting or not self._draining)):
            # Envoy closes at once where nothing can be on its way any more: the client knew, and has sent all it had.
            if complete and (asked or self._last_request or shutting) and not self._advancing:
                self._end()
            else:
                self._linger()
            return
        if self._held:
            self._hold(HOLD_UPSTREAM | HOLD_PIPELINE, hold=False)
        self._wait_for_request(now)
        if self._reader.buffered and not self._advancing:
            self._advance()

    def abandon(self, *, delayed: bool) -> None:
        """The response broke off in the middle: the client must not take it for a whole one."""
        self._exchange = None
        self.stats.downstream_rq_active -= 1
        if delayed:
            self._linger()
        else:
            self._end()

    # -- time --------------------------------------------------------------------------------------------------

    def reschedule(self) -> None:
        """Take all that the current request, and the connection as such, are waiting for into account."""
        exchange = self._exchange
        if exchange is not None:
            if self.listener.timeouts.only_idle:
                when = self._active_at + self.stream_idle
            else:
                when, _ = self._stream_timeout(exchange)
            # Plain comparisons: min() is a call, and this happens with every request.
            if exchange.deadline < when:
                when = exchange.deadline
            self._deadline.set(when if when < self._ends_at else self._ends_at)
        elif self._phase is Phase.HEAD:
            when, _ = self.listener.timeouts.of_head(self.stream_started)
            self._deadline.set(min(when, self._ends_at))
        elif self._phase is Phase.IDLE:
            self._deadline.set(min(self._idle_at, self._ends_at))

    def _stream_timeout(self, exchange: Exchange) -> tuple[float, Timeout]:
        idle_at = self._active_at + self.stream_idle
        return self.listener.timeouts.of_stream(self.stream_started, idle_at, awaited=exchange.awaited)

    def _wait_for_request(self, now: float) -> None:
        self._phase = Phase.IDLE
        self._active_at = now
        self._idle_at = now + self.listener.idle_timeout
        self._deadline.set(self._idle_at if self._idle_at < self._ends_at else self._ends_at)

    def _on_deadline(self) -> None:
        now = self.loop.time() + 0.002
        match self._phase:
            case Phase.PREFACE:
                self.listener.listener_stats.downstream_pre_cx_timeout += 1
                if self._preface is not None and self._preface.begun:
                    self._reset()
                else:
                    self._end()
            case Phase.EXCESS:
                if 0 < self.listener.settings.buffer_limit < self._reader.buffered:
                    # More than Envoy would have read: it is in the kernel still, whose answer to a close is a reset.
                    sockets.reset_on_close(self._sock)
                self._end()
            case Phase.LINGERING:
                self._cut()
            case Phase.CLOSED:
                # A client that does not read what was written before the end.
                self._transport.abort()
            case _:
                if now >= self._ends_at:
                    self._check_connection(now)
                self._check_request(now)
                self.reschedule()

    def _check_connection(self, now: float) -> None:
        """The connection has lasted, or drained, for as long as it may."""
        silent = self._phase is Phase.IDLE
        if now >= self._expires_at:
            self._expires_at = NEVER
            self.stats.downstream_cx_max_duration_reached += 1
            if silent and not self._requests:
                self._end()
            elif self.listener.settings.http.safe_max_connection_duration:
                self._max_requests = 0.0
            else:
                self._start_drain(now)
        if now >= self._drain_ends:
            self._drain_ends = NEVER
            self._drained = True
            if silent:
                self._linger()
        self._ends_at = min(self._expires_at, self._drain_ends)

    def _check_request(self, now: float) -> None:
        """The request, or the wait for one, has lasted for as long as it may."""
        exchange = self._exchange
        if exchange is not None:
            when, timeout = self._stream_timeout(exchange)
            if now >= exchange.deadline:
                exchange.on_route_timeout()
            elif now >= when:
                exchange.on_stream_timeout(timeout)
        elif self._phase is Phase.HEAD:
            when, timeout = self.listener.timeouts.of_head(self.stream_started)
            if now >= when:
                fault = Fault(Source.DOWNSTREAM, timeout.details, 408, timeout.flag, timeout.details)
                self._refuse(fault, timeout.body)
        elif self._phase is Phase.IDLE and now >= self._idle_at:
            self._idle_at = NEVER
            self.stats.downstream_cx_idle_timeout += 1
            if self._requests:
                self._start_drain(now)
            else:
                self._end()

    def _start_drain(self, now: float) -> None:
        if not self._draining:
            self._draining = True
            self._drain_ends = now + self.listener.settings.http.drain_timeout
            self._ends_at = min(self._expires_at, self._drain_ends)

    # -- the ends ----------------------------------------------------------------------------------------------

    def _hold(self, reason: int, *, hold: bool) -> None:
        held = self._held | reason if hold else self._held & ~reason
        if bool(held) != bool(self._held) and self._phase is not Phase.CLOSED:
            if held:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()
        self._held = held

    def _hold_pipeline(self, ahead: int) -> None:
        """Read no more while the client is ``ahead`` of its responses by more bytes than the buffer may hold."""
        if ahead or self._held:
            self._hold(HOLD_PIPELINE, hold=0 < self.listener.settings.buffer_limit < ahead)

    def _linger(self) -> None:
        """Envoy's FlushWriteAndDelay: close ``delayed_close_timeout`` later, or when the client does.

        Closing at once would reset the connection where the client has sent more, and could take the reply with it.
        """
        self._hold(HOLD_UPSTREAM | HOLD_PIPELINE, hold=False)
        self._reader.take_rest()
        self._phase = Phase.LINGERING
        self._deadline.set(self.loop.time() + self.listener.settings.http.delayed_close_timeout)

    def _cut(self) -> None:
        self.stats.downstream_cx_delayed_close_timeout += 1
        self._ended_here = True
        if self._transport.get_write_buffer_size():
            self._transport.abort()
        else:
            self._end()

    def _end(self) -> None:
        """Close once all has been written."""
        self._phase = Phase.CLOSED
        self._ended_here = self._ended_here or not self._left
        self._transport.close()
        self._deadline.set(self.loop.time() + FLUSH_TIMEOUT)

    def _reset(self) -> None:
        """RST, and nothing written: what Envoy does to a connection without the PROXY header it must have."""
        self._phase = Phase.CLOSED
        self._ended_here = True
        sockets.reset_on_close(self._sock)
        self._transport.abort()

    def drain(self, *, idle_since: float) -> None:
        """The listener is going: end the connection if it has been idle since then; else its next response will."""
        if self._phase in (Phase.IDLE, Phase.EXCESS, Phase.PREFACE) and self._active_at <= idle_since:
            self._end()

    def abort(self) -> None:
        """End at once, whatever is going on."""
        self._ended_here = True
        self._transport.abort()
