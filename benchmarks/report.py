"""The results as tables: for a terminal and as a Markdown page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.table import Table

from benchmarks import budgets
from benchmarks.compare import Change
from benchmarks.measure import BUSY, REQUESTS_A_SECOND
from benchmarks.results import Results
from benchmarks.rounds import Spread
from benchmarks.scenarios import SCENARIOS, Scenario

SATURATED = 90
"""Percent of its core that a subject must be busy for requests a second to be its own limit."""

Rows = list[list[str]]


def number(value: float) -> str:
    """With three digits that count: 14,600 or 68.3 or 0.72."""
    size = abs(value)
    if size >= 1000:
        return f"{value:,.0f}"
    if size >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if size >= 10 else f"{value:.2f}"


def range_of(spread: Spread) -> str:
    """``14,600 (14,200 to 14,900)``."""
    return f"{number(spread.median)} ({number(spread.low)} to {number(spread.high)})"


def budget_rows(results: Results) -> Rows:
    """A row for each budget, the ratio first."""
    rows = []
    for budget in budgets.BUDGETS:
        value, met = budget.value(results), budget.met(results)
        if value is None:
            continue
        ours, theirs = budget.ours(results), budget.theirs(results)
        rows.append(
            [
                budget.what,
                range_of(value) + budget.unit,
                budget.bound,
                "met" if met else "**missed**",
                budget.figure,
                number(ours.median) if ours is not None else "",
                number(theirs.median) if theirs is not None else "",
            ]
        )
    return rows


BUDGET_HEADINGS = ["", "ratio", "budget", "", "figure", "pyproxy", "beside it"]


def scenario_rows(results: Results, scenario: Scenario) -> tuple[list[str], Rows]:
    """Headings and a row for each subject (and point)."""
    figures = results.names("figure", scenario=scenario.name)
    headings = [scenario.axis] if scenario.points else []
    headings += ["", *figures]
    rows = []
    for x in results.points(scenario.name) or (None,):
        for subject in results.names("subject", scenario=scenario.name):
            found = [results.find(scenario.name, subject, figure, x) for figure in figures]
            if not any(found):
                continue
            cells = [range_of(series.spread) if series is not None else "" for series in found]
            if x is None:
                cells = _mark_unsaturated(figures, cells, results, scenario, subject)
            rows.append([*([f"{x:,.0f}"] if x is not None else []), subject, *cells])
    return headings, rows


def _mark_unsaturated(
    figures: Sequence[str], cells: list[str], results: Results, scenario: Scenario, subject: str
) -> list[str]:
    """Requests a second that the load, not the subject, has limited get a ``≥``."""
    busy = results.find(scenario.name, subject, BUSY)
    if busy is None or busy.spread.median >= SATURATED or REQUESTS_A_SECOND not in figures:
        return cells
    place = figures.index(REQUESTS_A_SECOND)
    return [f"≥ {cell}" if index == place else cell for index, cell in enumerate(cells)]


def markdown(results: Results, plots: Sequence[tuple[str, str]]) -> str:
    """The page. ``plots``: title and file of each picture."""
    return "\n".join(_lines(results, plots)) + "\n"


def _lines(results: Results, plots: Sequence[tuple[str, str]]) -> Iterator[str]:
    yield "# Benchmarks"
    yield ""
    yield f"Measured {results.when[:10]} on {results.machine}; {versions(results)}."
    yield ""
    yield "`make bench`: rounds in which the subjects take turns, in an order that moves on by one with each round,"
    yield "each alone on one core; load and backend (nginx) share another. All set x-forwarded-for,"
    yield "x-forwarded-proto and x-request-id, and write an access log into a file. Figures are medians, with the"
    yield "lowest and the highest round; ratios are taken round by round. CPU is the operating system's account of the"
    yield f"subject's processes. `≥`: the subject was busy for less than {SATURATED} % of its core, so that the load"
    yield "was the limit."
    yield ""
    yield "## Budgets"
    yield ""
    yield from _table(BUDGET_HEADINGS, budget_rows(results))
    pictures = dict(plots)
    for scenario in SCENARIOS:
        headings, rows = scenario_rows(results, scenario)
        if not rows:
            continue
        yield ""
        yield f"## {scenario.name[0].upper()}{scenario.name[1:]}"
        yield ""
        yield f"{scenario.how}. {rounds_of(results, scenario)} rounds."
        yield ""
        if scenario.name in pictures:
            yield f"![{scenario.name}]({pictures[scenario.name]})"
            yield ""
        yield from _table(headings, rows)
    if results.notes:
        yield ""
        yield "## Not measured"
        yield ""
        for note in results.notes:
            yield f"- {note}"


def rounds_of(results: Results, scenario: Scenario) -> int:
    """The most that a figure of the scenario has."""
    return max(len(series.values) for series in results.series if series.scenario == scenario.name)


def versions(results: Results) -> str:
    """``pyproxy 0.1.0, Python 3.11.7, …``."""
    return ", ".join(f"{name} {version}" for name, version in results.versions.items())


def _table(headings: Sequence[str], rows: Rows) -> Iterator[str]:
    yield "| " + " | ".join(headings) + " |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"


def budget_table(results: Results) -> Table:
    """For a terminal."""
    return _rich("Budgets", BUDGET_HEADINGS, budget_rows(results))


def scenario_table(results: Results, scenario: Scenario) -> Table:
    """For a terminal: requests and CPU, or all figures of what has neither."""
    return _rich(f"{scenario.name}: {scenario.how}", *scenario_rows(results, scenario))


def change_table(changed: Sequence[Change]) -> Table:
    """For a terminal: what is better or worse."""
    rows = [
        [
            change.scenario + (f" at {change.x:,.0f}" if change.x is not None else ""),
            change.figure + (", ratio to Envoy" if change.is_ratio else ""),
            range_of(change.before),
            range_of(change.after),
            f"× {change.factor:.2f}",
            change.verdict,
        ]
        for change in changed
    ]
    return _rich("Changed", ["", "figure", "before", "now", "", ""], rows)


def _rich(title: str, headings: Sequence[str], rows: Rows) -> Table:
    table = Table(*headings, title=title, title_justify="left")
    for row in rows:
        table.add_row(*(cell.replace("**missed**", "[bold red]missed[/]") for cell in row))
    return table
