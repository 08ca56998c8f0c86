"""What a listener resolved to: the only thing the data path reads.

Everything here is final: durations are seconds, names are what Envoy's configuration would carry, every default has
been filled in by ``pyproxy.policy``. Instances are frozen, so one can be shared by all connections and swapped whole
on reload. The names are those of Envoy's API (envoy.config.listener.v3, HttpConnectionManager, RouteConfiguration)
and the comments beside each default say where Envoy Gateway or Envoy takes it from.
"""

from __future__ import annotations

import copyreg
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from ipaddress import IPv4Network, IPv6Network
from typing import Any


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


class StringMatchType(Enum):
    """How a StringMatch compares (envoy.type.matcher.v3.StringMatcher)."""

    EXACT = "exact"
    PREFIX = "prefix"
    SUFFIX = "suffix"
    REGEX = "safe_regex"
    """RE2, and the whole string must match."""


@dataclass(frozen=True, slots=True)
class StringMatch:
    """A condition on one string; letters in the case they have."""

    type: StringMatchType
    value: str


class HeaderAction(Enum):
    """What a HeaderMutation does (envoy.config.common.mutation_rules.v3.HeaderMutation)."""

    APPEND_IF_EXISTS_OR_ADD = "APPEND_IF_EXISTS_OR_ADD"
    """One more line of that name."""
    OVERWRITE_IF_EXISTS_OR_ADD = "OVERWRITE_IF_EXISTS_OR_ADD"
    ADD_IF_ABSENT = "ADD_IF_ABSENT"
    REMOVE = "remove"
    REMOVE_ON_MATCH = "remove_on_match"


@dataclass(frozen=True, slots=True)
class Command:
    """``%NAME(argument?alternative):length%`` in a header's value: one of Envoy's command operators."""

    name: str
    """One of ``COMMANDS``."""
    argument: bytes = b""
    """For REQ and RESP: the header, in lower case."""
    alternative: bytes = b""
    """The header to take where there is no other."""
    length: int | None = None
    """How many bytes to take of what the command gives; ``None`` is all."""


GATEWAY_ACCESS_LOG: Mapping[str, str] = {
    "start_time": "%START_TIME%",
    "method": "%REQ(:METHOD)%",
    "x-envoy-origin-path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "x-envoy-upstream-service-time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x-forwarded-for": "%REQ(X-FORWARDED-FOR)%",
    "user-agent": "%REQ(USER-AGENT)%",
    "x-request-id": "%REQ(X-REQUEST-ID)%",
    ":authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "route_name": "%ROUTE_NAME%",
}
"""Envoy Gateway's default access log: keys, and Envoy's formats."""

HEADER_COMMANDS = frozenset(("REQ", "RESP"))
COMMANDS = HEADER_COMMANDS | frozenset(
    (
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
        "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_DIRECT_REMOTE_PORT",
        "DOWNSTREAM_LOCAL_ADDRESS",
        "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_LOCAL_PORT",
        "DOWNSTREAM_REMOTE_ADDRESS",
        "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
        "DOWNSTREAM_REMOTE_PORT",
        "PROTOCOL",
        "RESPONSE_CODE",
        "RESPONSE_CODE_DETAILS",
        "RESPONSE_FLAGS",
        "UPSTREAM_HOST",
    )
)
"""Of Envoy's, those that say something about a request's way through a plain listener."""

Template = tuple[bytes | Command, ...]
"""A value that commands are part of."""


@dataclass(frozen=True, slots=True)
class HeaderMutation:
    """One change to the headers of a message; a list of them is applied in its order."""

    action: HeaderAction
    name: bytes = b""
    """Lower-case; empty for REMOVE_ON_MATCH."""
    value: bytes = b""
    """For the three actions that write."""
    name_match: StringMatch | None = None
    """For REMOVE_ON_MATCH: which names."""
    template: Template = ()
    """Takes the place of ``value`` where that is not the same for all messages."""


