"""IP addresses as text, read and written as inet_pton(3) and inet_ntop(3), and so Envoy, do it."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address

LONGEST = 45
"""Characters of the longest address: an IPv6 address with an IPv4 address in it."""

ScopeIndex = Callable[[str], int | None]
"""The index of a network interface of this machine by its name."""

_MAX_SCOPE = 2**32 - 1


def parse_ip(text: bytes, scope_index: ScopeIndex | None = None) -> IPv4Address | IPv6Address | None:
    """The address that ``text`` is, or ``None``: a port, brackets or a leading zero make it something else.

    With ``scope_index``, an IPv6 address may have a scope id as getaddrinfo(3) takes it: a number, or for a link-local
    address the name of an interface, in whose place its index then stands.
    """
    plain, percent, scope = text.partition(b"%")
    if len(plain) > LONGEST:
        return None
    try:
        ip = ip_address(plain.decode("ascii"))
    except ValueError:
        return None
    if not percent:
        return ip
    if scope_index is None or isinstance(ip, IPv4Address):
        return None
    index = _scope(ip, scope, scope_index)
    return None if index is None else IPv6Address(f"{ip}%{index}") if index else ip


def _scope(ip: IPv6Address, scope: bytes, scope_index: ScopeIndex) -> int | None:
    if scope.isdigit():
        return number if (number := int(scope[-20:])) <= _MAX_SCOPE and not scope[:-20].strip(b"0") else None
    first, second = ip.packed[:2]
    # Link-local addresses, and multicast ones of an interface or a link.
    local = (first == 0xFE and second >> 6 == 2) or (first == 0xFF and second & 0xF in (1, 2))
    return scope_index(scope.decode("latin-1")) if local and scope else None


def format_ip(address: IPv4Address | IPv6Address) -> str:
    """``address`` as text; an IPv6 address that embeds an IPv4 address shows it."""
    if isinstance(address, IPv6Address):
        prefix, embedded = divmod(int(address), 1 << 32)
        if prefix == 0xFFFF or (prefix == 0 and embedded > 0xFFFF):
            scope = f"%{address.scope_id}" if address.scope_id else ""
            return f"::{'ffff:' if prefix else ''}{IPv4Address(embedded)}{scope}"
    return str(address)


def format_address(host: str, port: int) -> str:
    """``host:port`` as Envoy prints it, an IPv6 address in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
