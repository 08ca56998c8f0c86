"""Names, ports, hosts and defaults as Envoy Gateway has them."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from pyproxy.policy.release import Release
from pyproxy.settings import Endpoint, HttpOptions, Keepalive, Listener, PathMatch, PathMatchType, ProxyProtocol, Route
from tests.policy.resources import BASE, loaded, policy

BACKEND = "backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: backend}]"


def listener(text: str, release: Release = Release.V1_9) -> Listener:
    listeners = loaded(text, release=release).settings.listeners
    assert len(listeners) == 1
    return listeners[0]


def hosts(text: str) -> dict[str, list[Route]]:
    return {host.domains[0]: list(host.routes) for host in listener(text).virtual_hosts}


def test_names_and_ports() -> None:
    result = loaded(BASE, address="::1")
    assert result.settings.node_cluster == "default/eg"
    one = result.settings.listeners[0]
    assert (one.name, one.address, one.port, one.gateway_port) == ("default/eg/http", "::1", 10080, 80)
    assert one.stat_prefix == "http-10080"
    host = one.virtual_hosts[0]
    assert (host.name, host.domains) == ("default/eg/http/*", ("*",))
    route = host.routes[0]
    assert route.name == "httproute/default/backend/rule/0/match/-1/*"
    assert route.clusters[0][0].name == "httproute/default/backend/rule/0"
    assert route.clusters[0][0].endpoints == (Endpoint("127.0.0.1", 3000),)
    assert route.timeout == 15


def test_a_port_from_1024_on_stays() -> None:
    assert listener(BASE.replace("port: 80}", "port: 1024}")).port == 1024


@pytest.mark.parametrize("release", Release)
def test_defaults_of_the_releases(release: Release) -> None:
    http = listener(BASE, release).http
    if release is Release.V1_9:
        assert http == HttpOptions()
    else:
        assert http.server_name == b"envoy"
        assert not http.suppress_envoy_headers
        assert ip_network("172.16.0.0/12") in http.internal_networks


@pytest.mark.enforces("spec.headers.enableEnvoyHeaders")
@pytest.mark.parametrize(("value", "suppressed"), [("true", False), ("false", True)])
@pytest.mark.parametrize("release", Release)
def test_enable_envoy_headers(release: Release, value: str, suppressed: bool) -> None:
    text = BASE + "---\n" + policy(f"headers: {{enableEnvoyHeaders: {value}}}")
    assert listener(text, release).http.suppress_envoy_headers is suppressed


def test_empty_headers_change_nothing() -> None:
    assert listener(BASE + "---\n" + policy("headers: {}")).http == HttpOptions()


@pytest.mark.enforces("spec.tcpKeepalive.probes")
@pytest.mark.enforces("spec.tcpKeepalive.idleTime")
@pytest.mark.enforces("spec.tcpKeepalive.interval")
@pytest.mark.parametrize(
    ("spec", "keepalive"),
    [
        ("tcpKeepalive: {}", Keepalive()),
        ("tcpKeepalive: {idleTime: 20m, interval: 60s, probes: 3}", Keepalive(3, 1200, 60)),
        ("tcpKeepalive: {idleTime: 1s999ms, interval: 32767s, probes: 127}", Keepalive(127, 1, 32767)),
        ("headers: {}", None),
    ],
)
def test_keepalive(spec: str, keepalive: Keepalive | None) -> None:
    assert listener(BASE + "---\n" + policy(spec)).keepalive == keepalive


@pytest.mark.enforces("spec.enableProxyProtocol")
@pytest.mark.enforces("spec.proxyProtocol.optional")
@pytest.mark.parametrize(
    ("spec", "proxy_protocol"),
    [
        ("enableProxyProtocol: true", ProxyProtocol()),
        ("enableProxyProtocol: false", None),
        ("proxyProtocol: {}", ProxyProtocol()),
        ("proxyProtocol: {optional: true}", ProxyProtocol(optional=True)),
        ("proxyProtocol: {optional: false}\nenableProxyProtocol: false", ProxyProtocol()),
    ],
)
def test_proxy_protocol(spec: str, proxy_protocol: ProxyProtocol | None) -> None:
    assert listener(BASE + "---\n" + policy(spec)).proxy_protocol == proxy_protocol


def test_matches_in_the_order_they_are_tried() -> None:
    rules = (
        f"  - matches: [{{path: {{value: /}}}}, {{path: {{value: /long/er/}}}}]\n    {BACKEND}\n"
        f"  - matches: [{{path: {{type: Exact, value: /x}}}}, {{path: {{value: /long}}}}]\n    {BACKEND}\n"
    )
    text = BASE.replace(f"  - {BACKEND}\n", rules)
    routes = hosts(text)["*"]
    assert [route.match for route in routes] == [
        PathMatch(PathMatchType.EXACT, "/x"),
        PathMatch(PathMatchType.PREFIX, "/long/er"),
        PathMatch(PathMatchType.PREFIX, "/long"),
        PathMatch(PathMatchType.PREFIX, "/"),
    ]
    assert routes[0].name == "httproute/default/backend/rule/1/match/0/*"


@pytest.mark.parametrize(
    ("listener_host", "route_hosts", "result"),
    [
        ("", "", {"*"}),
        ("", "[a.example, b.example]", {"a.example", "b.example"}),
        ("a.example", "", {"a.example"}),
        ("a.example", "[a.example, b.example]", {"a.example"}),
        ("'*.example'", "[a.example, x.y.example, other]", {"a.example", "x.y.example"}),
        ("a.b.example", "['*.example']", {"a.b.example"}),
        ("'*.example'", "['*.b.example']", {"*.b.example"}),
    ],
)
def test_hostnames(listener_host: str, route_hosts: str, result: set[str]) -> None:
    text = BASE
    if listener_host:
        text = text.replace("port: 80}", f"port: 80, hostname: {listener_host}}}")
    if route_hosts:
        text = text.replace("parentRefs: [{name: eg}]", f"parentRefs: [{{name: eg}}]\n  hostnames: {route_hosts}")
    assert set(hosts(text)) == result


def test_listeners_of_one_port_are_one_and_keep_their_hosts_apart() -> None:
    text = BASE.replace("port: 80}", "port: 80}\n  - {name: b, protocol: HTTP, port: 80, hostname: b.example}").replace(
        "parentRefs: [{name: eg}]", "parentRefs: [{name: eg}]\n  hostnames: [a.example, b.example]"
    )
    assert {host.name for host in listener(text).virtual_hosts} == {
        "default/eg/http/a_example",
        "default/eg/b/b_example",
    }


def test_a_domain_that_two_listeners_of_a_port_bring_is_there_once() -> None:
    text = BASE.replace(
        "port: 80}", "port: 80}\n  - {name: b, protocol: HTTP, port: 80, hostname: '*.example'}"
    ).replace("parentRefs: [{name: eg}]", "parentRefs: [{name: eg}]\n  hostnames: [a.example, '*.example']")
    one = listener(text)
    assert [(host.name, len(host.routes)) for host in one.virtual_hosts] == [
        ("default/eg/http/a_example", 1),
        ("default/eg/b/*_example", 1),
    ]


def test_routes_of_one_host_come_by_age_then_name() -> None:
    parts = BASE.split("---\n")
    routes = [
        parts[2].replace("{name: backend}\nspec", f"{{name: {name}}}\nspec")
        for name in ("b", "a", "old, creationTimestamp: '2020-01-01T00:00:00Z'")
    ]
    found = hosts("---\n".join([*parts[:2], *routes, parts[3]]))["*"]
    assert [route.name.split("/")[2] for route in found] == ["old", "a", "b"]


def test_a_route_that_names_another_port_is_not_on_this_one() -> None:
    text = BASE.replace("port: 80}", "port: 80}\n  - {name: b, protocol: HTTP, port: 81}").replace(
        "parentRefs: [{name: eg}]", "parentRefs: [{name: eg, port: 81}]"
    )
    assert [len(one.virtual_hosts) for one in loaded(text).settings.listeners] == [0, 1]


def test_backends_by_name() -> None:
    text = BASE.replace("{ip: {address: 127.0.0.1, port: 3000}}", "{fqdn: {hostname: app.example, port: 80}}")
    assert hosts(text)["*"][0].clusters[0][0].endpoints == (Endpoint("app.example", 80),)


def test_weights() -> None:
    refs = "{group: gateway.envoyproxy.io, kind: Backend, name: backend, weight: %d}"
    several = BASE.replace(BACKEND, f"backendRefs: [{refs % 1}, {refs % 0}, {refs % 3}]")
    clusters = hosts(several)["*"][0].clusters
    assert [(cluster.name[-9:], weight) for cluster, weight in clusters] == [("backend/0", 1), ("backend/2", 3)]


@pytest.mark.parametrize("refs", ["backendRefs: []", BACKEND.replace("backend}", "backend, weight: 0}")])
def test_nothing_to_send_a_request_to_is_a_500(refs: str) -> None:
    route = hosts(BASE.replace(BACKEND, refs))["*"][0]
    assert (route.direct_response, route.clusters) == (500, ())


def test_routes_of_another_namespace_only_where_the_listener_lets_them() -> None:
    foreign = BASE.replace("metadata: {name: backend}", "metadata: {name: backend, namespace: other}").replace(
        "parentRefs: [{name: eg}]", "parentRefs: [{name: eg, namespace: default}]"
    )
    allowed = foreign.replace("port: 80}", "port: 80, allowedRoutes: {namespaces: {from: All}}}")
    assert hosts(allowed)["*"][0].name.startswith("httproute/other/backend")
