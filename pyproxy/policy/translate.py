"""Valid resources to settings: names, ports, hosts and routes as Envoy Gateway gives them to Envoy, defaults filled in.

One function per concern. Nothing here can fail: ``policy.load`` has reported everything that could.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyproxy.policy.attach import Attachment, by_age, key
from pyproxy.policy.client_traffic_policy import ClientTrafficPolicy, TCPKeepalive
from pyproxy.policy.model import (
    Backend,
    BackendRef,
    Gateway,
    GatewayListener,
    HTTPRoute,
    HTTPRouteRule,
    ParentReference,
    Service,
)
from pyproxy.policy.release import DEFAULTS, Release
from pyproxy.policy.scalars import parse_duration
from pyproxy.settings import (
    Cluster,
    Endpoint,
    HttpOptions,
    Keepalive,
    Listener,
    PathMatch,
    PathMatchType,
    ProxyProtocol,
    Route,
    Settings,
    VirtualHost,
)

PRIVILEGED_PORT_OFFSET = 10_000
"""Envoy Gateway binds ports under 1024 this much higher, so that Envoy needs no privileges."""


@dataclass(frozen=True, slots=True)
class Backends:
    """What a backendRef can name, by (namespace, name)."""

    backends: Mapping[tuple[str, str], Backend]
    services: Mapping[tuple[str, str], Service]


def bound_port(port: int) -> int:
    """The port that is bound for a Gateway listener's."""
    return port + PRIVILEGED_PORT_OFFSET if port < 1024 else port


def translate(
    gateways: Sequence[Gateway],
    routes: Sequence[HTTPRoute],
    backends: Backends,
    attachment: Attachment,
    release: Release,
    address: str,
) -> Settings:
    """The settings of a process that serves all ``gateways`` on ``address``."""
    listeners = []
    ordered = sorted(routes, key=lambda route: by_age(route.metadata))
    for gateway in gateways:
        by_port: dict[int, list[GatewayListener]] = {}
        for listener in gateway.spec.listeners:
            by_port.setdefault(listener.port, []).append(listener)
        for port, same_port in by_port.items():
            # Listeners that share a port share one Envoy listener; what the first one's policy says holds for it.
            first = same_port[0]
            policy = attachment.applied.get((*key(gateway.metadata), first.name))
            listeners.append(
                Listener(
                    name=_listener_name(gateway, first),
                    address=address,
                    port=bound_port(port),
                    gateway_port=port,
                    virtual_hosts=_virtual_hosts(gateway, same_port, ordered, backends),
                    keepalive=_keepalive(policy.spec.tcp_keepalive if policy else None),
                    proxy_protocol=_proxy_protocol(policy),
                    http=_http_options(policy, release),
                )
            )
    node_cluster = "/".join(key(gateways[0].metadata)) if gateways else "default/pyproxy"
    return Settings(tuple(listeners), node_cluster)


def _listener_name(gateway: Gateway, listener: GatewayListener) -> str:
    return f"{gateway.metadata.namespace}/{gateway.metadata.name}/{listener.name}"


# -- the policy ------------------------------------------------------------------------------------------------


def _keepalive(keepalive: TCPKeepalive | None) -> Keepalive | None:
    if keepalive is None:
        return None
    return Keepalive(probes=keepalive.probes, idle=_seconds(keepalive.idle_time), interval=_seconds(keepalive.interval))


def _seconds(duration: str | None) -> int | None:
    """Whole seconds, cut off as Envoy Gateway does."""
    return None if duration is None else parse_duration(duration) // 1000


def _proxy_protocol(policy: ClientTrafficPolicy | None) -> ProxyProtocol | None:
    if policy is None:
        return None
    if policy.spec.proxy_protocol is not None:
        return ProxyProtocol(optional=bool(policy.spec.proxy_protocol.optional))
    return ProxyProtocol() if policy.spec.enable_proxy_protocol else None


def _http_options(policy: ClientTrafficPolicy | None, release: Release) -> HttpOptions:
    defaults = DEFAULTS[release]
    suppress = defaults.suppress_envoy_headers
    headers = policy.spec.headers if policy else None
    if headers is not None and headers.enable_envoy_headers is not None:
        suppress = not headers.enable_envoy_headers
    return HttpOptions(
        server_name=defaults.server_name,
        suppress_envoy_headers=suppress,
        internal_networks=defaults.internal_networks,
    )


# -- the routes ------------------------------------------------------------------------------------------------


