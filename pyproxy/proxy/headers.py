"""Heads as they leave: the request for the backend and the response for the client, byte for byte as Envoy 1.40.

Both functions walk the received headers once and keep their order. A header that Envoy sets replaces one of the same
name where it stands, and otherwise goes to the end, in Envoy's order. Measured name by name with every header below
sent by an external and by an internal client.
"""

from __future__ import annotations

from pyproxy.proxy.client_address import Client
from pyproxy.proxy.replies import status_line
from pyproxy.proxy.route import CompiledRoute
from pyproxy.settings import HttpOptions
from pyproxy.wire.messages import RequestHead, ResponseHead

# Envoy's router takes its own request headers out, whoever sent them, and so does x-forwarded-client-cert: SANITIZE.
_ALWAYS_REMOVED = frozenset(
    b"x-envoy-hedge-on-per-try-timeout x-envoy-max-retries x-envoy-retriable-header-names "
    b"x-envoy-retriable-status-codes x-envoy-retry-grpc-on x-envoy-retry-on x-envoy-upstream-alt-stat-name "
    b"x-envoy-upstream-rq-per-try-timeout-ms x-envoy-upstream-rq-timeout-alt-response x-envoy-upstream-rq-timeout-ms "
    b"x-envoy-upstream-stream-duration-ms x-forwarded-client-cert x-envoy-internal".split()
)
# Only an internal client may set these.
_REMOVED_AT_EDGE = _ALWAYS_REMOVED | frozenset(
    b"x-envoy-decorator-operation x-envoy-downstream-service-cluster x-envoy-downstream-service-node "
    b"x-envoy-expected-rq-timeout-ms x-envoy-force-trace x-envoy-ip-tags x-envoy-original-host "
    b"x-envoy-original-path".split()
)
_REPLACED = frozenset(
    (
        b"x-forwarded-for",
        b"x-forwarded-proto",
        b"x-envoy-external-address",
        b"x-request-id",
        b"x-envoy-expected-rq-timeout-ms",
    )
)
_TOUCHED = _REMOVED_AT_EDGE | _REPLACED

# Envoy frames a request without a body as such for every method but these (measured; RFC 9110 section 8.6).
_NO_BODY_METHODS = frozenset((b"GET", b"HEAD", b"DELETE", b"TRACE", b"CONNECT"))

CHUNKED = b"transfer-encoding: chunked\r\n"
NO_BODY = b"content-length: 0\r\n"


def is_internal(request: RequestHead, client: Client) -> bool:
    """Envoy's internal request: from an internal address, and no x-forwarded-for before it."""
    return client.internal and not any(name == b"x-forwarded-for" for name, _ in request.headers)


def request_id_of(request: RequestHead) -> bytes | None:
    """The x-request-id that the client sent, if any."""
    return next((value for name, value in request.headers if name == b"x-request-id"), None)


def upstream_request(
    request: RequestHead, path: bytes, client: Client, request_id: bytes, route: CompiledRoute, options: HttpOptions
) -> bytes:
    """The head that goes to the backend. ``request_id`` is for requests that don't keep their own."""
    internal = is_internal(request, client)
    removed = _ALWAYS_REMOVED if internal else _REMOVED_AT_EDGE
    expected = None if options.suppress_envoy_headers else route.expected_timeout
    lines = [b"%b %b HTTP/1.1\r\nhost: %b\r\n" % (request.method, path, request.authority or b"")]
    append = lines.append
    placed: set[bytes] = set()
    for name, value in request.headers:
        if name not in _TOUCHED:
            append(b"%b: %b\r\n" % (name, value))
        elif name not in removed and name not in placed:
            placed.add(name)
            replaced = _replace(name, value, client, request_id, expected, internal=internal)
            append(b"%b: %b\r\n" % (name, replaced))
    if b"x-forwarded-for" not in placed:
        append(b"x-forwarded-for: %b\r\n" % client.forwarded_for)
    if b"x-forwarded-proto" not in placed:
        append(b"x-forwarded-proto: http\r\n")
    if internal:
        append(b"x-envoy-internal: true\r\n")
    elif b"x-envoy-external-address" not in placed:
        append(b"x-envoy-external-address: %b\r\n" % client.address)
    if b"x-request-id" not in placed:
        append(b"x-request-id: %b\r\n" % request_id)
    if expected is not None and b"x-envoy-expected-rq-timeout-ms" not in placed:
        append(b"x-envoy-expected-rq-timeout-ms: %b\r\n" % expected)
    if request.chunked or request.reframe:
        append(CHUNKED)
    elif request.content_length is None and request.upgrade is None and request.method not in _NO_BODY_METHODS:
        append(NO_BODY)
    append(b"\r\n")
    return b"".join(lines)


def _replace(
    name: bytes, value: bytes, client: Client, request_id: bytes, expected: bytes | None, *, internal: bool
) -> bytes:
    if name == b"x-forwarded-for":
        return value + b"," + client.forwarded_for if value else client.forwarded_for
    if name == b"x-forwarded-proto":
        return b"http"
    if name == b"x-envoy-external-address":
        return value if internal else client.address
    if name == b"x-request-id":
        return value if internal and value else request_id
    if name == b"x-envoy-expected-rq-timeout-ms":
        return value if expected is None else expected
    return value


def downstream_response(
    response: ResponseHead, *, service_time: int | None, date: bytes, close: bool, framing: bytes, options: HttpOptions
) -> bytes:
    """The head that goes to the client.

    ``service_time``: milliseconds from the complete request to this head, ``None`` for a request that is not complete.
    ``framing``: the line that Envoy's codec adds last where the head has no length of its own, or nothing.
    """
    server = options.server_name
    timing = None if service_time is None or options.suppress_envoy_headers else b"%d" % service_time
    lines = [status_line(response.status)]
    append = lines.append
    dated = False
    for name, value in response.headers:
        if name == b"date":
            dated = True
        elif name == b"server" and server is not None:
            append(b"server: %b\r\n" % server)
            server = None
            continue
        elif name == b"x-envoy-upstream-service-time" and timing is not None:
            append(b"%b: %b\r\n" % (name, timing))
            timing = None
            continue
        append(b"%b: %b\r\n" % (name, value))
    if timing is not None:
        append(b"x-envoy-upstream-service-time: %b\r\n" % timing)
    if not dated:
        append(b"date: %b\r\n" % date)
    if server is not None:
        append(b"server: %b\r\n" % server)
    if close:
        append(b"connection: close\r\n")
    append(framing)
    append(b"\r\n")
    return b"".join(lines)


def response_framing(response: ResponseHead, method: bytes, *, upgrade: bool) -> bytes:
    """The framing line of a response whose headers have none: chunks for a body, or for what a GET would have got."""
    if response.chunked or response.until_close:
        return CHUNKED
    if response.status in (204, 304) or response.status < 200:
        return b""
    if any(name == b"content-length" for name, _ in response.headers):
        return b""
    return CHUNKED if method == b"HEAD" else NO_BODY if upgrade else b""
