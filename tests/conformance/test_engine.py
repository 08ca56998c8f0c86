"""The harness itself: reading logs, judging, real proxies on both sides, and one that lies."""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import replace
from pathlib import Path

from pyproxy.conformance.case import Case, Group, Observation
from pyproxy.conformance.cases import CASES, PROXY_REQUIRED, TODAY
from pyproxy.conformance.engine import AccessLogReader, Arena, Result, judge, run_group
from pyproxy.conformance.inputs import GET, V1_LINE, get
from pyproxy.conformance.judge import Verdict
from pyproxy.conformance.minimize import minimize
from pyproxy.conformance.observe import BACKEND, RECEIVED, REMOTE
from pyproxy.conformance.peers import Script, Seen
from pyproxy.conformance.subjects import EnvoySubject, PyproxySubject


def results_of(cases: list[Case], subject: type[EnvoySubject] | type[PyproxySubject]) -> list[Result]:
    results: list[Result] = []
    asyncio.run(run_group(cases[0].group, cases, results.append, subject=subject))
    return results


class Lying(EnvoySubject):
    """Envoy under settings that it should not have."""

    def __init__(self, group: Group, ports: list[int], *, access_log: Path | None = None) -> None:
        super().__init__(replace(group, spec="headers: {enableEnvoyHeaders: true}"), ports, access_log=access_log)


def test_envoy_beside_envoy_is_the_same() -> None:
    cases = [case for case in CASES if case.group is TODAY and case.name.startswith(("headers/", "refused/"))]
    assert [result.name for result in results_of(cases, EnvoySubject) if result.differences] == []


def test_a_wrong_header_shows_and_is_made_small() -> None:
    async def run() -> tuple[Result, Result]:
        async with Arena(TODAY, lanes=8, subject=Lying) as arena:
            result = await arena.run(Case("c", TODAY, (get(b"a: b", b"c: d", path=b"/long/path"),)))
            return result, await minimize(arena, result)

    result, small = asyncio.run(run())
    assert [difference.what for difference in result.differences] == [RECEIVED, BACKEND]
    assert result.verdict is Verdict.DIFFERENT
    assert small.case is not None
    assert len(small.case.sent) < len(GET)


def test_an_address_in_the_log_is_compared() -> None:
    case = Case("c", PROXY_REQUIRED, (V1_LINE + GET,), addresses=True, corpus="x")
    (same,) = results_of([case], PyproxySubject)
    assert same.differences == []
    assert same.seen.logged == [("203.0.113.7:4711", "192.0.2.1:80")]


def test_a_backends_answer_in_pieces_and_a_second_one() -> None:
    script = Script(
        (b"HTTP/1.1 201 a\r\ncontent-length: 0\r\n\r\n", b"HTTP/1.1 202 b\r\n\r\n"), cuts=(5, 12), then="close"
    )
    (result,) = results_of([Case("c", TODAY, (GET, 0.3, GET), script, responses=2, corpus="x")], PyproxySubject)
    assert result.differences == []
    assert b"201 Created" in result.seen.received
    assert b"202 Accepted" in result.seen.received


def test_a_record_takes_envoys_place() -> None:
    seen = Observation({RECEIVED: b"HTTP/1.1 200 OK\r\n\r\n", BACKEND: b""})
    results: list[Result] = []
    case = Case("c", TODAY, (GET,), recorded=seen, corpus="x")
    asyncio.run(run_group(TODAY, [case], results.append, reference=None))
    assert [difference.what for difference in results[0].differences] == [RECEIVED, BACKEND]


def test_growth_and_standard_error_are_looked_at() -> None:
    class Leaking(PyproxySubject):
        """Says something, and has more descriptors each time it is asked."""

        def complaints(self) -> str:
            return "Traceback"

        @property
        def pid(self) -> int:
            self.files = [*getattr(self, "files", []), *(os.open("/dev/null", os.O_RDONLY) for _ in range(5))]
            return os.getpid()

    results: list[Result] = []
    case = Case("c", TODAY, (GET,), corpus="x")
    made: list[Leaking] = []

    def make(group: Group, ports: list[int]) -> Leaking:
        made.append(Leaking(group, ports))
        return made[0]

    asyncio.run(run_group(TODAY, [case] * 4, results.append, reference=None, subject=make, watch_growth=True))
    for descriptor in made[0].files:
        os.close(descriptor)
    failed = [result for result in results if result.case is None]
    assert [result.name for result in failed] == ["v1.9/growth", "v1.9/standard error"]
    assert [result.verdict for result in failed] == [Verdict.DIFFERENT, Verdict.DIFFERENT]
    assert failed[0].differences[-1].what == "descriptors"


def test_the_log_reader_waits_for_a_line(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def line(request_id: str | None, remote: str) -> str:
        record = {"x-request-id": request_id, "downstream_remote_address": remote, "downstream_local_address": "l"}
        return json.dumps(record) + "\n"

    async def run() -> tuple[str, str]:
        waiting = asyncio.ensure_future(AccessLogReader(log).addresses("b"))
        await asyncio.sleep(0.05)
        log.write_text(line(None, "x") + line("a", "1") + line("b", "2")[:20])
        await asyncio.sleep(0.05)
        log.write_text(line(None, "x") + line("a", "1") + line("b", "2"))
        return await waiting

    assert asyncio.run(run()) == ("2", "l")


def test_judging() -> None:
    texts = (b"", b"HTTP/1.1 200 OK\r\n\r\n")
    envoy, pyproxy = (Observation({RECEIVED: text, REMOTE: b"a"}, text, ()) for text in texts)
    case = Case("c", TODAY, (GET,))
    assert judge(case, envoy, envoy, Seen()).verdict is Verdict.SAME
    assert judge(case, envoy, pyproxy, Seen()).verdict is Verdict.UNSAFE
    assert judge(case, pyproxy, envoy, Seen()).verdict is Verdict.DIFFERENT
    bare = replace(case, steps=(get(b"a: b\rc"),))
    assert judge(bare, pyproxy, envoy, Seen()).deviation == "bare CR"
