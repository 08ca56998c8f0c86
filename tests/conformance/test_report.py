"""What is said about results."""

from __future__ import annotations

import io

from rich.console import Console

from pyproxy.conformance.case import Case
from pyproxy.conformance.cases import TODAY
from pyproxy.conformance.engine import Difference, Result
from pyproxy.conformance.inputs import GET
from pyproxy.conformance.judge import Verdict
from pyproxy.conformance.peers import Script
from pyproxy.conformance.report import exit_code, print_report, shorten, totals

DIFFERENCE = Difference("the client received", b"abc", b"abd")
CASE = Case("c", TODAY, (GET,), Script((b"reply\xff",)))


def printed(results: list[Result]) -> tuple[int, str]:
    sink = io.StringIO()
    print_report(Console(file=sink, soft_wrap=True), results)
    return exit_code(results), sink.getvalue()


def test_nothing_to_say() -> None:
    assert printed([Result("c")]) == (0, "1 cases, 1 the same\n")


def test_a_difference_is_marked_and_who_sent_what_is_said() -> None:
    failed = Result("c", [DIFFERENCE, Difference("x", b"", b"y")], Verdict.DIFFERENT, case=CASE)
    code, text = printed([Result("b"), failed])
    assert code == 1
    assert "c: different\n" in text
    assert r"the client sends GET / HTTP/1.1\r\n" in text
    assert r"the backend sends reply\xff" in text
    assert "the client received: differs from byte 2 on" in text
    assert "Envoy   ab>>>c" in text
    assert "pyproxy ab>>>d" in text
    assert "Envoy   nothing" in text
    assert text.endswith("2 cases, 1 the same, 1 different\n")


def test_only_what_is_around_the_difference_is_shown() -> None:
    long = Difference("x", b"a" * 500 + b"b" + b"c" * 500, b"a" * 500 + b"d")
    _, text = printed([Result("c", [long], Verdict.UNSAFE)])
    assert f"Envoy   … {'a' * 120}>>>b{'c' * 299} …" in text
    assert f"pyproxy … {'a' * 120}>>>d\n" in text


def test_the_minimized_case_is_shown_in_place_of_the_first() -> None:
    small = Result("c", [Difference("the client received", b"a", b"b")], Verdict.UNSAFE)
    _, text = printed([Result("c", [DIFFERENCE], Verdict.UNSAFE, case=CASE, shrunk=small)])
    assert "c: unsafe, minimized\n" in text
    assert ">>>a" in text
    assert "abc" not in text


def test_explained_and_stale_deviations() -> None:
    explained = Result("deviation/d", [DIFFERENCE], Verdict.EXPLAINED, "d", corpus="deviations")
    assert printed([explained]) == (0, "1 cases, 0 the same, 1 explained by a deviation\n")
    for other in (
        Result("deviation/d", corpus="deviations"),
        Result("deviation/e", deviation="d", corpus="deviations"),
    ):
        code, text = printed([other])
        assert code == 1
        assert f"{other.name}: stale" in text


def test_totals_by_corpus() -> None:
    _, text = printed([Result("a"), Result("b", corpus="fuzz"), Result("c", [DIFFERENCE], Verdict.UNSAFE)])
    assert "built-in: 2 cases, 1 the same, 1 unsafe\nfuzz: 1 cases, 1 the same\n3 cases" in text
    assert totals([]) == "0 cases, 0 the same"


def test_shorten() -> None:
    assert shorten("a" * 1000) == "a" * 1000
    assert shorten("a" * 600 + "b" * 600) == "a" * 500 + " … " + "b" * 300
