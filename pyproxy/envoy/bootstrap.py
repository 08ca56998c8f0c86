"""Settings to a static Envoy bootstrap: what Envoy Gateway would program over xDS, in one file.

Envoy reads JSON as well as YAML, so that is what ``render`` writes. Only what Envoy Gateway sets is set, so that
Envoy's own defaults are Envoy's to have.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any

from pyproxy.envoy.http_manager import header_value, late_mutations, manager, string_match, upstream_protocol
from pyproxy.envoy.http_manager import typed as _typed
from pyproxy.settings import (
    GATEWAY_ACCESS_LOG,
    Cluster,
    HeaderAction,
    HeaderMutation,
    HttpOptions,
    Keepalive,
    Listener,
    PathMatchType,
    Redirect,
    RegexRewrite,
    Route,
    Settings,
    Underscores,
    VirtualHost,
)

_DEFAULTS = HttpOptions()


def render(settings: Settings, **options: Any) -> str:
    """``bootstrap`` as JSON text, ready for ``envoy -c``."""
    return json.dumps(bootstrap(settings, **options), indent=2) + "\n"


def bootstrap(
    settings: Settings,
    *,
    admin_address: str = "127.0.0.1",
    admin_port: int = 19000,
    access_log: str = "/dev/stdout",
    log_format: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The configuration of an Envoy that serves ``settings``.

    ``log_format``: a ``SubstitutionFormatString``, empty for Envoy's own; Envoy Gateway's if there is none.
    """
    if log_format is None:
        log_format = {"json_format": GATEWAY_ACCESS_LOG}
    log = _file_log(access_log, log_format=log_format) if log_format else _file_log(access_log)
    clusters = {
        cluster.name: _cluster(cluster, listener.http)
        for listener in settings.listeners
        for cluster in listener.clusters
    }
    return {
        "admin": {"access_log": [_file_log("/dev/null")], "address": _address(admin_address, admin_port)},
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
                    max_active_downstream_connections=settings.max_active_downstream_connections,
                )
            ],
        },
        "static_resources": {
            "listeners": [_listener(listener, log) for listener in settings.listeners],
            "clusters": list(clusters.values()),
        },
    }


def _address(host: str, port: int) -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}


def _file_log(path: str, **fields: Any) -> dict[str, Any]:
    return _typed("envoy.access_loggers.file", "access_loggers.file.v3.FileAccessLog", path=path, **fields)


def _listener(listener: Listener, log: dict[str, Any]) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "name": listener.name,
        "address": _address(listener.address, listener.port),
        "access_log": [{**log, "filter": {"response_flag_filter": {"flags": ["NR"]}}}],
        "per_connection_buffer_limit_bytes": listener.buffer_limit,
        "default_filter_chain": {
            "name": listener.name,
            "filters": [*_connection_limit(listener), _connection_manager(listener, log)],
        },
    }
    if listener.max_connections_to_accept_per_socket_event is not None:
        rendered["max_connections_to_accept_per_socket_event"] = listener.max_connections_to_accept_per_socket_event
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


def _connection_limit(listener: Listener) -> Iterable[dict[str, Any]]:
    limit = listener.connection_limit
    if limit is not None:
        delay = {"delay": _seconds(limit.delay)} if limit.delay else {}
        yield _typed(
            "envoy.filters.network.connection_limit",
            "filters.network.connection_limit.v3.ConnectionLimit",
            stat_prefix=listener.stat_prefix,
            max_connections=limit.max_connections,
            **delay,
        )


