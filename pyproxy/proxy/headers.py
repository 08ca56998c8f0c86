"""Heads as they leave: the request for the backend and the response for the client, byte for byte as Envoy 1.40.

Both functions walk the received headers once and keep their order. A header that Envoy sets replaces one of the same
name where it stands, and otherwise goes to the end, in Envoy's order. Measured name by name with every header below
sent by an internal client, an external one at the edge, and one behind a proxy that is trusted.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from pyproxy.proxy import replies
from pyproxy.proxy.client_address import Origin, trusts_forwarded_proto
from pyproxy.proxy.command_operators import Expand
from pyproxy.proxy.header_mutation import apply, put
from pyproxy.proxy.referer import is_valid_referer
from pyproxy.proxy.route_filters import RouteFilters
from pyproxy.settings import ForwardClientCert, HeaderAction, HeaderMutation, HttpOptions
from pyproxy.wire.address import ScopeIndex
from pyproxy.wire.head import MERGED_RESPONSE_HEADERS
from pyproxy.wire.messages import Headers, RequestHead, ResponseHead

# Envoy's router takes its own request headers out, whoever sent them.
_ROUTERS_OWN: Final = frozenset(
    b"x-envoy-hedge-on-per-try-timeout x-envoy-max-retries x-envoy-retriable-header-names "
    b"x-envoy-retriable-status-codes x-envoy-retry-grpc-on x-envoy-retry-on x-envoy-upstream-alt-stat-name "
    b"x-envoy-upstream-rq-per-try-timeout-ms x-envoy-upstream-rq-timeout-alt-response x-envoy-upstream-rq-timeout-ms "
    b"x-envoy-upstream-stream-duration-ms".split()
)
_ALWAYS_REMOVED: Final = _ROUTERS_OWN | {b"x-envoy-internal"}
# Only an internal client may set these, and x-envoy-expected-rq-timeout-ms.
_REMOVED_EXTERNALLY: Final = _ALWAYS_REMOVED | {b"x-envoy-force-trace", b"x-envoy-ip-tags"}
# Where the outside begins, these go too.
_REMOVED_AT_EDGE: Final = _REMOVED_EXTERNALLY | frozenset(
    b"x-envoy-decorator-operation x-envoy-downstream-service-cluster x-envoy-downstream-service-node "
    b"x-envoy-original-host x-envoy-original-path".split()
)
_REPLACED: Final = frozenset(
    (
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-envoy-external-address",
        b"x-request-id",
        b"x-envoy-expected-rq-timeout-ms",
    )
)
_ADDED: Final = _REPLACED | {b"x-envoy-internal"}
_CLIENT_CERT: Final = frozenset((b"x-forwarded-client-cert",))

# Envoy frames a request without a body as such for every method but these (measured; RFC 9110 section 8.6).
_NO_BODY_METHODS: Final = frozenset((b"GET", b"HEAD", b"DELETE", b"TRACE", b"CONNECT"))


class HeaderRules:
    """What a listener's settings make of headers, worked out once."""

    __slots__ = (
        "early",
        "has_commands",
        "late",
        "replaces_request_id",
        "scope_index",
        "server",
        "suppress",
        "touched_at_edge",
        "touched_externally",
        "touched_internally",
        "trusts_proto",
    )

    def __init__(self, options: HttpOptions, scope_index: ScopeIndex | None = None) -> None:
        """``scope_index`` is for scope ids of addresses in headers."""
        self.scope_index = scope_index
        # Without a client certificate every mode but this one takes the header out (measured).
        forward = options.forward_client_cert is ForwardClientCert.ALWAYS_FORWARD_ONLY
        client_cert = frozenset[bytes]() if forward else _CLIENT_CERT
        looked_at = client_cert | _REPLACED | {b"referer"}
        self.touched_internally = _ALWAYS_REMOVED | looked_at
        self.touched_externally = _REMOVED_EXTERNALLY | looked_at
        self.touched_at_edge = _REMOVED_AT_EDGE | looked_at
        self.trusts_proto = trusts_forwarded_proto(options.client_address)
        self.replaces_request_id = options.generate_request_id and not options.preserve_external_request_id
        """An id from outside never stays."""
        self.suppress = options.suppress_envoy_headers
        self.server = options.server_name
        self.early = options.early_request_headers
        self.late = options.late_response_headers
        self.has_commands = any(mutation.template for mutation in (*self.early, *self.late))

    def touched(self, origin: Origin) -> frozenset[bytes]:
        """Headers that a request from ``origin`` does not go on with, or not as they came."""
        if origin.internal:
            return self.touched_internally
        return self.touched_at_edge if origin.edge else self.touched_externally


