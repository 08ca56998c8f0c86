"""What Envoy counts, under Envoy's names: plain integers on slotted objects.

The data path holds the objects and adds to their attributes; nothing is looked up, locked or allocated for it. Where
one number follows from another (``downstream_rq_2xx`` from the responses by class, ``upstream_rq_completed`` from
those by status, ``downstream_cx_destroy`` from the local and the remote ones) only one of them is kept, and
``collect`` works out the rest when somebody asks. A reset does not touch the numbers either: ``/reset_counters`` is a
snapshot that later ones are shown without, so that gauges, and other processes, need not know of it.

An attribute is named as Envoy names the stat. What Envoy has a counter for and pyproxy has no such thing as, HTTP/2 or
retries, is listed in ``never`` and shown as zero, so that a dashboard finds its series.

Source: Envoy, "Statistics" of the HTTP connection manager, listener, cluster manager and PROXY protocol pages; when
each counts was measured on 1.40, case by case (tests/conformance/test_stats.py).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, TypeAlias

from pyproxy.observe.histogram import Bins, Histogram

Counter: TypeAlias = int
"""Only rises; ``/reset_counters`` shows it as zero."""
Gauge: TypeAlias = int
"""Rises and falls."""

Collected = dict[str, int]

# Kinds by metadata, not by annotation: what is compiled knows both aliases as int.


def gauge(value: int = 0, kind: str = "gauge") -> Any:
    """A field that is a gauge, or another ``kind`` of number; those without a kind are counters."""
    return field(default=value, metadata={"kind": kind})


MAX_REQUESTS = 1024
"""Envoy's circuit breaker for the requests to a cluster; HTTP/1 comes to that of connections first."""


@dataclass(slots=True)
class Snapshot:
    """All stats of a process, or of several, at one time. Plain data: it can be sent to another process."""

    counters: Collected = field(default_factory=dict)
    gauges: Collected = field(default_factory=dict)
    histograms: dict[str, tuple[Bins, Bins]] = field(default_factory=dict)
    """Values of the last interval, and all of them."""
    hosts: dict[str, dict[str, Collected]] = field(default_factory=dict)
    """Of each cluster, the numbers of each endpoint (``/clusters``)."""

    def history(self) -> Snapshot:
        """What stays true of a process that has ended."""
        return Snapshot(self.counters, {}, {name: ({}, total) for name, (_, total) in self.histograms.items()})

    def add(self, other: Snapshot) -> None:
        """Count what ``other``, of another process, has counted."""
        _add(self.counters, other.counters)
        _add(self.gauges, other.gauges)
        for name, (interval, total) in other.histograms.items():
            old_interval, old_total = self.histograms.get(name, ({}, {}))
            self.histograms[name] = (_add_bins(old_interval, interval), _add_bins(old_total, total))
        for cluster, endpoints in other.hosts.items():
            for address, numbers in endpoints.items():
                _add(self.hosts.setdefault(cluster, {}).setdefault(address, {}), numbers)


# What describes the configuration, which all processes share, or is true of all if it is of one.
_NOT_ADDED = (
    ".default.total_match_count",
    ".membership_change",
    ".membership_healthy",
    ".membership_total",
    "_open",
)


def _add(mine: Collected, its: Collected) -> None:
    for name, value in its.items():
        old = mine.get(name, 0)
        mine[name] = max(old, value) if name.endswith(_NOT_ADDED) else old + value


def _add_bins(one: Bins, other: Bins) -> Bins:
    return {low: one.get(low, 0) + other.get(low, 0) for low in one.keys() | other.keys()}


