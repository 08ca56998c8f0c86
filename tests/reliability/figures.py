"""What the reliability tests measured, and the table they make of it."""

from __future__ import annotations

import os
import platform
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from rich.table import Table

from pyproxy import __version__
from pyproxy.envoy.process import EnvoyError, find_envoy

SIDES = ("pyproxy", "Envoy")

CALM = 50.0
"""Milliseconds that a p99 may have whatever it was before: as much as other processes on a machine can cost it."""


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured value."""

    what: str
    """With its unit: ``closed after, s``."""
    value: float | str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def within(self) -> bool:
        """Whether the value is what is asked of pyproxy."""
        if isinstance(self.value, str):
            return True
        above = self.at_least is None or self.value >= self.at_least
        return above and (self.at_most is None or self.value <= self.at_most)

    @property
    def text(self) -> str:
        return self.value if isinstance(self.value, str) else number(self.value)

    @property
    def bounds(self) -> str:
        """In words; empty for none."""
        low, high = self.at_least, self.at_most
        if low is not None and high is not None:
            return number(low) if low == high else f"{number(low)} to {number(high)}"
        if high is not None:
            return f"at most {number(high)}"
        return f"at least {number(low)}" if low is not None else ""


def number(value: float) -> str:
    """As a person would write it: 12,345 or 1.25."""
    if isinstance(value, int) or value == int(value) or abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 100 else f"{value:.2f}"


@dataclass(slots=True)
class Figures:
    """Those of one test on one side."""

    test: str
    """``R1``."""
    title: str
    side: str
    figures: list[Figure] = field(default_factory=list)
    outcome: str = ""
    """``failed``, or why it was skipped."""

    def add(
        self, what: str, value: float | str, *, at_least: float | None = None, at_most: float | None = None
    ) -> None:
        """Note a value. The bounds are for pyproxy; what Envoy does is shown beside it, whatever it is."""
        self.figures.append(Figure(what, value, at_least, at_most))

    def exactly(self, what: str, value: int, wanted: int) -> None:
        """Note a count that must be ``wanted``."""
        self.add(what, value, at_least=wanted, at_most=wanted)

    def check(self) -> None:
        """Fail if a value of pyproxy's is out of its bounds."""
        if self.side != "pyproxy":
            return
        outside = [f"{figure.what}: {figure.text}, not {figure.bounds}" for figure in self.figures if not figure.within]
        assert not outside, "; ".join(outside)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    test: str
    title: str
    what: str
    cells: tuple[str, str]
    bounds: str
    good: bool


def rows(all_figures: Sequence[Figures]) -> Iterator[Row]:
    """A row for each thing measured, tests in the order of their numbers."""
    tests: dict[tuple[int, str], list[Figures]] = {}
    for figures in all_figures:
        tests.setdefault((int(figures.test[1:]), figures.title), []).append(figures)
    for number_and_title in sorted(tests, key=lambda key: key[0]):
        yield from _rows_of(tests[number_and_title])


def _rows_of(of_test: list[Figures]) -> Iterator[Row]:
    test, title = of_test[0].test, of_test[0].title
    found = {(figures.side, figure.what): figure for figures in of_test for figure in figures.figures}
    for what in dict.fromkeys(figure.what for figures in of_test for figure in figures.figures):
        ours, theirs = (found.get((side, what)) for side in SIDES)
        cells = (ours.text if ours is not None else "", theirs.text if theirs is not None else "")
        yield Row(test, title, what, cells, ours.bounds if ours is not None else "", ours is None or ours.within)
    outcomes = [", ".join({f.outcome for f in of_test if f.side == side and f.outcome}) for side in SIDES]
    if any(outcomes):
        yield Row(test, title, "outcome", (outcomes[0], outcomes[1]), "", "failed" not in outcomes)


def table(all_figures: Sequence[Figures]) -> Table:
    """For a terminal."""
    shown = Table("", "test", "figure", title="Reliability")
    for side in SIDES:
        shown.add_column(side, justify="right")
    shown.add_column("asked of pyproxy")
    last = ""
    for row in rows(all_figures):
        if row.title != last:
            shown.add_section()
        first = (row.test, row.title) if row.title != last else ("", "")
        last = row.title
        ours = row.cells[0] if row.good else f"[bold red]{row.cells[0]}[/]"
        shown.add_row(*first, row.what, ours, row.cells[1], row.bounds)
    return shown


def markdown(all_figures: Sequence[Figures]) -> str:
    """For ``docs``: the table, and what it was measured on."""
    lines = [
        "# Reliability",
        "",
        "`make reliability` runs these tests against pyproxy and, where that can be, against a real Envoy with the",
        "same resources, and prints this table; `make reliability TABLE=docs/reliability.md` also writes it here. The",
        "last column is what is asked of pyproxy; Envoy's figures stand beside it as they are. The tests are in",
        "`tests/reliability`.",
        "",
        f"Measured on {machine()}; {versions()}.",
        "",
        "| | test | figure | pyproxy | Envoy | asked of pyproxy |",
        "|---|---|---|---:|---:|---|",
    ]
    last = ""
    for row in rows(all_figures):
        first = (row.test, row.title) if row.title != last else ("", "")
        last = row.title
        cells = [*first, row.what, *row.cells, row.bounds]
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def machine() -> str:
    """Cores, processor and kernel."""
    found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    release = platform.release().split("-")[0]
    processor = " ".join(found[1].split()) if found else platform.machine()
    return f"{len(os.sched_getaffinity(0))} cores, {processor}, Linux {release}"


def versions() -> str:
    """Of what was run."""
    python = ".".join(map(str, sys.version_info[:3]))
    return f"pyproxy {__version__}, Python {python}, uvloop {version('uvloop')}, {_envoy_version()}"


def _envoy_version() -> str:
    try:
        said = subprocess.run([find_envoy(), "--version"], capture_output=True, text=True, check=False).stdout
    except EnvoyError:
        return "no Envoy"
    found = re.search(r"/([0-9.]+)/", said)
    return f"Envoy {found[1]}" if found else "Envoy"
