"""Replies that the proxy writes itself, byte for byte as Envoy 1.40 writes them.

Order, measured: content-length and content-type where there is a body, location, date, server (OVERWRITE only),
connection: close where the connection ends, and the framing of an empty body last.
"""

from __future__ import annotations

CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"

# Envoy's own phrases, whatever the backend wrote; all others are "Unknown" (measured for 100..999).
_PHRASES = {
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
}
_STATUS_LINES = {status: b"HTTP/1.1 %d %b\r\n" % (status, phrase) for status, phrase in _PHRASES.items()}

# gRPC's own mapping, "HTTP to gRPC Status Code Mapping" of its documentation; any other status is 2 (UNKNOWN).
_GRPC_STATUS = {400: 13, 401: 16, 403: 7, 404: 12, 429: 14, 502: 14, 503: 14, 504: 14}


def status_line(status: int) -> bytes:
    """``HTTP/1.1 <status> <phrase>`` and CRLF."""
    return _STATUS_LINES.get(status) or b"HTTP/1.1 %d Unknown\r\n" % status


def phrase(status: int) -> bytes:
    """Envoy's reason phrase, also the body of a reply to a request that its codec refuses."""
    return _PHRASES.get(status, b"Unknown")


def local_reply(
    status: int,
    *,
    date: bytes,
    server: bytes | None,
    body: bytes = b"",
    location: bytes | None = None,
    close: bool = False,
    head: bool = False,
    grpc: bool = False,
) -> bytes:
    """A whole local reply.

    ``head``: it answers a HEAD request, which gets the head alone. ``grpc``: the request's content-type was gRPC's,
    so that the status goes into grpc-status and the body into grpc-message.
    """
    if grpc:
        lines = [
            b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: %d\r\n" % _GRPC_STATUS.get(status, 2)
        ]
        if body:
            lines.append(b"grpc-message: %b\r\n" % body)
        body = b""
    else:
        lines = [status_line(status)]
        if body:
            lines.append(b"content-length: %d\r\ncontent-type: text/plain\r\n" % len(body))
        if location is not None:
            lines.append(b"location: %b\r\n" % location)
    lines.append(b"date: %b\r\n" % date)
    if server is not None:
        lines.append(b"server: %b\r\n" % server)
    if close:
        lines.append(b"connection: close\r\n")
    if not body:
        # Without a length Envoy's codec announces chunks even where none follow, as after HEAD.
        lines.append(b"transfer-encoding: chunked\r\n" if head else b"content-length: 0\r\n")
    lines.append(b"\r\n")
    if not head:
        lines.append(body)
    return b"".join(lines)


def upstream_failure(reason: bytes) -> bytes:
    """Body of the 502 and 503 that stand in for a response that never began."""
    return b"upstream connect error or disconnect/reset before headers. reset reason: " + reason


ROUTE_TIMEOUT = b"upstream request timeout"
"""Body of the 504 when the route's timeout has run out."""

STREAM_TIMEOUT = b"stream timeout"
"""Body of the 408 or 504 when a request has made no progress for ``stream_idle_timeout``."""