class _Scope:
    """Stats that share a prefix. Subclasses are slotted dataclasses of Counter, Gauge and Histogram."""

    __slots__ = ()

    def never(self) -> str:
        """Names of counters that stay zero."""
        return ""

    def never_active(self) -> str:
        """Names of gauges that stay zero."""
        return ""

    def collect(self, prefix: str, into: Snapshot) -> None:
        """Add the stats to a snapshot, each name with ``prefix`` before it."""
        for one in fields(self):  # type: ignore[arg-type]  # every subclass is a dataclass
            value = getattr(self, one.name)
            kind = one.metadata.get("kind")
            if isinstance(value, Histogram):
                into.histograms[prefix + one.name] = (value.interval, value.bins)
            elif kind == "gauge":
                into.gauges[prefix + one.name] = value
            elif isinstance(value, int) and kind is None:
                into.counters[prefix + one.name] = value
        for name in self.never().split():
            into.counters[prefix + name] = 0
        for name in self.never_active().split():
            into.gauges[prefix + name] = 0

    def histograms(self) -> Iterator[Histogram]:
        """Those of this scope."""
        values = [getattr(self, one.name) for one in fields(self)]  # type: ignore[arg-type]  # as above
        return iter([value for value in values if isinstance(value, Histogram)])


@dataclass(slots=True)
class CodecStats(_Scope):
    """``http1.``: what the HTTP/1 codec refuses, over all listeners."""

    dropped_headers_with_underscores: Counter = 0
    requests_rejected_with_underscores_in_headers: Counter = 0
    response_flood: Counter = 0

    def never(self) -> str:
        return "metadata_not_supported_error"


@dataclass(slots=True)
class HealthCheckStats(_Scope):
    """``http.<stat_prefix>.health_check.``: answers to health checks in the backend's stead."""

    ok: Counter = 0
    failed: Counter = 0
    begun: int = gauge(0, "no stat")
    """Requests that are health checks; those whose body never comes are not answered."""

    def never(self) -> str:
        return "cached_response degraded failed_cluster_empty failed_cluster_not_found failed_cluster_unhealthy"

    def collect(self, prefix: str, into: Snapshot) -> None:
        _Scope.collect(self, prefix, into)
        into.counters[prefix + "request_total"] = self.ok + self.failed


