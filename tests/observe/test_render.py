"""``/stats`` in its three forms, beside lines that Envoy 1.40 wrote."""

from __future__ import annotations

import json

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pyproxy.observe.render import (
    BUCKET_MODES,
    Selection,
    as_json,
    as_prometheus,
    as_text,
    prometheus_name,
    used,
)
from pyproxy.observe.stats import Snapshot, Stats
from pyproxy.policy.regex import compile_search
from tests.observe.test_histogram import VALUES, histogram

TIME = "cluster.httproute/default/lane0/rule/0.upstream_rq_time"


def snapshot() -> Snapshot:
    made = histogram(*VALUES[:-1])
    made.flush()
    made.record(VALUES[-1])
    made.flush()
    return Snapshot(
        {"http.http-27716.downstream_rq_total": 10, "http.http-27716.no_route": 0},
        {"http.http-27716.downstream_rq_active": 0, "server.live": 1},
        {TIME: (made.interval, made.bins), "http.http-27716.downstream_rq_time": ({}, {})},
    )


SUMMARY = (
    "P0(2550,0) P25(2550,12.5) P50(2550,153.33333333333334) P75(2550,775) P90(2550,1250) P95(2550,2550) "
    "P99(2550,2550) P99.5(2550,2550) P99.9(2550,2550) P100(2550,2550)"
)


def test_text() -> None:
    assert as_text(snapshot(), Selection()) == (
        "http.http-27716.downstream_rq_active: 0\n"
        "http.http-27716.downstream_rq_total: 10\n"
        "http.http-27716.no_route: 0\n"
        "server.live: 1\n"
        f"{TIME}: {SUMMARY}\n"
        "http.http-27716.downstream_rq_time: No recorded values\n"
    )


CUMULATIVE = (
    " B0.5(0,1) B1(0,1) B5(0,2) B10(0,2) B25(0,3) B50(0,4) B100(0,4) B250(0,6) B500(0,7) B1000(0,8) B2500(1,10) "
    "B5000(1,10) B10000(1,10) B30000(1,10) B60000(1,10) B300000(1,10) B600000(1,10) B1.8e+06(1,10) B3.6e+06(1,10)"
)
DISJOINT = (
    " B0.5(0,1) B1(0,0) B5(0,1) B10(0,0) B25(0,1) B50(0,1) B100(0,0) B250(0,2) B500(0,1) B1000(0,1) B2500(1,2) "
    "B5000(0,0) B10000(0,0) B30000(0,0) B60000(0,0) B300000(0,0) B600000(0,0) B1.8e+06(0,0) B3.6e+06(0,0)"
)
DETAILED = f"""
  totals=0,0:1, 3,0.1:1, 12,1:1, 35,1:1, 150,10:2, 330,10:1, 770,10:1, 1200,100:1, 2500,100:1
  intervals=2500,100:1
  summary={SUMMARY}"""


@pytest.mark.parametrize(
    ("mode", "shown"),
    [("summary", " " + SUMMARY), ("cumulative", CUMULATIVE), ("disjoint", DISJOINT), ("detailed", DETAILED)],
)
def test_histograms_in_text(mode: str, shown: str) -> None:
    selection = Selection("Histograms", compile_search(b"upstream"))
    assert as_text(snapshot(), selection, mode) == f"{TIME}:{shown}\n"


def test_json() -> None:
    shown = json.loads(as_json(snapshot(), Selection()))["stats"]
    assert shown[:2] == [
        {"name": "http.http-27716.downstream_rq_active", "value": 0},
        {"name": "http.http-27716.downstream_rq_total", "value": 10},
    ]
    histograms = shown[-1]["histograms"]
    assert histograms["supported_quantiles"] == [0, 25, 50, 75, 90, 95, 99, 99.5, 99.9, 100]
    first, second = histograms["computed_quantiles"]
    assert first["name"] == TIME
    assert first["values"][1] == {"cumulative": 12.5, "interval": 2550}
    assert second["values"][0] == {"cumulative": None, "interval": None}
    assert json.loads(as_json(snapshot(), Selection(matches=compile_search(b"none")))) == {"stats": []}


def test_histograms_in_json() -> None:
    selection = Selection("Histograms", compile_search(b"upstream"))
    (shown,) = json.loads(as_json(snapshot(), selection, "cumulative"))["stats"]
    assert shown["histograms"][0]["buckets"][10] == {"upper_bound": 2500, "interval": 1, "cumulative": 10}
    (shown,) = json.loads(as_json(snapshot(), selection, "disjoint"))["stats"]
    assert shown["histograms"][0]["buckets"][10] == {"upper_bound": 2500, "interval": 1, "cumulative": 2}
    (shown,) = json.loads(as_json(snapshot(), selection, "detailed"))["stats"]
    details = shown["histograms"]["details"][0]
    assert details["totals"][4] == {"lower_bound": 150, "width": 10, "count": 2}
    assert details["intervals"] == [{"lower_bound": 2500, "width": 100, "count": 1}]


