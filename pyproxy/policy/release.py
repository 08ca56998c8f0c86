"""The releases of Envoy Gateway whose defaults pyproxy has; the only place where they differ."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network


class Release(Enum):
    """Whose defaults apply."""

    V0_6 = "v0.6"
    """The release that the ClientTrafficPolicy guide documents."""
    V1_9 = "v1.9"
    """Today's."""


@dataclass(frozen=True, slots=True)
class ReleaseDefaults:
    """What a listener does that no policy speaks of."""

    server_name: bytes | None
    suppress_envoy_headers: bool
    internal_networks: tuple[IPv4Network, ...]


DEFAULTS = {
    Release.V0_6: ReleaseDefaults(
        server_name=b"envoy",
        suppress_envoy_headers=False,
        # Private addresses counted as internal then, as the guide's X-Envoy-Internal shows.
        internal_networks=tuple(
            IPv4Network(network) for network in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.1/32")
        ),
    ),
    # Envoy 1.40 by itself takes no address for internal: measured with PROXY headers from 10/8, 172.16/12, 192.168/16,
    # 127/8, 100.64/10, 169.254/16, fd00::/8, fe80::/10 and ::1.
    Release.V1_9: ReleaseDefaults(server_name=None, suppress_envoy_headers=True, internal_networks=()),
}
