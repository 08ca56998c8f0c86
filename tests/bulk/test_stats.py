"""Stats beside Envoy's, for every conformance case that is not slow."""

from __future__ import annotations

import asyncio

import pytest

from pyproxy.conformance.cases import CASES
from tests.support.stats import EXEMPTIONS, compare_all, report

# Weights throw dice, and names are looked up at other times.
BY_CHANCE = "routes: backends"

AT_ONCE = 4
"""Groups; most of their time goes by in waiting for silence."""


@pytest.mark.timeout(1200)
def test_stats_are_envoys() -> None:
    groups = list(
        dict.fromkeys(case.group for case in CASES if not case.is_slow and not case.group.name.startswith(BY_CHANCE))
    )
    wrong = asyncio.run(compare_all(groups, at_once=AT_ONCE))
    assert not wrong, report(wrong)
    assert [one.pattern for one in EXEMPTIONS if not one.used] == [], "nothing needs these exceptions"
