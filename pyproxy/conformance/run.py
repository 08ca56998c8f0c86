"""Runs cases through both proxies and compares what each side saw."""

from __future__ import annotations

import asyncio
import socket
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.cases import CASES, KEEPALIVE_GROUPS, PROXY_REQUIRED, TODAY
from pyproxy.conformance.deviations import explain, load_deviations
from pyproxy.conformance.fuzz import generate
from pyproxy.conformance.kernel import keepalive_options
from pyproxy.conformance.messages import first_difference, normalize
from pyproxy.conformance.peers import Backend, Seen, talk
from pyproxy.conformance.subjects import EnvoySubject, PyproxySubject, Subject
from pyproxy.envoy.process import EnvoyError, free_port

LANES = 6
"""Cases of a group that run at once; each lane has a listener and a backend of its own."""

FUZZ_LANES = 24
"""Fuzz cases mostly wait for silence, so that many can wait at once."""

SECONDS_APART = 0.6
"""How much sooner or later than Envoy pyproxy may end a connection; a busy machine takes its share."""

MakeSubject = Callable[[Group, list[int]], Subject]


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that the two sides saw differently."""

    what: str
    envoy: bytes
    pyproxy: bytes


@dataclass(slots=True)
class Result:
    """A case that has run."""

    name: str
    differences: list[Difference] = field(default_factory=list)
    explained_by: str | None = None
    """The deviation that the differences are."""
    sent: bytes = b""


def compare(case: Case, envoy: Seen, pyproxy: Seen) -> list[Difference]:
    """What differs between the two sides of ``case``."""
    views: list[tuple[str, Callable[[Seen], bytes]]] = [
        ("the client received", lambda seen: normalize(seen.received, bodiless=case.bodiless)),
        ("the backend received", backend_view),
    ]
    if case.compare_end:
        views.append(("the client's connection ended", lambda seen: seen.end.encode()))
        views.append(("backend connections", lambda seen: b"%d" % len(seen.requests)))
    if case.compare_end and envoy.end == pyproxy.end != "open" and abs(envoy.seconds - pyproxy.seconds) > SECONDS_APART:
        views.append(("seconds to the end", lambda seen: b"%.1f" % seen.seconds))
    pairs = [(what, view(envoy), view(pyproxy)) for what, view in views]
    return [Difference(what, one, other) for what, one, other in pairs if one != other]


def backend_view(seen: Seen) -> bytes:
    """All that the backend got, in a comparable form."""
    return b"".join(map(normalize, seen.requests))


class Side:
    """One proxy with its lanes."""

    def __init__(self, make: MakeSubject, group: Group, lanes: int = LANES) -> None:
        self._make = make
        self._group = group
        self.backends = [Backend() for _ in range(lanes)]
        self.subject: Subject

    async def start(self) -> None:
        """Start the backends, then the proxy."""
        if self._group.backend_listens:
            ports = [await backend.start() for backend in self.backends]
        else:
            ports = [free_port() for _ in self.backends]
        self.subject = self._make(self._group, ports)
        await asyncio.to_thread(self.subject.__enter__)

    async def stop(self) -> None:
        """End the proxy, then the backends."""
        for backend in self.backends:
            backend.close()
        await asyncio.to_thread(self.subject.__exit__, None, None, None)

    async def run(self, case: Case, lane: int) -> Seen:
        """Run one case; a lane takes one at a time."""
        backend, seen = self.backends[lane], Seen()
        if backend.close_connections():
            await asyncio.sleep(0.02)  # for the proxy to see it
        backend.script, backend.seen = case.script, seen
        await talk(
            ("127.0.0.1", self.subject.ports[lane]),
            case.steps,
            responses=case.responses,
            quiet=case.quiet,
            half_close=case.half_close,
            bodiless=case.bodiless,
            seen=seen,
        )
        return seen


async def run_group(
    group: Group,
    cases: Sequence[Case],
    done: Callable[[Result], None],
    *,
    reference: MakeSubject = EnvoySubject,
    subject: MakeSubject = PyproxySubject,
    lanes: int = LANES,
) -> None:
    """Start both proxies and run ``cases``, slow ones first; ``done`` gets each result as it comes."""
    sides = [Side(reference, group, lanes), Side(subject, group, lanes)]
    deviations = load_deviations()
    started: list[Side] = []
    try:
        for side in sides:
            await side.start()
            started.append(side)
        queue = deque(sorted(cases, key=lambda case: not case.is_slow))

        async def work(lane: int) -> None:
            while queue:
                case = queue.popleft()
                first, second = await asyncio.gather(*(side.run(case, lane) for side in sides))
                result = Result(case.name, compare(case, first, second), sent=case.sent)
                if result.differences:
                    views = backend_view(first), backend_view(second)
                    result.explained_by = explain(deviations, case.sent, *views)
                done(result)

        await asyncio.gather(*(work(lane) for lane in range(lanes)))
        if group in KEEPALIVE_GROUPS:
            done(_compare_keepalive(group, sides[0].subject, sides[1].subject))
    finally:
        for side in started:
            await side.stop()


def _compare_keepalive(group: Group, reference: Subject, subject: Subject) -> Result:
    """The socket options that the kernel has for both proxies."""
    found = []
    for one in (reference, subject):
        with socket.create_connection(("127.0.0.1", one.ports[0])) as client:
            client.setblocking(True)
            found.append(_wait_for_options(one.pid, one.ports[0]))
    result = Result(f"keepalive/{group.name}/socket options")
    if found[0] != found[1]:
        shown = [repr(one).encode() for one in found]
        result.differences.append(Difference("the kernel's options", shown[0], shown[1]))
    return result


def _wait_for_options(pid: int, port: int) -> object:
    for _ in range(100):
        try:
            return keepalive_options(pid, port)
        except LookupError:
            time.sleep(0.01)  # the connection has not been accepted yet
    return keepalive_options(pid, port)


def keepalive_case_names() -> list[str]:
    """The cases that read socket options."""
    return [f"keepalive/{group.name}/socket options" for group in KEEPALIVE_GROUPS]


def deviation_cases() -> list[Case]:
    """The example of each deviation, which must differ: otherwise the deviation is stale."""
    return [
        Case(
            f"deviation/{deviation.name}",
            PROXY_REQUIRED if deviation.proxy_protocol else TODAY,
            (deviation.example,),
        )
        for deviation in load_deviations()
    ]


def run_conformance(pattern: str, *, list_only: bool) -> int:
    """The verb: 0 when nothing unexplained is left, 1 otherwise, 2 for nothing to run, 3 when a proxy can't start."""
    console = _console()
    cases = [case for case in (*CASES, *deviation_cases()) if pattern in case.name]
    if list_only:
        for name in [*(case.name for case in cases), *(n for n in keepalive_case_names() if pattern in n)]:
            console.print(name, markup=False)
        return 0
    if not cases:
        console.print(f"no case has {pattern!r} in its name", markup=False)
        return 2
    return _run_and_report(console, cases, LANES)


