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
from pyproxy.conformance.cases import CASES, KEEPALIVE_GROUPS
from pyproxy.conformance.deviations import load_deviations
from pyproxy.conformance.kernel import keepalive_options
from pyproxy.conformance.messages import first_difference, normalize
from pyproxy.conformance.peers import Backend, Seen, talk
from pyproxy.conformance.subjects import EnvoySubject, PyproxySubject, Subject
from pyproxy.envoy.process import EnvoyError, free_port

LANES = 6
"""Cases of a group that run at once; each lane has a listener and a backend of its own."""

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


def compare(case: Case, envoy: Seen, pyproxy: Seen) -> list[Difference]:
    """What differs between the two sides of ``case``."""
    views: list[tuple[str, Callable[[Seen], bytes]]] = [
        ("the client received", lambda seen: normalize(seen.received, bodiless=case.bodiless)),
        ("the client's connection ended", lambda seen: seen.end.encode()),
        ("the backend received", lambda seen: b"".join(map(normalize, seen.requests))),
        ("backend connections", lambda seen: b"%d" % len(seen.requests)),
    ]
    if envoy.end == pyproxy.end != "open" and abs(envoy.seconds - pyproxy.seconds) > SECONDS_APART:
        views.append(("seconds to the end", lambda seen: b"%.1f" % seen.seconds))
    pairs = [(what, view(envoy), view(pyproxy)) for what, view in views]
    return [Difference(what, one, other) for what, one, other in pairs if one != other]


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
) -> None:
    """Start both proxies and run ``cases``, slow ones first; ``done`` gets each result as it comes."""
    sides = [Side(reference, group), Side(subject, group)]
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
                done(Result(case.name, compare(case, first, second)))

        await asyncio.gather(*(work(lane) for lane in range(LANES)))
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


def run_conformance(pattern: str, *, list_only: bool) -> int:
    """The verb: 0 when nothing unexplained is left, 1 otherwise, 3 when a proxy can't be started."""
    console = Console(highlight=False, soft_wrap=True)
    cases = [case for case in CASES if pattern in case.name]
    if list_only:
        for name in [*(case.name for case in cases), *(n for n in keepalive_case_names() if pattern in n)]:
            console.print(name, markup=False)
        return 0
    groups = list(dict.fromkeys(case.group for case in cases))
    if not groups:
        console.print(f"no case has {pattern!r} in its name", markup=False)
        return 2
    results: list[Result] = []
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    try:
        with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
            task = progress.add_task("conformance", total=len(cases))

            def done(result: Result) -> None:
                results.append(result)
                progress.advance(task)

            for group in groups:
                progress.update(task, description=group.name)
                asyncio.run(run_group(group, [case for case in cases if case.group is group], done))
    except (EnvoyError, RuntimeError) as error:
        console.print(str(error), markup=False)
        return 3
    return report(console, results, whole=not pattern)


def report(console: Console, results: Sequence[Result], *, whole: bool) -> int:
    """Print what differed and the totals; the exit code. ``whole``: every case has run, so stale deviations show."""
    deviations = {name: deviation for deviation in load_deviations() for name in deviation.cases}
    different = [result for result in results if result.differences]
    unexplained = [result for result in different if result.name not in deviations]
    for result in sorted(unexplained, key=lambda result: result.name):
        console.print(f"\n{result.name}", style="bold red", markup=False)
        for difference in result.differences:
            offset = first_difference(difference.envoy, difference.pyproxy)
            console.print(f"  {difference.what}: differs from byte {offset} on", markup=False)
            console.print(f"    Envoy   {_excerpt(difference.envoy, offset)}", markup=False)
            console.print(f"    pyproxy {_excerpt(difference.pyproxy, offset)}", markup=False)
    explained = len(different) - len(unexplained)
    stale = sorted(set(deviations) - {result.name for result in different}) if whole else []
    for name in stale:
        console.print(f"stale deviation: {name} does not differ", style="bold red", markup=False)
    same = len(results) - len(different)
    line = f"{len(results)} cases, {same} the same"
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
