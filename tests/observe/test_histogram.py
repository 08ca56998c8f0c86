"""Log-linear histograms: figures that Envoy 1.40 showed for the same values."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from pyproxy.observe.histogram import BUCKETS, Histogram, approximate_sum, cumulative, quantiles, width

# What one run of Envoy had measured, and what it then showed.
VALUES = (0, 3, 12, 35, 150, 151, 330, 770, 1234, 2501)
QUANTILES = [0, 12.5, 153.33333333333334, 775, 1250, 2550, 2550, 2550, 2550, 2550]
COUNTS = [1, 1, 2, 2, 3, 4, 4, 6, 7, 8, 10, 10, 10, 10, 10, 10, 10, 10, 10]
SUM = "5267.6122803421358185005374252796"


def histogram(*values: int) -> Histogram:
    made = Histogram()
    for value in values:
        made.record(value)
    return made


def test_figures_are_envoys() -> None:
    bins = histogram(*VALUES).bins
    assert quantiles(bins) == QUANTILES
    assert cumulative(bins) == COUNTS
    assert f"{approximate_sum(bins):.32g}" == SUM


def test_values_of_one_bin_stand_evenly_in_it() -> None:
    assert quantiles(histogram(*[1] * 10).bins)[:4] == [1 + 0.1 * rank / 11 for rank in (1, 3, 5, 8)]


def test_nothing_recorded() -> None:
    assert all(math.isnan(value) for value in quantiles({}))
    assert cumulative({}) == [0] * len(BUCKETS)
    assert approximate_sum({}) == 0


def test_an_interval_is_what_came_since_the_last_flush() -> None:
    made = histogram(1, 1)
    made.flush()
    made.record(5)
    assert made.interval == {1: 2}
    made.flush()
    assert made.interval == {5: 1}
    made.flush()
    assert made.interval == {}
    assert made.bins == {1: 2, 5: 1}


@given(st.lists(st.integers(0, 10**9), min_size=1))
def test_laws(values: list[int]) -> None:
    bins = histogram(*values).bins
    assert sum(bins.values()) == len(values)
    found = quantiles(bins)
    assert found == sorted(found)
    # Two significant digits: nothing is further off than a tenth.
    assert min(values) * 0.9 <= found[0] <= found[-1] <= max(values) * 1.1 + 0.1
    assert cumulative(bins) == sorted(cumulative(bins))
    exact = sum(values)
    assert abs(approximate_sum(bins) - exact) <= exact * 0.06
    assert all(low % width(low) == 0 for low in bins if low >= 10)