def run_fuzz(group: Group, count: int, seed: int) -> int:
    """The verb's ``--fuzz``: the same exit codes."""
    console = _console()
    return _run_and_report(console, list(generate(group, count, seed)), FUZZ_LANES)


def _console() -> Console:
    return Console(highlight=False, soft_wrap=True)


def _run_and_report(console: Console, cases: Sequence[Case], lanes: int) -> int:
    results: list[Result] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("conformance", total=len(cases))

            def done(result: Result) -> None:
                results.append(result)
                progress.advance(task)

            for group in dict.fromkeys(case.group for case in cases):
                progress.update(task, description=group.name)
                of_group = [case for case in cases if case.group is group]
                asyncio.run(run_group(group, of_group, done, lanes=lanes))
    except (EnvoyError, RuntimeError) as error:
        console.print(str(error), markup=False)
        return 3
    return report(console, results)


def report(console: Console, results: Sequence[Result]) -> int:
    """Print what differed and the totals; the exit code."""
    different = [result for result in results if result.differences]
    unexplained = [result for result in different if result.explained_by is None]
    for result in sorted(unexplained, key=lambda result: result.name):
        console.print(f"\n{result.name}", style="bold red", markup=False)
        if result.name.startswith("fuzz/"):
            console.print(f"  sent: {result.sent!r}", markup=False)
        for difference in result.differences:
            offset = first_difference(difference.envoy, difference.pyproxy)
            console.print(f"  {difference.what}: differs from byte {offset} on", markup=False)
            console.print(f"    Envoy   {_excerpt(difference.envoy, offset)}", markup=False)
            console.print(f"    pyproxy {_excerpt(difference.pyproxy, offset)}", markup=False)
    stale = [result.name for result in results if result.name.startswith("deviation/") and not result.differences]
    for name in stale:
        console.print(f"{name}: stale, both proxies do the same", style="bold red", markup=False)
    same = len(results) - len(different)
    line = f"{len(results)} cases, {same} the same"
    explained = len(different) - len(unexplained)
    if explained:
        line += f", {explained} explained by a deviation"
    if unexplained:
        line += f", {len(unexplained)} different"
    console.print(line, markup=False)
    return 1 if unexplained or stale else 0


def _excerpt(data: bytes, offset: int) -> str:
    """``data`` with a mark where the difference begins."""
    if not data:
        return "nothing"
    before, after = repr(data[:offset])[2:-1], repr(data[offset:])[2:-1]
    return f"{before}>>>{after}"
