"""Counters on slotted objects, what follows from them, and how several processes' add up."""

from __future__ import annotations

import pickle

from pyproxy.observe.stats import Snapshot, Stats, without

PREFIX = "cluster.httproute/default/backend/rule/0."


def stats() -> Stats:
    made = Stats()
    made.http("http-10080")
    made.listener("127.0.0.1:10080", "http-10080")
    return made


def test_numbers_that_follow_from_others() -> None:
    made = stats()
    http = made.http("http-10080")
    http.downstream_rq_total += 3
    http.downstream_cx_destroy_local += 1
    http.downstream_cx_destroy_remote += 2
    http.responses[2] += 2
    http.responses[5] += 1
    counters = made.snapshot().counters
    assert counters["http.http-10080.downstream_rq_http1_total"] == 3
    assert counters["http.http-10080.downstream_cx_destroy"] == 3
    assert counters["http.http-10080.downstream_rq_2xx"] == 2
    assert counters["http.http-10080.downstream_rq_completed"] == 3
    assert counters["listener.127.0.0.1_10080.http.http-10080.downstream_rq_5xx"] == 1
    assert counters["http.http-10080.downstream_cx_ssl_total"] == 0


def test_responses_of_a_cluster_by_status_and_origin() -> None:
    made = stats()
    cluster = made.cluster("httproute/default/backend/rule/0")
    cluster.internal.by_status[200] += 1
    cluster.external.by_status[200] += 2
    cluster.external.by_status[503] += 1
    cluster.external.time.record(7)
    taken = made.snapshot()
    counters = {name.removeprefix(PREFIX): value for name, value in taken.counters.items() if value}
    assert counters == {
        "upstream_rq_200": 3,
        "upstream_rq_2xx": 3,
        "upstream_rq_503": 1,
        "upstream_rq_5xx": 1,
        "upstream_rq_completed": 4,
        "internal.upstream_rq_200": 1,
        "internal.upstream_rq_2xx": 1,
        "internal.upstream_rq_completed": 1,
        "external.upstream_rq_200": 2,
        "external.upstream_rq_2xx": 2,
        "external.upstream_rq_503": 1,
        "external.upstream_rq_5xx": 1,
        "external.upstream_rq_completed": 3,
        "membership_change": 1,
        "default.total_match_count": 1,
    }
    assert PREFIX + "internal.upstream_rq_time" not in taken.histograms
    assert taken.histograms[PREFIX + "external.upstream_rq_time"][1] == {7: 1}
    assert taken.histograms[PREFIX + "upstream_rq_time"][1] == {7: 1}


def test_endpoints_add_up_to_their_cluster() -> None:
    made = stats()
    cluster = made.cluster("c")
    one, other = cluster.endpoint("127.0.0.1:1"), cluster.endpoint("127.0.0.1:2")
    cluster.members = frozenset(("127.0.0.1:2", "127.0.0.1:3"))
    cluster.max_connections = 1
    one.rq_total += 2
    other.rq_total += 3
    other.cx_active += 1
    taken = made.snapshot()
    assert taken.counters["cluster.c.upstream_rq_total"] == 5
    assert taken.gauges["cluster.c.upstream_cx_active"] == 1
    assert taken.gauges["cluster.c.membership_healthy"] == 2
    assert taken.gauges["cluster.c.circuit_breakers.default.cx_open"] == 1
    assert taken.hosts["c"]["127.0.0.1:2"]["rq_total"] == 3


def test_a_scope_stays_the_same_object() -> None:
    made = stats()
    assert made.http("http-10080") is made.http("http-10080")
    assert made.cluster("c") is made.cluster("c")
    assert made.listener("127.0.0.1:10080", "http-10080") is made.listener("127.0.0.1:10080", "http-10080")


def test_an_ipv6_listener() -> None:
    made = Stats()
    made.http("http-1")
    made.listener("[::1]:1", "http-1")
    assert "listener.[__1]_1.downstream_cx_total" in made.snapshot().counters


def test_snapshots_of_several_processes_add_up() -> None:
    snapshots = []
    for worker in (0, 1):
        made = stats()
        made.listener("127.0.0.1:10080", "http-10080").downstream_cx_total += worker + 1
        made.http("http-10080").downstream_rq_time.record(5)
        made.cluster("c").members = frozenset(("127.0.0.1:1",))
        made.cluster("c").endpoint("127.0.0.1:1").rq_total += 1
        snapshots.append(pickle.loads(pickle.dumps(made.snapshot(worker))))
    total = Snapshot()
    for one in snapshots:
        total.add(one)
    assert total.counters["listener.127.0.0.1_10080.downstream_cx_total"] == 3
    assert total.counters["listener.127.0.0.1_10080.worker_0.downstream_cx_total"] == 1
    assert total.counters["listener.127.0.0.1_10080.worker_1.downstream_cx_total"] == 2
    assert total.histograms["http.http-10080.downstream_rq_time"][1] == {5: 2}
    assert total.hosts["c"]["127.0.0.1:1"]["rq_total"] == 2
    # Each process has the cluster once, and so have all of them together.
    assert total.gauges["cluster.c.membership_total"] == 1
    assert total.counters["cluster.c.membership_change"] == 1


def test_a_reset_is_what_later_snapshots_are_shown_without() -> None:
    made = stats()
    http = made.http("http-10080")
    http.downstream_rq_total += 2
    http.downstream_rq_active += 1
    earlier = made.snapshot().counters
    http.downstream_rq_total += 1
    shown = without(made.snapshot(), earlier)
    assert shown.counters["http.http-10080.downstream_rq_total"] == 1
    assert shown.gauges["http.http-10080.downstream_rq_active"] == 1


def test_a_flush_begins_every_histograms_interval() -> None:
    made = stats()
    made.http("http-10080").downstream_rq_time.record(1)
    made.cluster("c").internal.time.record(2)
    made.flush()
    taken = made.snapshot()
    assert taken.histograms["http.http-10080.downstream_rq_time"] == ({1: 1}, {1: 1})
    assert taken.histograms["cluster.c.internal.upstream_rq_time"] == ({2: 1}, {2: 1})