@dataclass(frozen=True, slots=True)
class XffDetection:
    """envoy.extensions.http.original_ip_detection.xff: the client is one of X-Forwarded-For's addresses."""

    xff_num_trusted_hops: int = 0
    """How many addresses from the right are skipped; Envoy Gateway writes ``numTrustedHops - 1``, at least 0."""
    trusted_cidrs: tuple[IPv4Network | IPv6Network, ...] | None = None
    """Where set, the client is the first address from the right outside of them, and hops do not count."""
    skip_xff_append: bool = False


@dataclass(frozen=True, slots=True)
class CustomHeaderDetection:
    """envoy.extensions.http.original_ip_detection.custom_header: the client is what a header says."""

    header_name: bytes
    """Lower-case."""
    reject_status: int | None = None
    """Status for a request without a usable address there; ``None`` goes on with the peer's."""


@dataclass(frozen=True, slots=True)
class ClientAddressOptions:
    """How a request's client is found, and what the upstream gets to hear of it."""

    use_remote_address: bool = True
    """Off whenever there is a ``detection``: Envoy then trusts what the client says about x-forwarded-proto too."""
    xff_num_trusted_hops: int = 0
    """The connection manager's own, which Envoy Gateway leaves at 0."""
    skip_xff_append: bool = False
    detection: XffDetection | CustomHeaderDetection | None = None
    internal_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    """``internal_address_config``: clients from here get x-envoy-internal."""


class ForwardClientCert(Enum):
    """``forward_client_cert_details``: what becomes of x-forwarded-client-cert. A plain listener has no certificate."""

    SANITIZE = "SANITIZE"
    FORWARD_ONLY = "FORWARD_ONLY"
    APPEND_FORWARD = "APPEND_FORWARD"
    SANITIZE_SET = "SANITIZE_SET"
    ALWAYS_FORWARD_ONLY = "ALWAYS_FORWARD_ONLY"


@dataclass(frozen=True, slots=True)
class ConnectionLimit:
    """envoy.filters.network.connection_limit."""

    max_connections: int
    delay: float = 0.0
    """Seconds that a connection past the limit is kept, unread, before it is closed."""


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
    locality: int = 0
    """Which of the cluster's ``localities`` it is of."""


@dataclass(frozen=True, slots=True)
class Locality:
    """The endpoints of one backendRef (envoy.config.endpoint.v3.LocalityLbEndpoints)."""

    region: str = "backend/0"
    """As Envoy Gateway names it, and without the cluster's or rule's name in front: ``backend/<k>``."""
    weight: int = 1
    """``load_balancing_weight``, its share of the requests; at least 1."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a route's requests go (envoy.config.cluster.v3)."""

    name: str
    """As Envoy Gateway names it: ``httproute/<namespace>/<route>/rule/<i>``, and ``…/backend/<k>`` behind it where a
    rule has a cluster for each of its backendRefs."""
    endpoints: tuple[Endpoint, ...]
    connect_timeout: float = 10.0
    """Seconds; Envoy Gateway writes 10s."""
    buffer_limit: int = 32_768
    """``per_connection_buffer_limit_bytes`` of its connections; Envoy Gateway's."""
    max_connections: int = 1024
    """Circuit breaker; Envoy's default, which Envoy Gateway leaves."""
    max_pending_requests: int = 1024
    """Requests that may wait for a connection; further ones get a 503."""
    localities: tuple[Locality, ...] = (Locality(),)
    request_headers: tuple[HeaderMutation, ...] = ()
    """The cluster's own in ``weighted_clusters``, applied before the route's: what the filters of a backendRef say."""
    response_headers: tuple[HeaderMutation, ...] = ()


INVALID_BACKEND = Cluster("invalid-backend-cluster", ())
"""Has the share of backendRefs that lead nowhere. Envoy has no such cluster: ``cluster_not_found_response_code``."""