def _connection_manager(listener: Listener, log: dict[str, Any]) -> dict[str, Any]:
    http = listener.http
    common: dict[str, Any] = {}
    if http.headers_with_underscores is not Underscores.ALLOW:
        common["headers_with_underscores_action"] = http.headers_with_underscores.value
    if http.idle_timeout != _DEFAULTS.idle_timeout:
        common["idle_timeout"] = _seconds(http.idle_timeout)
    if http.max_connection_duration is not None:
        common["max_connection_duration"] = _seconds(http.max_connection_duration)
    if http.max_requests_per_connection:
        common["max_requests_per_connection"] = http.max_requests_per_connection
    if http.max_stream_duration:
        common["max_stream_duration"] = _seconds(http.max_stream_duration)
    fields: dict[str, Any] = {
        "stat_prefix": listener.stat_prefix,
        "access_log": [log],
        "common_http_protocol_options": common,
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65536,
            "initial_connection_window_size": 1048576,
        },
        "normalize_path": True,
        "merge_slashes": http.merge_slashes,
        "path_with_escaped_slashes_action": http.escaped_slashes.value,
        "server_header_transformation": "PASS_THROUGH" if http.server_name is None else "OVERWRITE",
        **manager(http),
        "http_filters": [
            *_health_check(http),
            *late_mutations(http),
            _typed(
                "envoy.filters.http.router",
                "filters.http.router.v3.Router",
                suppress_envoy_headers=http.suppress_envoy_headers,
            ),
        ],
        "route_config": {
            "name": listener.name,
            "ignore_port_in_host_matching": True,
            "virtual_hosts": [_virtual_host(host) for host in listener.virtual_hosts],
            # Envoy Gateway's come by RDS, where a cluster that is not there is the request's business.
            "validate_clusters": False,
        },
    }
    if http.server_name is not None:
        fields["server_name"] = http.server_name.decode()
    for name in ("request_timeout", "request_headers_timeout", "stream_idle_timeout"):
        if (duration := getattr(http, name)) != getattr(_DEFAULTS, name):
            fields[name] = _seconds(duration)
    if http.safe_max_connection_duration:
        fields["http1_safe_max_connection_duration"] = True
    return _typed(
        "envoy.filters.network.http_connection_manager",
        "filters.network.http_connection_manager.v3.HttpConnectionManager",
        **fields,
    )


def _health_check(http: HttpOptions) -> Iterable[dict[str, Any]]:
    if http.health_check_path is not None:
        yield _typed(
            "envoy.filters.http.health_check",
            "filters.http.health_check.v3.HealthCheck",
            pass_through_mode=False,
            headers=[{"name": ":path", "string_match": {"exact": http.health_check_path.decode()}}],
        )


def _virtual_host(host: VirtualHost) -> dict[str, Any]:
    return {"name": host.name, "domains": list(host.domains), "routes": [_route(route) for route in host.routes]}


def _route(route: Route) -> dict[str, Any]:
    rendered: dict[str, Any] = {"name": route.name, "match": _match(route)}
    if route.direct_response is not None:
        rendered["direct_response"] = {"status": route.direct_response}
    elif route.redirect is not None:
        rendered["redirect"] = _redirect(route.redirect)
    else:
        rendered["route"] = _route_action(route)
    return rendered | _header_mutations(route.request_headers, route.response_headers)


def _match(route: Route) -> dict[str, Any]:
    match = route.match
    rendered: dict[str, Any]
    if match.type is PathMatchType.EXACT:
        rendered = {"path": match.value}
    elif match.type is PathMatchType.REGEX:
        rendered = {"safe_regex": {"regex": match.value}}
    else:
        rendered = {"prefix": "/"} if match.value == "/" else {"path_separated_prefix": match.value}
    for field, conditions in (("headers", route.headers), ("query_parameters", route.query_parameters)):
        if conditions:
            rendered[field] = [
                {"name": condition.name.decode(), "string_match": string_match(condition.value)}
                for condition in conditions
            ]
    return rendered


def _redirect(redirect: Redirect) -> dict[str, Any]:
    rendered: dict[str, Any] = {
        "scheme_redirect": redirect.scheme,
        "host_redirect": redirect.host,
        "port_redirect": redirect.port,
        "path_redirect": redirect.path,
        "prefix_rewrite": redirect.prefix_rewrite,
        "regex_rewrite": _regex_rewrite(redirect.regex_rewrite),
        "response_code": _REDIRECT_CODES[redirect.status],
    }
    return {field: value for field, value in rendered.items() if value is not None}


_REDIRECT_CODES = {
    301: None,  # Envoy's default
    302: "FOUND",
    303: "SEE_OTHER",
    307: "TEMPORARY_REDIRECT",
    308: "PERMANENT_REDIRECT",
}


