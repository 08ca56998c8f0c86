"""What is run."""

from __future__ import annotations

from datetime import UTC, datetime

from benchmarks import configurations, run
from benchmarks.scenarios import SCENARIOS
from pyproxy.policy.load import load_texts
from pyproxy.policy.release import Release


def test_scenarios_have_names_of_their_own() -> None:
    assert len({scenario.name for scenario in SCENARIOS}) == len(SCENARIOS)


def test_the_short_mode_measures_all_in_little_time() -> None:
    assert [scenario.name for scenario in run.SHORT.scenarios] == [scenario.name for scenario in SCENARIOS]
    assert run.SHORT.steps < 110 < run.FULL.steps


def test_rounds_begin_with_another_subject_each() -> None:
    orders = ["".join(run.rotated("abcd", number)) for number in range(5)]
    assert orders == ["abcd", "bcda", "cdab", "dabc", "abcd"]


def test_as_many_routes_as_asked_for_beside_the_one_for_everything() -> None:
    text = configurations.resources(10_080, 3000, proxy_protocol=True, routes=20)
    loaded = load_texts([("r.yaml", text)], release=Release.V1_9, address="127.0.0.1", now=datetime.now(UTC))
    (listener,) = loaded.settings.listeners
    assert listener.proxy_protocol is not None
    assert len(listener.virtual_hosts[0].routes) == 21