@pytest.mark.parametrize(
    ("name", "family", "labels"),
    [
        (
            "http.http-21624.downstream_rq_2xx",
            "envoy_http_downstream_rq_xx",
            'envoy_response_code_class="2",envoy_http_conn_manager_prefix="http-21624"',
        ),
        (
            "listener.127.0.0.1_21624.http.http-21624.downstream_rq_completed",
            "envoy_listener_http_downstream_rq_completed",
            'envoy_http_conn_manager_prefix="http-21624",envoy_listener_address="127.0.0.1_21624"',
        ),
        (
            "listener.127.0.0.1_21624.worker_0.downstream_cx_total",
            "envoy_listener_worker_downstream_cx_total",
            'envoy_worker_id="0",envoy_listener_address="127.0.0.1_21624"',
        ),
        (
            "listener.[__1]_21624.downstream_cx_total",
            "envoy_listener_downstream_cx_total",
            'envoy_listener_address="[__1]_21624"',
        ),
        (
            "cluster.httproute/default/lane0/rule/0.external.upstream_rq_200",
            "envoy_cluster_external_upstream_rq",
            'envoy_response_code="200",envoy_cluster_name="httproute/default/lane0/rule/0"',
        ),
        (
            "cluster.httproute/default/lane0/rule/0.circuit_breakers.default.cx_open",
            "envoy_cluster_circuit_breakers_default_cx_open",
            'envoy_cluster_name="httproute/default/lane0/rule/0"',
        ),
        ("proxy_proto.versions.v1.found", "envoy_proxy_proto_found", 'envoy_proxy_protocol_version="1"'),
        ("proxy_proto.not_found_allowed", "envoy_proxy_proto_not_found_allowed", ""),
        ("server.worker_0.watchdog_miss", "envoy_server_worker_watchdog_miss", 'envoy_worker_id="0"'),
        ("server.live", "envoy_server_live", ""),
    ],
)
def test_prometheus_names_are_envoys(name: str, family: str, labels: str) -> None:
    assert prometheus_name(name) == (family, labels)


def test_the_exposition_parses() -> None:
    stats = Stats()
    stats.http("http-1")
    stats.listener("127.0.0.1:1", "http-1")
    stats.cluster('a"b\\c').external.by_status[200] += 1
    stats.cluster("c").external.time.record(3)
    text = as_prometheus(stats.snapshot(), Selection())
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert families["envoy_http_downstream_rq_time"].type == "histogram"
    assert families["envoy_listener_downstream_cx_active"].type == "gauge"
    (sample,) = families["envoy_cluster_external_upstream_rq"].samples
    assert sample.labels == {"envoy_response_code": "200", "envoy_cluster_name": 'a"b\\c'}
    buckets = [s.value for s in families["envoy_cluster_external_upstream_rq_time"].samples if "le" in s.labels]
    assert buckets[-1] == 1


def test_histograms_in_the_exposition() -> None:
    labels = 'envoy_cluster_name="httproute/default/lane0/rule/0"'
    selection = Selection(matches=compile_search(b"upstream"))
    lines = as_prometheus(snapshot(), selection).splitlines()
    assert lines[0] == "# TYPE envoy_cluster_upstream_rq_time histogram"
    assert lines[1] == f'envoy_cluster_upstream_rq_time_bucket{{{labels},le="0.5"}} 1'
    assert lines[-3:] == [
        f'envoy_cluster_upstream_rq_time_bucket{{{labels},le="+Inf"}} 10',
        f"envoy_cluster_upstream_rq_time_sum{{{labels}}} 5267.6122803421358185005374252796",
        f"envoy_cluster_upstream_rq_time_count{{{labels}}} 10",
    ]
    lines = as_prometheus(snapshot(), selection, "summary").splitlines()
    assert lines[:2] == [
        "# TYPE envoy_cluster_upstream_rq_time summary",
        f'envoy_cluster_upstream_rq_time{{{labels},quantile="0"}} 2550',
    ]
    assert lines[-1] == f"envoy_cluster_upstream_rq_time_count{{{labels}}} 1"


def test_what_is_shown() -> None:
    taken = snapshot()
    assert set(used(taken)) == {
        "http.http-27716.downstream_rq_total",
        "http.http-27716.downstream_rq_active",
        "server.live",
        TIME,
    }
    only_used = as_text(taken, Selection(used=used(taken)))
    assert "no_route" not in only_used
    inverted = as_text(taken, Selection(matches=compile_search(b"http"), inverted=True))
    assert inverted == "server.live: 1\n"
    assert as_text(taken, Selection("Gauges", compile_search(b"live"))) == "server.live: 1\n"
    assert as_text(taken, Selection("Counters", compile_search(b"live"))) == ""
    assert as_text(taken, Selection("TextReadouts")) == ""


def test_modes_are_all_there() -> None:
    for mode in BUCKET_MODES:
        assert as_text(snapshot(), Selection(), mode)
        assert json.loads(as_json(snapshot(), Selection(), mode))
