"""What has changed between two runs."""

from __future__ import annotations

from benchmarks.compare import changes, warnings
from tests.benchmarks.runs import run

RATE = ("keep-alive GET", "pyproxy", "requests/s")
CPU = ("keep-alive GET", "pyproxy", "CPU µs/request")
ENVOYS_RATE = ("keep-alive GET", "Envoy", "requests/s")


def verdict(before: dict[tuple[str, str, str], list[float]], after: dict[tuple[str, str, str], list[float]]) -> str:
    (change,) = changes(run(before), run(after))
    return change.verdict


def test_more_requests_and_less_cpu_are_better() -> None:
    assert verdict({RATE: [10, 11, 12]}, {RATE: [20, 21, 22]}) == "better"
    assert verdict({CPU: [10, 11, 12]}, {CPU: [20, 21, 22]}) == "worse"


def test_what_overlaps_or_is_small_is_the_same() -> None:
    assert verdict({RATE: [10, 11, 12]}, {RATE: [12, 15, 16]}) == "same"
    assert verdict({RATE: [1000, 1001, 1002]}, {RATE: [1010, 1011, 1012]}) == "same"


def test_two_rounds_prove_nothing() -> None:
    assert verdict({RATE: [10, 11, 12]}, {RATE: [20, 21]}) == "unproven"


def test_a_machine_that_is_slower_changes_nothing() -> None:
    before = {RATE: [10.0, 11.0, 12.0], ENVOYS_RATE: [20.0, 22.0, 24.0]}
    after = {RATE: [5.0, 5.5, 6.0], ENVOYS_RATE: [10.0, 11.0, 12.0]}
    (change,) = changes(run(before), run(after))
    assert change.is_ratio
    assert (change.verdict, change.factor) == ("same", 1)


def test_what_one_run_has_not_is_left_out() -> None:
    assert not list(changes(run({RATE: [1]}), run({CPU: [1], ENVOYS_RATE: [1]})))


def test_other_machines_and_versions_are_named() -> None:
    before, after = run({}), run({}, machine="64 cores")
    after.versions["Envoy"] = "1.41.0"
    after.rounds = 2
    assert set(warnings(before, after)) == {
        "another machine: 2 cores, now 64 cores",
        "3 rounds of 4 s, now 2 rounds of 4 s",
        "Envoy 1.40.0, now 1.41.0",
    }
    assert not list(warnings(before, before))
