"""Makes a failing case small: delta debugging, by lines, then words, then bytes, live through both proxies.

Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002. What can be left out is tried at the
same time in as many lanes as there are.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from pyproxy.conformance.case import Case
from pyproxy.conformance.engine import Arena, Result
from pyproxy.conformance.observe import BACKEND, RECEIVED

MAX_RUNS = 600
"""Cases that may be run to make one smaller."""

QUICK = 0.25
"""Seconds of silence in a case that is not about how the connection ends."""

MAX_TOKENS = 400
"""More are not tried one by one."""

_LEVELS = (
    re.compile(rb"[^\n]*\n|[^\n]+"),
    re.compile(rb"[A-Za-z0-9]+|\r\n|.", re.DOTALL),
    re.compile(rb".", re.DOTALL),
)


@dataclass(frozen=True, slots=True)
class _Token:
    """A piece of what is sent, or a pause of the client."""

    sender: str
    """``client`` or ``backend``."""
    data: bytes | float


async def minimize(arena: Arena, result: Result) -> Result:
    """The smallest case found that shows the same as ``result``; ``result`` itself if there is none."""
    assert result.case is not None
    search = _Search(arena, result, MAX_RUNS)
    best = result.case
    for simpler in (_without_cuts, _without_pauses):
        candidate = simpler(best)
        if candidate != best and await search.shows(candidate):
            best = candidate
    for level in _LEVELS:
        tokens = _tokens(best, level)
        if len(tokens) <= MAX_TOKENS:
            best = _build(best, await search.shrink(tokens, partial(_build, best)))
    final = await arena.run(best)
    return final if final.kind == result.kind else result


class _Search:
    def __init__(self, arena: Arena, result: Result, runs: int) -> None:
        self._arena = arena
        self._wanted = result.kind
        self._runs = runs

    async def shows(self, case: Case) -> bool:
        """Whether ``case`` shows what is looked for."""
        if self._runs <= 0 or not case.sent:
            return False
        self._runs -= 1
        if self._wanted[1] in (RECEIVED, BACKEND):
            case = replace(case, quiet=QUICK, compare_end=False)
        return (await self._arena.run(case, patiently=False)).kind == self._wanted

    async def shrink(self, tokens: Sequence[_Token], build: Callable[[Sequence[_Token]], Case]) -> Sequence[_Token]:
        """``tokens`` without those that are not needed."""
        parts = 2
        while len(tokens) > 1 and self._runs > 0:
            size = -(-len(tokens) // parts)
            without = [[*tokens[:at], *tokens[at + size :]] for at in range(0, len(tokens), size)]
            shown = await asyncio.gather(*(self.shows(build(kept)) for kept in without))
            if True in shown:
                tokens = without[shown.index(True)]
                parts = max(parts - 1, 2)
            elif size == 1:
                break
            else:
                parts = min(parts * 2, len(tokens))
        return tokens


def _without_cuts(case: Case) -> Case:
    return replace(case, script=replace(case.script, cuts=()))


def _without_pauses(case: Case) -> Case:
    return replace(case, steps=(case.sent,))


def _tokens(case: Case, level: re.Pattern[bytes]) -> list[_Token]:
    tokens = []
    for step in case.steps:
        if isinstance(step, bytes):
            tokens += [_Token("client", piece) for piece in level.findall(step)]
        else:
            tokens.append(_Token("client", step))
    if case.answers_specially:
        tokens += [_Token("backend", piece) for piece in level.findall(case.script.replies[0])]
    return tokens


def _build(case: Case, tokens: Sequence[_Token]) -> Case:
    """``case`` with what ``tokens`` say in place of what is sent."""
    steps: list[bytes | float] = []
    for token in tokens:
        if token.sender != "client":
            continue
        last = steps[-1] if steps else None
        if isinstance(token.data, bytes) and isinstance(last, bytes):
            steps[-1] = last + token.data
        elif isinstance(token.data, bytes) or isinstance(last, bytes):
            steps.append(token.data)
    script = case.script
    if case.answers_specially:
        reply = b"".join(one.data for one in tokens if one.sender == "backend" and isinstance(one.data, bytes))
        script = replace(script, replies=(reply, *script.replies[1:]))
    sent = b"".join(step for step in steps if isinstance(step, bytes))
    responses = min(case.responses, max(1, sent.count(b"HTTP/1.")))
    return replace(case, steps=tuple(steps), script=script, responses=responses)
