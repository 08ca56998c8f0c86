"""What the commands in a header's value stand for.

Measured on 1.40: what there is nothing for is empty, and a header whose whole value is empty is not written at all.

Source: Envoy, "Access logging", command operators.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyproxy.settings import Command, Template
from pyproxy.wire.address import format_address
from pyproxy.wire.messages import Headers

Expand = Callable[[Template, Headers], bytes]
"""The value that a template has beside the headers that are being changed."""

Address = tuple[str, int]
"""(IP address, port)."""


@dataclass(slots=True)
class Facts:
    """What commands can say about one request."""

    remote: Address
    """The client."""
    direct: Address
    """The other end of the connection, whatever a PROXY header or a request header says."""
    local: Address
    pseudo: Headers
    """:method, :path and :authority, and the latter as host too; empty if there is no request."""
    protocol: bytes = b"HTTP/1.1"
    request: Headers | None = None
    """For a response: the request's headers as they are when it is changed."""
    code: int = 0
    noted_code: int | None = None
    """What RESPONSE_CODE says if not ``code``: nothing yet, while a router changes a reply of the proxy's own."""
    details: bytes = b""
    flags: bytes = b"-"
    upstream_host: bytes = b""

    def expand(self, template: Template, headers: Headers) -> bytes:
        """An ``Expand`` for a request's headers or, with ``request``, for its response's."""
        return b"".join(part if isinstance(part, bytes) else self._say(part, headers) for part in template)

    def _say(self, command: Command, headers: Headers) -> bytes:
        match command.name:
            case "REQ":
                return _header(command, (*self.pseudo, *(headers if self.request is None else self.request)))
            case "RESP":
                response = [] if self.request is None else headers
                return _header(command, ((b":status", b"%d" % self.code), *response) if self.code else ())
            case "PROTOCOL":
                return self.protocol
            case "RESPONSE_CODE":
                return b"%d" % (self.code if self.noted_code is None else self.noted_code)
            case "RESPONSE_CODE_DETAILS":
                return self.details
            case "RESPONSE_FLAGS":
                return self.flags
            case "UPSTREAM_HOST":
                return self.upstream_host
            case name:
                return self._address(name)

    def _address(self, name: str) -> bytes:
        host, port = self.remote
        if name.startswith("DOWNSTREAM_DIRECT"):
            host, port = self.direct
        elif name.startswith("DOWNSTREAM_LOCAL"):
            host, port = self.local
        if name.endswith("_PORT"):
            return host.encode() if name.endswith("_WITHOUT_PORT") else b"%d" % port
        return format_address(host, port).encode()


def _header(command: Command, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The first line of a name; the alternative counts only where there is no line at all."""
    found: dict[bytes, bytes] = {}
    for name, line in headers:
        found.setdefault(name, line)
    value = found.get(command.argument, found.get(command.alternative, b""))
    return value if command.length is None else value[: command.length]
