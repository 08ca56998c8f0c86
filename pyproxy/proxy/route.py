"""Which route a request takes: virtual host by authority, then the first route whose conditions hold.

Compiled once for a listener's settings. Hosts are compared in lower case and without their port, as Envoy Gateway
configures it (``ignore_port_in_host_matching``). A host's routes are found by their path in dictionaries rather than
one after the other, so that ten thousand cost no more than one; which of them is the first in Envoy's order decides all
the same, and a property test holds the tables to what a scan from the first to the last finds.

Source: envoy.config.route.v3.RouteConfiguration, "virtual_hosts" (exact, then longest suffix wildcard, then ``*``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Final, Protocol

from pyproxy.proxy.route_filters import CompiledRedirect, RouteFilters
from pyproxy.proxy.router_options import RouteTimeout
from pyproxy.proxy.string_match import compile_match, compile_regex
from pyproxy.settings import INVALID_BACKEND, Cluster, PathMatchType, Route, VirtualHost

MAX_AUTHORITIES: Final = 1_000
MAX_AUTHORITY: Final = 260
"""Bytes; a name of DNS and a port."""


class Request(Protocol):
    """What a route's conditions ask of a request."""

    def header_values(self, name: bytes) -> Sequence[bytes]:
        """The values of a header, one for each of its lines, as they are when Envoy's router looks at them."""


class Destination:
    """A cluster that a route may pick, and what is then done to the request and its response."""

    __slots__ = ("cluster", "filters", "is_nowhere")

    def __init__(self, cluster: Cluster, route: Route) -> None:
        self.cluster = cluster
        self.is_nowhere = cluster == INVALID_BACKEND
        """It has the share of backends that are not there."""
        self.filters = RouteFilters(route, cluster)


class CompiledRoute:
    """A route and what the data path needs of it, ready made."""

    __slots__ = (
        "_destinations",
        "_headers",
        "_only",
        "_parameters",
        "_total",
        "direct_response",
        "filters",
        "forwards",
        "idle_timeout",
        "is_conditional",
        "name",
        "redirect",
        "timeout",
    )

    def __init__(self, route: Route) -> None:
        self.name = route.name
        self.direct_response = route.direct_response
        self.redirect = CompiledRedirect(route.redirect, route.match) if route.redirect is not None else None
        self.forwards = route.direct_response is None and route.redirect is None
        """It has clusters to pick from."""
        self.filters = RouteFilters(route)
        """Those without a cluster's."""
        self.timeout = RouteTimeout(round((route.timeout or 0) * 1000))
        self.idle_timeout = route.idle_timeout
        self._destinations = [(Destination(cluster, route), weight) for cluster, weight in route.clusters]
        self._only = self._destinations[0][0] if len(self._destinations) == 1 else None
        self._total = sum(weight for _, weight in route.clusters)
        self._headers = [(match.name, compile_match(match.value)) for match in route.headers]
        self._parameters = [(match.name, compile_match(match.value)) for match in route.query_parameters]
        self.is_conditional = bool(self._headers or self._parameters)
        """There is more to look at than the path."""

    def holds(self, request: Request, query: bytes) -> bool:
        """Whether the conditions beside the path are met; any line of a header may meet its condition."""
        for name, matches in self._headers:
            if not any(map(matches, request.header_values(name))):
                return False
        for name, matches in self._parameters:
            value = first_parameter(query, name)
            if value is None or not matches(value):
                return False
        return True

    @property
    def only_cluster(self) -> Cluster | None:
        """The cluster that a request would go to whatever the dice say."""
        return self._only.cluster if self._only is not None and not self._only.is_nowhere else None

    def pick(self, random: Random) -> Destination:
        """One of the route's destinations by weight. The route must be one that forwards."""
        if self._only is not None:
            return self._only
        point = random.randrange(self._total)
        for destination, weight in self._destinations:
            point -= weight
            if point < 0:
                return destination
        raise AssertionError("weights add up to the total")


def first_parameter(query: bytes, name: bytes) -> bytes | None:
    """The value of the first query parameter called ``name``, nothing unescaped; empty without ``=``."""
    for parameter in query.split(b"&"):
        key, _, value = parameter.partition(b"=")
        if key == name and parameter:
            return value
    return None


_Ranked = tuple[int, CompiledRoute]


class _Prefix:
    """The routes of one path prefix, and the next shorter prefix that has any."""

    __slots__ = ("parent", "routes")

    def __init__(self) -> None:
        self.routes: list[_Ranked] = []
        self.parent: _Prefix | None = None


