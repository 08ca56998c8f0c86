"""Response heads, and the replies that the proxy writes itself, byte for byte as Envoy 1.40 writes them.

Order of a local reply, measured: x-envoy-overloaded and location, content-length and content-type where there is a
body, x-envoy-upstream-healthchecked-cluster, date, server (OVERWRITE only), connection: close where the connection
ends, and the framing of an empty body last.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pyproxy.proxy.command_operators import Expand
from pyproxy.proxy.header_mutation import apply, put
from pyproxy.settings import HeaderMutation
from pyproxy.wire.head import MERGED_RESPONSE_HEADERS
from pyproxy.wire.messages import Headers

HEALTH_FAILING: Final = (b"x-envoy-immediate-health-check-fail", b"true")
"""In every response while the admin lets health checks fail, where a listener has a path for them (measured)."""

CONTINUE: Final = b"HTTP/1.1 100 Continue\r\n\r\n"
CLOSE: Final = b"connection: close\r\n"
KEEP_ALIVE: Final = b"connection: keep-alive\r\n"
"""Of a response in HTTP/1.0 that does not end the connection."""
CHUNKED: Final = b"transfer-encoding: chunked\r\n"
NO_BODY: Final = b"content-length: 0\r\n"

# Envoy's own phrases, whatever the backend wrote; all others are "Unknown" (measured for 100..999).
_PHRASES: Final = {
    101: b"Switching Protocols",
    200: b"OK",
    201: b"Created",
    202: b"Accepted",
    203: b"Non-Authoritative Information",
    204: b"No Content",
    205: b"Reset Content",
    206: b"Partial Content",
    207: b"Multi-Status",
    208: b"Already Reported",
    226: b"IM Used",
    300: b"Multiple Choices",
    301: b"Moved Permanently",
    302: b"Found",
    303: b"See Other",
    304: b"Not Modified",
    305: b"Use Proxy",
    307: b"Temporary Redirect",
    308: b"Permanent Redirect",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    406: b"Not Acceptable",
    407: b"Proxy Authentication Required",
    408: b"Request Timeout",
    409: b"Conflict",
    410: b"Gone",
    411: b"Length Required",
    412: b"Precondition Failed",
    413: b"Payload Too Large",
    414: b"URI Too Long",
    415: b"Unsupported Media Type",
    416: b"Range Not Satisfiable",
    417: b"Expectation Failed",
    421: b"Misdirected Request",
    422: b"Unprocessable Entity",
    423: b"Locked",
    424: b"Failed Dependency",
    425: b"Too Early",
    426: b"Upgrade Required",
    428: b"Precondition Required",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
    505: b"HTTP Version Not Supported",
    506: b"Variant Also Negotiates",
    507: b"Insufficient Storage",
    508: b"Loop Detected",
    510: b"Not Extended",
    511: b"Network Authentication Required",
    599: b"Last Unassigned Server Error Code",
}
_STATUS_LINES: Final = {status: b"HTTP/1.1 %d %b\r\n" % (status, phrase) for status, phrase in _PHRASES.items()}

_SET: Final = frozenset((b"date", b"server", b"x-envoy-upstream-service-time", b"x-request-id"))

# gRPC's own mapping, "HTTP to gRPC Status Code Mapping" of its documentation; any other status is 2 (UNKNOWN).
_GRPC_STATUS: Final = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


def status_line(status: int) -> bytes:
    """``HTTP/1.1 <status> <phrase>`` and CRLF."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status


def in_http_10(head: bytes) -> bytes:
    """A head that begins with HTTP/1.1, for a client that speaks HTTP/1.0."""
    return b"HTTP/1.0" + head[8:]


def phrase(status: int) -> bytes:
    """Envoy's reason phrase, also the body of a reply to a request that its codec refuses."""
    return _PHRASES.get(status, b"Unknown")


