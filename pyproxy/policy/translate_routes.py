"""HTTPRoutes to virtual hosts: which routes a listener has, under which names, in which order, to which clusters.

One function per concern. Nothing here can fail: ``policy.load`` has reported everything that could.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address

from pyproxy.policy.attach import ListenerKey
from pyproxy.policy.command_operators import writes
from pyproxy.policy.http_route import (
    BackendRef,
    HeaderFilter,
    HTTPPathMatch,
    HTTPRequestRedirectFilter,
    HTTPRoute,
    HTTPRouteFilter,
    HTTPRouteMatch,
    HTTPRouteRule,
    HTTPURLRewriteFilter,
    ParentReference,
)
from pyproxy.policy.model import Backend, Gateway, GatewayListener, Service
from pyproxy.policy.scalars import parse_duration
from pyproxy.settings import (
    INVALID_BACKEND,
    Cluster,
    Endpoint,
    HeaderAction,
    HeaderMatch,
    HeaderMutation,
    Locality,
    PathMatch,
    PathMatchType,
    QueryParameterMatch,
    Redirect,
    RegexRewrite,
    Route,
    StringMatch,
    StringMatchType,
    VirtualHost,
)

ENVOYS_TIMEOUT = 15.0
"""Seconds; what a route has that says nothing of timeouts."""
WELL_KNOWN_PORTS = (80, 443)
"""Envoy Gateway leaves them out of a redirect, whatever its scheme."""


@dataclass(frozen=True, slots=True)
class Backends:
    """What a backendRef can name, by (namespace, name)."""

    backends: Mapping[tuple[str, str], Backend]
    services: Mapping[tuple[str, str], Service]


def listener_name(gateway: Gateway, listener: GatewayListener) -> str:
    """``<namespace>/<gateway>/<listener>``: what Envoy Gateway calls a listener and all that is of it."""
    return f"{gateway.metadata.namespace}/{gateway.metadata.name}/{listener.name}"


def ref_reaches(ref: ParentReference, gateway: Gateway, listener: GatewayListener, route: HTTPRoute) -> bool:
    """Whether a parentRef of ``route`` names this listener, and the listener allows it."""
    if listener.allowed_routes.namespaces.from_ == "Same" and route.metadata.namespace != gateway.metadata.namespace:
        return False
    return (
        (ref.namespace or route.metadata.namespace, ref.name) == gateway.metadata.key
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


def route_hostnames(gateways: Sequence[Gateway], routes: Sequence[HTTPRoute]) -> dict[ListenerKey, list[str]]:
    """For each listener the hostname of each match of each rule of each route that it has."""
    found: dict[ListenerKey, list[str]] = {}
    for gateway in gateways:
        for listener in gateway.spec.listeners:
            names = found.setdefault((*gateway.metadata.key, listener.name), [])
            for route in routes:
                if any(ref_reaches(ref, gateway, listener, route) for ref in route.spec.parent_refs):
                    matches = sum(len(rule.matches) or 1 for rule in route.spec.rules)
                    names += shared_hostnames(route, listener) * matches
    return found


def virtual_hosts(
    gateway: Gateway,
    same_port: Sequence[GatewayListener],
    routes: Sequence[HTTPRoute],
    backends: Backends,
    *,
    with_idle_timeout: bool = True,
) -> tuple[VirtualHost, ...]:
    """One for each hostname, as Envoy takes a domain once; it has the name of the first listener that brings it.

    ``routes``: older before younger. ``with_idle_timeout``: a timeout of a route is its idle timeout too, as long as no
    policy sets one.
    """
    names: dict[str, str] = {}
    found: dict[str, list[_Ranked]] = {}
    for listener in same_port:
        # A hostname that another listener of this port has is that one's.
        taken = {other.hostname for other in same_port if other is not listener}
        for route in routes:
            if any(ref_reaches(ref, gateway, listener, route) for ref in route.spec.parent_refs):
                for host in shared_hostnames(route, listener):
                    if host not in taken:
                        names.setdefault(host, f"{listener_name(gateway, listener)}/{host.replace('.', '_')}")
                        translator = _Translator(route, host, listener.port, backends, with_idle_timeout)
                        found.setdefault(host, []).extend(translator.routes())
    return tuple(VirtualHost(names[host], (host,), _in_order(found[host])) for host in found)


# -- precedence --------------------------------------------------------------------------------------------------------

_Rank = tuple[int, ...]
_Ranked = tuple[_Rank, Route]

_BY_TYPE = {"Exact": 0, "RegularExpression": 1, "PathPrefix": 2}


def _rank(match: HTTPRouteMatch) -> _Rank:
    """Sort key: what is tried first comes first. A method counts as a header, which is what Envoy is given for it."""
    headers = [header.type for header in match.headers] + ["Exact"] * (match.method is not None)
    parameters = [parameter.type for parameter in match.query_params]
    return (
        _BY_TYPE[match.path.type],
        -len(match.path.value.encode()),
        -len(headers),
        -headers.count("Exact"),
        -len(parameters),
        -parameters.count("Exact"),
    )


def _in_order(routes: Sequence[_Ranked]) -> tuple[Route, ...]:
    """By rank; the sort keeps the order of age, name, rule and match for the rest."""
    return tuple(dict.fromkeys(route for _, route in sorted(routes, key=lambda ranked: ranked[0])))


# -- one HTTPRoute -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Translator:
    """An HTTPRoute on one hostname of one listener."""

    route: HTTPRoute
    host: str
    port: int
    """The Gateway listener's."""
    backends: Backends
    with_idle_timeout: bool

    def routes(self) -> Iterator[_Ranked]:
        """A route for each match of each rule, with its rank."""
        prefix = f"httproute/{self.route.metadata.namespace}/{self.route.metadata.name}/rule"
        suffix = self.host.replace(".", "_")
        for index, rule in enumerate(self.route.spec.rules):
            clusters = self._clusters(rule, f"{prefix}/{index}")
            filters = _Filters.of(rule.filters)
            timeout = _timeout(rule)
            for number, match in enumerate(rule.matches or [HTTPRouteMatch()]):
                redirect = self._redirect(filters.redirect, match.path) if filters.redirect is not None else None
                prefix_rewrite, regex_rewrite = _rewritten_path(filters.rewrite, match.path)
                yield (
                    _rank(match),
                    Route(
                        name=f"{prefix}/{index}/match/{number if rule.matches else -1}/{suffix}",
                        match=_path_match(match.path),
                        headers=_header_matches(match),
                        query_parameters=_query_matches(match),
                        clusters=clusters,
                        # Envoy Gateway answers 500 where a rule has nothing to send a request to.
                        direct_response=None if clusters or redirect is not None else 500,
                        redirect=redirect,
                        timeout=ENVOYS_TIMEOUT if timeout is None else timeout,
                        idle_timeout=_idle_timeout(timeout) if self.with_idle_timeout else None,
                        request_headers=filters.request_headers,
                        response_headers=filters.response_headers,
                        host_rewrite=filters.rewrite.hostname if filters.rewrite is not None else None,
                        prefix_rewrite=prefix_rewrite,
                        regex_rewrite=regex_rewrite,
                    ),
                )

    def _redirect(self, redirect: HTTPRequestRedirectFilter, path: HTTPPathMatch) -> Redirect:
        port = redirect.port or {"http": 80, "https": 443, None: self.port}[redirect.scheme]
        full = redirect.path.replace_full_path if redirect.path is not None else None
        replacement = redirect.path.replace_prefix_match if redirect.path is not None else None
        prefix_rewrite, regex_rewrite = _replace_prefix(path, replacement)
        return Redirect(
            status=redirect.status_code,
            scheme=redirect.scheme,
            host=redirect.hostname,
            port=None if port in WELL_KNOWN_PORTS else port,
            path=full,
            prefix_rewrite=prefix_rewrite,
            regex_rewrite=regex_rewrite,
        )

    def _clusters(self, rule: HTTPRouteRule, name: str) -> tuple[tuple[Cluster, int], ...]:
        """One cluster for all backendRefs, a locality each, where that says all there is to say; else one for each."""
        found = [(index, ref, self._endpoints(ref)) for index, ref in enumerate(rule.backend_refs) if ref.weight]
        valid = [(index, ref, endpoints) for index, ref, endpoints in found if endpoints]
        if not valid:
            return ()
        invalid = sum(ref.weight for _, ref, endpoints in found if not endpoints)
        kinds = {is_ip(endpoint.host) for _, _, endpoints in valid for endpoint in endpoints}
        if not invalid and len(kinds) == 1 and not any(ref.filters for _, ref, _ in valid):
            localities = tuple(Locality(f"backend/{index}", ref.weight) for index, ref, _ in valid)
            merged = tuple(
                replace(endpoint, locality=locality)
                for locality, (_, _, endpoints) in enumerate(valid)
                for endpoint in endpoints
            )
            return ((Cluster(name, merged, localities=localities), 1),)
        clusters = [(INVALID_BACKEND, invalid)] if invalid else []
        for index, ref, endpoints in valid:
            localities = (Locality(f"backend/{index}", ref.weight),)
            filters = _Filters.of(ref.filters)
            cluster = Cluster(
                f"{name}/backend/{index}",
                endpoints,
                localities=localities,
                request_headers=filters.request_headers,
                response_headers=filters.response_headers,
            )
            clusters.append((cluster, ref.weight))
        return tuple(clusters)

    def _endpoints(self, ref: BackendRef) -> tuple[Endpoint, ...]:
        """Where a backendRef leads; nowhere if what it names is not there or has no address."""
        name = ref.namespace or self.route.metadata.namespace, ref.name
        if (ref.group, ref.kind) == ("", "Service"):
            service = self.backends.services.get(name)
            if (
                service is None
                or service.spec.address is None
                or ref.port is None
                or not service.spec.has_port(ref.port)
            ):
                return ()
            return (Endpoint(service.spec.address, ref.port),)
        backend = self.backends.backends.get(name)
        found = []
        for endpoint in backend.spec.endpoints if backend is not None else ():
            if endpoint.ip is not None:
                found.append(Endpoint(endpoint.ip.address, endpoint.ip.port))
            if endpoint.fqdn is not None:
                found.append(Endpoint(endpoint.fqdn.hostname, endpoint.fqdn.port))
        return tuple(found)


