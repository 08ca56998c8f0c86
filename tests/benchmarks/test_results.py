"""The file of results."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.results import Results
from benchmarks.rounds import Spread
from tests.benchmarks.runs import run


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    results = run({("keep-alive GET", "pyproxy", "CPU µs/request"): [60, 61, 59]})
    results.add("routes", "pyproxy", "requests/s", 14_000, 10_000)
    results.notes.append("routes at 1: Envoy: refused")
    results.save(tmp_path / "results.json")
    assert Results.load(tmp_path / "results.json") == results


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"series": [], "when": "now", "colour": 1}'])
def test_another_file_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "results.json"
    file.write_text(text)
    with pytest.raises(ValueError, match=r"results\.json is no file of results|Expecting value"):
        Results.load(file)


def test_ratios_are_taken_of_what_both_have() -> None:
    results = run({("a", "pyproxy", "requests/s"): [30, 20, 10], ("a", "Envoy", "requests/s"): [10, 10, 10]})
    assert results.ratio("a", "pyproxy", "Envoy", "requests/s") == Spread(2, 1, 3, 3)
    assert results.ratio("a", "pyproxy", "nginx", "requests/s") is None


def test_points_and_names() -> None:
    results = run({("a", "pyproxy", "requests/s"): [1], ("b", "Envoy", "CPU"): [1]})
    results.add("a", "nginx", "CPU", 1, x=10)
    results.add("a", "nginx", "CPU", 1, x=1)
    assert results.points("a") == [1, 10]
    assert results.names("subject", scenario="a") == ["pyproxy", "nginx"]
    assert results.names("figure") == ["requests/s", "CPU"]


def test_scenarios_of_a_run_before_are_kept() -> None:
    before = run({("a", "pyproxy", "requests/s"): [1], ("b", "pyproxy", "requests/s"): [2]})
    after = run({})
    after.keep(before, besides=["b"])
    assert [(one.scenario, one.values) for one in after.series] == [("a", [1])]
    with pytest.raises(ValueError, match="another machine"):
        after.keep(run({}, machine="64 cores"), besides=[])
