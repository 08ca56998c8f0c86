"""Clusters and their hosts as the admin's ``/clusters`` shows them. Source: Envoy 1.40, measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pyproxy.observe.stats import Collected
from pyproxy.settings import Cluster, Endpoint, Settings
from pyproxy.wire.address import format_address, parse_ip

Json = Any


def clusters_of(settings: Settings) -> list[Cluster]:
    """Every cluster that a route leads to, by name."""
    clusters = {cluster.name: cluster for listener in settings.listeners for cluster in listener.clusters}
    return [clusters[name] for name in sorted(clusters)]


def socket_address(host: str, port: int) -> Json:
    """An ``Address``."""
    return {"socket_address": {"address": host, "port_value": port}}


_HOST_COUNTERS = ("cx_connect_fail", "cx_total", "rq_error", "rq_success", "rq_timeout", "rq_total")
_HOST_GAUGES = ("cx_active", "rq_active", "rq_pending_active")


def as_text(cluster: Cluster, hosts: Mapping[str, Collected]) -> str:
    """The lines of one cluster. ``hosts``: their numbers by address, of those that there are any of."""
    lines = [f"observability_name::{cluster.name}"]
    for priority, limits in _limits(cluster).items():
        lines += [f"{priority}_priority::{what}::{limit}" for what, limit in limits.items()]
    lines.append("added_via_api::false")
    for address, numbers in _with_idle(cluster, hosts).items():
        lines += [f"{address}::{name}::{numbers.get(name, 0)}" for name in sorted((*_HOST_COUNTERS, *_HOST_GAUGES))]
        lines += [
            f"{address}::{fact}"
            for fact in (
                f"hostname::{_name_of(cluster, address)}",
                "health_flags::healthy",
                "weight::1",
                f"region::{_region(cluster, address)}",
                "zone::",
                "sub_zone::",
                "canary::false",
                "priority::0",
                "success_rate::-1",
                "local_origin_success_rate::-1",
            )
        ]
    return "".join(f"{cluster.name}::{line}\n" for line in lines)


def as_json(cluster: Cluster, hosts: Mapping[str, Collected]) -> Json:
    """The same as a ``ClusterStatus``."""

    def stat(name: str, value: int, **kind: str) -> Json:
        # As protobuf prints it: what is zero is left out, and 64 bit numbers are strings.
        return {**kind, "name": name, **({"value": str(value)} if value else {})}

    statuses = []
    for address, numbers in _with_idle(cluster, hosts).items():
        host, _, port = address.rpartition(":")
        counters = [stat(name, numbers.get(name, 0)) for name in _HOST_COUNTERS]
        gauges = [stat(name, numbers.get(name, 0), type="GAUGE") for name in _HOST_GAUGES]
        name = _name_of(cluster, address)
        statuses.append(
            {
                "address": socket_address(host.strip("[]"), int(port)),
                "stats": counters + gauges,
                "health_status": {"eds_health_status": "HEALTHY"},
                "weight": 1,
                **({"hostname": name} if name else {}),
                "locality": {"region": _region(cluster, address)},
            }
        )
    limits = _limits(cluster)
    thresholds = [limits["default"], {"priority": "HIGH", **limits["high"]}]
    return {
        "name": cluster.name,
        "host_statuses": statuses,
        "circuit_breakers": {"thresholds": thresholds},
        "observability_name": cluster.name,
    }


def _with_idle(cluster: Cluster, hosts: Mapping[str, Collected]) -> dict[str, Collected]:
    """Also the endpoints that nothing has been sent to yet; a name's are known when it has been looked up."""
    addresses = [one for one in cluster.endpoints if parse_ip(one.host.encode()) is not None]
    return {format_address(one.host, one.port): {} for one in addresses} | dict(hosts)


def _limits(cluster: Cluster) -> dict[str, dict[str, int]]:
    """The circuit breakers by priority: those of the cluster, and Envoy's for a priority that no route has."""
    default = (cluster.max_connections, cluster.max_pending_requests, 1024, 1024)
    names = ("max_connections", "max_pending_requests", "max_requests", "max_retries")
    return {
        "default": dict(zip(names, default, strict=True)),
        "high": dict(zip(names, (1024, 1024, 1024, 3), strict=True)),
    }


def _endpoint(cluster: Cluster, address: str) -> Endpoint | None:
    """The endpoint that has an address; ``None`` for one of a name's."""
    return next((one for one in cluster.endpoints if format_address(one.host, one.port) == address), None)


def _name_of(cluster: Cluster, address: str) -> str:
    """The name that stands for an address, where it can only be this one."""
    names = {one.host for one in cluster.endpoints if parse_ip(one.host.encode()) is None}
    return names.pop() if len(names) == 1 and _endpoint(cluster, address) is None else ""


def _region(cluster: Cluster, address: str) -> str:
    endpoint = _endpoint(cluster, address)
    locality = cluster.localities[endpoint.locality if endpoint is not None else 0]
    return f"{cluster.name.removesuffix(f'/{cluster.localities[0].region}')}/{locality.region}"