def is_ip(host: str) -> bool:
    """Whether an endpoint's host needs no DNS."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


# -- matches -----------------------------------------------------------------------------------------------------------


def _path_match(path: HTTPPathMatch) -> PathMatch:
    if path.type == "PathPrefix":
        return PathMatch(PathMatchType.PREFIX, path.value.removesuffix("/") or "/")
    return PathMatch(PathMatchType(path.type), path.value)


def _string_match(kind: str, value: str) -> StringMatch:
    return StringMatch(StringMatchType.REGEX if kind == "RegularExpression" else StringMatchType.EXACT, value)


def _header_matches(match: HTTPRouteMatch) -> tuple[HeaderMatch, ...]:
    headers = [
        HeaderMatch(header.name.lower().encode(), _string_match(header.type, header.value)) for header in match.headers
    ]
    if match.method is not None:
        headers.append(HeaderMatch(b":method", StringMatch(StringMatchType.EXACT, match.method)))
    return tuple(headers)


def _query_matches(match: HTTPRouteMatch) -> tuple[QueryParameterMatch, ...]:
    return tuple(
        QueryParameterMatch(parameter.name.encode(), _string_match(parameter.type, parameter.value))
        for parameter in match.query_params
    )


# -- filters and timeouts ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Filters:
    """The filters of a rule or of a backendRef; there is at most one of each type."""

    request_headers: tuple[HeaderMutation, ...] = ()
    response_headers: tuple[HeaderMutation, ...] = ()
    redirect: HTTPRequestRedirectFilter | None = None
    rewrite: HTTPURLRewriteFilter | None = None

    @classmethod
    def of(cls, filters: Sequence[HTTPRouteFilter]) -> _Filters:
        result = cls()
        for one in filters:
            if one.request_header_modifier is not None:
                result = replace(result, request_headers=_mutations(one.request_header_modifier))
            if one.response_header_modifier is not None:
                result = replace(result, response_headers=_mutations(one.response_header_modifier))
            if one.request_redirect is not None:
                result = replace(result, redirect=one.request_redirect)
            if one.url_rewrite is not None:
                result = replace(result, rewrite=one.url_rewrite)
        return result


def _mutations(headers: HeaderFilter) -> tuple[HeaderMutation, ...]:
    """In the order in which Envoy does them. Of a name there is one: ``add``'s first, else ``set``'s first."""
    written: dict[bytes, HeaderMutation] = {}
    for action, values in (
        (HeaderAction.APPEND_IF_EXISTS_OR_ADD, headers.add),
        (HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, headers.set),
    ):
        for header in values:
            mutation = writes(action, header.name, header.value)
            written.setdefault(mutation.name, mutation)
    removed = dict.fromkeys(name.lower().encode() for name in headers.remove)
    mutations = [*(HeaderMutation(HeaderAction.REMOVE, name) for name in removed), *written.values()]
    order = (HeaderAction.REMOVE, HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, HeaderAction.APPEND_IF_EXISTS_OR_ADD)
    return tuple(sorted(mutations, key=lambda mutation: order.index(mutation.action)))


def _rewritten_path(
    rewrite: HTTPURLRewriteFilter | None, path: HTTPPathMatch
) -> tuple[str | None, RegexRewrite | None]:
    """``prefix_rewrite`` and ``regex_rewrite`` of a URLRewrite."""
    if rewrite is None or rewrite.path is None:
        return None, None
    if rewrite.path.replace_full_path is not None:
        return None, RegexRewrite("^/.*$", rewrite.path.replace_full_path)
    prefix_rewrite, regex_rewrite = _replace_prefix(path, rewrite.path.replace_prefix_match)
    # The path that follows brings its own slash. (Envoy Gateway leaves a redirect's where it is.)
    return prefix_rewrite.removesuffix("/") if prefix_rewrite is not None else None, regex_rewrite


def _replace_prefix(path: HTTPPathMatch, replacement: str | None) -> tuple[str | None, RegexRewrite | None]:
    """As ``prefix_rewrite``, or as ``regex_rewrite`` where the slash behind the prefix must go too."""
    if replacement is None:
        return None, None
    if replacement in ("", "/"):
        return None, RegexRewrite(rf"^{path.value}\/*", "/")
    return replacement, None


def _timeout(rule: HTTPRouteRule) -> float | None:
    """Seconds. Without retries there is one request to the backend, so that its timeout is the route's."""
    if rule.timeouts is None:
        return None
    text = rule.timeouts.backend_request or rule.timeouts.request
    return parse_duration(text) / 1000 if text is not None else None


def _idle_timeout(timeout: float | None) -> float | None:
    """An hour, or as long as the request may take."""
    if timeout is None:
        return None
    return max(3600.0, timeout) if timeout else 0.0
