"""Settings as an Envoy configuration: Envoy takes it, and it is what Envoy Gateway writes."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from pyproxy.envoy.bootstrap import bootstrap, render
from pyproxy.envoy.process import find_envoy
from pyproxy.settings import (
    ClientAddressOptions,
    Cluster,
    ConnectionLimit,
    Endpoint,
    HttpOptions,
    Keepalive,
    Listener,
    PathMatch,
    PathMatchType,
    ProxyProtocol,
    Route,
    Settings,
    Underscores,
    VirtualHost,
)

CLUSTER = Cluster("httproute/default/backend/rule/0", (Endpoint("127.0.0.1", 3000),))
ROUTE = Route("httproute/default/backend/rule/0/match/0/*", PathMatch(PathMatchType.PREFIX, "/"), ((CLUSTER, 1),))
BASE = Listener("default/eg/http", "127.0.0.1", 10080, 80, (VirtualHost("default/eg/http/*", ("*",), (ROUTE,)),))


def one(listener: Listener) -> dict[str, Any]:
    rendered: dict[str, Any] = bootstrap(Settings((listener,)))["static_resources"]["listeners"][0]
    return rendered


def manager(listener: Listener) -> dict[str, Any]:
    config: dict[str, Any] = one(listener)["default_filter_chain"]["filters"][0]["typed_config"]
    return config


VARIANTS = {
    "today": BASE,
    "guide": replace(
        BASE,
        proxy_protocol=ProxyProtocol(),
        http=HttpOptions(
            server_name=b"envoy",
            suppress_envoy_headers=False,
            client_address=ClientAddressOptions(internal_networks=(ip_network("10.0.0.0/8"),)),
        ),
    ),
    "optional": replace(BASE, proxy_protocol=ProxyProtocol(optional=True), listener_filters_timeout=4),
    "keepalive": replace(BASE, keepalive=Keepalive(3, 1200, 60)),
    "ipv6": replace(BASE, address="::"),
    "timeouts": replace(
        BASE, http=HttpOptions(idle_timeout=3, stream_idle_timeout=1.5, headers_with_underscores=Underscores.ALLOW)
    ),
    "limits": replace(
        BASE,
        buffer_limit=1024,
        connection_limit=ConnectionLimit(3, 1.5),
        max_connections_to_accept_per_socket_event=None,
        http=HttpOptions(
            request_timeout=2,
            request_headers_timeout=1,
            max_connection_duration=300,
            safe_max_connection_duration=True,
            max_requests_per_connection=100,
            max_stream_duration=200,
            health_check_path=b"/ready?x",
        ),
    ),
    "routes": replace(
        BASE,
        virtual_hosts=(
            VirtualHost(
                "v",
                ("*.example.com",),
                (
                    Route("exact", PathMatch(PathMatchType.EXACT, "/x"), ((CLUSTER, 1),), timeout=3, idle_timeout=3600),
                    Route(
                        "weighted",
                        PathMatch(PathMatchType.PREFIX, "/api"),
                        ((CLUSTER, 1), (Cluster("dns", (Endpoint("localhost", 80),)), 3)),
                    ),
                    Route("none", PathMatch(PathMatchType.PREFIX, "/"), direct_response=500),
                ),
            ),
        ),
    ),
}


@pytest.mark.parametrize("name", VARIANTS)
def test_envoy_takes_it(name: str, tmp_path: Path) -> None:
    config = tmp_path / "bootstrap.json"
    config.write_text(render(Settings((VARIANTS[name],))))
    found = subprocess.run(
        [find_envoy(), "--mode", "validate", "-c", config], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr[-2000:]


def test_render_is_json() -> None:
    assert json.loads(render(Settings((BASE,)), admin_port=1))["admin"]["address"]["socket_address"]["port_value"] == 1


def test_socket_options_in_envoy_gateways_order() -> None:
    options = one(VARIANTS["keepalive"])["socket_options"]
    assert [(option["level"], option["name"], option["int_value"]) for option in options] == [
        (1, 9, 1),
        (6, 6, 3),
        (6, 4, 1200),
        (6, 5, 60),
    ]
    assert [option["name"] for option in one(replace(BASE, keepalive=Keepalive()))["socket_options"]] == [9]
    assert "socket_options" not in one(BASE)


def test_proxy_protocol_is_the_only_listener_filter() -> None:
    (required,) = one(VARIANTS["guide"])["listener_filters"]
    assert list(required["typed_config"]) == ["@type"]
    (optional,) = one(VARIANTS["optional"])["listener_filters"]
    assert optional["typed_config"]["allow_requests_without_proxy_protocol"] is True
    assert one(VARIANTS["optional"])["listener_filters_timeout"] == "4s"
    assert "listener_filters" not in one(BASE)


def test_what_differs_between_the_releases() -> None:
    today, guide = manager(BASE), manager(VARIANTS["guide"])
    assert today["server_header_transformation"] == "PASS_THROUGH"
    assert "internal_address_config" not in today
    assert guide["server_header_transformation"] == "OVERWRITE"
    assert guide["internal_address_config"] == {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}
    for config, suppressed in ((today, True), (guide, False)):
        assert config["http_filters"][0]["typed_config"]["suppress_envoy_headers"] is suppressed
        assert config["use_remote_address"] is True
        assert config["normalize_path"] is True


def test_limits_are_as_envoy_gateway_writes_them() -> None:
    config = one(VARIANTS["limits"])
    limit, _ = config["default_filter_chain"]["filters"]
    assert limit["name"] == "envoy.filters.network.connection_limit"
    fields = {name: value for name, value in limit["typed_config"].items() if name != "@type"}
    assert fields == {"stat_prefix": "http-10080", "max_connections": 3, "delay": "1.5s"}
    assert config["per_connection_buffer_limit_bytes"] == 1024
    assert "max_connections_to_accept_per_socket_event" not in config
    assert one(BASE)["max_connections_to_accept_per_socket_event"] == 1
    http = config["default_filter_chain"]["filters"][1]["typed_config"]
    assert http["common_http_protocol_options"] == {
        "headers_with_underscores_action": "REJECT_REQUEST",
        "max_connection_duration": "300s",
        "max_requests_per_connection": 100,
        "max_stream_duration": "200s",
    }
    assert http["http1_safe_max_connection_duration"] is True
    assert (http["request_timeout"], http["request_headers_timeout"]) == ("2s", "1s")
    health_check, router = http["http_filters"]
    assert health_check["name"] == "envoy.filters.http.health_check"
    assert health_check["typed_config"]["pass_through_mode"] is False
    assert health_check["typed_config"]["headers"] == [{"name": ":path", "string_match": {"exact": "/ready?x"}}]
    assert router["name"] == "envoy.filters.http.router"


def test_a_duration_of_nought_is_written_where_it_means_something() -> None:
    http = manager(replace(BASE, http=HttpOptions(max_connection_duration=0)))
    assert http["common_http_protocol_options"]["max_connection_duration"] == "0s"
    assert "http1_safe_max_connection_duration" not in http
    plain = manager(BASE)["common_http_protocol_options"]
    assert plain == {"headers_with_underscores_action": "REJECT_REQUEST"}


def test_routes() -> None:
    (host,) = manager(VARIANTS["routes"])["route_config"]["virtual_hosts"]
    exact, weighted, none = host["routes"]
    assert exact["match"] == {"path": "/x"}
    assert (exact["route"]["timeout"], exact["route"]["idle_timeout"]) == ("3s", "3600s")
    assert weighted["match"] == {"path_separated_prefix": "/api"}
    assert [cluster["weight"] for cluster in weighted["route"]["weighted_clusters"]["clusters"]] == [1, 3]
    assert none["direct_response"] == {"status": 500}
    static, dns = bootstrap(Settings((VARIANTS["routes"],)))["static_resources"]["clusters"]
    assert (static["name"], static["type"]) == ("httproute/default/backend/rule/0", "STATIC")
    assert (dns["name"], dns["cluster_type"]["name"]) == ("dns", "envoy.cluster.dns")
