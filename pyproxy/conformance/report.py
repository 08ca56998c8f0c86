"""What is said about results: on the terminal, and how many of which verdict there are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from rich.console import Console

from pyproxy.conformance.case import Case
from pyproxy.conformance.engine import Result
from pyproxy.conformance.judge import Verdict
from pyproxy.conformance.messages import first_difference

BEFORE, AFTER = 120, 300
"""Bytes that are shown before and behind the first that differs."""


def print_report(console: Console, results: Sequence[Result]) -> None:
    """Print what differed and the totals."""
    for result in sorted(unexplained(results), key=lambda result: result.name):
        shown = result.shrunk or result
        minimized = ", minimized" if result.shrunk is not None and result.shrunk is not result else ""
        console.print(f"\n{result.name}: {result.verdict.value}{minimized}", style="bold red", markup=False)
        if shown.case is not None:
            for who, data in sent(shown.case):
                console.print(f"  {who} sends {shorten(repr(data)[2:-1])}", markup=False)
        for difference in shown.differences:
            offset = first_difference(difference.envoy, difference.pyproxy)
            console.print(f"  {difference.what}: differs from byte {offset} on", markup=False)
            console.print(f"    Envoy   {_excerpt(difference.envoy, offset)}", markup=False)
            console.print(f"    pyproxy {_excerpt(difference.pyproxy, offset)}", markup=False)
    for name in stale_deviations(results):
        console.print(f"{name}: stale, it does not explain its own example", style="bold red", markup=False)
    corpora = list(dict.fromkeys(result.corpus for result in results))
    for corpus in corpora if len(corpora) > 1 else ():
        console.print(f"{corpus}: {totals([one for one in results if one.corpus == corpus])}", markup=False)
    console.print(totals(results), markup=False)


def exit_code(results: Sequence[Result]) -> int:
    """0 when nothing unexplained is left, 1 otherwise."""
    return 1 if unexplained(results) or stale_deviations(results) else 0


def unexplained(results: Iterable[Result]) -> list[Result]:
    """What makes the exit code 1."""
    return [result for result in results if result.verdict in (Verdict.DIFFERENT, Verdict.UNSAFE)]


def stale_deviations(results: Sequence[Result]) -> list[str]:
    """Examples of deviations that did not show them."""
    return [
        result.name
        for result in results
        if result.corpus == "deviations" and result.name != f"deviation/{result.deviation}"
    ]


def totals(results: Sequence[Result]) -> str:
    """``3 cases, 2 the same, 1 different``."""
    counts = Counter(result.verdict for result in results)
    parts = [f"{counts[verdict]} {verdict.value}" for verdict in Verdict if counts[verdict] or verdict is Verdict.SAME]
    return ", ".join([f"{len(results)} cases", *parts])


def sent(case: Case) -> Iterator[tuple[str, bytes]]:
    """Who sends what in ``case``, where that is worth saying."""
    yield "the client", case.sent
    if case.answers_specially:
        yield "the backend", b"".join(case.script.replies)


def shorten(text: str) -> str:
    """``text`` without the middle of what is long."""
    return text if len(text) <= 1000 else f"{text[:500]} … {text[-300:]}"


def _excerpt(data: bytes, offset: int) -> str:
    """``data`` around ``offset``, with a mark where the difference begins."""
    if not data:
        return "nothing"
    start, end = max(0, offset - BEFORE), offset + AFTER
    before, after = repr(data[start:offset])[2:-1], repr(data[offset:end])[2:-1]
    return f"{'… ' if start else ''}{before}>>>{after}{' …' if end < len(data) else ''}"
