"""Valid resources to settings: listeners and what their policies make of them, defaults filled in.

One function per concern. Nothing here can fail: ``policy.load`` has reported everything that could.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pyproxy.policy.attach import Attachment
from pyproxy.policy.client_traffic_policy import (
    ClientTrafficPolicy,
    ClientTrafficPolicySpec,
    Connection,
    HTTPTimeout,
    TCPKeepalive,
    TCPTimeout,
    Timeout,
)
from pyproxy.policy.client_traffic_policy import ConnectionLimit as PolicyConnectionLimit
from pyproxy.policy.http_route import HTTPRoute
from pyproxy.policy.model import Gateway, GatewayListener
from pyproxy.policy.release import Release
from pyproxy.policy.scalars import parse_duration, parse_quantity
from pyproxy.policy.translate_http import http_options
from pyproxy.policy.translate_routes import Backends, listener_name, route_hostnames, virtual_hosts
from pyproxy.settings import ConnectionLimit, HttpOptions, Keepalive, Listener, ProxyProtocol, Settings, VirtualHost

PRIVILEGED_PORT_OFFSET = 10_000
"""Envoy Gateway binds ports under 1024 this much higher, so that Envoy needs no privileges."""


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
    ordered = sorted(routes, key=lambda route: route.metadata.by_age)
    hostnames = route_hostnames(gateways, routes)
    for gateway in gateways:
        by_port: dict[int, list[GatewayListener]] = {}
        for listener in gateway.spec.listeners:
            by_port.setdefault(listener.port, []).append(listener)
        for port, same_port in by_port.items():
            # Listeners that share a port share one Envoy listener; what the first one's policy says holds for it.
            first = same_port[0]
            key = (*gateway.metadata.key, first.name)
            applied = attachment.applied.get(key)
            policy = applied.policy if applied is not None else None
            has_idle_timeout = _http_timeout(policy).stream_idle_timeout is not None
            hosts = virtual_hosts(gateway, same_port, ordered, backends, with_idle_timeout=not has_idle_timeout)
            listeners.append(
                Listener(
                    name=listener_name(gateway, first),
                    address=address,
                    port=bound_port(port),
                    gateway_port=port,
                    virtual_hosts=tuple(_refusing(host, attachment) for host in hosts),
                    keepalive=_keepalive(policy.spec.tcp_keepalive if policy else None),
                    proxy_protocol=_proxy_protocol(policy),
                    listener_filters_timeout=_inspection_timeout(policy),
                    buffer_limit=_buffer_limit(policy),
                    connection_limit=_connection_limit(policy),
                    max_connections_to_accept_per_socket_event=_accepts_per_event(policy),
                    http=_durations(
                        http_options(policy.spec if policy else None, release, first.hostname, hostnames[key]), policy
                    ),
                )
            )
    node_cluster = "/".join(gateways[0].metadata.key) if gateways else "default/pyproxy"
    return Settings(tuple(listeners), node_cluster)


def _refusing(host: VirtualHost, attachment: Attachment) -> VirtualHost:
    """``host``, with a 500 for every route if its listener's policy is one that Envoy Gateway's translator refuses."""
    namespace, gateway, listener, _ = host.name.split("/", 3)
    applied = attachment.applied.get((namespace, gateway, listener))
    if applied is None or not applied.is_invalid:
        return host
    refusing = [replace(route, clusters=(), redirect=None, direct_response=500) for route in host.routes]
    return replace(host, routes=tuple(refusing))


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


def _inspection_timeout(policy: ClientTrafficPolicy | None) -> float:
    tcp = (_spec(policy).timeout or Timeout()).tcp or TCPTimeout()
    return _duration_or(tcp.connection_inspection_timeout, 15.0)


def _connection(policy: ClientTrafficPolicy | None) -> Connection:
    return _spec(policy).connection or Connection()


def _buffer_limit(policy: ClientTrafficPolicy | None) -> int:
    limit = _connection(policy).buffer_limit
    return 32_768 if limit is None else parse_quantity(limit)


def _connection_limit(policy: ClientTrafficPolicy | None) -> ConnectionLimit | None:
    limit = _connection(policy).connection_limit
    if limit is None or limit.value is None:
        return None
    return ConnectionLimit(limit.value, _duration_or(limit.close_delay, 0.0))


def _accepts_per_event(policy: ClientTrafficPolicy | None) -> int | None:
    number = _connection(policy).max_accept_per_socket_event
    return 1 if number is None else number or None


def _http_timeout(policy: ClientTrafficPolicy | None) -> HTTPTimeout:
    return (_spec(policy).timeout or Timeout()).http or HTTPTimeout()


def _durations(options: HttpOptions, policy: ClientTrafficPolicy | None) -> HttpOptions:
    """``options`` with the policy's limits in time and number; 0 is Envoy's 0."""
    spec = _spec(policy)
    times = _http_timeout(policy)
    limit = _connection(policy).connection_limit or PolicyConnectionLimit()
    return replace(
        options,
        request_timeout=_duration_or(times.request_received_timeout, 0.0),
        request_headers_timeout=_duration_or(times.request_headers_received_timeout, 0.0),
        idle_timeout=_duration_or(times.idle_timeout, options.idle_timeout),
        stream_idle_timeout=_duration_or(times.stream_idle_timeout, options.stream_idle_timeout),
        max_connection_duration=_optional_duration(limit.max_connection_duration),
        safe_max_connection_duration=limit.max_connection_duration is not None
        and not (spec.http1 is not None and spec.http1.disable_safe_max_connection_duration),
        max_requests_per_connection=limit.max_requests_per_connection or 0,
        max_stream_duration=_duration_or(limit.max_stream_duration, 0.0),
        health_check_path=None if spec.health_check is None else spec.health_check.path.encode(),
    )


def _spec(policy: ClientTrafficPolicy | None) -> ClientTrafficPolicySpec:
    return policy.spec if policy is not None else _NO_POLICY


_NO_POLICY = ClientTrafficPolicySpec.model_construct()


def _duration_or(duration: str | None, default: float) -> float:
    return default if duration is None else parse_duration(duration) / 1000


def _optional_duration(duration: str | None) -> float | None:
    return None if duration is None else parse_duration(duration) / 1000
