"""One request and its response: what the downstream connection has read, decided by ``proxy``, carried by ``upstream``.

The exchange owns nothing of the socket: it asks its connection to write, to hold reading, and to end. It is over when
it has called ``connection.exchange_done`` (the response is complete, also a local one) or ``connection.abandon`` (the
response broke off), and it writes one access log record either way.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pyproxy.errors import Fault
from pyproxy.net.counting import count_timeout, count_underscore
from pyproxy.net.exchange_state import ExchangeState
from pyproxy.net.timing import NEVER
from pyproxy.net.upstream import NO_HEALTHY_UPSTREAM
from pyproxy.proxy import replies
from pyproxy.proxy.client_address import locate
from pyproxy.proxy.command_operators import Expand, Facts
from pyproxy.proxy.header_mutation import apply
from pyproxy.proxy.headers import (
    downstream_response,
    filtered_response,
    forwarded_headers,
    refused_upgrade,
    response_framing,
    upstream_request,
    values_at_router,
)
from pyproxy.proxy.host import strip_trailing_dot
from pyproxy.proxy.path import Redirect, Reject, normalize
from pyproxy.proxy.request_id import keep_request_id
from pyproxy.proxy.router_options import router_options
from pyproxy.proxy.timeouts import Timeout
from pyproxy.settings import CustomHeaderDetection
from pyproxy.wire.chunked import LAST_CHUNK, chunk
from pyproxy.wire.head import MERGED_REQUEST_HEADERS
from pyproxy.wire.messages import Headers, ResponseHead

if TYPE_CHECKING:
    from pyproxy.net.upstream import UpstreamConnection
    from pyproxy.proxy.route import CompiledRoute
    from pyproxy.proxy.route_filters import CompiledRedirect


class Exchange(ExchangeState):
    """Answers one request."""

    __slots__ = ()

    # -- the request ------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Decide what becomes of the request, in the order in which Envoy's connection manager does."""
        connection, request = self._connection, self.request
        options, stats = connection.listener.settings.http, connection.stats
        if request.expect_continue:
            connection.write(replies.in_http_10(replies.CONTINUE) if request.http_10 else replies.CONTINUE)
            stats.responses[1] += 1
        if request.authority is None:
            self._reply(400, "missing_host_header")
            return
        if request.method == b"CONNECT":
            if self._admit():
                stats.rq_total += 1
                stats.no_route += 1
                self._reply(404, "route_not_found", "NR")
            else:
                self._refuse_origin()
            return
        if request.path[:1] != b"/":
            stats.downstream_rq_non_relative_path += 1
            self._reply(404, "absolute_path_rejected")
            return
        if request.method == b"QUERY" and not any(name == b"content-type" and value for name, value in request.headers):
            self._reply(400, "query_missing_content_type")
            return
        path = normalize(request.path, options)
        if isinstance(path, Reject):
            self._path = path.path
            stats.downstream_rq_failed_path_normalization += 1
            self._reply(400, "path_normalization_failed")
            return
        if isinstance(path, Redirect) and self._is_grpc():
            stats.downstream_rq_failed_path_normalization += 1
            self._reply(400, "path_normalization_failed")  # gRPC knows no redirects
            return
        if isinstance(path, Redirect):
            stats.downstream_rq_redirected_with_normalized_path += 1
            self._path = path.location
            self._reply(307, "path_normalization_failed", headers=[(b"location", path.location)])
            return
        self._path = path
        if options.strip_trailing_host_dot:
            request.authority = strip_trailing_dot(request.authority)
        if not self._admit():
            self._refuse_origin()
            return
        if self._has_scheme():
            self._route = connection.listener.routes.match(request.authority, path, self)
        route = self._route
        websocket = request.upgrade is not None and request.upgrade.lower() == b"websocket"
        # Where there is no route, nobody has refused an upgrade yet when a health check is looked for (measured).
        if path == options.health_check_path and (request.upgrade is None or websocket or route is None):
            self._health_check = True
            if stats.health_checks is not None:
                stats.health_checks.begun += 1
            if websocket and route is not None:
                self._count_upgrade()
            if route is not None and route.forwards:
                # To Envoy such a reply is one for a routed request like any other.
                self._filters = route.pick(connection.listener.random).filters
            if self.request_complete:
                self._answer_health_check()
        elif route is None:
            stats.rq_total += 1
            stats.no_route += 1
            self._reply(404, "route_not_found", "NR")
        elif request.upgrade is not None and not (route.forwards and websocket):
            stats.downstream_rq_ws_on_non_ws_route += 1
            self._reply(403, "upgrade_failed")
        elif route.forwards:
            self._forward(route, request.authority)
        elif route.redirect is not None:
            self._redirect(route, route.redirect, request.authority)
        elif route.direct_response is not None:
            stats.rq_total += 1
            stats.rq_direct_response += 1
            self._filters = route.filters
            self._reply(route.direct_response, "direct_response")

    def _admit(self) -> bool:
        """Find out where the request comes from and which id it has; whether it may go on."""
        request, connection = self.request, self._connection
        listener = connection.listener
        options = listener.settings.http
        if listener.rules.early:
            expand = self._facts(self._path, request.authority).expand if listener.rules.has_commands else None
            request.headers = apply(request.headers, listener.rules.early, MERGED_REQUEST_HEADERS, expand)
        origin = locate(request.headers, connection.client, options.client_address)
        if origin is None:
            return False
        self._origin = origin
        if not (origin.edge and listener.rules.replaces_request_id):
            self._id = keep_request_id(self._sent_id(), edge=origin.edge, options=options)
        if self._id is None and options.generate_request_id:
            self._id = listener.request_ids.next()
        if origin.internal:
            self._asks = router_options(request.headers)
        return True

    def _facts(self, path: bytes, host: bytes | None) -> Facts:
        """What commands in headers can say so far."""
        connection, request, origin = self._connection, self.request, self._origin
        remote = connection.remote if origin is None or not origin.from_header else (origin.address.decode(), 0)
        authority = [(name, host) for name in (b":authority", b"host")] if host is not None else []
        return Facts(
            remote,
            connection.direct,
            connection.local,
            [(b":method", request.method), (b":path", path), *authority],
            protocol=b"HTTP/1.0" if request.http_10 else b"HTTP/1.1",
            # Until there is a response, that was the last code that went out.
            noted_code=100 if request.expect_continue else 0,
        )

    def _expand_response(self, *, is_noted: bool = True) -> Expand:
        """For the response that is about to be written. ``is_noted``: RESPONSE_CODE knows of it."""
        path, authority, headers = self._as_it_is()
        facts = self._facts(path, authority)
        facts.request = headers
        facts.code = self._response_status
        if is_noted:
            facts.noted_code = None
        facts.details = (self._details or "").encode()
        # That a codec refused a message is noted only when its reply has gone.
        facts.flags = self._flag.encode() if self._flag != "DPE" else b"-"
        facts.upstream_host = (self._upstream_host or "").encode()
        return facts.expand

    def _refuse_origin(self) -> None:
        detection = self._connection.listener.settings.http.client_address.detection
        assert isinstance(detection, CustomHeaderDetection), "no other detection refuses"
        assert detection.reject_status is not None
        self._connection.stats.downstream_rq_rejected_via_ip_detection += 1
        self._reply(detection.reject_status, "rejecting_because_detection_failed")

    def _has_scheme(self) -> bool:
        """Envoy finds no route for a request whose trusted x-forwarded-proto is empty (measured)."""
        if not self._connection.listener.rules.trusts_proto:
            return True
        return all(value or name != b"x-forwarded-proto" for name, value in self.request.headers)

    def header_values(self, name: bytes) -> Sequence[bytes]:
        """For ``route.Request``."""
        assert self._origin is not None, "only requests that have been admitted are routed"
        return values_at_router(name, self.request, self._origin, self._id, self._connection.listener.rules)

    def _redirect(self, route: CompiledRoute, redirect: CompiledRedirect, authority: bytes) -> None:
        stats = self._connection.stats
        stats.rq_total += 1
        stats.rq_direct_response += 1
        proto = next(iter(self.header_values(b"x-forwarded-proto")), b"")
        location = redirect.location(proto, authority, self._path)
        if self._connection.listener.rules.suppress:  # else x-envoy-original-path has it for the access log
            self._path = redirect.rewritten(self._path)
        self._filters = route.filters
        self._reply(redirect.status, "direct_response", headers=[(b"location", location)])

    def _forward(self, route: CompiledRoute, authority: bytes) -> None:
        connection, request = self._connection, self.request
        rules = connection.listener.rules
        if route.idle_timeout is not None:
            connection.stream_idle = route.idle_timeout or NEVER
        assert self._origin is not None
        stats = connection.stats
        stats.rq_total += 1
        destination = route.pick(connection.listener.random)
        filters = destination.filters
        if filters.changes_response:
            self._filters = filters
        if request.upgrade is not None:
            self._count_upgrade()
        if destination.is_nowhere:
            stats.no_cluster += 1
            self._reply(500, "cluster_not_found", "NC")
            return
        self._cluster = destination.cluster
        timeout = route.timeout if self._asks is None else self._asks.timeout_of(route.timeout)
        self._timeout = timeout
        expected = None if rules.suppress else timeout.expected
        path, headers = self._path, forwarded_headers(request, self._origin, self._id, expected, rules)
        internal = self._origin.internal
        if filters.changes_request:
            expand = self._facts(path, authority).expand if filters.has_commands else None
            path, authority, headers = filters.request(
                path, authority, headers, expand, suppress_envoy_headers=rules.suppress
            )
            internal = (b"x-envoy-internal", b"true") in headers
        self._forwarded = path, authority, headers
        self._queue(upstream_request(request, path, authority, headers))
        if self.request_complete and timeout.seconds:
            self._route_deadline = self._request_done_at + timeout.seconds
        pool = connection.listener.pool(destination.cluster)
        self.responses = pool.stats.internal if internal else pool.stats.external
        self._cancel = pool.request(self, request.method, upgrade=request.upgrade is not None)

    def _queue(self, data: bytes) -> None:
        if self._upstream is not None:
            self._upstream.write(data)
        else:
            self._pending.append(data)
            self._pending_bytes += len(data)
            self._hold_past_limit(self._pending_bytes)

    def _hold_past_limit(self, waiting: int) -> None:
        """Read no more of the request if ``waiting`` bytes of it are more than may wait for the backend."""
        limit = self._connection.listener.settings.buffer_limit
        if 0 < limit < waiting:
            self._connection.hold_for_upstream(hold=True)

    def send_body(self, data: bytes, *, end: bool, ending: bytes = LAST_CHUNK) -> None:
        """Pass on request body bytes; with ``end`` the request is complete. An upgrade's bytes wait for its 101.

        ``ending``: what comes behind the body where it goes on in chunks.
        """
        self._bytes_received += len(data)
        if self._health_check:
            # The answer does not depend on the body, but comes after it (measured).
            self.request_complete = end
            if end:
                self._answer_health_check()
            return
        if self.request.upgrade is not None:
            if self._tunnel:
                self._queue(data)
            else:
                # Bytes behind an Upgrade are of a protocol that the backend has not agreed to yet.
                self._early.append(data)
                self._hold_past_limit(sum(map(len, self._early)))
            return
        if self._request_encode_chunked:
            data = (chunk(data) if data else b"") + (ending if end else b"")
        if data:
            self._queue(data)
        if end:
            self.request_complete = True
            if self._upstream is not None:
                self._upstream.end_request()
            self._request_done_at = self._connection.loop.time()
            self._start_route_timeout()

    def _answer_health_check(self) -> None:
        checks = self._connection.stats.health_checks
        assert checks is not None, "there is a path for them"
        if self._connection.listener.orders.health_failed:
            checks.failed += 1
            self._reply(503, "health_check_failed", "LH")
        else:
            checks.ok += 1
            self._reply(200, "health_check_ok")

    def _start_route_timeout(self) -> None:
        if self._timeout is not None and self._timeout.seconds:
            self._route_deadline = self._request_done_at + self._timeout.seconds
            self._connection.reschedule()

    # -- what the connection tells ------------------------------------------------------------------------------------

    def on_route_timeout(self) -> None:
        """The route's timeout has run out: 504, or the end of a response that has begun."""
        self._route_deadline = NEVER
        if self._upstream is not None:
            self._upstream.host.stats.rq_timeout += 1
        self._count_failure(504)
        assert self._timeout is not None, "it has run out"
        self._fail(504, "UT", self._timeout.details, replies.ROUTE_TIMEOUT)

    def on_stream_timeout(self, timeout: Timeout) -> None:
        """One of the listener's timeouts has run out."""
        status = 504 if self.request_complete else 408
        count_timeout(self._connection.stats, timeout.details)
        self._fail(status, timeout.flag, timeout.details, timeout.body, grpc_status=timeout.grpc_status)

    def on_bad_body(self, fault: Fault) -> None:
        """The request body can't be understood."""
        self._connection.stats.downstream_cx_protocol_error += 1
        count_underscore(self._connection.listener.codec_stats, fault)
        self._fail(fault.status, fault.flag, fault.detail, replies.phrase(fault.status))

    def on_downstream_gone(self) -> None:
        """The client has closed or reset; nobody waits for the response any more."""
        if not self._done:
            self._flag, self._details = "DC", "downstream_remote_disconnect"
            self._release_upstream()
            self._finish(self._connection.loop.time(), answered=self._response_status > 0)

    def on_downstream_blocked(self, *, blocked: bool) -> None:
        """The client does (not) take the response as fast as it comes."""
        if self._upstream is not None:
            if blocked:
                self._upstream.pause_reading()
            else:
                self._upstream.resume_reading()

    def _fail(self, status: int, flag: str, details: str, body: bytes, *, grpc_status: int | None = None) -> None:
        if self._done:
            return
        self._release_upstream()
        if self._response_status:
            self._flag, self._details = flag, details
            self._abandon()
        else:
            self._reply(status, details, flag, body=body, grpc_status=grpc_status)

    # -- what the upstream tells --------------------------------------------------------------------------------------

    def on_endpoint_chosen(self, address: str) -> None:
        self._upstream_host = address

    def on_upstream_ready(self, upstream: UpstreamConnection) -> None:
        self._cancel = None
        self._upstream = upstream
        self._upstream_host = self._upstream_remote = upstream.remote_address
        self._upstream_local = upstream.local_address
        self._host = upstream.host.stats
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
        self._count_failure(fault.status)
        if self._response_status:
            details = f"upstream_reset_after_response_started{{{fault.kind}}}"
        reason = fault.kind.replace("_", " ").encode()
        body = reason if fault is NO_HEALTHY_UPSTREAM else replies.upstream_failure(reason)
        self._fail(fault.status, fault.flag, details, body)

    def on_upstream_blocked(self, *, blocked: bool) -> None:
        self._connection.hold_for_upstream(hold=blocked)

    def on_response(self, head: ResponseHead, data: bytes, *, end: bool, ending: bytes = LAST_CHUNK) -> None:
        if end:
            self._upstream = None  # it may be another request's by now
        connection, request = self._connection, self.request
        listener = connection.listener
        upgrade = request.upgrade is not None
        now = connection.loop.time()
        service_time: int | None = None
        if self.request_complete and not listener.rules.suppress:
            service_time = max(0, int((now - self._request_done_at) * 1000 + 0.5))
        self._response_status = head.status
        self._response_at = now
        self._details = "via_upstream"
        connection.stats.responses[head.status // 100] += 1
        if not upgrade or head.status == 101 or head.status >= 400:
            self.responses.by_status[head.status] += 1
            if self._host is not None:
                if head.status < 500:
                    self._host.rq_success += 1
                else:
                    self._host.rq_error += 1
        if upgrade and head.status == 101 and head.upgrade:
            self._tunnel = True
            self._route_deadline = NEVER
            connection.start_tunnel()
        elif upgrade and head.status < 400:
            self._details = "websocket_handshake_unsuccessful"
            self._close = True
            if head.status != 101:
                head.spellings = None  # Envoy writes this head itself, out of what the backend's has
        elif connection.closes_soon() or request.close or not self.request_complete:
            # Envoy tells a client that still owes body bytes to stop: its connection can't be read any further.
            self._close = True
        http_10 = request.http_10
        if self._filters is not None:
            is_local = upgrade and not self._tunnel and head.status < 400
            expand = self._expand_response(is_noted=not is_local) if self._filters.has_commands else None
            if is_local:
                head = refused_upgrade(head, self._filters, expand)
            else:
                timing = None if listener.rules.suppress else service_time
                head = filtered_response(head, self._filters, timing, expand)
            service_time = None
        framing = response_framing(head, request.method, upgrade=upgrade, http_10=http_10)
        if http_10 and not self._tunnel and not any(name == b"content-length" for name, _ in head.headers):
            # Only a length tells such a client where a response ends before its connection does.
            self._close = True
        self._encode_chunked = framing is replies.CHUNKED and head.has_body
        if listener.announces_failure:
            head.headers.append(replies.HEALTH_FAILING)
        written = downstream_response(
            head,
            service_time=service_time,
            date=listener.date.now(),
            close=self._close and not head.upgrade,
            framing=framing,
            rules=listener.rules,
            http_10=http_10,
            expand=self._expand_response() if listener.rules.has_commands else None,
            request_id=self._echoed_id() if self._asks is not None else None,
        )
        self._written = written
        self._adds_length = framing is replies.NO_BODY
        if self._tunnel:
            connection.write(written + data)
            self._bytes_sent += len(data)
            connection.hold_for_upstream(hold=False)
            for piece in self._early:
                self._queue(piece)
            self._early.clear()
        elif upgrade and head.status < 400:
            connection.write(written)
            self._release_upstream()
            if http_10 and not self.request_complete:
                # To Envoy's codec such a request ends with its head, if not to its connection manager.
                connection.stats.downstream_rq_response_before_rq_complete += 1
                connection.stats.downstream_rq_rx_reset += 1
                self.request_complete = True
            self._complete(connection.loop.time())
        else:
            connection.write(written + self._encode(data, end=end, ending=ending))
            self._after_body(now, end=end)

    def on_response_body(self, data: bytes, *, end: bool, ending: bytes = LAST_CHUNK) -> None:
        if end:
            self._upstream = None
        encoded = self._encode(data, end=end, ending=ending)
        if encoded:
            self._connection.write(encoded)
        self._after_body(self._connection.loop.time(), end=end)

    def on_tunnel_data(self, data: bytes) -> None:
        self._bytes_sent += len(data)
        self._connection.touch()
        self._connection.write(data)

    def _encode(self, data: bytes, *, end: bool, ending: bytes) -> bytes:
        self._bytes_sent += len(data)
        if not self._encode_chunked:
            return data
        return (chunk(data) if data else b"") + (ending if end else b"")

    def _after_body(self, now: float, *, end: bool) -> None:
        if end:
            if self.request_complete and not self._tunnel:
                self.responses.time.record(int((now - self._request_done_at) * 1000))
            self._complete(now)
        else:
            self._connection.touch()

    # -- the end ------------------------------------------------------------------------------------------------------

    def _reply(
        self,
        status: int,
        details: str,
        flag: str = "-",
        *,
        body: bytes = b"",
        headers: Headers | None = None,
        grpc_status: int | None = None,
    ) -> None:
        connection, request = self._connection, self.request
        listener = connection.listener
        self._response_status, self._details, self._flag = status, details, flag
        self._close = connection.closes_soon() or status == 400 or request.close or not self.request_complete
        grpc = self._is_grpc()
        if request.http_10 and (grpc or not body):
            self._close = True
        if flag == "UO" and not listener.settings.http.suppress_envoy_headers:
            headers = [(b"x-envoy-overloaded", b"true")]
        if self._filters is not None:
            expand = self._expand_response(is_noted=False) if self._filters.has_commands else None
            headers = self._filters.response(headers or [], expand)
        if grpc:
            self._response_status = 200
        elif request.method != b"HEAD":
            self._bytes_sent = len(body)
        if not self._health_check:
            connection.stats.responses[self._response_status // 100] += 1
        self._adds_length = True
        self._written = replies.local_reply(
            status,
            date=listener.date.now(),
            server=listener.settings.http.server_name,
            mutations=listener.rules.late,
            body=body,
            headers=headers,
            close=self._close,
            head=request.method == b"HEAD",
            grpc=grpc,
            http_10=request.http_10,
            expand=self._expand_response() if listener.rules.has_commands else None,
            grpc_status=grpc_status,
            health_checked=listener.node_cluster if self._health_check else None,
            health_failing=listener.announces_failure,
            request_id=self._echoed_id(),
        )
        connection.write(self._written)
        self._complete(connection.loop.time())

    def _complete(self, now: float) -> None:
        self._done = True
        request = self.request
        if not self.request_complete:
            self._connection.stats.downstream_rq_rx_reset += 1
        self._finish(now, answered=True)
        asked = request.close or request.http_10
        has_body = self._bytes_sent > 0 and not self._encode_chunked
        self._connection.exchange_done(
            now, close=self._close, asked=asked, complete=self.request_complete, has_body=has_body
        )

    def _abandon(self) -> None:
        self._done = True
        self._connection.stats.downstream_rq_tx_reset += 1
        self._connection.stats.downstream_rq_rx_reset += 1
        self._finish(self._connection.loop.time(), answered=True)
        # A client that has been told to expect the end need not be given time for it.
        self._connection.abandon(delayed=not self._close or not self.request_complete)

    def _finish(self, now: float, *, answered: bool) -> None:
        stats, listener = self._connection.stats, self._connection.listener
        if answered and not self.request_complete:
            stats.downstream_rq_response_before_rq_complete += 1
        if self._upgraded:
            stats.downstream_cx_upgrades_active -= 1
        if listener.records_requests:
            listener.record(self.record(now))

    def _release_upstream(self) -> None:
        if self._cancel is not None:
            self._cancel()
            self._cancel = None
        if self._upstream is not None:
            self._upstream.reset()
            self._upstream = None
        self._pending.clear()
