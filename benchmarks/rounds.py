"""Medians, spreads and ratios of rounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Spread:
    """Of several values: the middle one, and from where to where they go."""

    median: float
    low: float
    high: float
    rounds: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Raises ``ValueError`` for no values."""
        if not values:
            raise ValueError("no values")
        return cls(median(values), min(values), max(values), len(values))

    def overlaps(self, other: Spread) -> bool:
        """Whether the two have a value in common, so that a difference may be chance."""
        return self.low <= other.high and other.low <= self.high


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Round by round, so that a machine which is slower for a while slows both. Of unequal rounds the first count."""
    return [mine / other if other else math.inf for mine, other in zip(ours, theirs, strict=False)]


def percentile(ordered: Sequence[float], share: float) -> float:
    """What ``share`` of the values, an ascending sequence, do not exceed. Raises ``ValueError`` for no values."""
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]