class PathMatchType(Enum):
    """How a route's path is compared; the query string never counts."""

    EXACT = "Exact"
    PREFIX = "PathPrefix"
    REGEX = "RegularExpression"
    """RE2, and the whole path must match."""


@dataclass(frozen=True, slots=True)
class PathMatch:
    """``path_separated_prefix`` / ``path`` / ``safe_regex`` of an Envoy route match."""

    type: PathMatchType
    value: str
    """An EXACT or PREFIX one starts with ``/``; a PREFIX other than ``/`` has no trailing ``/``."""


@dataclass(frozen=True, slots=True)
class HeaderMatch:
    """A condition on a request header; not met by a request that does not have it."""

    name: bytes
    """Lower-case, or ``:method``."""
    value: StringMatch
    """Of one of the header's lines."""


@dataclass(frozen=True, slots=True)
class QueryParameterMatch:
    """A condition on the first query parameter of a name, as sent: nothing is unescaped."""

    name: bytes
    value: StringMatch


@dataclass(frozen=True, slots=True)
class RegexRewrite:
    """``regex_rewrite``: each match of ``pattern`` in the path (not the query) gives way to ``substitution``."""

    pattern: str
    """RE2."""
    substitution: str
    """RE2's: ``\\1`` stands for a group, ``\\\\`` for a backslash."""


@dataclass(frozen=True, slots=True)
class Redirect:
    """``redirect``: what to make of the request's URL for ``location``. ``None`` leaves a part as it is."""

    status: int = 302
    scheme: str | None = None
    host: str | None = None
    port: int | None = None
    """``None`` also for 80 and 443, which Envoy Gateway never writes down."""
    path: str | None = None
    """``path_redirect``: in place of the whole path; a query of its own replaces the request's."""
    prefix_rewrite: str | None = None
    """In place of the prefix that the route matches."""
    regex_rewrite: RegexRewrite | None = None