@dataclass(slots=True)
class HttpStats(_Scope):
    """``http.<stat_prefix>.``: one listener's connection manager, and the router behind it."""

    downstream_cx_total: Counter = 0
    downstream_cx_active: Gauge = gauge()
    downstream_cx_http1_total: Counter = 0
    """Connections that have sent a byte: only then does Envoy give them a codec."""
    downstream_cx_http1_active: Gauge = gauge()
    downstream_cx_destroy_local: Counter = 0
    downstream_cx_destroy_local_active_rq: Counter = 0
    downstream_cx_destroy_remote: Counter = 0
    downstream_cx_destroy_remote_active_rq: Counter = 0
    downstream_cx_delayed_close_timeout: Counter = 0
    downstream_cx_drain_close: Counter = 0
    downstream_cx_idle_timeout: Counter = 0
    downstream_cx_max_duration_reached: Counter = 0
    downstream_cx_max_requests_reached: Counter = 0
    downstream_cx_overload_disable_keepalive: Counter = 0
    downstream_cx_protocol_error: Counter = 0
    downstream_cx_rx_bytes_total: Counter = 0
    downstream_cx_rx_bytes_buffered: Gauge = gauge()
    downstream_cx_tx_bytes_total: Counter = 0
    downstream_cx_tx_bytes_buffered: Gauge = gauge()
    downstream_cx_upgrades_total: Counter = 0
    downstream_cx_upgrades_active: Gauge = gauge()
    downstream_cx_length_ms: Histogram = field(default_factory=Histogram)
    downstream_flow_control_paused_reading_total: Counter = 0
    downstream_flow_control_resumed_reading_total: Counter = 0
    downstream_rq_total: Counter = 0
    downstream_rq_active: Gauge = gauge()
    downstream_rq_failed_path_normalization: Counter = 0
    downstream_rq_header_timeout: Counter = 0
    downstream_rq_idle_timeout: Counter = 0
    downstream_rq_max_duration_reached: Counter = 0
    downstream_rq_non_relative_path: Counter = 0
    downstream_rq_overload_close: Counter = 0
    downstream_rq_redirected_with_normalized_path: Counter = 0
    downstream_rq_rejected_via_ip_detection: Counter = 0
    downstream_rq_response_before_rq_complete: Counter = 0
    downstream_rq_rx_reset: Counter = 0
    downstream_rq_timeout: Counter = 0
    downstream_rq_too_large: Counter = 0
    downstream_rq_tx_reset: Counter = 0
    downstream_rq_ws_on_non_ws_route: Counter = 0
    downstream_rq_time: Histogram = field(default_factory=Histogram)
    no_cluster: Counter = 0
    no_route: Counter = 0
    rq_direct_response: Counter = 0
    rq_redirect: Counter = 0
    rq_reset_after_downstream_response_started: Counter = 0
    rq_total: Counter = 0
    """Requests that reach the router."""

    responses: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    """Sent to clients, by the status' hundreds, 100 Continue included."""
    health_checks: HealthCheckStats | None = None
    """Those of the health check filter, where there is one."""

    def never(self) -> str:
        return (
            "downstream_cx_http2_total downstream_cx_http3_total downstream_cx_ssl_total downstream_rq_http2_total "
            "downstream_rq_http3_total downstream_rq_too_many_premature_resets "
            "passthrough_internal_redirect_bad_location passthrough_internal_redirect_no_route "
            "passthrough_internal_redirect_predicate passthrough_internal_redirect_too_many_redirects "
            "passthrough_internal_redirect_unsafe_scheme rq_overload_local_reply rs_too_large tracing.client_enabled "
            "tracing.not_traceable tracing.random_sampling tracing.service_forced"
        )

    def never_active(self) -> str:
        return (
            "downstream_cx_http1_soft_drain downstream_cx_http2_active downstream_cx_http3_active "
            "downstream_cx_ssl_active"
        )

    def collect(self, prefix: str, into: Snapshot) -> None:
        _Scope.collect(self, prefix, into)
        found = into.counters
        found[prefix + "downstream_cx_destroy"] = self.downstream_cx_destroy_local + self.downstream_cx_destroy_remote
        found[prefix + "downstream_cx_destroy_active_rq"] = (
            self.downstream_cx_destroy_local_active_rq + self.downstream_cx_destroy_remote_active_rq
        )
        found[prefix + "downstream_rq_http1_total"] = self.downstream_rq_total
        checks = self.health_checks
        found[prefix + "tracing.health_check"] = checks.begun if checks is not None else 0
        if checks is not None:
            checks.collect(prefix + "health_check.", into)
        self.collect_responses(prefix, into)

    def collect_responses(self, prefix: str, into: Snapshot) -> None:
        """The counters by class, which a listener shows as well."""
        for hundreds in range(1, 6):
            into.counters[f"{prefix}downstream_rq_{hundreds}xx"] = self.responses[hundreds]
        into.counters[prefix + "downstream_rq_completed"] = sum(self.responses.values())


@dataclass(slots=True)
class ListenerStats(_Scope):
    """``listener.<address>.``: connections before and behind the listener filters."""

    downstream_cx_total: Counter = 0
    downstream_cx_active: Gauge = gauge()
    downstream_cx_destroy: Counter = 0
    downstream_cx_length_ms: Histogram = field(default_factory=Histogram)
    downstream_cx_overflow: Counter = 0
    downstream_cx_overload_reject: Counter = 0
    downstream_global_cx_overflow: Counter = 0
    downstream_listener_filter_remote_close: Counter = 0
    downstream_pre_cx_active: Gauge = gauge()
    downstream_pre_cx_timeout: Counter = 0
    connections_accepted_per_socket_event: Histogram = field(default_factory=Histogram)

    def never(self) -> str:
        return (
            "downstream_cx_transport_socket_connect_timeout downstream_listener_filter_error extension_config_missing "
            "network_extension_config_missing no_filter_chain_match"
        )

    def collect_worker(self, prefix: str, worker: int, into: Snapshot) -> None:
        """What Envoy also shows for each worker."""
        into.counters[f"{prefix}worker_{worker}.downstream_cx_total"] = self.downstream_cx_total
        into.gauges[f"{prefix}worker_{worker}.downstream_cx_active"] = self.downstream_cx_active


