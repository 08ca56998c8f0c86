"""``python -m benchmarks``: run, print, and write the results."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks import compare, machine, report, run
from benchmarks.results import Results
from benchmarks.scenarios import SCENARIOS

ROOT = Path(__file__).parents[1]


@click.command()
@click.option("--short", is_flag=True, help="Two minutes: shows whether something is amiss, and proves nothing.")
@click.option("-k", "pattern", help="Only the scenarios whose name has this regular expression in it.")
@click.option("--keep", is_flag=True, help="With -k: the output folder's other scenarios stay as they are.")
@click.option("--rounds", type=click.IntRange(min=1), help="Of each scenario; a curve has 3 at most.  [default: 5]")
@click.option("--seconds", type=click.IntRange(min=1), help="Of each measurement.  [default: 4]")
@click.option(
    "--output",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / "benchmarks" / "results",
    help="The folder for results.json, README.md and the plots.  [default: benchmarks/results]",
)
@click.option(
    "--compare",
    "earlier",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Say what has changed since this results.json.",
)
@click.option(
    "--replot", is_flag=True, help="Measure nothing: write page and plots of the output folder's results anew."
)
@click.option(
    "--peers",
    type=click.Path(file_okay=False, path_type=Path),
    default=ROOT / ".venv-bench",
    help="The virtual environment that has the Python proxies and matplotlib.  [default: .venv-bench]",
)
def main(
    short: bool,
    pattern: str | None,
    keep: bool,
    rounds: int | None,
    seconds: int | None,
    output: Path,
    earlier: Path | None,
    replot: bool,
    peers: Path,
) -> None:
    """Measure pyproxy beside Envoy, HAProxy, nginx and Python's proxies."""
    console = Console()
    if not console.is_terminal:
        console.width = 160
    before = Results.load(earlier) if earlier is not None else None  # it may be the file that is written below
    bench_python = machine.bench_python(peers)
    output.mkdir(parents=True, exist_ok=True)
    file = output / "results.json"
    if replot:
        results = Results.load(file)
    else:
        plan = run.SHORT if short else run.FULL
        chosen = [scenario for scenario in plan.scenarios if re.search(pattern or "", scenario.name)]
        plan = replace(plan, scenarios=chosen, rounds=rounds or plan.rounds, seconds=seconds or plan.seconds)
        kept = Results.load(file) if keep else None
        results = _run(console, plan, bench_python, kept)
        results.save(file)
    plots: list[str | Path] = ["-m", "benchmarks.plots", file.absolute(), output.absolute()]
    subprocess.run([bench_python.absolute(), *plots], check=True, cwd=ROOT)
    pictures = [
        (one.name, svg.name) for one in SCENARIOS if (svg := output / f"{one.name.replace(' ', '-')}.svg").exists()
    ]
    (output / "README.md").write_text(report.markdown(results, pictures), encoding="utf-8")
    for scenario in SCENARIOS:
        if results.names("subject", scenario=scenario.name):
            console.print(report.scenario_table(results, scenario))
    for note in results.notes:
        console.print(f"not measured: {note}", markup=False)
    console.print(report.budget_table(results))
    console.print(f"on {results.machine}; {report.versions(results)}", markup=False)
    if before is not None:
        _compare(console, before, results)
    console.print(f"written: {output}", markup=False)


def _run(console: Console, plan: run.Plan, bench_python: Path, kept: Results | None) -> Results:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as progress:
        task = progress.add_task("", total=plan.steps, completed=-1)
        return run.run(plan, bench_python, lambda what: progress.update(task, advance=1, description=what), kept)


def _compare(console: Console, before: Results, after: Results) -> None:
    for warning in compare.warnings(before, after):
        console.print(f"compared with {warning}", markup=False)
    found = list(compare.changes(before, after))
    verdicts = Counter(change.verdict for change in found)
    changed = [change for change in found if change.verdict in ("better", "worse")]
    if changed:
        console.print(report.change_table(changed))
    console.print(", ".join(f"{count} figures {verdict}" for verdict, count in verdicts.items()))


if __name__ == "__main__":
    main()
