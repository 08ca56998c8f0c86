"""What has changed since an earlier run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.budgets import ENVOY, OURS
from benchmarks.measure import BUSY, MEGABYTES_A_SECOND, REQUESTS_A_SECOND
from benchmarks.results import Results
from benchmarks.rounds import Spread

MORE_IS_BETTER = {REQUESTS_A_SECOND, MEGABYTES_A_SECOND}
NEGLIGIBLE = 0.03
"""A change by less is none, however small the spreads."""
ENOUGH_ROUNDS = 3
"""Fewer have no spread to speak of."""


@dataclass(frozen=True, slots=True)
class Change:
    """One figure of pyproxy's, then and now."""

    scenario: str
    figure: str
    x: float | None
    before: Spread
    after: Spread
    is_ratio: bool
    """To Envoy's figure of the same run, which a slower machine does not change."""

    @property
    def factor(self) -> float:
        """The new median as a multiple of the old one."""
        return self.after.median / self.before.median if self.before.median else 1.0

    @property
    def verdict(self) -> str:
        """``better``, ``worse``, or ``same`` where the rounds overlap or the change is negligible.

        ``unproven`` where there were too few rounds to know.
        """
        if min(self.before.rounds, self.after.rounds) < ENOUGH_ROUNDS:
            return "unproven"
        if self.before.overlaps(self.after) or abs(self.factor - 1) < NEGLIGIBLE:
            return "same"
        return "better" if (self.factor > 1) == (self.figure in MORE_IS_BETTER) else "worse"


def changes(before: Results, after: Results) -> Iterator[Change]:
    """Every figure of pyproxy's that both runs have, as a ratio to Envoy's where both have that."""
    for series in after.series:
        if series.subject != OURS or series.figure == BUSY:
            continue
        where = series.scenario, series.figure, series.x
        ratios = [run.ratio(series.scenario, OURS, ENVOY, series.figure, series.x) for run in (before, after)]
        old = before.find(series.scenario, OURS, series.figure, series.x)
        if ratios[0] is not None and ratios[1] is not None:
            yield Change(*where, ratios[0], ratios[1], is_ratio=True)
        elif old is not None:
            yield Change(*where, old.spread, series.spread, is_ratio=False)


def warnings(before: Results, after: Results) -> Iterator[str]:
    """Why the two may not be comparable."""
    if before.machine != after.machine:
        yield f"another machine: {before.machine}, now {after.machine}"
    if (before.rounds, before.seconds) != (after.rounds, after.seconds):
        then, now = (f"{run.rounds} rounds of {run.seconds:g} s" for run in (before, after))
        yield f"{then}, now {now}"
    for name in before.versions.keys() & after.versions.keys() - {OURS}:
        if before.versions[name] != after.versions[name]:
            yield f"{name} {before.versions[name]}, now {after.versions[name]}"