def response_head(
    status: int,
    headers: Headers,
    *,
    date: bytes,
    server: bytes | None,
    service_time: bytes | None = None,
    close: bool,
    framing: bytes,
    http_10: bool,
    request_id: bytes | None = None,
) -> bytes:
    """A response's head. What Envoy sets replaces a header where it stands, and else goes to the end.

    ``server``: OVERWRITE, or ``None`` for PASS_THROUGH. ``framing``: the line that Envoy's codec adds last where the
    head has no length of its own, or nothing.
    """
    pieces = [in_http_10(status_line(status)) if http_10 else status_line(status)]
    has_date = False
    for name, value in headers:
        if name in _SET:
            if name == b"date":
                has_date = True
            elif name == b"server":
                if server is not None:
                    value, server = server, None
            elif name == b"x-request-id":
                if request_id is not None:
                    value, request_id = request_id, None
            elif service_time is not None:
                value, service_time = service_time, None
        pieces.append(name)
        pieces.append(b": ")
        pieces.append(value)
        pieces.append(b"\r\n")
    if service_time is not None:
        pieces += (b"x-envoy-upstream-service-time: ", service_time, b"\r\n")
    if not has_date:
        pieces += (b"date: ", date, b"\r\n")
    if server is not None:
        pieces += (b"server: ", server, b"\r\n")
    if request_id is not None:
        pieces += (b"x-request-id: ", request_id, b"\r\n")
    if close:
        pieces.append(CLOSE)
    elif http_10 and status != 101:
        pieces.append(KEEP_ALIVE)
    pieces.append(framing)
    pieces.append(b"\r\n")
    return b"".join(pieces)


def local_reply(
    status: int,
    *,
    date: bytes,
    server: bytes | None,
    mutations: Sequence[HeaderMutation] = (),
    body: bytes = b"",
    headers: Headers | None = None,
    close: bool = False,
    head: bool = False,
    grpc: bool = False,
    http_10: bool = False,
    expand: Expand | None = None,
    grpc_status: int | None = None,
    health_checked: bytes | None = None,
    health_failing: bool = False,
    request_id: bytes | None = None,
) -> bytes:
    """A whole local reply.

    ``headers``: what the router gives it, such as ``location``; they come first, and a content-type of theirs is the
    reply's. ``mutations``: of ``lateResponseHeaders``, which Envoy applies to every reply, whoever writes it.
    ``head``: it answers a HEAD request, which gets the head alone. ``grpc``: the request's content-type was gRPC's,
    so that the status goes into grpc-status, unless ``grpc_status`` says another, and the body into grpc-message.
    ``health_checked``: the service cluster, in an answer to a health check. ``request_id``: to be told to the client.
    """
    headers = list(headers or ())
    if grpc:
        code = _GRPC_STATUS.get(status, 2) if grpc_status is None else grpc_status
        put(headers, b"content-type", b"application/grpc")
        headers.append((b"grpc-status", b"%d" % code))
        if body:
            headers.append((b"grpc-message", body))
        status, body = 200, b""
    elif body:
        headers.append((b"content-length", b"%d" % len(body)))
        if all(name != b"content-type" for name, _ in headers):
            headers.append((b"content-type", b"text/plain"))
    else:
        headers = [field for field in headers if field[0] != b"content-type"]
    if mutations:
        headers = apply(headers, mutations, MERGED_RESPONSE_HEADERS, expand)
    if health_checked is not None:
        # The filter that answers health checks is the last that a response passes (measured).
        put(headers, b"x-envoy-upstream-healthchecked-cluster", health_checked)
    if health_failing:
        put(headers, *HEALTH_FAILING)
    framing = b"" if body else NO_BODY
    if head and not body:
        # Without a length Envoy's codec announces chunks even where none follow, as after HEAD.
        framing = b"" if http_10 else CHUNKED
    written = response_head(
        status,
        headers,
        date=date,
        server=server,
        close=close,
        framing=framing,
        http_10=http_10,
        request_id=request_id,
    )
    return written if head else written + body


def upstream_failure(reason: bytes) -> bytes:
    """Body of the 502 and 503 that stand in for a response that never began."""
    return b"upstream connect error or disconnect/reset before headers. reset reason: " + reason


ROUTE_TIMEOUT: Final = b"upstream request timeout"
"""Body of the 504 when the route's timeout has run out."""
