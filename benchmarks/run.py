"""Starts the subjects of each scenario and measures them in turn, round by round."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from benchmarks import machine, subjects
from benchmarks.measure import Figures
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS, Life, Means, Scenario
from benchmarks.subjects import Place, Subject


@dataclass(frozen=True, slots=True)
class Plan:
    """How much is measured."""

    scenarios: Sequence[Scenario]
    rounds: int
    seconds: int
    crowd: int
    curve_rounds: int
    """Fewer: a curve has many points."""

    @property
    def steps(self) -> int:
        """Measurements."""
        return sum(
            self.rounds_of(scenario) * max(1, len(scenario.points)) * len(scenario.subjects)
            for scenario in self.scenarios
        )

    def rounds_of(self, scenario: Scenario) -> int:
        """Of one scenario."""
        return min(self.rounds, self.curve_rounds) if scenario.points else self.rounds


FULL = Plan(SCENARIOS, rounds=5, seconds=4, crowd=10_000, curve_rounds=3)
SHORT = Plan([scenario.shortened() for scenario in SCENARIOS], rounds=2, seconds=1, crowd=1_000, curve_rounds=1)
"""About two minutes: shows whether something is amiss, and proves nothing."""

Step = Callable[[str], None]
"""Is told what is measured next."""


def run(plan: Plan, bench_python: Path, step: Step, kept: Results | None = None) -> Results:
    """Measure all of ``plan``. ``kept`` has what it leaves out; ``ValueError`` if that was measured elsewhere."""
    machine.allow_many_descriptors()
    results = Results(
        when=datetime.now(UTC).isoformat(timespec="seconds"),
        machine=machine.describe(),
        versions=machine.versions(bench_python),
        rounds=plan.rounds,
        seconds=plan.seconds,
    )
    if kept is not None:
        results.keep(kept, besides=[scenario.name for scenario in plan.scenarios])
    proxy_core, load_core = machine.cores()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pyproxy-bench-")))
        backend_port = stack.enter_context(subjects.backend(folder, load_core))
        place = Place(folder, backend_port, proxy_core, bench_python)
        means = Means(folder, load_core, plan.seconds, plan.crowd)
        for scenario in plan.scenarios:
            for point in scenario.points or (None,):
                _measure(scenario, point, plan.rounds_of(scenario), place, means, results, step)
    return results


def _measure(
    scenario: Scenario, point: float | None, rounds: int, place: Place, means: Means, results: Results, step: Step
) -> None:
    """All rounds of a scenario, or of one point of a curve."""
    if scenario.all_cores:
        place = replace(place, cores=f"{place.cores},{means.load_core}")
    at = f"{scenario.name} at {point:,.0f}" if point is not None else scenario.name
    with ExitStack() as stack:
        take: dict[str, Callable[[], Figures]] = {
            subject.name: partial(_once, scenario, subject, point or 0, place, means) for subject in scenario.subjects
        }
        if scenario.life is Life.KEPT:
            for subject in scenario.subjects:
                started = stack.enter_context(subject.start(place, scenario.work(point or 0)))
                take[subject.name] = partial(scenario.take, means, started, point or 0)
        for number in range(rounds):
            for name in rotated(list(take), number):
                step(f"{at}: {name}")
                try:
                    figures = take[name]()
                except (OSError, RuntimeError) as error:
                    note = f"{at}: {name}: {' '.join(str(error).split())}"
                    if note not in results.notes:
                        results.notes.append(note)
                    continue
                for figure, value in figures.items():
                    results.add(scenario.name, name, figure, value, point)


def rotated(names: Sequence[str], number: int) -> Sequence[str]:
    """The order of a round: what disturbs every second measurement must not meet the same subjects each time."""
    first = number % len(names)
    return [*names[first:], *names[:first]]


def _once(scenario: Scenario, subject: Subject, point: float, place: Place, means: Means) -> Figures:
    """A measurement that has its subject for itself."""
    work = scenario.work(point)
    if scenario.life is Life.BEGINNING:
        when = time.perf_counter()
        with subject.launch(place, work) as beginning:
            return scenario.take(means, beginning, when)
    with subject.start(place, work) as new:
        return scenario.take(means, new, point)
