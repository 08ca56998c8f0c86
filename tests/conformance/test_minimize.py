"""Making failing cases small, with an arena that knows what fails."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from pyproxy.conformance.case import Case
from pyproxy.conformance.cases import TODAY
from pyproxy.conformance.engine import Arena, Difference, Result
from pyproxy.conformance.judge import Verdict
from pyproxy.conformance.minimize import MAX_RUNS, minimize
from pyproxy.conformance.observe import END, RECEIVED
from pyproxy.conformance.peers import Script


class Knowing:
    """Stands in for an arena: a case fails if ``fails`` says so."""

    def __init__(self, fails: Callable[[Case], bool], what: str = RECEIVED) -> None:
        self._fails = fails
        self._what = what
        self.runs: list[Case] = []

    async def run(self, case: Case, *, patiently: bool = True) -> Result:
        self.runs.append(case)
        if not self._fails(case):
            return Result(case.name, case=case)
        return Result(case.name, [Difference(self._what, b"a", b"b")], Verdict.DIFFERENT, case=case)


def minimized(arena: Knowing, case: Case) -> Case:
    async def run() -> Result:
        return await minimize(cast("Arena", arena), await arena.run(case))

    result = asyncio.run(run())
    assert result.case is not None
    return result.case


LONG = b"GET /a HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % number for number in range(50)) + b"X: a\rb\r\n\r\n"


def test_what_is_not_needed_goes() -> None:
    arena = Knowing(lambda case: case.sent.startswith(b"GET") and b"\r" in case.sent.replace(b"\r\n", b""))
    small = minimized(arena, Case("c", TODAY, (LONG[:20], 0.02, LONG[20:]), responses=3))
    assert small.steps == (b"GET\r",)
    assert small.responses == 1
    assert len(arena.runs) <= MAX_RUNS + 2


def test_pauses_stay_where_they_matter() -> None:
    small = minimized(Knowing(lambda case: len(case.steps) > 2), Case("c", TODAY, (LONG[:20], 0.02, LONG[20:])))
    assert [step if isinstance(step, float) else len(step) for step in small.steps] == [1, 0.02, 1]


def test_a_backends_answer_is_made_small_too() -> None:
    script = Script((b"HTTP/1.1 200 OK\r\nA: b\r\nBad\r\n\r\nbody", b"next"), cuts=(3, 4))
    arena = Knowing(lambda case: b"Bad" in case.script.replies[0])
    small = minimized(arena, Case("c", TODAY, (LONG,), script))
    assert small.script.replies == (b"Bad", b"next")
    assert small.script.cuts == ()
    assert len(small.sent) == 1


@pytest.mark.parametrize(("what", "compared"), [(RECEIVED, False), (END, True)])
def test_the_end_is_waited_for_where_it_is_what_differs(what: str, compared: bool) -> None:
    arena = Knowing(lambda case: b"A" in case.sent, what)
    minimized(arena, Case("c", TODAY, (b"AB",)))
    assert {case.compare_end for case in arena.runs[1:-1]} == {compared}


def test_what_fails_only_sometimes_is_left_as_it_is() -> None:
    fails = iter([True] * 10)
    case = Case("c", TODAY, (LONG,))
    assert minimized(Knowing(lambda _: next(fails, False)), case) == case
