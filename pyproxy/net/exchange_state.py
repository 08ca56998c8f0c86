"""What is known of a request while it is answered, and the record of it when it is over."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from pyproxy.net.requester import Requester
from pyproxy.net.timing import NEVER
from pyproxy.observe.request_log import RequestLog
from pyproxy.observe.stats import EndpointStats, Responses
from pyproxy.proxy.client_address import Origin
from pyproxy.proxy.headers import forwarded_headers
from pyproxy.proxy.router_options import RouterOptions, RouteTimeout, router_options
from pyproxy.settings import Cluster
from pyproxy.wire.address import format_address
from pyproxy.wire.messages import Headers, RequestHead, first_value

if TYPE_CHECKING:
    from pyproxy.net.downstream import DownstreamConnection
    from pyproxy.net.upstream import UpstreamConnection
    from pyproxy.proxy.route import CompiledRoute
    from pyproxy.proxy.route_filters import RouteFilters

_NAME: Final = re.compile(rb"\r\n[^:\r\n]+:")


class ExchangeState(Requester):
    """The attributes of ``exchange.Exchange``, in one object for one request."""

    __slots__ = (
        "_bytes_received",
        "_bytes_sent",
        "_cancel",
        "_close",
        "_cluster",
        "_connection",
        "_done",
        "_encode_chunked",
        "_filters",
        "_forwarded",
        "_id",
        "_origin",
        "_details",
        "_early",
        "_flag",
        "_health_check",
        "_host",
        "_adds_length",
        "_asks",
        "_path",
        "_pending",
        "_pending_bytes",
        "_request_done_at",
        "_request_encode_chunked",
        "_response_at",
        "_response_status",
        "_route",
        "_route_deadline",
        "_timeout",
        "_transport_failure",
        "_tunnel",
        "_upstream",
        "_upstream_host",
        "_upgraded",
        "_upstream_local",
        "_upstream_remote",
        "_written",
        "request",
        "request_complete",
        "responses",
    )

    def __init__(self, connection: DownstreamConnection, request: RequestHead, now: float) -> None:
        self._connection = connection
        self.request = request
        # An upgrade and CONNECT make of all that follows one endless body.
        self.request_complete = not request.has_body and request.upgrade is None and request.method != b"CONNECT"
        self._request_done_at = now if self.request_complete else NEVER
        self._path = request.path
        self._route: CompiledRoute | None = None
        self._cluster: Cluster | None = None
        self._filters: RouteFilters | None = None
        """What is done to the response's headers, if anything."""
        self._forwarded: tuple[bytes, bytes, Headers] | None = None
        """Path, authority and headers as they went to the backend."""
        self._route_deadline = NEVER
        self._timeout: RouteTimeout | None = None
        """Of a request that has been forwarded."""
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
        self._health_check = False
        self._response_status = 0
        self._bytes_received = 0
        self._bytes_sent = 0
        self._flag = "-"
        self._details: str | None = None
        self._transport_failure: str | None = None
        self._upstream_host: str | None = None
        self._upstream_local: str | None = None
        self._upstream_remote: str | None = None
        self._host: EndpointStats | None = None
        self._written = b""
        """The head of the response, as the client got it."""
        self._adds_length = False
        self._response_at = NEVER
        self._upgraded = False
        self.responses: Responses
        self._origin: Origin | None = None
        """Set once the request is admitted, and then ``_id`` is final too."""
        self._id: bytes | None = None
        self._asks: RouterOptions | None = None
        """Of an internal client."""

    def _as_it_is(self) -> tuple[bytes, bytes | None, Headers]:
        """Path, authority and headers as they are by now, be it that they went to the backend or that nothing did."""
        if self._forwarded is not None:
            return self._forwarded
        request, headers = self.request, self.request.headers
        if self._origin is not None:
            headers = forwarded_headers(request, self._origin, self._id, None, self._connection.listener.rules)
        return self._path, request.authority, headers

    @property
    def backend(self) -> str | None:
        """The endpoint that has been chosen."""
        return self._upstream_host

    def _is_grpc(self) -> bool:
        """Whether a local reply speaks gRPC. A CONNECT has no path, and so is no gRPC request to Envoy."""
        content_type = next((value for name, value in self.request.headers if name == b"content-type"), b"")
        return bool(self.request.path) and content_type.partition(b"+")[0] == b"application/grpc"

    def _count_upgrade(self) -> None:
        self._upgraded = True
        self._connection.stats.downstream_cx_upgrades_total += 1
        self._connection.stats.downstream_cx_upgrades_active += 1

    def _count_failure(self, status: int) -> None:
        """Envoy's router charges the backend with the reply that stands in for its own."""
        if not self._response_status and not self._done:
            self.responses.by_status[status] += 1
            if self._host is not None:
                self._host.rq_error += 1

    def record(self, now: float) -> RequestLog:
        """What logs and the inspector say of the request, which is over."""
        connection, request, origin, route = self._connection, self.request, self._origin, self._route
        cluster = self._cluster or (route.only_cluster if route is not None else None)
        remote = connection.remote_address
        if origin is not None and origin.from_header:
            remote = format_address(origin.address.decode(), 0)
        path, authority, headers = self._as_it_is()
        written = self._written
        if connection.listener.settings.http.preserve_header_case:
            written = _lower_names(written)
        return RequestLog(
            connection=connection,
            downstream_remote_address=remote,
            start_time=connection.stream_started_wall,
            method=request.method,
            path=path or None,
            authority=authority,
            protocol=b"HTTP/1.0" if request.http_10 else b"HTTP/1.1",
            headers=request.headers,
            is_admitted=origin is not None,
            forwarded_headers=headers,
            request_id=self._id if origin is not None else self._sent_id(),
            response_head=written,
            adds_length=self._adds_length,
            response_code=self._response_status,
            response_flags=self._flag,
            response_code_details=self._details,
            upstream_transport_failure_reason=self._transport_failure,
            bytes_received=self._bytes_received,
            bytes_sent=self._bytes_sent,
            began=connection.stream_started,
            request_ended=self._request_done_at,
            response_began=self._response_at,
            ended=now,
            upstream_host=self._upstream_host,
            upstream_cluster=cluster.name if cluster is not None else None,
            upstream_local_address=self._upstream_local,
            upstream_remote_address=self._upstream_remote,
            route_name=route.name if route is not None else None,
        )

    @property
    def deadline(self) -> float:
        """When ``on_route_timeout`` is due, in ``loop.time()``; ``NEVER`` for not at all."""
        return self._route_deadline

    @property
    def awaited(self) -> bool:
        """Whether the request is not complete and has had no answer: what ``request_timeout`` limits."""
        return not self.request_complete and not self._response_status

    def _echoed_id(self) -> bytes | None:
        """x-request-id of the response. Who may ask for it is only found out when a request is admitted."""
        asks = self._asks if self._origin is not None else router_options(self.request.headers)
        if asks is None or not asks.echoes_request_id:
            return None
        return self._id if self._origin is not None else self._sent_id()

    def _sent_id(self) -> bytes | None:
        return first_value(self.request.headers, b"x-request-id")


def _lower_names(head: bytes) -> bytes:
    return _NAME.sub(lambda found: found[0].lower(), head)
