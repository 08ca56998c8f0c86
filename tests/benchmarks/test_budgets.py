"""Whether a run keeps to what is asked."""

from __future__ import annotations

from benchmarks.budgets import BUDGETS, best_peer
from benchmarks.results import Results
from tests.benchmarks.runs import run

GET = "keep-alive GET"
IN_PYTHON = "keep-alive GET, in Python"


def met(results: Results) -> dict[str, bool]:
    return {budget.what: answer for budget in BUDGETS if (answer := budget.met(results)) is not None}


def test_cpu_counts_beside_requests_a_second() -> None:
    # A load generator or a neighbour that takes the time away spoils the one, not the other.
    results = run({(GET, "pyproxy", "CPU µs/request"): [20, 21, 20], (GET, "Envoy", "CPU µs/request"): [50, 52, 41]})
    assert met(results) == {"the same, CPU a request": True}


def test_ratios_to_envoy() -> None:
    results = run(
        {
            (GET, "pyproxy", "requests/s"): [30, 30, 30],
            (GET, "Envoy", "requests/s"): [15, 16, 14],
            ("open loop", "pyproxy", "p99 ms"): [1, 2, 3],
            ("open loop", "Envoy", "p99 ms"): [1, 1, 1],
        }
    )
    assert met(results) == {"keep-alive GET, 64 connections": True, "open loop, 2,000 requests/s": False}


def test_the_start_is_absolute() -> None:
    assert met(run({("start", "pyproxy", "seconds"): [0.4, 0.5, 0.6]})) == {"start to the first answer": True}
    assert met(run({("start", "pyproxy", "seconds"): [0.4, 0.51, 0.6]})) == {"start to the first answer": False}


def test_the_best_peer_counts() -> None:
    results = run(
        {
            (IN_PYTHON, "pyproxy", "requests/s"): [100],
            (IN_PYTHON, "aiohttp", "requests/s"): [30],
            (IN_PYTHON, "mitmproxy", "requests/s"): [10],
        }
    )
    assert best_peer(results) == "aiohttp"
    assert met(results) == {"the best Python proxy": False}


def test_routes_are_compared_with_one_route() -> None:
    results = run({})
    for count, cpu in ((1, 50), (10_000, 64)):
        results.add("routes", "pyproxy", "CPU µs/request", cpu, count)
    assert met(results) == {"10,000 routes beside one": True}


def test_what_was_not_measured_is_neither_met_nor_missed() -> None:
    assert met(run({})) == {}
    assert best_peer(run({})) is None