@dataclass(slots=True)
class ProxyProtocolStats(_Scope):
    """``proxy_proto.``: over all listeners, as long as none has a prefix of its own, which Envoy Gateway gives none."""

    not_found_allowed: Counter = 0
    not_found_disallowed: Counter = 0
    found: list[int] = field(default_factory=lambda: [0, 0, 0])
    """By the header's version."""
    error: list[int] = field(default_factory=lambda: [0, 0, 0])

    def never(self) -> str:
        return "versions.v1.disallowed versions.v2.disallowed"

    def collect(self, prefix: str, into: Snapshot) -> None:
        _Scope.collect(self, prefix, into)
        for version in (1, 2):
            into.counters[f"{prefix}versions.v{version}.found"] = self.found[version]
            into.counters[f"{prefix}versions.v{version}.error"] = self.error[version]
        into.counters["downstream_cx_proxy_proto_error"] = self.not_found_disallowed + sum(self.error)


class Responses:
    """Of one cluster to requests of one origin, interim ones and the proxy's own in a backend's stead included."""

    __slots__ = ("by_status", "time")

    def __init__(self) -> None:
        self.by_status: defaultdict[int, int] = defaultdict(int)
        self.time = Histogram()
        """Milliseconds from the request to the end of its response."""

    def collect(self, prefix: str, origin: str, into: Snapshot) -> None:
        """Add to the counters of all requests and to those of this origin, which exist once there is one."""
        of_origin = Snapshot()
        for status, count in self.by_status.items():
            names = ["upstream_rq_completed", "upstream_rq_unknown"]
            if 100 <= status < 600:
                names[1:] = [f"upstream_rq_{status}", f"upstream_rq_{status // 100}xx"]
            for name in names:
                of_origin.counters[name] = of_origin.counters.get(name, 0) + count
        if self.time.bins:
            of_origin.histograms["upstream_rq_time"] = (self.time.interval, self.time.bins)
        for start in (prefix, prefix + origin):
            counters = {start + name: count for name, count in of_origin.counters.items()}
            into.add(Snapshot(counters, {}, {start + name: bins for name, bins in of_origin.histograms.items()}))


@dataclass(slots=True)
class EndpointStats:
    """One endpoint of a cluster; what its cluster has as well is their sum."""

    cx_total: Counter = 0
    cx_active: Gauge = gauge()
    cx_connect_fail: Counter = 0
    rq_total: Counter = 0
    rq_active: Gauge = gauge()
    rq_success: Counter = 0
    """Responses under 500."""
    rq_error: Counter = 0
    rq_timeout: Counter = 0


