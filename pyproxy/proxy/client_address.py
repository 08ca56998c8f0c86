"""Who the client is, and what that makes of X-Forwarded-For and its relatives (Envoy, ``use_remote_address: true``).

The address comes from the connection or its PROXY header, never from a request header. All that depends only on the
connection is worked out once for it.

Source: Envoy, HTTP connection manager, "HTTP header manipulation"; details measured on 1.40.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from pyproxy.settings import HttpOptions


@dataclass(frozen=True, slots=True)
class Client:
    """The peer of one downstream connection, as its requests report it."""

    address: bytes
    """The IP address, as Envoy prints it."""
    port: int
    forwarded_for: bytes
    """What is appended to x-forwarded-for: the address, but the proxy's own for a loopback client."""
    internal: bool
    """The address lies in ``internal_networks``; a request is internal if it also has no x-forwarded-for."""


def identify(address: str, port: int, node_address: bytes, options: HttpOptions) -> Client:
    """The Client at ``address`` (an IP address, perhaps with a ``%zone``).

    ``node_address`` stands in for loopback clients: Envoy writes its own local_info address for them (measured; it lets
    the next hop see where the request came from).
    """
    ip = ip_address(address.partition("%")[0])
    text = address.encode("ascii")
    return Client(
        address=text,
        port=port,
        forwarded_for=node_address if is_loopback(ip) else text,
        internal=in_networks(ip, options.internal_networks),
    )


def is_loopback(ip: IPv4Address | IPv6Address) -> bool:
    """127.0.0.1 and ::1, and nothing else: Envoy does not count the rest of 127.0.0.0/8."""
    return int(ip) == (0x7F000001 if ip.version == 4 else 1)


def in_networks(ip: IPv4Address | IPv6Address, networks: Sequence[IPv4Network | IPv6Network]) -> bool:
    """Whether ``ip`` lies in one of ``networks``; an IPv4-mapped address is not an IPv4 address (measured)."""
    return any(ip.version == network.version and ip in network for network in networks)
