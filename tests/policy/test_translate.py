"""Names, ports, hosts and defaults as Envoy Gateway has them."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from pyproxy.policy import validate
from pyproxy.policy.release import Release
from pyproxy.settings import (
    ConnectionLimit,
    Endpoint,
    HttpOptions,
    Keepalive,
    Listener,
    ProxyProtocol,
    Route,
)
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
    assert route.name == "httproute/default/backend/rule/0/match/0/*"
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
        assert ip_network("172.16.0.0/12") in http.client_address.internal_networks


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


def test_a_policy_that_the_translator_refuses_answers_500_and_applies_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "find_refused", lambda spec: iter(()))
    text = BASE.replace("port: 80}", "port: 80}\n  - {name: other, protocol: HTTP, port: 81}")
    spec = "connection: {bufferLimit: 4Gi}\ntcpKeepalive: {}\nproxyProtocol: {}\nheaders: {enableEnvoyHeaders: true}"
    result = loaded(text + "---\n" + policy(spec, target="name: eg, sectionName: http"))
    broken, sound = result.settings.listeners
    assert [(route.direct_response, route.clusters) for route in broken.virtual_hosts[0].routes] == [(500, ())]
    assert (broken.keepalive, broken.proxy_protocol, broken.buffer_limit) == (None, None, 32_768)
    assert not broken.http.suppress_envoy_headers
    assert result.policies_of(broken) == ["default/p (invalid: every route answers 500)"]
    assert [route.direct_response for route in sound.virtual_hosts[0].routes] == [None]
    assert [problem.is_warning for problem in result.problems] == [False]


def test_a_policy_for_one_of_two_listeners_of_a_port_is_not_applied_at_all() -> None:
    text = BASE.replace("port: 80}", "port: 80}\n  - {name: b, protocol: HTTP, port: 80, hostname: b.example}")
    one = listener(text + "---\n" + policy("proxyProtocol: {}", target="name: eg, sectionName: http"))
    assert one.proxy_protocol is None
    assert all(route.direct_response is None for host in one.virtual_hosts for route in host.routes)


def test_a_policy_that_is_refused_for_one_listener_of_a_port_answers_500_there_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(validate, "find_refused", lambda spec: iter(()))
    text = BASE.replace("port: 80}", "port: 80}\n  - {name: b, protocol: HTTP, port: 80, hostname: b.example}")
    policies = [
        policy("tcpKeepalive: {}", name="of-b", target="name: eg, sectionName: b"),
        policy("connection: {bufferLimit: -1}", name="of-all"),
    ]
    one = listener("---\n".join([text, *policies]))
    assert {host.domains[0]: [route.direct_response for route in host.routes] for host in one.virtual_hosts} == {
        "*": [500],
        "b.example": [None],
    }


@pytest.mark.enforces("spec.timeout.tcp.connectionInspectionTimeout")
@pytest.mark.enforces("spec.timeout.http.requestReceivedTimeout")
@pytest.mark.enforces("spec.timeout.http.requestHeadersReceivedTimeout")
@pytest.mark.enforces("spec.timeout.http.idleTimeout")
@pytest.mark.enforces("spec.timeout.http.streamIdleTimeout")
def test_timeouts() -> None:
    spec = (
        "timeout:\n  tcp: {connectionInspectionTimeout: 1500ms}\n"
        "  http: {requestReceivedTimeout: 2s, requestHeadersReceivedTimeout: 1s, idleTimeout: 1m,\n"
        "    streamIdleTimeout: 0s}"
    )
    one = listener(BASE + "---\n" + policy(spec))
    assert one.listener_filters_timeout == 1.5
    assert one.http == HttpOptions(request_timeout=2, request_headers_timeout=1, idle_timeout=60, stream_idle_timeout=0)
    assert listener(BASE + "---\n" + policy("timeout: {tcp: {}, http: {}}")) == listener(BASE)


@pytest.mark.enforces("spec.connection.connectionLimit.value")
@pytest.mark.enforces("spec.connection.connectionLimit.closeDelay")
@pytest.mark.enforces("spec.connection.bufferLimit")
@pytest.mark.enforces("spec.connection.maxAcceptPerSocketEvent")
@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        ("connection: {}", {}),
        ("connection: {connectionLimit: {value: 5}}", {"connection_limit": ConnectionLimit(5)}),
        (
            "connection: {connectionLimit: {value: 5, closeDelay: 10s}}",
            {"connection_limit": ConnectionLimit(5, delay=10)},
        ),
        ("connection: {bufferLimit: 4Ki}", {"buffer_limit": 4096}),
        ("connection: {maxAcceptPerSocketEvent: 7}", {"max_connections_to_accept_per_socket_event": 7}),
        ("connection: {maxAcceptPerSocketEvent: 0}", {"max_connections_to_accept_per_socket_event": None}),
    ],
)
def test_connection(spec: str, expected: dict[str, Any]) -> None:
    assert listener(BASE + "---\n" + policy(spec)) == replace(listener(BASE), **expected)


@pytest.mark.enforces("spec.connection.connectionLimit.maxConnectionDuration")
@pytest.mark.enforces("spec.connection.connectionLimit.maxRequestsPerConnection")
@pytest.mark.enforces("spec.connection.connectionLimit.maxStreamDuration")
@pytest.mark.enforces("spec.http1.disableSafeMaxConnectionDuration")
@pytest.mark.enforces("spec.healthCheck.path")
@pytest.mark.parametrize(
    ("spec", "http"),
    [
        (
            "connection: {connectionLimit: {maxConnectionDuration: 1h}}",
            HttpOptions(max_connection_duration=3600, safe_max_connection_duration=True),
        ),
        (
            """\
connection: {connectionLimit: {maxConnectionDuration: 0s}}
http1: {disableSafeMaxConnectionDuration: true}""",
            HttpOptions(max_connection_duration=0),
        ),
        ("http1: {disableSafeMaxConnectionDuration: true}", HttpOptions()),
        (
            "connection: {connectionLimit: {maxRequestsPerConnection: 3, maxStreamDuration: 5m}}",
            HttpOptions(max_requests_per_connection=3, max_stream_duration=300),
        ),
        ("healthCheck: {path: '/ready?x=1'}", HttpOptions(health_check_path=b"/ready?x=1")),
    ],
)
def test_limits_of_http(spec: str, http: HttpOptions) -> None:
    assert listener(BASE + "---\n" + policy(spec)).http == http
