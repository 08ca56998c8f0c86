"""The report as a file."""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path

from pyproxy.conformance.case import Case
from pyproxy.conformance.cases import TODAY
from pyproxy.conformance.engine import Difference, Result
from pyproxy.conformance.inputs import GET
from pyproxy.conformance.judge import Verdict
from pyproxy.conformance.report_file import markdown_table, write_report

CASE = Case("<c>", TODAY, (b"GET /<x> HTTP/1.1\r\n\r\n",))
RESULTS = [
    Result("fine"),
    Result("a", [Difference("x", b"1", b"2")], Verdict.EXPLAINED, "bare CR", corpus="fuzz"),
    Result("<c>", [Difference("y", b"<a>b", b"<a>c"), Difference("z", b"ab", b"a")], Verdict.UNSAFE, case=CASE),
]


class Tags(HTMLParser):
    """Counts elements, and finds those that would be loaded."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.text = ""
        self.marked: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        assert not {"src", "href"} & {name for name, _ in attrs}

    def handle_data(self, data: str) -> None:
        self.text += data
        if self.names[-1:] == ["mark"]:
            self.marked.append(data)
            self.names.append("")


def test_html_needs_nothing_else_and_escapes(tmp_path: Path) -> None:
    write_report(tmp_path / "r.html", RESULTS)
    tags = Tags()
    tags.feed((tmp_path / "r.html").read_text())
    assert not {"script", "link", "img", "x", "c", "a"} & set(tags.names)
    assert tags.marked == ["b", "c", "b", "nothing more"]
    for text in (
        "pyproxy beside Envoy",
        "<c>: unsafe",
        r"GET /<x> HTTP/1.1\r\n\r\n",
        "bare CR",
        "1 unexplained",
        "Python",
    ):
        assert text in tags.text


def test_markdown(tmp_path: Path) -> None:
    write_report(tmp_path / "r.md", RESULTS)
    text = (tmp_path / "r.md").read_text()
    assert "| corpus | cases | the same | explained by a deviation | different | unsafe |" in text
    assert "| all | 3 | 1 | 1 | 0 | 1 |" in text
    assert "### <c>: unsafe" in text
    assert "  Envoy   <a>>>>b<<<" in text
    assert "## 1 unexplained" in text


def test_nothing_unexplained(tmp_path: Path) -> None:
    for name in ("r.md", "r.html"):
        write_report(tmp_path / name, [Result("fine", case=Case("fine", TODAY, (GET,)))])
        assert "Nothing unexplained" in (tmp_path / name).read_text()


def test_cells_with_bars() -> None:
    assert list(markdown_table([["a"], ["b|c"]])) == ["| a |", "|---|", "| b\\|c |"]