@dataclass(frozen=True, slots=True)
class Route:
    """One match of one HTTPRoute rule. One of ``clusters``, ``redirect`` and ``direct_response`` decides."""

    name: str
    """As Envoy Gateway names it: ``httproute/<namespace>/<route>/rule/<i>/match/<j>/<host>``."""
    match: PathMatch
    clusters: tuple[tuple[Cluster, int], ...] = ()
    """(cluster, weight); weights are at least 1."""
    direct_response: int | None = None
    """Status of an empty-bodied local reply instead of a backend: 500 where no backendRef can be resolved."""
    timeout: float = 15.0
    """Seconds from the complete request to the complete response, 0 is none; Envoy's default."""
    idle_timeout: float | None = None
    """Takes the place of the listener's ``stream_idle_timeout``, 0 is none; ``None`` leaves that."""
    headers: tuple[HeaderMatch, ...] = ()
    """Conditions beside the path: all must be met."""
    query_parameters: tuple[QueryParameterMatch, ...] = ()
    redirect: Redirect | None = None
    request_headers: tuple[HeaderMutation, ...] = ()
    """What the router does to the request's headers, in this order: ``request_headers_to_remove`` and ``_to_add``."""
    response_headers: tuple[HeaderMutation, ...] = ()
    """The same for the response's, a local one included."""
    host_rewrite: str | None = None
    """``host_rewrite_literal``, with ``append_x_forwarded_host``."""
    prefix_rewrite: str | None = None
    """In place of the prefix that the route matches."""
    regex_rewrite: RegexRewrite | None = None


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
    client_address: ClientAddressOptions = ClientAddressOptions()
    generate_request_id: bool = True
    preserve_external_request_id: bool = False
    forward_client_cert: ForwardClientCert = ForwardClientCert.SANITIZE
    client_cert_details: tuple[str, ...] = ()
    """``set_current_client_cert_details``: what of the certificate to tell, which on a plain listener is nothing."""
    early_request_headers: tuple[HeaderMutation, ...] = ()
    """``early_header_mutation_extensions``: before anything else looks at a request."""
    late_response_headers: tuple[HeaderMutation, ...] = ()
    """The header_mutation filter's ``response_mutations``."""
    strip_trailing_host_dot: bool = False
    headers_with_underscores: Underscores = Underscores.REJECT_REQUEST
    merge_slashes: bool = True
    escaped_slashes: EscapedSlashes = EscapedSlashes.UNESCAPE_AND_REDIRECT
    max_request_headers_bytes: int = 61_440
    """``max_request_headers_kb``: 60 KiB for request line, headers and the final CRLF."""
    max_headers: int = 100
    """``max_headers_count``, of a request's and of a response's head."""
    request_timeout: float = 0.0
    """Seconds from a request's first byte to its last, 0 is none."""
    request_headers_timeout: float = 0.0
    """Seconds from a request's first byte to the end of its head, 0 is none."""
    idle_timeout: float = 3600.0
    """Seconds a connection may be without a request; 0 is none."""
    stream_idle_timeout: float = 300.0
    """Seconds a request may be without progress; 0 is none."""
    max_connection_duration: float | None = None
    """Seconds from accept to the start of the drain; 0 is at once (measured), ``None`` never."""
    safe_max_connection_duration: bool = False
    """``http1_safe_max_connection_duration``: end with the next response only, never between requests."""
    max_requests_per_connection: int = 0
    """The response to this one says ``connection: close``; 0 is none."""
    max_stream_duration: float = 0.0
    """Seconds a request and its response may take together, 0 is none."""
    enable_trailers: bool = False
    preserve_header_case: bool = False
    accept_http_10: bool = False
    default_host_for_http_10: bytes | None = None
    ignored_upgrade_types: tuple[StringMatch, ...] = ()
    """``ignore_http_11_upgrade``: such an Upgrade is taken for none."""
    health_check_path: bytes | None = None
    """The health_check filter answers requests whose ``:path`` is exactly this."""
    scheme_match_upstream: bool = False
    """``scheme_header_transformation.match_upstream``; the upstream is plain, so that ``:scheme`` is http."""
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
    """Seconds for a PROXY header to arrive, 0 is none; then the connection ends."""
    buffer_limit: int = 32_768
    """``per_connection_buffer_limit_bytes``: the watermark of each direction; 0 is none."""
    connection_limit: ConnectionLimit | None = None
    max_connections_to_accept_per_socket_event: int | None = 1
    """``None`` is as many as there are."""
    http: HttpOptions = HttpOptions()

    @property
    def stat_prefix(self) -> str:
        """``http-<port>``, the prefix of this listener's HTTP counters."""
        return f"http-{self.port}"

    @property
    def clusters(self) -> tuple[Cluster, ...]:
        """Those that its routes lead to, each once; not the one that stands for none."""
        found = (cluster for host in self.virtual_hosts for route in host.routes for cluster, _ in route.clusters)
        return tuple(cluster for cluster in dict.fromkeys(found) if cluster != INVALID_BACKEND)


@dataclass(frozen=True, slots=True)
class Settings:
    """All that one pyproxy process serves."""

    listeners: tuple[Listener, ...]
    node_cluster: str = "default/eg"
    """Envoy's ``--service-cluster``: ``<namespace>/<gateway>``."""
    max_active_downstream_connections: int = 50_000
    """global_downstream_max_connections; Envoy Gateway writes 50000."""


def _as_call(one: Any) -> tuple[type[Any], tuple[Any, ...]]:
    return type(one), tuple([getattr(one, field.name) for field in fields(one)])


# Settings go to other processes. Unpickling calls the classes: what is compiled and frozen can't be filled otherwise.
for _one in list(globals().values()):
    if isinstance(_one, type) and is_dataclass(_one):
        copyreg.pickle(_one, _as_call)