def forwarded_headers(
    request: RequestHead, origin: Origin, request_id: bytes | None, expected: bytes | None, rules: HeaderRules
) -> Headers:
    """The request's headers as they go on.

    ``request_id``: that of the request, ``None`` if it has none. ``expected``: what x-envoy-expected-rq-timeout-ms is
    to be, ``None`` to leave it as it is.
    """
    touched = rules.touched(origin)
    headers: Headers = []
    placed: set[bytes] = set()
    for field in request.headers:
        name, value = field
        if name not in touched:
            headers.append(field)
        elif name in _REPLACED:
            if name == b"x-forwarded-for":
                value = forwarded_for(value, origin) or b""
            elif name == b"x-forwarded-proto":
                if not rules.trusts_proto:
                    value = b"http"
            elif name == b"x-envoy-external-address":
                if origin.edge:
                    value = origin.address
            elif name == b"x-request-id":
                value = request_id or b""
            elif not origin.internal:
                continue
            elif expected is not None:
                value = expected
            placed.add(name)
            headers.append((name, value))
        elif name == b"referer" and is_valid_referer(value, rules.scope_index):
            headers.append(field)
    if origin.appended is not None and b"x-forwarded-for" not in placed:
        headers.append((b"x-forwarded-for", origin.appended))
    if b"x-forwarded-proto" not in placed:
        headers.append((b"x-forwarded-proto", b"http"))
    if origin.internal:
        headers.append((b"x-envoy-internal", b"true"))
    elif origin.edge and b"x-envoy-external-address" not in placed:
        headers.append((b"x-envoy-external-address", origin.address))
    if request_id is not None and b"x-request-id" not in placed:
        headers.append((b"x-request-id", request_id))
    if expected is not None and b"x-envoy-expected-rq-timeout-ms" not in placed:
        headers.append((b"x-envoy-expected-rq-timeout-ms", expected))
    return headers


def upstream_request(request: RequestHead, path: bytes, authority: bytes, headers: Headers) -> bytes:
    """The head that goes to the backend, framed as ``request`` is."""
    framing = b""
    if (request.chunked or request.reframe) and request.upgrade is None:
        framing = replies.CHUNKED
    elif request.content_length is None and request.upgrade is None and request.method not in _NO_BODY_METHODS:
        framing = replies.NO_BODY
    pieces = [request.method, b" ", path, b" HTTP/1.1\r\nhost: ", authority]
    for name, value in headers:
        pieces.append(b"\r\n")
        pieces.append(name)
        pieces.append(b": ")
        pieces.append(value)
    pieces.append(b"\r\n")
    pieces.append(framing)
    pieces.append(b"\r\n")
    head = b"".join(pieces)
    return head if request.spellings is None else respell(head, request.spellings)


def values_at_router(
    name: bytes, request: RequestHead, origin: Origin, request_id: bytes | None, rules: HeaderRules
) -> Sequence[bytes]:
    """The values of a header, one for each of its lines, when Envoy's router looks for a route."""
    if name == b":method":
        return (request.method,)
    if name == b"host":
        return (request.authority or b"",)
    headers = request.headers
    if name in _ADDED or (name in rules.touched(origin) and not (origin.internal and name in _ROUTERS_OWN)):
        headers = forwarded_headers(request, origin, request_id, None, rules)
    return [value for found, value in headers if found == name]


