"""The report as a file: Markdown, or HTML that needs nothing but itself."""

from __future__ import annotations

import html
import platform
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pyproxy import __version__
from pyproxy.conformance.deviations import load_deviations
from pyproxy.conformance.engine import Result
from pyproxy.conformance.judge import Verdict
from pyproxy.conformance.messages import first_difference
from pyproxy.conformance.report import AFTER, BEFORE, sent, shorten, stale_deviations, unexplained
from pyproxy.envoy.process import EnvoyError, find_envoy

STYLE = """\
body { font: 16px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
body { color: #222; background: #fff } table { border-collapse: collapse; margin: 1rem 0 }
th, td { padding: .2rem .8rem; text-align: right; border-bottom: 1px solid #ccc }
th:first-child, td:first-child, .text td, .text th { text-align: left }
pre { background: #f4f4f4; padding: .6rem; white-space: pre-wrap; overflow-wrap: anywhere; margin: .3rem 0 }
mark { background: #c00; color: #fff } .unsafe { color: #c00 } dt { margin-top: .6rem } dd { margin: 0 }
@media (prefers-color-scheme: dark) {
  body { color: #ddd; background: #161616 } pre { background: #222 } th, td { border-color: #444 }
}
"""


def write_report(file: Path, results: Sequence[Result]) -> None:
    """Write ``file``; its suffix says which. Raises ``OSError``."""
    lines = _html(results) if file.suffix == ".html" else _markdown(results)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def environment() -> list[tuple[str, str]]:
    """What ran, and on what."""
    try:
        said = subprocess.run(
            [find_envoy(), "--version"], capture_output=True, text=True, check=True, timeout=20
        ).stdout
        envoy = "/".join(said.split("version:")[-1].strip().split("/")[1:4])
    except (EnvoyError, OSError, subprocess.SubprocessError):
        envoy = "not here"
    return [
        ("pyproxy", __version__),
        ("Envoy", envoy),
        ("Python", platform.python_version()),
        ("system", f"{platform.system()} {platform.release()} {platform.machine()}"),
        ("when", datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")),
    ]


def totals_table(results: Sequence[Result]) -> list[list[str]]:
    """A header and a row for each corpus; a last one for all where there are several."""
    corpora = list(dict.fromkeys(result.corpus for result in results))
    rows = [["corpus", "cases", *(verdict.value for verdict in Verdict)]]
    for corpus in [*corpora, *(["all"] if len(corpora) > 1 else [])]:
        of = [result for result in results if corpus in ("all", result.corpus)]
        counts = Counter(result.verdict for result in of)
        rows.append([corpus, str(len(of)), *(str(counts[verdict]) for verdict in Verdict)])
    return rows


def deviations_table(results: Sequence[Result]) -> list[list[str]]:
    """A header and a row for each deviation that was met: how often, and why it is."""
    counts = Counter(result.deviation for result in results if result.deviation is not None)
    rows = [["deviation", "cases", "why"]]
    return rows + [[one.name, str(counts[one.name]), one.reason] for one in load_deviations() if counts[one.name]]


def _failures(results: Sequence[Result]) -> Iterator[tuple[Result, Result]]:
    """Each failure and what of it is shown, the unsafe ones first."""
    order = sorted(unexplained(results), key=lambda result: (result.verdict is not Verdict.UNSAFE, result.name))
    return ((result, result.shrunk or result) for result in order)


def _marked(data: bytes, offset: int) -> tuple[str, str, str]:
    """What is before the first byte that differs, this byte, and what is behind it."""
    start, end = max(0, offset - BEFORE), offset + AFTER
    before = ("… " if start else "") + _text(data[start:offset])
    if offset >= len(data):
        return before, "nothing more" if data else "nothing", ""
    return before, _text(data[offset : offset + 1]), _text(data[offset + 1 : end]) + (" …" if end < len(data) else "")


def _text(data: bytes) -> str:
    return repr(data)[2:-1]


def _html(results: Sequence[Result]) -> Iterator[str]:
    failed = unexplained(results)
    yield "<!doctype html>"
    yield f'<html lang="en"><meta charset="utf-8"><title>pyproxy beside Envoy</title><style>{STYLE}</style>'
    yield "<h1>pyproxy beside Envoy</h1>"
    yield "<p>" + " · ".join(f"{html.escape(name)} {html.escape(value)}" for name, value in environment()) + "</p>"
    yield from _html_table(totals_table(results))
    deviations = deviations_table(results)
    if len(deviations) > 1:
        yield "<h2>Explained: pyproxy refuses on purpose</h2>"
        yield from _html_table(deviations, "text")
    for name in stale_deviations(results):
        yield f"<p class=unsafe>{html.escape(name)} is stale: it does not explain its own example.</p>"
    yield f"<h2>{len(failed)} unexplained</h2>" if failed else "<h2>Nothing unexplained</h2>"
    for result, shown in _failures(results):
        title = f"{result.name}: {result.verdict.value}{', minimized' if shown is not result else ''}"
        yield f"<h3 class={result.verdict.name.lower()}>{html.escape(title)}</h3>"
        for who, data in sent(shown.case) if shown.case is not None else ():
            yield f"<p>{who} sends</p><pre>{html.escape(shorten(_text(data)))}</pre>"
        for difference in shown.differences:
            offset = first_difference(difference.envoy, difference.pyproxy)
            yield f"<dl><dt>{html.escape(difference.what)}, different from byte {offset} on</dt>"
            for side, data in (("Envoy", difference.envoy), ("pyproxy", difference.pyproxy)):
                before, byte, after = (html.escape(part) for part in _marked(data, offset))
                yield f"<dd>{side}<pre>{before}<mark>{byte}</mark>{after}</pre></dd>"
            yield "</dl>"
    yield "</html>"


def _html_table(rows: Sequence[Sequence[str]], style: str = "") -> Iterator[str]:
    yield f"<table class='{style}'>"
    for row in rows:
        tag = "th" if row is rows[0] else "td"
        yield "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in row) + "</tr>"
    yield "</table>"


def _markdown(results: Sequence[Result]) -> Iterator[str]:
    failed = unexplained(results)
    yield "# pyproxy beside Envoy\n"
    yield " · ".join(f"{name} {value}" for name, value in environment()) + "\n"
    yield from markdown_table(totals_table(results))
    deviations = deviations_table(results)
    if len(deviations) > 1:
        yield "\n## Explained: pyproxy refuses on purpose\n"
        yield from markdown_table(deviations)
    for name in stale_deviations(results):
        yield f"\n**{name} is stale: it does not explain its own example.**"
    yield f"\n## {len(failed)} unexplained\n" if failed else "\n## Nothing unexplained\n"
    for result, shown in _failures(results):
        minimized = ", minimized" if shown is not result else ""
        yield f"### {result.name}: {result.verdict.value}{minimized}\n"
        yield "```text"
        for who, data in sent(shown.case) if shown.case is not None else ():
            yield f"{who} sends {shorten(_text(data))}"
        for difference in shown.differences:
            offset = first_difference(difference.envoy, difference.pyproxy)
            yield f"{difference.what}, different from byte {offset} on"
            for side, data in (("Envoy  ", difference.envoy), ("pyproxy", difference.pyproxy)):
                before, byte, after = _marked(data, offset)
                yield f"  {side} {before}>>>{byte}<<<{after}"
        yield "```\n"


def markdown_table(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    """``rows``, the first of which is the header."""
    for row in rows:
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |"
        if row is rows[0]:
            yield "|" + "---|" * len(row)