def ref_reaches(ref: ParentReference, gateway: Gateway, listener: GatewayListener, route: HTTPRoute) -> bool:
    """Whether a parentRef of ``route`` names this listener, and the listener allows it."""
    if listener.allowed_routes.namespaces.from_ == "Same" and route.metadata.namespace != gateway.metadata.namespace:
        return False
    return (
        (ref.namespace or route.metadata.namespace, ref.name) == key(gateway.metadata)
        and ref.section_name in (None, listener.name)
        and ref.port in (None, listener.port)
    )


def shared_hostnames(route: HTTPRoute, listener: GatewayListener) -> list[str]:
    """The hostnames that a route has on a listener; none if the two have nothing in common."""
    if not route.spec.hostnames:
        return [listener.hostname or "*"]
    if listener.hostname is None:
        return list(dict.fromkeys(route.spec.hostnames))
    shared = (_intersect(hostname, listener.hostname) for hostname in route.spec.hostnames)
    return list(dict.fromkeys(hostname for hostname in shared if hostname))


def _intersect(one: str, other: str) -> str | None:
    if one == other:
        return one
    for wide, narrow in ((one, other), (other, one)):
        if wide.startswith("*.") and narrow.removeprefix("*").endswith(wide[1:]):
            return narrow
    return None


def _virtual_hosts(
    gateway: Gateway, same_port: Sequence[GatewayListener], routes: Sequence[HTTPRoute], backends: Backends
) -> tuple[VirtualHost, ...]:
    """One for each hostname, as Envoy takes a domain once; it has the name of the first listener that brings it."""
    names: dict[str, str] = {}
    found: dict[str, list[Route]] = {}
    for listener in same_port:
        # A hostname that another listener of this port has is that one's.
        taken = {other.hostname for other in same_port if other is not listener}
        for route in routes:
            if any(ref_reaches(ref, gateway, listener, route) for ref in route.spec.parent_refs):
                for host in shared_hostnames(route, listener):
                    if host not in taken:
                        names.setdefault(host, f"{_listener_name(gateway, listener)}/{host.replace('.', '_')}")
                        found.setdefault(host, []).extend(_routes(route, host, backends))
    return tuple(
        VirtualHost(names[host], (host,), tuple(sorted(dict.fromkeys(found[host]), key=_precedence))) for host in found
    )


def _precedence(route: Route) -> tuple[bool, int]:
    """Exact before prefix, longer before shorter; the sort keeps the order of age and rule for the rest."""
    return route.match.type is not PathMatchType.EXACT, -len(route.match.value)


def _routes(route: HTTPRoute, host: str, backends: Backends) -> list[Route]:
    translated = []
    prefix = f"httproute/{route.metadata.namespace}/{route.metadata.name}/rule"
    suffix = host.replace(".", "_")
    for index, rule in enumerate(route.spec.rules):
        clusters = _clusters(route, rule, f"{prefix}/{index}", backends)
        matches = [_path_match(match.path.type, match.path.value) for match in rule.matches]
        for number, match in enumerate(matches or [PathMatch(PathMatchType.PREFIX, "/")]):
            name = f"{prefix}/{index}/match/{number if matches else -1}/{suffix}"
            # Envoy Gateway answers 500 where a rule has nothing to send a request to.
            translated.append(Route(name, match, clusters, None if clusters else 500))
    return translated


def _path_match(kind: str, value: str) -> PathMatch:
    if kind == "Exact":
        return PathMatch(PathMatchType.EXACT, value)
    return PathMatch(PathMatchType.PREFIX, value.rstrip("/") or "/")


def _clusters(route: HTTPRoute, rule: HTTPRouteRule, name: str, backends: Backends) -> tuple[tuple[Cluster, int], ...]:
    refs = [(index, ref) for index, ref in enumerate(rule.backend_refs) if ref.weight]
    several = len(rule.backend_refs) > 1
    return tuple(
        (Cluster(f"{name}/backend/{index}" if several else name, _endpoints(route, ref, backends)), ref.weight)
        for index, ref in refs
    )


def _endpoints(route: HTTPRoute, ref: BackendRef, backends: Backends) -> tuple[Endpoint, ...]:
    name = route.metadata.namespace, ref.name
    if ref.kind == "Service":
        address, port = backends.services[name].spec.address, ref.port
        assert address is not None and port is not None, "load has checked it"
        return (Endpoint(address, port),)
    found = []
    for endpoint in backends.backends[name].spec.endpoints:
        if endpoint.ip is not None:
            found.append(Endpoint(endpoint.ip.address, endpoint.ip.port))
        if endpoint.fqdn is not None:
            found.append(Endpoint(endpoint.fqdn.hostname, endpoint.fqdn.port))
    return tuple(found)
