"""What a run has measured, and its file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.rounds import Spread, ratios


@dataclass(slots=True)
class Series:
    """One figure of one subject in one scenario, a value for each round."""

    scenario: str
    subject: str
    figure: str
    """With its unit."""
    x: float | None = None
    """The point of a curve; ``None`` where the scenario is none."""
    values: list[float] = field(default_factory=list)

    @property
    def spread(self) -> Spread:
        """Of the rounds."""
        return Spread.of(self.values)


@dataclass(slots=True)
class Results:
    """All of one run."""

    when: str
    """ISO 8601."""
    machine: str
    versions: dict[str, str]
    rounds: int
    seconds: int
    """Of one measurement."""
    notes: list[str] = field(default_factory=list)
    """What could not be measured, and why."""
    series: list[Series] = field(default_factory=list)

    def add(self, scenario: str, subject: str, figure: str, value: float, x: float | None = None) -> None:
        """Note what a round gave."""
        found = self.find(scenario, subject, figure, x)
        if found is None:
            found = Series(scenario, subject, figure, x)
            self.series.append(found)
        found.values.append(value)

    def find(self, scenario: str, subject: str, figure: str, x: float | None = None) -> Series | None:
        """The series, if it was measured."""
        for one in self.series:
            if (one.scenario, one.subject, one.figure, one.x) == (scenario, subject, figure, x):
                return one
        return None

    def ratio(self, scenario: str, subject: str, other: str, figure: str, x: float | None = None) -> Spread | None:
        """``subject``'s figure as a multiple of ``other``'s, if both were measured."""
        ours, theirs = self.find(scenario, subject, figure, x), self.find(scenario, other, figure, x)
        return Spread.of(ratios(ours.values, theirs.values)) if ours is not None and theirs is not None else None

    def names(self, of: str, **wanted: object) -> list[str]:
        """The different values of a series' attribute, in order, among the series that are as ``wanted``."""
        found = (one for one in self.series if all(getattr(one, name) == value for name, value in wanted.items()))
        return list(dict.fromkeys(getattr(one, of) for one in found))

    def points(self, scenario: str) -> list[float]:
        """Where a curve was measured; empty for a scenario that is none."""
        return sorted({one.x for one in self.series if one.scenario == scenario and one.x is not None})

    def keep(self, earlier: Results, *, besides: Sequence[str]) -> None:
        """Take over an earlier run's scenarios, but for those. Raises ``ValueError`` if it ran elsewhere."""
        if (earlier.machine, earlier.versions) != (self.machine, self.versions):
            raise ValueError("results of another machine, or of other versions, can't be kept")
        self.series += [one for one in earlier.series if one.scenario not in besides]
        self.notes += [note for note in earlier.notes if not note.startswith(tuple(besides))]

    def save(self, file: Path) -> None:
        """Write the file that ``load`` reads."""
        file.write_text(json.dumps(asdict(self), indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Results:
        """Raises ``OSError`` and ``ValueError`` for what is no such file."""
        data = json.loads(file.read_text(encoding="utf-8"))
        try:
            series = [Series(**one) for one in data.pop("series")]
            return cls(**data, series=series)
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"{file} is no file of results: {error}") from error
