"""What a listener resolved to: the only thing the data path reads.

Everything here is final: durations are seconds, names are what Envoy's configuration would carry, every default has
been filled in by ``pyproxy.policy``. Instances are frozen, so one can be shared by all connections and swapped whole
on reload. The names are those of Envoy's API (envoy.config.listener.v3, HttpConnectionManager, RouteConfiguration)
and the comments beside each default say where Envoy Gateway or Envoy takes it from.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network


@dataclass(frozen=True, slots=True)
class Keepalive:
    """Socket options of ``spec.tcpKeepalive``; ``None`` leaves the kernel's own value.

    SO_KEEPALIVE is on whenever a listener has a Keepalive, also when all three are ``None`` (``tcpKeepalive: {}``).
    """

    probes: int | None = None
    """TCP_KEEPCNT, 1..127."""
    idle: int | None = None
    """TCP_KEEPIDLE, seconds, 1..32767."""
    interval: int | None = None
    """TCP_KEEPINTVL, seconds, 1..32767."""


@dataclass(frozen=True, slots=True)
class ProxyProtocol:
    """envoy.filters.listener.proxy_protocol: v1 and v2 are both read."""

    optional: bool = False
    """``allow_requests_without_proxy_protocol``: a connection may start without a PROXY header."""


class Underscores(Enum):
    """``headers_with_underscores_action``: what to do with a request header whose name has an underscore."""

    ALLOW = "ALLOW"
    REJECT_REQUEST = "REJECT_REQUEST"
    DROP_HEADER = "DROP_HEADER"


class EscapedSlashes(Enum):
    """``path_with_escaped_slashes_action``: what to do with %2F and %5C in a path."""

    KEEP_UNCHANGED = "KEEP_UNCHANGED"
    REJECT_REQUEST = "REJECT_REQUEST"
    UNESCAPE_AND_REDIRECT = "UNESCAPE_AND_REDIRECT"
    UNESCAPE_AND_FORWARD = "UNESCAPE_AND_FORWARD"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of a cluster."""

    host: str
    """An IP address, or a DNS name to resolve."""
    port: int


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a route's requests go (envoy.config.cluster.v3)."""

    name: str
    """As Envoy Gateway names it: ``httproute/<namespace>/<route>/rule/<i>``."""
    endpoints: tuple[Endpoint, ...]
    connect_timeout: float = 10.0
    """Seconds; Envoy Gateway writes 10s."""


class PathMatchType(Enum):
    """How a route's path is compared; the query string never counts."""

    EXACT = "Exact"
    PREFIX = "PathPrefix"


@dataclass(frozen=True, slots=True)
class PathMatch:
    """``path_separated_prefix`` / ``path`` of an Envoy route match."""

    type: PathMatchType
    value: str
    """Starts with ``/``; a PREFIX other than ``/`` has no trailing ``/``."""


@dataclass(frozen=True, slots=True)
class Route:
    """One match of one HTTPRoute rule. Either ``clusters`` or ``direct_response`` decides."""

    name: str
    """As Envoy Gateway names it: ``httproute/<namespace>/<route>/rule/<i>/match/<j>/<host>``."""
    match: PathMatch
    clusters: tuple[tuple[Cluster, int], ...] = ()
    """(cluster, weight); weights are at least 1."""
    direct_response: int | None = None
    """Status of an empty-bodied local reply instead of a backend: 500 where a backendRef can't be resolved."""
    timeout: float = 15.0
    """Seconds from the complete request to the complete response, 0 is none; Envoy's default."""


@dataclass(frozen=True, slots=True)
class VirtualHost:
    """Routes of one set of hostnames, in the order they are tried."""

    name: str
    domains: tuple[str, ...]
    """Lower-case names: exact, ``*.suffix`` or ``*``."""
    routes: tuple[Route, ...]


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """The HttpConnectionManager of one listener, as Envoy Gateway fills it in."""

    server_name: bytes | None = None
    """``server`` of every response (OVERWRITE); ``None`` passes the backend's through (PASS_THROUGH)."""
    suppress_envoy_headers: bool = True
    """Leave out x-envoy-upstream-service-time and x-envoy-expected-rq-timeout-ms."""
    internal_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """``internal_address_config``: clients from here get x-envoy-internal."""
    headers_with_underscores: Underscores = Underscores.REJECT_REQUEST
    merge_slashes: bool = True
    escaped_slashes: EscapedSlashes = EscapedSlashes.UNESCAPE_AND_REDIRECT
    max_request_headers_bytes: int = 61_440
    """``max_request_headers_kb``: 60 KiB for request line, headers and the final CRLF."""
    max_headers: int = 100
    """``max_headers_count``, of a request's and of a response's head."""
    idle_timeout: float = 3600.0
    """Seconds a connection may be without a request; 0 is none."""
    stream_idle_timeout: float = 300.0
    """Seconds a request may be without progress; 0 is none."""
    drain_timeout: float = 5.0
    delayed_close_timeout: float = 1.0


@dataclass(frozen=True, slots=True)
class Listener:
    """One bound address (an xDS listener) and all that happens behind it."""

    name: str
    """``<namespace>/<gateway>/<listener>`` of the first Gateway listener on this port."""
    address: str
    port: int
    """The port that is bound: Envoy Gateway's container port, 10000 higher where the Gateway's is under 1024."""
    gateway_port: int
    """The port as the Gateway has it."""
    virtual_hosts: tuple[VirtualHost, ...]
    keepalive: Keepalive | None = None
    proxy_protocol: ProxyProtocol | None = None
    listener_filters_timeout: float = 15.0
    """Seconds for a PROXY header to arrive; then the connection is reset."""
    buffer_limit: int = 32_768
    """``per_connection_buffer_limit_bytes``: the watermark of each direction."""
    http: HttpOptions = HttpOptions()

    @property
    def stat_prefix(self) -> str:
        """``http-<port>``, the prefix of this listener's HTTP counters."""
        return f"http-{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that one pyproxy process serves."""

    listeners: tuple[Listener, ...]
    node_cluster: str = "default/eg"
    """Envoy's ``--service-cluster``: ``<namespace>/<gateway>``."""
