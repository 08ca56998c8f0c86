"""Who a request's client is, and what that makes of X-Forwarded-For and its relatives.

``identify`` works out once for a connection what depends on its peer alone. ``locate`` then says of each request where
it comes from: the peer, or an address in one of its headers, as ``settings.ClientAddressOptions`` has it.

Source: Envoy, HTTP connection manager, "HTTP header manipulation", and its original IP detection extensions; all
combinations were measured on 1.40.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from pyproxy.settings import ClientAddressOptions, CustomHeaderDetection, XffDetection
from pyproxy.wire.address import ScopeIndex, format_ip, parse_ip
from pyproxy.wire.messages import Headers, first_value

MAX_XFF_ENTRIES = 20
"""With more addresses than these in X-Forwarded-For, Envoy looks for no trusted one."""

_Ip = IPv4Address | IPv6Address
_Networks = Sequence[IPv4Network | IPv6Network]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from."""

    address: bytes
    """The client's IP address, as Envoy prints it."""
    from_header: bool
    """A header named the address, so that its port is not known."""
    internal: bool
    """The client counts as one of our own: it gets x-envoy-internal and may set x-envoy-* headers."""
    edge: bool
    """This proxy is the first that the outside meets: what the client claims about itself is overwritten."""
    appended: bytes | None
    """What goes to the end of x-forwarded-for."""


@dataclass(frozen=True, slots=True)
class Client:
    """The client at one IP address."""

    ip: _Ip
    address: bytes
    """The IP address, as Envoy prints it."""
    forwarded_for: bytes
    """What stands for the peer in x-forwarded-for: the address, but the proxy's own for a loopback client."""
    alone: Origin
    """Of a request without x-forwarded-for, where the peer is the client."""
    forwarded: Origin
    """Of a request with x-forwarded-for, where the peer is the client; the same where that is not internal."""
    scope_index: ScopeIndex | None
    """For scope ids of addresses in headers."""


def identify(
    address: str,
    node_address: bytes,
    options: ClientAddressOptions,
    scope_index: ScopeIndex | None = None,
) -> Client:
    """The Client at ``address`` (an IP address, perhaps with a ``%zone``).

    ``node_address`` stands in for loopback clients: Envoy writes its own local_info address for them (measured; it lets
    the next hop see where the request came from). ``scope_index`` is for scope ids of addresses in headers.
    """
    ip = ip_address(address.partition("%")[0])
    text = address.encode("ascii")
    forwarded_for = node_address if is_loopback(ip) else text
    appended = None if options.skip_xff_append else forwarded_for
    internal = in_networks(ip, options.internal_networks)
    return Client(
        ip,
        text,
        forwarded_for,
        alone=Origin(text, False, internal, not internal, appended),
        forwarded=Origin(text, False, False, True, appended),
        scope_index=scope_index,
    )


def locate(headers: Headers, client: Client, options: ClientAddressOptions) -> Origin | None:
    """The Origin of a request with ``headers``; ``None`` if it is to be refused with the detection's reject_status."""
    if not options.use_remote_address or options.xff_num_trusted_hops:
        return _detect(headers, client, options)
    if client.alone.internal and first_value(headers, b"x-forwarded-for") is None:
        return client.alone
    return client.forwarded


def trusts_forwarded_proto(options: ClientAddressOptions) -> bool:
    """Whether the x-forwarded-proto that a client sends is left as it is."""
    return not options.use_remote_address or options.xff_num_trusted_hops > 0


def _detect(headers: Headers, client: Client, options: ClientAddressOptions) -> Origin | None:
    forwarded_for = first_value(headers, b"x-forwarded-for")
    detection = options.detection
    ip: _Ip | None = None
    appended: bytes | None = client.forwarded_for
    if options.use_remote_address:
        if forwarded_for is not None:
            ip, _ = _from_hops(forwarded_for, options.xff_num_trusted_hops - 1, client.scope_index)
        # One address before this proxy's own: there is none where x-forwarded-for was already there.
        alone = forwarded_for is None
        if options.skip_xff_append:
            appended = None
    elif isinstance(detection, CustomHeaderDetection):
        ip = parse_ip(first_value(headers, detection.header_name) or b"", client.scope_index)
        if ip is None and detection.reject_status is not None:
            return None
        alone, appended = True, None
    elif detection is None:
        # Envoy then has the same extension by default, which appends nothing.
        ip, alone = _from_hops(forwarded_for, options.xff_num_trusted_hops, client.scope_index)
        appended = None
    else:
        ip, alone, skip = _from_xff(forwarded_for, client, detection)
        if skip:
            appended = None
    found = ip if ip is not None or not options.use_remote_address else client.ip
    internal = alone and found is not None and in_networks(found, options.internal_networks)
    return Origin(
        client.address if ip is None else format_ip(ip).encode(),
        ip is not None,
        internal,
        options.use_remote_address and not internal,
        appended,
    )


def _from_xff(forwarded_for: bytes | None, client: Client, detection: XffDetection) -> tuple[_Ip | None, bool, bool]:
    """(address, whether it is the only one, whether the peer is not appended)."""
    cidrs = detection.trusted_cidrs
    if cidrs is None:
        hops = detection.xff_num_trusted_hops
        return *_from_hops(forwarded_for, hops, client.scope_index), detection.skip_xff_append
    if not in_networks(client.ip, cidrs):
        # A peer that is not trusted is appended whatever the policy says (measured).
        return None, False, False
    return *_from_trusted(forwarded_for, cidrs, client.scope_index), detection.skip_xff_append


def _from_hops(forwarded_for: bytes | None, skip: int, scope_index: ScopeIndex | None) -> tuple[_Ip | None, bool]:
    """(the address behind ``skip`` others from the right, whether it is the only one)."""
    parts = (forwarded_for or b"").rsplit(b",", skip + 1)
    if len(parts) <= skip:
        return None, False
    return parse_ip(parts[-1 - skip].strip(), scope_index), len(parts) == 1


def _from_trusted(
    forwarded_for: bytes | None, cidrs: _Networks, scope_index: ScopeIndex | None
) -> tuple[_Ip | None, bool]:
    """(the first address from the right outside of ``cidrs``, else the leftmost; whether it is the only one).

    ``None`` where an entry on the way is no address, or there are too many.
    """
    entries = (forwarded_for or b"").split(b",", MAX_XFF_ENTRIES)
    if len(entries) > MAX_XFF_ENTRIES:
        return None, False
    ip: _Ip | None = None
    for entry in reversed(entries):
        ip = parse_ip(entry.strip(), scope_index)
        if ip is None or not in_networks(ip, cidrs):
            break
    return ip, len(entries) == 1


def is_loopback(ip: _Ip) -> bool:
    """127.0.0.1 and ::1, and nothing else: Envoy does not count the rest of 127.0.0.0/8."""
    return int(ip) == (0x7F000001 if ip.version == 4 else 1)


def in_networks(ip: _Ip, networks: _Networks) -> bool:
    """Whether ``ip`` lies in one of ``networks``; an IPv4-mapped address is not an IPv4 address (measured)."""
    return any(ip.version == network.version and ip in network for network in networks)