class HostRoutes:
    """The routes of one virtual host. The lowest rank, a route's place in Envoy's order, wins."""

    __slots__ = ("_count", "_exact", "_first_prefix", "_longest", "_prefixes", "_regexes", "_root", "only")

    def __init__(self, routes: Sequence[Route]) -> None:
        self._count = len(routes)
        self._exact: dict[bytes, list[_Ranked]] = {}
        self._prefixes: dict[bytes, _Prefix] = {}
        self._regexes: list[tuple[int, Callable[[bytes], bool], CompiledRoute]] = []
        for rank, route in enumerate(routes):
            compiled, path = CompiledRoute(route), route.match.value.encode()
            if route.match.type is PathMatchType.EXACT:
                self._exact.setdefault(path, []).append((rank, compiled))
            elif route.match.type is PathMatchType.PREFIX:
                self._prefixes.setdefault(path, _Prefix()).routes.append((rank, compiled))
            else:
                self._regexes.append((rank, compile_regex(route.match.value), compiled))
        self._root = self._prefixes.pop(b"/", None)
        for path, prefix in self._prefixes.items():
            prefix.parent = self._find(path[: path.rfind(b"/")])
        self._longest = max(map(len, self._prefixes), default=0)
        self._first_prefix = min(
            (prefix.routes[0][0] for prefix in (*self._prefixes.values(), self._root) if prefix), default=self._count
        )
        self.only: CompiledRoute | None = None
        """The first route, if it takes whatever comes: then the path need not be looked at."""
        if self._root is not None and self._root.routes[0][0] == 0 and not self._root.routes[0][1].is_conditional:
            self.only = self._root.routes[0][1]

    def match(self, path: bytes, request: Request) -> CompiledRoute | None:
        """The first route that takes ``path``, which may have a query."""
        plain, query = path, b""
        if b"?" in path:
            plain, _, query = path.partition(b"?")
        best: CompiledRoute | None = None
        limit = self._count
        if plain in self._exact:
            for rank, route in self._exact[plain]:
                if not route.is_conditional or route.holds(request, query):
                    best, limit = route, rank
                    break
        if limit > self._first_prefix:
            key = plain
            if len(key) > self._longest:
                key = key[: key.rfind(b"/", 0, self._longest + 1)]
            prefix = self._prefixes.get(key) or self._find(key)
            while prefix is not None:
                for rank, route in prefix.routes:
                    if rank >= limit:
                        break
                    if not route.is_conditional or route.holds(request, query):
                        best, limit = route, rank
                        break
                prefix = prefix.parent
        for rank, matches, route in self._regexes:
            if rank >= limit:
                break
            if matches(plain) and (not route.is_conditional or route.holds(request, query)):
                return route
        return best

    def _find(self, path: bytes) -> _Prefix | None:
        """The longest prefix of whole segments that there is of ``path``."""
        while path:
            prefix = self._prefixes.get(path)
            if prefix is not None:
                return prefix
            path = path[: path.rfind(b"/")]
        return self._root


class RouteTable:
    """The virtual hosts of one listener."""

    __slots__ = ("_default", "_exact", "_longest_suffix", "_lately", "_suffixes")

    def __init__(self, virtual_hosts: Sequence[VirtualHost]) -> None:
        self._exact: dict[bytes, HostRoutes] = {}
        self._suffixes: dict[bytes, HostRoutes] = {}
        """By what stands behind the ``*`` of a wildcard, so with a dot in front."""
        self._default: HostRoutes | None = None
        for host in virtual_hosts:
            routes = HostRoutes(host.routes)
            for domain in host.domains:
                if domain == "*":
                    self._default = routes
                elif domain.startswith("*"):
                    self._suffixes[domain[1:].lower().encode()] = routes
                else:
                    self._exact[domain.lower().encode()] = routes
        self._longest_suffix = max(map(len, self._suffixes), default=0)
        self._lately: dict[bytes, HostRoutes | None] = {}
        """By authority as clients wrote it."""

    def match(self, authority: bytes, path: bytes, request: Request) -> CompiledRoute | None:
        """The route of a request, or ``None`` (404)."""
        if authority in self._lately:
            routes = self._lately[authority]
        else:
            routes = self._host(authority)
            if len(self._lately) >= MAX_AUTHORITIES:
                self._lately.clear()  # clients choose them
            if len(authority) <= MAX_AUTHORITY:
                self._lately[authority] = routes
        if routes is None:
            return None
        return routes.only or routes.match(path, request)

    def _host(self, authority: bytes) -> HostRoutes | None:
        host = strip_port(authority).lower()
        routes = self._exact.get(host)
        if routes is not None:
            return routes
        if self._suffixes:
            # A wildcard stands for at least one character, and for as many labels as there are.
            dot = host.find(b".", max(1, len(host) - self._longest_suffix))
            while dot > 0:
                routes = self._suffixes.get(host[dot:])
                if routes is not None:
                    return routes
                dot = host.find(b".", dot + 1)
        return self._default


def strip_port(authority: bytes) -> bytes:
    """``authority`` without ``:port``, even an empty one; an IPv6 literal keeps its colons."""
    host, colon, port = authority.rpartition(b":")
    return host if colon and b"]" not in port else authority