@dataclass(slots=True)
class ClusterStats(_Scope):
    """``cluster.<name>.``: connections and requests to one cluster's endpoints."""

    upstream_cx_close_notify: Counter = 0
    upstream_cx_connect_timeout: Counter = 0
    upstream_cx_connect_ms: Histogram = field(default_factory=Histogram)
    upstream_cx_destroy_local: Counter = 0
    upstream_cx_destroy_local_with_active_rq: Counter = 0
    upstream_cx_destroy_remote: Counter = 0
    upstream_cx_destroy_remote_with_active_rq: Counter = 0
    upstream_cx_idle_timeout: Counter = 0
    upstream_cx_length_ms: Histogram = field(default_factory=Histogram)
    upstream_cx_none_healthy: Counter = 0
    upstream_cx_overflow: Counter = 0
    upstream_cx_protocol_error: Counter = 0
    upstream_cx_rx_bytes_total: Counter = 0
    upstream_cx_rx_bytes_buffered: Gauge = gauge()
    upstream_cx_tx_bytes_total: Counter = 0
    upstream_cx_tx_bytes_buffered: Gauge = gauge()
    upstream_flow_control_backed_up_total: Counter = 0
    upstream_flow_control_drained_total: Counter = 0
    upstream_flow_control_paused_reading_total: Counter = 0
    upstream_flow_control_resumed_reading_total: Counter = 0
    upstream_rq_active_overflow: Counter = 0
    upstream_rq_cancelled: Counter = 0
    upstream_rq_max_duration_reached: Counter = 0
    upstream_rq_pending_total: Counter = 0
    upstream_rq_pending_active: Gauge = gauge()
    upstream_rq_pending_failure_eject: Counter = 0
    upstream_rq_pending_overflow: Counter = 0
    upstream_rq_per_cx: Histogram = field(default_factory=Histogram)
    upstream_rq_rx_reset: Counter = 0
    upstream_rq_tx_reset: Counter = 0

    endpoints: dict[str, EndpointStats] = field(default_factory=dict)
    """By address, ``host:port``."""
    members: frozenset[str] = frozenset()
    """The endpoints that there are now."""
    max_connections: int = gauge(1024, "no stat")
    """This and the next: the circuit breakers' limits."""
    max_pending_requests: int = gauge(1024, "no stat")
    internal: Responses = field(default_factory=Responses)
    """To internal requests."""
    external: Responses = field(default_factory=Responses)

    def never(self) -> str:
        return (
            "assignment_stale assignment_timeout_received assignment_use_cached bind_errors lb_healthy_panic "
            "lb_local_cluster_not_ok lb_recalculate_zone_structures lb_subsets_created lb_subsets_fallback "
            "lb_subsets_fallback_panic lb_subsets_removed lb_subsets_selected lb_zone_cluster_too_small "
            "lb_zone_no_capacity_left lb_zone_routing_all_directly lb_zone_routing_cross_zone lb_zone_routing_sampled "
            "original_dst_host_invalid retry_or_shadow_abandoned update_attempt update_empty "
            "update_failure update_no_rebuild update_success upstream_cx_connect_attempts_exceeded "
            "upstream_cx_connect_with_0_rtt upstream_cx_http2_total upstream_cx_http3_total "
            "upstream_cx_max_duration_reached upstream_cx_max_requests upstream_cx_pool_overflow "
            "upstream_cx_preconnect_skipped upstream_http3_broken upstream_internal_redirect_failed_total "
            "upstream_internal_redirect_succeeded_total upstream_rq_0rtt "
            "upstream_rq_maintenance_mode upstream_rq_per_try_idle_timeout upstream_rq_per_try_timeout "
            "upstream_rq_retry "
            "upstream_rq_retry_backoff_exponential upstream_rq_retry_backoff_ratelimited "
            "upstream_rq_retry_limit_exceeded upstream_rq_retry_overflow upstream_rq_retry_success "
            "upstream_rq_rx_reset_no_error"
        )

    def never_active(self) -> str:
        return (
            "circuit_breakers.default.cx_pool_open circuit_breakers.default.rq_retry_open "
            "circuit_breakers.high.cx_open "
            "circuit_breakers.high.cx_pool_open circuit_breakers.high.rq_open circuit_breakers.high.rq_pending_open "
            "circuit_breakers.high.rq_retry_open lb_subsets_active max_host_weight membership_degraded "
            "upstream_queue_overloaded "
            "membership_excluded version warming_state"
        )

    def endpoint(self, address: str) -> EndpointStats:
        """Those of the endpoint at ``address``."""
        return self.endpoints.setdefault(address, EndpointStats())

    def histograms(self) -> Iterator[Histogram]:
        yield from _Scope.histograms(self)
        yield self.internal.time
        yield self.external.time

    def collect(self, prefix: str, into: Snapshot) -> None:
        _Scope.collect(self, prefix, into)
        found = into.counters
        for name in ("cx_total", "cx_connect_fail", "rq_total", "rq_timeout"):
            found[f"{prefix}upstream_{name}"] = sum(getattr(one, name) for one in self.endpoints.values())
        for name in ("cx_active", "rq_active"):
            into.gauges[f"{prefix}upstream_{name}"] = sum(getattr(one, name) for one in self.endpoints.values())
        # As of a cluster that its configuration has made once and that has not changed since.
        found[prefix + "membership_change"] = found[prefix + "default.total_match_count"] = 1
        for name, is_open in (
            ("cx_open", into.gauges[prefix + "upstream_cx_active"] >= self.max_connections),
            ("rq_open", into.gauges[prefix + "upstream_rq_active"] >= MAX_REQUESTS),
            ("rq_pending_open", self.upstream_rq_pending_active >= self.max_pending_requests),
        ):
            into.gauges[f"{prefix}circuit_breakers.default.{name}"] = int(is_open)
        into.gauges[prefix + "membership_total"] = into.gauges[prefix + "membership_healthy"] = len(self.members)
        found[prefix + "upstream_cx_http1_total"] = found[prefix + "upstream_cx_total"]
        found[prefix + "upstream_cx_destroy"] = self.upstream_cx_destroy_local + self.upstream_cx_destroy_remote
        found[prefix + "upstream_cx_destroy_with_active_rq"] = (
            self.upstream_cx_destroy_local_with_active_rq + self.upstream_cx_destroy_remote_with_active_rq
        )
        found[prefix + "upstream_rq_completed"] = 0
        self.internal.collect(prefix, "internal.", into)
        self.external.collect(prefix, "external.", into)
        if found[prefix + "upstream_cx_total"]:
            # Envoy makes a cluster's codec stats with its first connection.
            CodecStats().collect(f"{prefix}http1.", into)


