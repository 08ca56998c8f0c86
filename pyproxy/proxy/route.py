"""Which route a request takes: virtual host by authority, then the first route whose match holds.

Compiled once for a listener's settings. Hosts are compared in lower case and without their port, as Envoy Gateway
configures it (``ignore_port_in_host_matching``).

Source: envoy.config.route.v3.RouteConfiguration, "virtual_hosts" (exact, then longest suffix wildcard, then ``*``).
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pyproxy.settings import Cluster, PathMatch, PathMatchType, Route, VirtualHost

# A host's routes as they are compared: exact paths, and prefixes with what may stand behind them.
_Entry = tuple[bytes, bool, "CompiledRoute"]


class CompiledRoute:
    """A route and what the data path needs of it, ready made."""

    __slots__ = ("_total", "cluster", "clusters", "direct_response", "expected_timeout", "name", "timeout")

    def __init__(self, route: Route) -> None:
        self.name = route.name
        self.direct_response = route.direct_response
        self.timeout = route.timeout
        self.expected_timeout = b"%d" % round(route.timeout * 1000) if route.timeout else None
        """x-envoy-expected-rq-timeout-ms."""
        self.clusters = route.clusters
        self.cluster = route.clusters[0][0] if len(route.clusters) == 1 else None
        self._total = sum(weight for _, weight in route.clusters)

    def pick(self, random: Random) -> Cluster:
        """One of the route's clusters by weight. The route must have clusters, not a direct response."""
        if self.cluster is not None:
            return self.cluster
        point = random.randrange(self._total)
        for cluster, weight in self.clusters:
            point -= weight
            if point < 0:
                return cluster
        raise AssertionError("weights add up to the total")


class RouteTable:
    """The virtual hosts of one listener."""

    __slots__ = ("_default", "_exact", "_suffixes")

    def __init__(self, virtual_hosts: Sequence[VirtualHost]) -> None:
        self._exact: dict[bytes, list[_Entry]] = {}
        self._suffixes: list[tuple[bytes, list[_Entry]]] = []
        self._default: list[_Entry] | None = None
        for host in virtual_hosts:
            entries = [_compile(route.match, CompiledRoute(route)) for route in host.routes]
            for domain in host.domains:
                if domain == "*":
                    self._default = entries
                elif domain.startswith("*"):
                    self._suffixes.append((domain[1:].lower().encode(), entries))
                else:
                    self._exact[domain.lower().encode()] = entries
        self._suffixes.sort(key=lambda suffix: len(suffix[0]), reverse=True)

    def match(self, authority: bytes, path: bytes) -> CompiledRoute | None:
        """The route of a request, or ``None`` (404)."""
        entries = self._exact.get(authority)
        if entries is None:
            entries = self._host(authority)
            if entries is None:
                return None
        plain = path.partition(b"?")[0]
        for value, exact, route in entries:
            if exact:
                if plain == value:
                    return route
            elif plain.startswith(value) and (len(value) == 1 or plain[len(value) : len(value) + 1] in (b"", b"/")):
                return route
        return None

    def _host(self, authority: bytes) -> list[_Entry] | None:
        host = strip_port(authority).lower()
        entries = self._exact.get(host)
        if entries is not None:
            return entries
        for suffix, suffix_entries in self._suffixes:
            if host.endswith(suffix) and len(host) > len(suffix):
                return suffix_entries
        return self._default


def _compile(match: PathMatch, route: CompiledRoute) -> _Entry:
    return match.value.encode(), match.type is PathMatchType.EXACT, route


def strip_port(authority: bytes) -> bytes:
    """``authority`` without ``:port``; an IPv6 literal keeps its colons."""
    host, colon, port = authority.rpartition(b":")
    return host if colon and port.isdigit() and (b":" not in host or host.endswith(b"]")) else authority