def forwarded_for(sent: bytes | None, origin: Origin) -> bytes | None:
    """x-forwarded-for as it goes on: what was sent, and the peer behind it."""
    if origin.appended is None:
        return sent
    return sent + b"," + origin.appended if sent else origin.appended


def filtered_response(
    response: ResponseHead, filters: RouteFilters, service_time: int | None, expand: Expand | None = None
) -> ResponseHead:
    """What a route's filters make of a response. ``service_time``: its x-envoy-upstream-service-time, if it has one."""
    headers = list(response.headers)
    if service_time is not None:
        put(headers, b"x-envoy-upstream-service-time", b"%d" % service_time)
    return replace(response, headers=filters.response(headers, expand))


def refused_upgrade(response: ResponseHead, filters: RouteFilters, expand: Expand | None = None) -> ResponseHead:
    """The same for a backend that neither switches protocols nor fails.

    Envoy then answers itself: what the filters give that reply comes first, and the backend's headers are added to it.
    """
    added = [
        HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, name, value)
        for name, value in response.headers
        if name != b"content-type"
    ]
    headers = [field for field in filters.response([], expand) if field[0] != b"content-type"]
    return replace(response, headers=apply(headers, added, MERGED_RESPONSE_HEADERS))


def downstream_response(
    response: ResponseHead,
    *,
    service_time: int | None,
    date: bytes,
    close: bool,
    framing: bytes,
    rules: HeaderRules,
    http_10: bool = False,
    expand: Expand | None = None,
    request_id: bytes | None = None,
) -> bytes:
    """The head that goes to the client.

    ``service_time``: milliseconds from the complete request to this head, ``None`` for a request that is not complete.
    ``framing``: the line that Envoy's codec adds last where the head has no length of its own, or nothing.
    ``request_id``: to be told to the client.
    """
    headers = response.headers
    timing = None if service_time is None or rules.suppress else b"%d" % service_time
    if rules.late:
        if timing is not None:
            headers = list(headers)
            put(headers, b"x-envoy-upstream-service-time", timing)
            timing = None
        headers = apply(headers, rules.late, MERGED_RESPONSE_HEADERS, expand)
    head = replies.response_head(
        response.status,
        headers,
        date=date,
        server=rules.server,
        service_time=timing,
        close=close,
        framing=framing,
        http_10=http_10,
        request_id=request_id,
    )
    return head if response.spellings is None else respell(head, response.spellings)


def respell(head: bytes, spellings: Mapping[bytes, bytes]) -> bytes:
    """``head`` with its names as the peer spelt them; names that it did not send stay in lower case."""
    first, *lines = head.split(b"\r\n")
    for index, line in enumerate(lines):
        name, colon, value = line.partition(b":")
        lines[index] = spellings.get(name, name) + colon + value
    return b"\r\n".join((first, *lines))


def response_framing(response: ResponseHead, method: bytes, *, upgrade: bool, http_10: bool = False) -> bytes:
    """The framing line of a response whose headers have none: chunks for a body, or for what a GET would have got.

    A client that speaks HTTP/1.0 knows no chunks: its body ends with the connection.
    """
    if response.upgrade and response.status >= 200:
        if method == b"HEAD" or response.status == 304:
            empty = response.content_length == 0 and not any(name == b"content-length" for name, _ in response.headers)
        else:
            empty = response.status < 400
        if empty:
            return replies.NO_BODY  # also of what has no body anyway (measured)
    if response.status in (204, 304) or response.status < 200:
        return b""
    if upgrade and response.status < 400:
        return replies.CHUNKED if method == b"HEAD" else replies.NO_BODY
    if response.chunked or response.until_close:
        return b"" if http_10 else replies.CHUNKED
    if response.content_length or any(name == b"content-length" for name, _ in response.headers):
        return b""
    if method == b"HEAD":
        return b"" if http_10 else replies.CHUNKED
    return replies.NO_BODY if upgrade else b""
