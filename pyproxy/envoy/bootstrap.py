"""Settings to a static Envoy bootstrap: what Envoy Gateway would program over xDS, in one file.

Envoy reads JSON as well as YAML, so that is what ``render`` writes. Only what Envoy Gateway sets is set, so that
Envoy's own defaults are Envoy's to have.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any

from pyproxy.settings import (
    Cluster,
    HttpOptions,
    Keepalive,
    Listener,
    PathMatch,
    PathMatchType,
    Route,
    Settings,
    Underscores,
    VirtualHost,
)

_TYPE = "type.googleapis.com/envoy.extensions."
_DEFAULTS = HttpOptions()

ACCESS_LOG_KEYS = {
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
"""Envoy Gateway's default access log, key and format."""


def render(settings: Settings, *, admin_port: int = 19000, access_log: str = "/dev/stdout") -> str:
    """``bootstrap`` as JSON text, ready for ``envoy -c``."""
    return json.dumps(bootstrap(settings, admin_port=admin_port, access_log=access_log), indent=2) + "\n"


def bootstrap(settings: Settings, *, admin_port: int = 19000, access_log: str = "/dev/stdout") -> dict[str, Any]:
    """The configuration of an Envoy that serves ``settings``."""
    clusters = {
        cluster.name: cluster
        for listener in settings.listeners
        for host in listener.virtual_hosts
        for route in host.routes
        for cluster, _ in route.clusters
    }
    return {
        "admin": {"access_log": [_file_log("/dev/null")], "address": _address("127.0.0.1", admin_port)},
        "node": {"id": "pyproxy", "cluster": settings.node_cluster},
        "layered_runtime": {
            "layers": [
                {
                    "name": "global_config",
                    "static_layer": {
                        "re2.max_program_size.error_level": 4294967295,
                        "re2.max_program_size.warn_level": 1000,
                    },
                }
            ]
        },
        "overload_manager": {
            "refresh_interval": "0.25s",
            "resource_monitors": [
                _typed(
                    "envoy.resource_monitors.global_downstream_max_connections",
                    "resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig",
                    max_active_downstream_connections=50000,
                )
            ],
        },
        "static_resources": {
            "listeners": [_listener(listener, access_log) for listener in settings.listeners],
            "clusters": [_cluster(cluster) for cluster in clusters.values()],
        },
    }


def _typed(extension: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": extension, "typed_config": {"@type": _TYPE + kind, **fields}}


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _file_log(path: str, **fields: Any) -> dict[str, Any]:
    return _typed("envoy.access_loggers.file", "access_loggers.file.v3.FileAccessLog", path=path, **fields)


def _listener(listener: Listener, access_log: str) -> dict[str, Any]:
    log = _file_log(access_log, log_format={"json_format": ACCESS_LOG_KEYS})
    rendered: dict[str, Any] = {
        "name": listener.name,
        "address": _address(listener.address, listener.port),
        "access_log": [{**log, "filter": {"response_flag_filter": {"flags": ["NR"]}}}],
        "per_connection_buffer_limit_bytes": listener.buffer_limit,
        "max_connections_to_accept_per_socket_event": 1,
        "default_filter_chain": {"name": listener.name, "filters": [_connection_manager(listener, log)]},
    }
    if listener.address == "::":
        rendered["address"]["socket_address"]["ipv4_compat"] = True
    if listener.keepalive is not None:
        rendered["socket_options"] = list(_socket_options(listener.keepalive))
    if listener.proxy_protocol is not None:
        optional = {"allow_requests_without_proxy_protocol": True} if listener.proxy_protocol.optional else {}
        kind = "filters.listener.proxy_protocol.v3.ProxyProtocol"
        rendered["listener_filters"] = [_typed("envoy.filters.listener.proxy_protocol", kind, **optional)]
    if listener.listener_filters_timeout != Listener.__dataclass_fields__["listener_filters_timeout"].default:
        rendered["listener_filters_timeout"] = _seconds(listener.listener_filters_timeout)
    return rendered


def _socket_options(keepalive: Keepalive) -> Iterable[dict[str, Any]]:
    options = (
        ("socket option to enable tcp keep alive", 1, 9, 1),
        ("socket option for keep alive probes", 6, 6, keepalive.probes),
        ("socket option for keep alive idle time", 6, 4, keepalive.idle),
        ("socket option for keep alive interval", 6, 5, keepalive.interval),
    )
    for description, level, name, value in options:
        if value is not None:
            yield {
                "description": description,
                "level": level,
                "name": name,
                "int_value": value,
                "state": "STATE_PREBIND",
            }


def _connection_manager(listener: Listener, log: dict[str, Any]) -> dict[str, Any]:
    http = listener.http
    underscores: dict[str, Any] = {}
    if http.headers_with_underscores is not Underscores.ALLOW:
        underscores["headers_with_underscores_action"] = http.headers_with_underscores.value
    if http.idle_timeout != _DEFAULTS.idle_timeout:
        underscores["idle_timeout"] = _seconds(http.idle_timeout)
    fields: dict[str, Any] = {
        "stat_prefix": listener.stat_prefix,
        "access_log": [log],
        "common_http_protocol_options": underscores,
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
        },
        "normalize_path": True,
        "merge_slashes": http.merge_slashes,
        "path_with_escaped_slashes_action": http.escaped_slashes.value,
        "server_header_transformation": "PASS_THROUGH" if http.server_name is None else "OVERWRITE",
        "use_remote_address": True,
        "http_filters": [
            _typed(
                "envoy.filters.http.router",
                "filters.http.router.v3.Router",
                suppress_envoy_headers=http.suppress_envoy_headers,
            )
        ],
        "route_config": {
            "name": listener.name,
            "ignore_port_in_host_matching": True,
            "virtual_hosts": [_virtual_host(host) for host in listener.virtual_hosts],
        },
    }
    if http.server_name is not None:
        fields["server_name"] = http.server_name.decode()
    if http.stream_idle_timeout != _DEFAULTS.stream_idle_timeout:
        fields["stream_idle_timeout"] = _seconds(http.stream_idle_timeout)
    if http.internal_networks:
        fields["internal_address_config"] = {
            "cidr_ranges": [
                {"address_prefix": str(network.network_address), "prefix_len": network.prefixlen}
                for network in http.internal_networks
            ]
        }
    return _typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        **fields,
    )


