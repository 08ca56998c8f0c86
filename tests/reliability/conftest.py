"""Collects what the tests measure and shows it as a table in the end."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path

import pytest
from rich.console import Console

from tests.reliability.figures import SIDES, Figures, markdown, table
from tests.support.subjects import Subject

ALL: pytest.StashKey[list[Figures]] = pytest.StashKey()
MINE = pytest.StashKey[Figures]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-table", type=Path, metavar="FILE", help="write the table of the figures as Markdown")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[ALL] = []
    if config.getoption("--write-table") and config.option.keyword:
        raise pytest.UsageError("--write-table writes a table of all tests: leave out -k")


@pytest.fixture(params=SIDES)
def subject(request: pytest.FixtureRequest) -> Subject:
    """pyproxy, then Envoy."""
    return Subject(request.param)


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Where the test notes what it measures."""
    item = request.node
    side = item.callspec.params.get("subject", SIDES[0]) if hasattr(item, "callspec") else SIDES[0]
    number = re.match(r"test_r(\d+)_", item.originalname)
    assert number is not None, f"{item.name} has no number"
    assert item.function.__doc__, f"{item.name} has no title"
    title = item.function.__doc__.splitlines()[0].rstrip(".")
    mine = item.stash[MINE] = Figures(f"R{number[1]}", title, side)
    request.config.stash[ALL].append(mine)
    return mine


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Hold the figures to their bounds once all of them are there."""
    result = yield
    if MINE in item.stash:
        item.stash[MINE].check()
    return result


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if MINE in item.stash and (report.failed or report.skipped):
        item.stash[MINE].outcome = "failed" if report.failed else str(call.excinfo.value if call.excinfo else "skipped")
    return report


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.stash[ALL]:
        terminalreporter.ensure_newline()
        console = Console(highlight=False, width=None if terminalreporter.isatty else 180)
        figures = config.stash[ALL]
        console.print(table(figures))
        target: Path | None = config.getoption("--write-table")
        if target is not None:
            target.write_text(markdown(figures))
