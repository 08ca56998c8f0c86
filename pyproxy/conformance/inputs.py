"""Requests and replies that cases are put together from."""

from __future__ import annotations

from pyproxy.conformance.peers import Script

GET = b"GET / HTTP/1.1\r\nHost: h.example\r\n\r\n"
V1_LINE = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n"


def get(
    *lines: bytes, path: bytes = b"/", host: bytes = b"h.example", method: bytes = b"GET", version: bytes = b"1.1"
) -> bytes:
    """A request without a body; a line without a host where ``host`` is empty."""
    first = [b"%b %b HTTP/%b" % (method, path, version), *([b"Host: " + host] if host else [])]
    return b"\r\n".join([*first, *lines]) + b"\r\n\r\n"


def get_10(*lines: bytes, path: bytes = b"/", host: bytes = b"h.example", method: bytes = b"GET") -> bytes:
    """The same in HTTP/1.0."""
    return get(*lines, path=path, host=host, method=method, version=b"1.0")


def chunked(*lines: bytes, body: bytes = b"3\r\nabc\r\n", trailers: bytes = b"") -> bytes:
    """A POST whose body is chunked."""
    return get(b"Transfer-Encoding: chunked", *lines, method=b"POST") + body + b"0\r\n" + trailers + b"\r\n"


def reply(*lines: bytes, status: bytes = b"200 OK", body: bytes = b"ok") -> Script:
    """A backend that answers with these headers and a length."""
    return Script((b"\r\n".join([b"HTTP/1.1 " + status, *lines, b"Content-Length: %d" % len(body), b"", body]),))


def proxied(source: bytes = b"203.0.113.7") -> bytes:
    """A PROXY header in front of a request, so that its client is not on loopback."""
    family, destination = (b"TCP6", b"2001:db8::1") if b":" in source else (b"TCP4", b"192.0.2.1")
    return b"PROXY %b %b %b 4711 80\r\n" % (family, source, destination)


CHUNKED_REPLY = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"
WEBSOCKET = (b"Connection: Upgrade", b"Upgrade: websocket")
TUNNEL = Script((SWITCH,), echo_tunnel=True)