def _route_action(route: Route) -> dict[str, Any]:
    action: dict[str, Any]
    (first, _), *others = route.clusters
    if others or first.request_headers or first.response_headers:
        action = {
            "weighted_clusters": {
                "clusters": [
                    {
                        "name": cluster.name,
                        "weight": weight,
                        **_header_mutations(cluster.request_headers, cluster.response_headers),
                    }
                    for cluster, weight in route.clusters
                ]
            },
            "cluster_not_found_response_code": "INTERNAL_SERVER_ERROR",
        }
    else:
        action = {"cluster": first.name}
    optional: dict[str, Any] = {
        "prefix_rewrite": route.prefix_rewrite,
        "regex_rewrite": _regex_rewrite(route.regex_rewrite),
        "host_rewrite_literal": route.host_rewrite,
        "append_x_forwarded_host": True if route.host_rewrite is not None else None,
        "timeout": None if route.timeout == _ROUTE_TIMEOUT else _seconds(route.timeout),
        "idle_timeout": None if route.idle_timeout is None else _seconds(route.idle_timeout),
    }
    action |= {field: value for field, value in optional.items() if value is not None}
    return {**action, "upgrade_configs": [{"upgrade_type": "websocket"}]}


_ROUTE_TIMEOUT = Route.__dataclass_fields__["timeout"].default


def _regex_rewrite(rewrite: RegexRewrite | None) -> dict[str, Any] | None:
    if rewrite is None:
        return None
    return {"pattern": {"regex": rewrite.pattern}, "substitution": rewrite.substitution}


def _header_mutations(request: Iterable[HeaderMutation], response: Iterable[HeaderMutation]) -> dict[str, Any]:
    """``request_headers_to_add`` and its three siblings, of a route or of one of its weighted clusters."""
    rendered: dict[str, Any] = {}
    for side, mutations in (("request", request), ("response", response)):
        # Envoy Gateway writes what it adds before what it sets; Envoy does the other thing first.
        for mutation in sorted(mutations, key=lambda one: one.action is HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD):
            if mutation.action is HeaderAction.REMOVE:
                rendered.setdefault(f"{side}_headers_to_remove", []).append(mutation.name.decode())
            else:
                rendered.setdefault(f"{side}_headers_to_add", []).append(
                    {"header": header_value(mutation), "append_action": mutation.action.value}
                )
    return rendered


def _cluster(cluster: Cluster, http: HttpOptions) -> dict[str, Any]:
    by_address = all(_is_ip(endpoint.host) for endpoint in cluster.endpoints)
    protocol = upstream_protocol(http)
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    options = {"@type": f"type.googleapis.com/{kind}", "explicit_http_config": {"http_protocol_options": protocol}}
    rule = cluster.name.removesuffix(f"/{cluster.localities[0].region}")
    return {
        **({"typed_extension_protocol_options": {kind: options}} if protocol else {}),
        "name": cluster.name,
        **({"type": "STATIC"} if by_address else _DNS),
        "connect_timeout": _seconds(cluster.connect_timeout),
        "dns_lookup_family": "V4_PREFERRED",
        "per_connection_buffer_limit_bytes": cluster.buffer_limit,
        "ignore_health_on_host_removal": True,
        "common_lb_config": {},
        "circuit_breakers": {"thresholds": [_thresholds(cluster)]},
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
                    "locality": {"region": f"{rule}/{locality.region}"},
                    "load_balancing_weight": locality.weight,
                    "lb_endpoints": [
                        {"load_balancing_weight": 1, "endpoint": {"address": _address(endpoint.host, endpoint.port)}}
                        for endpoint in cluster.endpoints
                        if endpoint.locality == index
                    ],
                }
                for index, locality in enumerate(cluster.localities)
            ],
        },
    }


def _thresholds(cluster: Cluster) -> dict[str, int]:
    """Envoy Gateway writes the retries only; the others are Envoy's defaults."""
    written = {"max_retries": 1024}
    for name in ("max_connections", "max_pending_requests"):
        if (number := getattr(cluster, name)) != Cluster.__dataclass_fields__[name].default:
            written[name] = number
    return written


_DNS = {
    "cluster_type": _typed(
        "envoy.cluster.dns",
        "clusters.dns.v3.DnsCluster",
        dns_refresh_rate="30s",
        respect_dns_ttl=True,
        dns_lookup_family="V4_PREFERRED",
    )
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
