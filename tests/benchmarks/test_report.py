"""Tables and the page."""

from __future__ import annotations

import pytest

from benchmarks.report import markdown, number, scenario_rows
from benchmarks.scenarios import KEEP_ALIVE, ROUTES
from tests.benchmarks.runs import run

GET = "keep-alive GET"


@pytest.mark.parametrize(
    ("value", "text"), [(14_612.3, "14,612"), (612.4, "612"), (61.24, "61.2"), (1.234, "1.23"), (0, "0.00")]
)
def test_numbers_have_the_digits_that_count(value: float, text: str) -> None:
    assert number(value) == text


def test_a_page_names_machine_versions_and_missed_budgets() -> None:
    results = run({(GET, "pyproxy", "requests/s"): [14, 15, 16], (GET, "Envoy", "requests/s"): [20, 20, 20]})
    results.notes.append("open loop: nginx: refused")
    page = markdown(results, [(GET, "keep-alive-GET.svg")])
    assert "Measured 2026-11-25 on 2 cores; pyproxy 1, Envoy 1.40.0." in page
    assert "| 0.75 (0.70 to 0.80) | at least 2 | **missed** | requests/s | 15.0 | 20.0 |" in page
    assert "![keep-alive GET](keep-alive-GET.svg)" in page
    assert "| pyproxy | 15.0 (14.0 to 16.0) |" in page
    assert "- open loop: nginx: refused" in page


def test_requests_that_the_load_has_limited_are_marked() -> None:
    results = run(
        {
            (GET, "HAProxy", "requests/s"): [30_000],
            (GET, "HAProxy", "busy, % of a core"): [75],
            (GET, "pyproxy", "requests/s"): [14_000],
            (GET, "pyproxy", "busy, % of a core"): [97],
        }
    )
    _, rows = scenario_rows(results, KEEP_ALIVE)
    assert [row[1] for row in rows] == ["≥ 30,000 (30,000 to 30,000)", "14,000 (14,000 to 14,000)"]


def test_a_curve_has_a_row_for_each_point() -> None:
    results = run({})
    for count in (1, 10_000):
        results.add("routes", "pyproxy", "requests/s", 14_000, count)
    headings, rows = scenario_rows(results, ROUTES)
    assert headings == ["routes", "", "requests/s"]
    assert [row[:2] for row in rows] == [["1", "pyproxy"], ["10,000", "pyproxy"]]