@dataclass(slots=True)
class FileStats(_Scope):
    """``filesystem.``: the access log. What its thread counts, the loop does not."""

    write_buffered: Counter = 0
    """Lines."""
    write_completed: Counter = 0
    write_failed: Counter = 0
    flushed_by_timer: Counter = 0
    reopen_failed: Counter = 0
    lines_dropped: Counter = 0
    """Because too many waited already. This and the next are pyproxy's own: Envoy has no limit to what waits."""
    lines_failed: Counter = 0
    """That the disk has refused."""


@dataclass(slots=True)
class UpdateStats(_Scope):
    """``listener_manager.lds.``: settings that were made of the files.

    As with an Envoy that follows a file (measured), but that there what is no YAML counts as ``update_failure``.
    """

    update_success: Counter = 1
    """The first ones are in force."""
    update_rejected: Counter = 0
    """A mistake in them, or an address that can't be had: those before stay in force."""

    def never(self) -> str:
        return "init_fetch_timeout update_failure"

    def collect(self, prefix: str, into: Snapshot) -> None:
        _Scope.collect(self, prefix, into)
        into.counters[prefix + "update_attempt"] = self.update_success + self.update_rejected


@dataclass(slots=True)
class ServerStats(_Scope):
    """``server.``: the process that the admin speaks for. Memory and connections are for the serving ones to say."""

    concurrency: Gauge = gauge(1)
    live: Gauge = gauge(1)
    state: Gauge = gauge()
    """0 live, 1 draining, 2 before its first configuration, 3 starting (Envoy's ServerInfo.State)."""
    uptime: Gauge = gauge()
    """Seconds."""
    version: Gauge = gauge()
    hot_restart_generation: Gauge = gauge(1)
    days_until_first_cert_expiring: Gauge = gauge(4294967295)
    """Envoy's value for no certificate at all."""
    initialization_time_ms: Histogram = field(default_factory=Histogram)

    def never(self) -> str:
        return (
            "debug_assertion_failures dropped_stat_flushes dynamic_unknown_fields envoy_bug_failures "
            "envoy_notifications "
            "main_thread.watchdog_mega_miss main_thread.watchdog_miss static_unknown_fields wip_protos"
        )

    def never_active(self) -> str:
        return (
            "compilation_settings.fips_mode hot_restart_epoch parent_connections "
            "seconds_until_first_ocsp_response_expiring stats_recent_lookups"
        )


