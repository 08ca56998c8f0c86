"""Medians, spreads, ratios and percentiles."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.rounds import Spread, percentile, ratios

VALUES = st.lists(st.floats(0, 1e9), min_size=1)


@given(VALUES)
def test_a_spread_has_its_median_inside(values: list[float]) -> None:
    spread = Spread.of(values)
    assert spread.low <= spread.median <= spread.high


def test_nothing_has_no_spread_and_no_percentile() -> None:
    with pytest.raises(ValueError, match="no values"):
        Spread.of([])
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


@pytest.mark.parametrize(
    ("one", "other", "overlap"),
    [((1, 2), (2, 3), True), ((1, 2), (2.1, 3), False), ((1, 9), (4, 5), True), ((4, 5), (1, 2), False)],
)
def test_spreads_overlap_where_they_share_a_value(
    one: tuple[float, float], other: tuple[float, float], overlap: bool
) -> None:
    first, second = Spread.of(one), Spread.of(other)
    assert first.overlaps(second) == second.overlaps(first) == overlap


def test_ratios_go_round_by_round() -> None:
    # The second round found the machine at half its speed: that is nobody's fault.
    assert ratios([200, 100], [100, 50]) == [2, 2]
    assert ratios([1, 2, 3], [1, 2]) == [1, 1]
    assert ratios([1], [0]) == [math.inf]


def test_percentiles_are_values_that_there_were() -> None:
    hundred = [float(number) for number in range(1, 101)]
    assert [percentile(hundred, share) for share in (0, 0.5, 0.99, 0.999, 1)] == [1, 50, 99, 100, 100]


@given(VALUES, st.floats(0, 1))
def test_a_share_of_the_values_is_within_its_percentile(values: list[float], share: float) -> None:
    values.sort()
    limit = percentile(values, share)
    assert sum(value <= limit for value in values) >= share * len(values) - 1e-9
