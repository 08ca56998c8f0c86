"""The harness itself, and all its cases."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace

import pytest
from rich.console import Console

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.cases import CASES, GET, PROXY_REQUIRED, TODAY, get
from pyproxy.conformance.deviations import Deviation, explain, load_deviations
from pyproxy.conformance.fuzz import generate
from pyproxy.conformance.peers import Seen
from pyproxy.conformance.run import Difference, Result, compare, report, run_conformance, run_fuzz, run_group
from pyproxy.conformance.subjects import EnvoySubject, PyproxySubject


def test_names_are_unique_and_there_are_enough() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 60


def test_compare() -> None:
    case = Case("c", TODAY, (GET,))
    one = Seen(received=b"HTTP/1.1 200 OK\r\n\r\n", end="fin", seconds=0, requests=[b"a"])
    assert compare(case, one, one) == []
    other = Seen(received=b"HTTP/1.1 201 OK\r\n\r\n", end="rst", seconds=5, requests=[])
    assert [difference.what for difference in compare(case, one, other)] == [
        "the client received",
        "the backend received",
        "the client's connection ended",
        "backend connections",
    ]
    late = replace(one, seconds=5)
    assert [difference.what for difference in compare(case, one, late)] == ["seconds to the end"]


def printed(results: list[Result]) -> tuple[int, str]:
    sink = io.StringIO()
    code = report(Console(file=sink, width=200), results)
    return code, sink.getvalue()


DIFFERENCE = Difference("the client received", b"abc", b"abd")


def test_report() -> None:
    assert printed([Result("c")]) == (0, "1 cases, 1 the same\n")
    code, text = printed([Result("c", [DIFFERENCE]), Result("fuzz/1/2", [Difference("x", b"", b"y")], sent=b"seed")])
    assert code == 1
    assert "Envoy   ab>>>c" in text
    assert "pyproxy ab>>>d" in text
    assert "Envoy   nothing" in text
    assert "sent: b'seed'" in text
    assert text.endswith("2 cases, 0 the same, 2 different\n")


def test_deviations() -> None:
    explained = Result("deviation/d", [DIFFERENCE], explained_by="d")
    assert printed([explained]) == (0, "1 cases, 0 the same, 1 explained by a deviation\n")
    code, text = printed([Result("deviation/d")])
    assert code == 1
    assert "deviation/d: stale" in text


@pytest.mark.parametrize("deviation", load_deviations(), ids=lambda deviation: deviation.name)
def test_a_deviation_explains_its_example_and_only_refusing(deviation: Deviation) -> None:
    explained = explain([deviation], deviation.example, b"GET / HTTP/1.1", b"")
    assert explained == deviation.name
    assert explain([deviation], deviation.example, b"", b"GET / HTTP/1.1") is None
    assert explain([deviation], b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"x", b"") is None


def test_fuzz_cases_are_the_same_for_the_same_seed() -> None:
    for group in (TODAY, PROXY_REQUIRED):
        one, other = list(generate(group, 50, 7)), list(generate(group, 50, 7))
        assert one == other
        assert len({case.sent for case in one}) > 40
    assert list(generate(TODAY, 50, 8)) != list(generate(TODAY, 50, 7))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", [TODAY, PROXY_REQUIRED], ids=lambda group: group.name)
def test_a_short_fuzz_run_leaves_nothing_unexplained(group: Group, capsys: pytest.CaptureFixture[str]) -> None:
    code = run_fuzz(group, 150, 20261124)
    assert code == 0, capsys.readouterr().out


def results_of(cases: list[Case], subject: type[EnvoySubject] | type[PyproxySubject]) -> list[Result]:
    results: list[Result] = []
    asyncio.run(run_group(TODAY, cases, results.append, subject=subject))
    return results


def test_envoy_beside_envoy_is_the_same() -> None:
    cases = [case for case in CASES if case.group is TODAY and case.name.startswith(("headers/", "refused/"))]
    assert [result for result in results_of(cases, EnvoySubject) if result.differences] == []


def test_a_broken_header_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    class Lying(EnvoySubject):
        """Envoy under settings that it should not have."""

        def __init__(self, group: object, ports: list[int]) -> None:
            super().__init__(replace(TODAY, spec="headers: {enableEnvoyHeaders: true}"), ports)

    (result, _) = results_of([Case("c", TODAY, (get(b"a: b"),))], Lying)
    assert [difference.what for difference in result.differences] == ["the client received", "the backend received"]


def test_list_and_nothing_to_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_conformance("guide/", list_only=True) == 0
    assert "guide/keepalive, both requests" in capsys.readouterr().out
    assert run_conformance("no such case", list_only=False) == 2


@pytest.mark.timeout(300)
def test_every_case_is_as_envoy_does_it(capsys: pytest.CaptureFixture[str]) -> None:
    code = run_conformance("", list_only=False)
    assert code == 0, capsys.readouterr().out
