"""Results of runs that never were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.results import Results


def run(figures: Mapping[tuple[str, str, str], Sequence[float]], machine: str = "2 cores") -> Results:
    """One whose figures, by scenario, subject and name, had these values round by round."""
    results = Results("2026-11-25T06:00:00+00:00", machine, {"pyproxy": "1", "Envoy": "1.40.0"}, rounds=3, seconds=4)
    for (scenario, subject, figure), values in figures.items():
        for value in values:
            results.add(scenario, subject, figure, value)
    return results