def _virtual_host(host: VirtualHost) -> dict[str, Any]:
    return {"name": host.name, "domains": list(host.domains), "routes": [_route(route) for route in host.routes]}


def _route(route: Route) -> dict[str, Any]:
    rendered: dict[str, Any] = {"name": route.name, "match": _match(route.match)}
    if route.direct_response is not None:
        return {**rendered, "direct_response": {"status": route.direct_response}}
    if len(route.clusters) == 1:
        action: dict[str, Any] = {"cluster": route.clusters[0][0].name}
    else:
        weighted = [{"name": cluster.name, "weight": weight} for cluster, weight in route.clusters]
        action = {"weighted_clusters": {"clusters": weighted}}
    if route.timeout != Route.__dataclass_fields__["timeout"].default:
        action["timeout"] = _seconds(route.timeout)
    return {**rendered, "route": {**action, "upgrade_configs": [{"upgrade_type": "websocket"}]}}


def _match(match: PathMatch) -> dict[str, Any]:
    if match.type is PathMatchType.EXACT:
        return {"path": match.value}
    return {"prefix": "/"} if match.value == "/" else {"path_separated_prefix": match.value}


def _cluster(cluster: Cluster) -> dict[str, Any]:
    by_address = all(_is_ip(endpoint.host) for endpoint in cluster.endpoints)
    return {
        "name": cluster.name,
        "type": "STATIC" if by_address else "STRICT_DNS",
        "connect_timeout": _seconds(cluster.connect_timeout),
        "dns_lookup_family": "V4_PREFERRED",
        "per_connection_buffer_limit_bytes": 32768,
        "ignore_health_on_host_removal": True,
        "common_lb_config": {},
        "circuit_breakers": {"thresholds": [{"max_retries": 1024}]},
        "load_balancing_policy": {
            "policies": [
                {
                    "typed_extension_config": _typed(
                        "envoy.load_balancing_policies.least_request",
                        "load_balancing_policies.least_request.v3.LeastRequest",
                        locality_lb_config={"locality_weighted_lb_config": {}},
                    )
                }
            ]
        },
        "load_assignment": {
            "cluster_name": cluster.name,
            "endpoints": [
                {
                    "locality": {"region": f"{cluster.name}/backend/0"},
                    "load_balancing_weight": 1,
                    "lb_endpoints": [
                        {"load_balancing_weight": 1, "endpoint": {"address": _address(endpoint.host, endpoint.port)}}
                        for endpoint in cluster.endpoints
                    ],
                }
            ],
        },
    }


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _seconds(seconds: float) -> str:
    """A protobuf Duration in JSON."""
    return f"{seconds:.3f}".rstrip("0").rstrip(".") + "s"
