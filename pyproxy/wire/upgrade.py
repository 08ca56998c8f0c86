"""What Upgrade and Connection ask for (RFC 9110 section 7.8), as Envoy's codec reads them."""

from __future__ import annotations

from collections.abc import Callable

from pyproxy.wire import head as rules
from pyproxy.wire.messages import Headers

Ignores = Callable[[bytes], bool]
"""Whether a protocol in Upgrade is overlooked (``ignore_http_11_upgrade``)."""


def without_ignored(fields: Headers, upgrade: bytes, ignores: Ignores) -> tuple[Headers, bytes | None]:
    """The headers, and what they ask for, without the protocols in Upgrade that are to be overlooked (measured)."""
    protocols = [protocol for part in upgrade.split(b",") if (protocol := part.strip(b" \t"))]
    kept = [protocol for protocol in protocols if not ignores(protocol)]
    if len(kept) == len(protocols):
        return fields, upgrade
    at = next(index for index, field in enumerate(fields) if field[0] == b"upgrade")
    others = [field for field in fields if field[0] != b"upgrade"]
    if not kept:
        return others, None
    left = b",".join(kept)
    return [*others[:at], (b"upgrade", left), *others[at:]], left


def wanted_upgrade(fields: Headers) -> bytes | None:
    """The Upgrade header of a request whose Connection header names it; ``h2c`` is ignored, as Envoy does."""
    if asks_for(fields, b"h2c") or not asks_for(fields, None):
        return None
    return b",".join(value for name, value in fields if name == b"upgrade")


def asks_for(fields: Headers, protocol: bytes | None) -> bool:
    """Whether Connection names Upgrade and there is one, for ``protocol`` or, without it, for any."""
    values = [value for name, value in fields if name == b"upgrade"]
    if not values or (protocol is not None and b",".join(values).lower() != protocol):
        return False
    return any(b"upgrade" in rules.tokens(value) for name, value in fields if name == b"connection")
