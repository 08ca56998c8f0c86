"""One request and its response: what the downstream connection has read, decided by ``proxy``, carried by ``upstream``.

The exchange owns nothing of the socket: it asks its connection to write, to hold reading, and to end. It is over when
it has called ``connection.exchange_done`` (the response is complete, also a local one) or ``connection.abandon`` (the
response broke off), and it writes one access log record either way.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from pyproxy.errors import Fault
from pyproxy.net.timing import NEVER
from pyproxy.observe.access_log import RequestLog
from pyproxy.proxy import replies
from pyproxy.proxy.headers import (
    CHUNKED,
    downstream_response,
    is_internal,
    request_id_of,
    response_framing,
    upstream_request,
)
from pyproxy.proxy.path import Redirect, Reject, normalize
from pyproxy.wire.chunked import LAST_CHUNK, chunk
from pyproxy.wire.messages import RequestHead, ResponseHead

if TYPE_CHECKING:
    from pyproxy.net.downstream import DownstreamConnection
    from pyproxy.net.upstream import UpstreamConnection
    from pyproxy.proxy.route import CompiledRoute


class Exchange:
    """Answers one request. Implements ``upstream.Requester``."""

    __slots__ = (
        "_bytes_received",
        "_bytes_sent",
        "_cancel",
        "_close",
        "_connection",
        "_done",
        "_encode_chunked",
        "_id",
        "_logged_service_time",
        "_details",
        "_early",
        "_flag",
        "_path",
        "_pending",
        "_pending_bytes",
        "_request_done_at",
        "_request_encode_chunked",
        "_response_status",
        "_route",
        "_route_deadline",
        "_started",
        "_started_wall",
        "_transport_failure",
        "_tunnel",
        "_upstream",
        "_upstream_host",
        "_upstream_local",
        "request",
        "request_complete",
    )

    def __init__(self, connection: DownstreamConnection, request: RequestHead) -> None:
        self._connection = connection
        self.request = request
        # An upgrade and CONNECT make of all that follows one endless body.
        self.request_complete = not request.has_body and request.upgrade is None and request.method != b"CONNECT"
        self._started = connection.loop.time()
        self._started_wall = time.time()
        self._request_done_at = self._started if self.request_complete else NEVER
        self._path = request.path
        self._route: CompiledRoute | None = None
        self._route_deadline = NEVER
        self._upstream: UpstreamConnection | None = None
        self._cancel: Callable[[], None] | None = None
        self._early: list[bytes] = []
        self._pending: list[bytes] = []
        self._pending_bytes = 0
        self._request_encode_chunked = request.chunked or request.reframe
        self._encode_chunked = False
        self._tunnel = False
        self._close = False
        self._done = False
        self._response_status = 0
        self._bytes_received = 0
        self._bytes_sent = 0
        self._logged_service_time: int | None = None
        self._flag = "-"
        self._details: str | None = None
        self._transport_failure: str | None = None
        self._upstream_host: str | None = None
        self._upstream_local: str | None = None
        self._id: bytes | None = None

    # -- the request ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Decide what becomes of the request, in the order in which Envoy's connection manager does."""
        connection, request = self._connection, self.request
        options = connection.listener.settings.http
        if request.expect_continue:
            connection.write(replies.CONTINUE)
        if request.authority is None:
            self._reply(400, "missing_host_header")
            return
        if request.method == b"QUERY" and not any(name == b"content-type" and value for name, value in request.headers):
            self._reply(400, "query_missing_content_type")
            return
        if request.method == b"CONNECT":
            self._admit()
            self._reply(404, "route_not_found", "NR")
            return
        if request.path[:1] != b"/":
            self._reply(404, "absolute_path_rejected")
            return
        path = normalize(request.path, options)
        if isinstance(path, Reject):
            self._reply(400, "path_normalization_failed")
            return
        if isinstance(path, Redirect):
            self._path = path.location
            self._reply(307, "path_normalization_failed", location=path.location)
            return
        self._path = path
        request_id = self._admit()
        route = self._route = connection.listener.routes.match(request.authority, path)
        if route is None:
            self._reply(404, "route_not_found", "NR")
        elif request.upgrade is not None and request.upgrade.lower() != b"websocket":
            self._reply(403, "upgrade_failed")
        elif route.direct_response is not None:
            self._reply(route.direct_response, "direct_response")
        else:
            self._forward(route, request_id)

    def _admit(self) -> bytes:
        """The request is one to route: from here on it has an id, and its headers say where it came from."""
        request = self.request
        sent = request_id_of(request) if is_internal(request, self._connection.client) else None
        self._id = sent or self._connection.listener.request_ids.next()
        return self._id

    def _forward(self, route: CompiledRoute, request_id: bytes) -> None:
        connection, request = self._connection, self.request
        head = upstream_request(
            request, self._path, connection.client, request_id, route, connection.listener.settings.http
        )
        self._queue(head)
        if self.request_complete:
            self._start_route_timeout()
        pool = connection.listener.pool(route.pick(connection.listener.random))
        self._cancel = pool.request(self, request.method, upgrade=request.upgrade is not None)

    def _queue(self, data: bytes) -> None:
        if self._upstream is not None:
            self._upstream.write(data)
        else:
            self._pending.append(data)
            self._pending_bytes += len(data)
            if self._pending_bytes > self._connection.listener.settings.buffer_limit:
                self._connection.hold_for_upstream(hold=True)

    def send_body(self, data: bytes, *, end: bool) -> None:
        """Pass on request body bytes; with ``end`` the request is complete. An upgrade's bytes wait for its 101."""
        self._bytes_received += len(data)
        if self.request.upgrade is not None:
            if self._tunnel:
                self._queue(data)
            else:
                # Bytes behind an Upgrade are of a protocol that the backend has not agreed to yet.
                self._early.append(data)
                if sum(map(len, self._early)) > self._connection.listener.settings.buffer_limit:
                    self._connection.hold_for_upstream(hold=True)
            return
        if self._request_encode_chunked:
            data = (chunk(data) if data else b"") + (LAST_CHUNK if end else b"")
        if data:
            self._queue(data)
        if end:
            self.request_complete = True
            if self._upstream is not None:
                self._upstream.end_request()
            self._request_done_at = self._connection.loop.time()
            self._start_route_timeout()

    def _start_route_timeout(self) -> None:
        if self._route is not None and self._route.timeout:
            self._route_deadline = self._connection.loop.time() + self._route.timeout
            self._connection.reschedule()

    # -- what the connection tells ------------------------------------------------------------------------------------

    @property
    def deadline(self) -> float:
        """When ``on_timeout`` is due, in ``loop.time()``; ``NEVER`` for not at all."""
        return self._route_deadline

    def on_timeout(self) -> None:
        """The route's timeout has run out: 504, or the end of a response that has begun."""
        self._route_deadline = NEVER
        self._fail(504, "UT", "response_timeout", replies.ROUTE_TIMEOUT)

    def on_stream_idle(self) -> None:
        """Nothing has moved for ``stream_idle_timeout``."""
        self._fail(504 if self.request_complete else 408, "SI", "stream_idle_timeout", replies.STREAM_TIMEOUT)

    def on_bad_body(self, fault: Fault) -> None:
        """The request body can't be understood."""
        self._fail(fault.status, fault.flag, fault.detail, replies.phrase(fault.status))

    def on_downstream_gone(self) -> None:
        """The client has closed or reset; nobody waits for the response any more."""
        if not self._done:
            self._flag, self._details = "DC", "downstream_remote_disconnect"
            self._release_upstream()
            self._finish_log()

    def on_downstream_blocked(self, *, blocked: bool) -> None:
        """The client does (not) take the response as fast as it comes."""
        if self._upstream is not None:
            if blocked:
                self._upstream.pause_reading()
            else:
                self._upstream.resume_reading()

    def _fail(self, status: int, flag: str, details: str, body: bytes) -> None:
        if self._done:
            return
        self._release_upstream()
        if self._response_status:
            self._flag, self._details = flag, details
            self._abandon()
        else:
            self._reply(status, details, flag, body=body)

    # -- what the upstream tells --------------------------------------------------------------------------------------

    def on_endpoint_chosen(self, address: str) -> None:
        self._upstream_host = address

    def on_upstream_ready(self, upstream: UpstreamConnection) -> None:
        self._cancel = None
        self._upstream = upstream
        self._upstream_host = upstream.remote_address
        self._upstream_local = upstream.local_address
        # Before the writes, which may block the request again.
        self._connection.hold_for_upstream(hold=False)
        if self._pending:
            upstream.write(self._pending[0] if len(self._pending) == 1 else b"".join(self._pending))
            self._pending.clear()
        if self.request_complete:
            upstream.end_request()

    def on_upstream_failed(self, fault: Fault) -> None:
        self._cancel = None
        _, _, reason = fault.detail.partition("|")
        self._transport_failure = reason.rstrip("}") or None
        self._on_fault(fault)

    def on_upstream_reset(self, fault: Fault) -> None:
        self._upstream = None
        self._on_fault(fault)

    def _on_fault(self, fault: Fault) -> None:
        details = fault.detail
        if self._response_status:
            details = f"upstream_reset_after_response_started{{{fault.kind}}}"
        body = replies.upstream_failure(fault.kind.replace("_", " ").encode())
        self._fail(fault.status, fault.flag, details, body)

    def on_upstream_blocked(self, *, blocked: bool) -> None:
        self._connection.hold_for_upstream(hold=blocked)

    def on_response(self, head: ResponseHead, data: bytes, *, end: bool) -> None:
        if end:
            self._upstream = None  # it may be another request's by now
        connection, request = self._connection, self.request
        listener = connection.listener
        upgrade = request.upgrade is not None
        now = connection.loop.time()
        service_time = max(0, round((now - self._request_done_at) * 1000)) if self.request_complete else None
        if not listener.settings.http.suppress_envoy_headers:
            self._logged_service_time = service_time
        self._response_status = head.status
        self._details = "via_upstream"
        if upgrade and head.status == 101:
            self._tunnel = True
            self._route_deadline = NEVER
            connection.start_tunnel()
        elif upgrade:
            self._details = "websocket_handshake_unsuccessful"
            self._close = True
        elif request.close or connection.closing_soon or not self.request_complete:
            # Envoy tells a client that still owes body bytes to stop: its connection can't be read any further.
            self._close = True
        framing = response_framing(head, request.method, upgrade=upgrade)
        self._encode_chunked = framing is CHUNKED and head.has_body
        written = downstream_response(
            head,
            service_time=service_time,
            date=listener.date.now(),
            close=self._close,
            framing=framing,
            options=listener.settings.http,
        )
        if self._tunnel:
            connection.write(written + data)
            self._bytes_sent += len(data)
            connection.hold_for_upstream(hold=False)
            for piece in self._early:
                self._queue(piece)
            self._early.clear()
        elif upgrade:
            connection.write(written)
            self._release_upstream()
            self._complete()
        else:
            connection.write(written + self._encode(data, end=end))
            self._after_body(end=end)

    def on_response_body(self, data: bytes, *, end: bool) -> None:
        if end:
            self._upstream = None
        encoded = self._encode(data, end=end)
        if encoded:
            self._connection.write(encoded)
        self._after_body(end=end)

    def on_tunnel_data(self, data: bytes) -> None:
        self._bytes_sent += len(data)
        self._connection.touch()
        self._connection.write(data)

    def _encode(self, data: bytes, *, end: bool) -> bytes:
        self._bytes_sent += len(data)
        if not self._encode_chunked:
            return data
        return (chunk(data) if data else b"") + (LAST_CHUNK if end else b"")

    def _after_body(self, *, end: bool) -> None:
        if end:
            self._complete()
        else:
            self._connection.touch()

    # -- the end ------------------------------------------------------------------------------------------------------

    def _reply(
        self, status: int, details: str, flag: str = "-", *, body: bytes = b"", location: bytes | None = None
    ) -> None:
        connection, request = self._connection, self.request
        listener = connection.listener
        self._response_status, self._details, self._flag = status, details, flag
        self._close = status == 400 or request.close or connection.closing_soon or not self.request_complete
        content_type = next((value for name, value in request.headers if name == b"content-type"), b"")
        grpc = content_type == b"application/grpc" or content_type.startswith(b"application/grpc+")
        if grpc:
            self._response_status = 200
        elif request.method != b"HEAD":
            self._bytes_sent = len(body)
        connection.write(
            replies.local_reply(
                status,
                date=listener.date.now(),
                server=listener.settings.http.server_name,
                body=body,
                location=location,
                close=self._close,
                head=request.method == b"HEAD",
                grpc=grpc,
            )
        )
        self._complete(local=True)

    def _complete(self, *, local: bool = False) -> None:
        self._done = True
        self._finish_log()
        # Envoy waits for a client that may still be sending, so that it reads the reply before a reset.
        self._connection.exchange_done(close=self._close, delayed=local or not self.request_complete)

    def _abandon(self) -> None:
        self._done = True
        self._finish_log()
        self._connection.abandon()

    def _release_upstream(self) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        if self._upstream is not None:
            self._upstream.reset()
            self._upstream = None
        self._pending.clear()

    def _finish_log(self) -> None:
        connection, request = self._connection, self.request
        if connection.listener.access_log is None:
            return
        headers = dict(request.headers)
        forwarded = headers.get(b"x-forwarded-for")
        if self._id is not None:
            appended = connection.client.forwarded_for
            forwarded = forwarded + b"," + appended if forwarded else appended
        route = self._route
        connection.listener.access_log.write(
            RequestLog(
                start_time=self._started_wall,
                method=request.method,
                path=headers.get(b"x-envoy-original-path", self._path or None),
                response_code=self._response_status,
                response_flags=self._flag,
                response_code_details=self._details,
                upstream_transport_failure_reason=self._transport_failure,
                bytes_received=self._bytes_received,
                bytes_sent=self._bytes_sent,
                duration=round((connection.loop.time() - self._started) * 1000),
                upstream_service_time=self._logged_service_time,
                x_forwarded_for=forwarded,
                user_agent=headers.get(b"user-agent"),
                request_id=self._id,
                authority=request.authority,
                upstream_host=self._upstream_host,
                upstream_cluster=route.cluster.name if route is not None and route.cluster is not None else None,
                upstream_local_address=self._upstream_local,
                downstream_local_address=connection.local_address,
                downstream_remote_address=connection.remote_address,
                route_name=route.name if route is not None else None,
            )
        )