class Stats:
    """The stats of one process. A scope, once made, stays: what is reloaded goes on counting where it was.

    Any thread may ask for a scope: a reload makes its listeners beside the traffic.
    """

    def __init__(self) -> None:
        self.codec = CodecStats()
        self._proxy_protocol: ProxyProtocolStats | None = None
        self.files = FileStats()
        self._http: dict[str, HttpStats] = {}
        self._listeners: dict[str, ListenerStats] = {}
        self._clusters: dict[str, ClusterStats] = {}
        self._http_of_listener: dict[str, str] = {}

    def proxy_protocol(self) -> ProxyProtocolStats:
        """Those of ``proxy_proto.``, which are there once a listener reads PROXY headers."""
        if self._proxy_protocol is None:
            self._proxy_protocol = ProxyProtocolStats()
        return self._proxy_protocol

    def http(self, stat_prefix: str) -> HttpStats:
        """Those of ``http.<stat_prefix>.``."""
        return self._http.setdefault(stat_prefix, HttpStats())

    def listener(self, address: str, stat_prefix: str) -> ListenerStats:
        """Those of ``listener.<address>.``, whose connection manager has ``stat_prefix``.

        ``address``: ``host:port``; as in Envoy's names, a colon becomes an underscore.
        """
        name = address.replace(":", "_")
        self._http_of_listener[name] = stat_prefix
        return self._listeners.setdefault(name, ListenerStats())

    def cluster(self, name: str) -> ClusterStats:
        """Those of ``cluster.<name>.``."""
        return self._clusters.setdefault(name, ClusterStats())

    def flush(self) -> None:
        """Begin a new interval of every histogram; Envoy does so every 5 s."""
        for scope in (*self._http.values(), *self._listeners.values(), *self._clusters.values()):
            for histogram in scope.histograms():
                histogram.flush()

    def begin_measuring(self) -> None:
        """Set to zero the gauges that nobody keeps, so that each listener can add what it has."""
        for http in list(self._http.values()):
            http.downstream_cx_rx_bytes_buffered = http.downstream_cx_tx_bytes_buffered = 0
        for cluster in list(self._clusters.values()):
            cluster.upstream_cx_tx_bytes_buffered = 0
            for endpoint in list(cluster.endpoints.values()):
                endpoint.rq_active = 0

    def snapshot(self, worker: int = 0) -> Snapshot:
        """All of them now, as those of worker number ``worker``; ``server.`` is not a worker's to say."""
        taken = Snapshot()
        self.codec.collect("http1.", taken)
        if self._proxy_protocol is not None:
            self._proxy_protocol.collect("proxy_proto.", taken)
        self.files.collect("filesystem.", taken)
        for prefix, http in list(self._http.items()):
            http.collect(f"http.{prefix}.", taken)
        for address, listener in list(self._listeners.items()):
            name = f"listener.{address}."
            listener.collect(name, taken)
            listener.collect_worker(name, worker, taken)
            prefix = self._http_of_listener[address]
            self._http[prefix].collect_responses(f"{name}http.{prefix}.", taken)
        for name, cluster in list(self._clusters.items()):
            cluster.collect(f"cluster.{name}.", taken)
            taken.hosts[name] = {
                address: asdict(one) for address, one in cluster.endpoints.items() if address in cluster.members
            }
        return taken


def without(snapshot: Snapshot, earlier: Mapping[str, int]) -> Snapshot:
    """``snapshot`` with its counters reset when ``earlier`` were their values."""
    counters = {name: value - earlier.get(name, 0) for name, value in snapshot.counters.items()}
    return Snapshot(counters, snapshot.gauges, snapshot.histograms)
