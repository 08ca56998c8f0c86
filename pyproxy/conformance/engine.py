"""Runs cases: a proxy or two on each group's settings, and the clients and backends around them."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import tempfile
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path

from pyproxy.conformance.case import Case, Group, Observation
from pyproxy.conformance.cases import KEEPALIVE_GROUPS
from pyproxy.conformance.deviations import explain, load_deviations
from pyproxy.conformance.judge import Verdict, is_unsafe
from pyproxy.conformance.kernel import keepalive_options
from pyproxy.conformance.observe import ABSENT, differences, observe, observe_as_recorded
from pyproxy.conformance.peers import SETTLE, Backend, Seen, holding, talk
from pyproxy.conformance.subjects import HOST, EnvoySubject, PyproxySubject, Subject
from pyproxy.envoy.process import free_port

LANES = 64
"""Cases that run at once; each lane has a listener and a backend of its own. Most cases wait for silence."""

LANES_AFTERWARDS = 8
"""At least, for what comes after a group's cases."""

GROUPS_AT_ONCE = 3
"""Groups with few cases spend their time on starting and ending proxies."""

PATIENT = 1.6
"""Seconds of silence, and ``PATIENT_SETTLE`` for an end, in the second run of a case that differed in its first."""
PATIENT_SETTLE = 0.3
STRETCH = 4
"""As much longer are the client's pauses then."""
PATIENT_RUNS = 2
"""At most, until one shows no difference: what is really different is so every time."""
CALM = 0.5
"""Seconds before each of them, for a proxy that is late to get done with what the run before has sent."""

LOG_TIMEOUT = 2.0
"""Seconds for a line of the access log to come."""

GROWN_MEMORY = 8 * 1024
"""KiB that pyproxy may have grown by between the first quarter of a long run and its end."""

GROWN_DESCRIPTORS = 4

MakeSubject = Callable[..., Subject]
Done = Callable[["Result"], None]


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
    verdict: Verdict = Verdict.SAME
    deviation: str | None = None
    """The one that explains the differences."""
    corpus: str = "built-in"
    case: Case | None = None
    """``None`` where the result is not about bytes."""
    seen: Seen = field(default_factory=Seen)
    """pyproxy's side, or that of whatever stands in for it."""
    shrunk: Result | None = None
    """The same failure, minimized."""

    @property
    def kind(self) -> tuple[object, ...]:
        """What sort of difference it is: the verdict, what first differs, and how that begins on both sides."""
        if not self.differences:
            return (self.verdict,)
        first = self.differences[0]
        return self.verdict, first.what, first.envoy[:12], first.pyproxy[:12]


def judge(case: Case, envoy: Observation, pyproxy: Observation, seen: Seen) -> Result:
    """What ``case`` showed."""
    names = differences(envoy.views, pyproxy.views)
    found = [Difference(name, envoy.views[name], pyproxy.views.get(name, ABSENT)) for name in names]
    result = Result(case.name, found, corpus=case.corpus, case=case, seen=seen)
    if found:
        result.deviation = explain(load_deviations(), case, envoy, pyproxy)
        if result.deviation is not None:
            result.verdict = Verdict.EXPLAINED
        else:
            unsafe = is_unsafe(envoy, pyproxy, to_head=case.answers_to_head)
            result.verdict = Verdict.UNSAFE if unsafe else Verdict.DIFFERENT
    return result


class AccessLogReader:
    """Finds the lines of single requests in a log that is being written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read = 0
        self._addresses: dict[str, tuple[str, str]] = {}

    async def addresses(self, request_id: str) -> tuple[str, str]:
        """The (remote, local) address that the request's line has; empty ones if it does not come."""
        deadline = time.monotonic() + LOG_TIMEOUT
        while request_id not in self._addresses and time.monotonic() < deadline:
            await asyncio.sleep(0.03)
            self._take_in()
        return self._addresses.get(request_id, ("", ""))

    def _take_in(self) -> None:
        if not self._path.exists():
            return
        with self._path.open("rb") as log:
            log.seek(self._read)
            data = log.read()
        complete = data[: data.rfind(b"\n") + 1]
        self._read += len(complete)
        for line in complete.splitlines():
            record = json.loads(line)
            if record["x-request-id"] is not None:
                remote, local = record["downstream_remote_address"], record["downstream_local_address"]
                self._addresses[record["x-request-id"]] = (remote, local)


class Side:
    """One proxy with its backends."""

    def __init__(self, make: MakeSubject, group: Group, lanes: int, *, with_log: bool = False) -> None:
        self._make = make
        self._group = group
        self._with_log = with_log
        self._log: AccessLogReader | None = None
        self._stack = AsyncExitStack()
        self.backends = [Backend() for _ in range(lanes)]
        self.subject: Subject

    async def __aenter__(self) -> Side:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start the backends, then the proxy."""
        if self._group.backend_listens:
            ports = [await backend.start() for backend in self.backends]
        else:
            ports = [free_port() for _ in self.backends]
        if self._with_log:
            folder = self._stack.enter_context(tempfile.TemporaryDirectory(prefix="pyproxy-conformance-"))
            log = Path(folder) / "access.log"
            self._log = AccessLogReader(log)
            self.subject = self._make(self._group, ports, access_log=log)
        else:
            self.subject = self._make(self._group, ports)
        await asyncio.to_thread(self.subject.__enter__)

    async def stop(self) -> None:
        """End the proxy, then the backends."""
        for backend in self.backends:
            backend.close()
        await asyncio.to_thread(self.subject.__exit__, None, None, None)
        await self._stack.aclose()

    async def run(self, case: Case, lane: int, *, settle: float = SETTLE) -> Seen:
        """Run one case; a lane takes one at a time."""
        backend, seen = self.backends[lane], Seen()
        if backend.close_connections():
            await asyncio.sleep(0.02)  # for the proxy to see it
        backend.script, backend.seen, backend.answered = case.script, seen, 0
        address = HOST, self.subject.ports[lane]
        async with holding(address, case.held, case.held_send):
            await talk(
                address,
                case.steps,
                responses=case.responses,
                quiet=case.quiet,
                half_close=case.half_close,
                to_head=case.answers_to_head,
                seen=seen,
                settle=settle,
                see_end=case.compare_end,
            )
        backend.seen = None
        if case.addresses and self._log is not None:
            ids = re.findall(rb"\r\nx-request-id: ([^\r]*)\r\n", b"".join(seen.requests))
            seen.logged = [await self._log.addresses(request_id.decode("latin-1")) for request_id in ids]
        return seen


class Arena:
    """The proxies of one group, started while the ``async with`` block runs, in which any case of it can be run."""

    def __init__(
        self,
        group: Group,
        *,
        lanes: int,
        reference: MakeSubject | None = EnvoySubject,
        subject: MakeSubject = PyproxySubject,
        with_log: bool = False,
    ) -> None:
        """``reference`` is what pyproxy is compared with; ``None`` is the cases' records."""
        self._free: asyncio.Queue[int] = asyncio.Queue()
        for lane in range(lanes):
            self._free.put_nowait(lane)
        self._stack = AsyncExitStack()
        self._subject = Side(subject, group, lanes, with_log=with_log)
        self._reference = Side(reference, group, lanes, with_log=with_log) if reference is not None else None

    async def __aenter__(self) -> Arena:
        try:
            await self._stack.enter_async_context(self._subject)
            if self._reference is not None:
                await self._stack.enter_async_context(self._reference)
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._stack.aclose()

    @property
    def subject(self) -> Subject:
        """pyproxy."""
        return self._subject.subject

    @property
    def reference(self) -> Subject | None:
        """Envoy."""
        return self._reference.subject if self._reference is not None else None

    async def size_at_rest(self) -> tuple[int, int]:
        """Resident memory in KiB and open descriptors of pyproxy, when all clients and backends have gone."""
        for backend in self._subject.backends:
            backend.close_connections()
        await asyncio.sleep(1.5)  # delayed closes
        process = Path(f"/proc/{self.subject.pid}")
        status = await asyncio.to_thread((process / "status").read_text)
        resident = re.search(r"VmRSS:\s+(\d+) kB", status)
        assert resident is not None
        return int(resident[1]), len(os.listdir(process / "fd"))

    async def run(self, case: Case, *, patiently: bool = True) -> Result:
        """Run ``case``, and again with patience if it differs: a busy machine is late."""
        lane = await self._free.get()
        try:
            result = await self._run(case, lane, SETTLE)
            steps = tuple(step if isinstance(step, bytes) else step * STRETCH for step in case.steps)
            patient = replace(case, quiet=max(case.quiet, PATIENT), steps=steps)
            for _ in range(PATIENT_RUNS if patiently else 0):
                if not result.differences:
                    break
                await asyncio.sleep(CALM)
                result = replace(await self._run(patient, lane, PATIENT_SETTLE), case=case)
            return result
        finally:
            self._free.put_nowait(lane)

    async def _run(self, case: Case, lane: int, settle: float) -> Result:
        if self._reference is None:
            seen = await self._subject.run(case, lane, settle=settle)
            return judge(case, case.recorded or Observation({}), observe_as_recorded(case, seen), seen)
        seen, reference = await asyncio.gather(
            self._subject.run(case, lane, settle=settle), self._reference.run(case, lane, settle=settle)
        )
        return judge(case, observe(case, reference), observe(case, seen), seen)


async def run_group(
    group: Group,
    cases: Sequence[Case],
    done: Done,
    *,
    reference: MakeSubject | None = EnvoySubject,
    subject: MakeSubject = PyproxySubject,
    lanes: int = LANES,
    watch_growth: bool = False,
    afterwards: Callable[[Arena], Awaitable[None]] | None = None,
) -> None:
    """Run ``cases``, slow ones first; ``done`` gets each result as it comes.

    ``watch_growth``: pyproxy must not grow from the first quarter of them to the end. ``afterwards`` may run more.
    """
    queue = deque(sorted(cases, key=lambda case: not case.is_slow))
    with_log = any(case.addresses for case in cases)
    wanted = len(cases) if afterwards is None else max(len(cases), LANES_AFTERWARDS)
    lanes = min(lanes // len(group.listener_hostnames), wanted)
    async with Arena(group, lanes=lanes, reference=reference, subject=subject, with_log=with_log) as arena:

        async def work(count: int) -> None:
            async def take() -> None:
                while len(queue) > count:
                    done(await arena.run(queue.popleft()))

            await asyncio.gather(*(take() for _ in range(lanes)))

        if watch_growth:
            await work(len(queue) * 3 // 4)
            before = await arena.size_at_rest()
            await work(0)
            grown = _judge_growth(group, before, await arena.size_at_rest())
            done(replace(grown, corpus=cases[0].corpus))
        else:
            await work(0)
        if group in KEEPALIVE_GROUPS and arena.reference is not None and cases[0].corpus == "built-in":
            done(_compare_keepalive(group, arena.reference, arena.subject))
        if afterwards is not None:
            await afterwards(arena)
        if said := arena.subject.complaints():
            name = f"{group.name}/standard error"
            complaint = Difference("standard error", b"", said.encode())
            done(Result(name, [complaint], Verdict.DIFFERENT, corpus=cases[0].corpus))


async def run_groups(cases: Iterable[Case], run: Callable[[Group, list[Case]], Awaitable[None]]) -> None:
    """``run`` the cases of each group, some groups at once."""
    groups: dict[Group, list[Case]] = {}
    for case in cases:
        groups.setdefault(case.group, []).append(case)
    free = asyncio.Semaphore(GROUPS_AT_ONCE)

    async def run_when_free(group: Group, of_group: list[Case]) -> None:
        async with free:
            await run(group, of_group)

    await asyncio.gather(*(run_when_free(group, of_group) for group, of_group in groups.items()))


def _judge_growth(group: Group, before: tuple[int, int], after: tuple[int, int]) -> Result:
    result = Result(f"{group.name}/growth")
    for what, then, now, allowed in (
        ("resident KiB", before[0], after[0], GROWN_MEMORY),
        ("descriptors", before[1], after[1], GROWN_DESCRIPTORS),
    ):
        if now - then > allowed:
            shown = (f"at most {then + allowed}", f"{now}")
            result.differences.append(Difference(what, *(text.encode() for text in shown)))
            result.verdict = Verdict.DIFFERENT
    return result


def _compare_keepalive(group: Group, reference: Subject, subject: Subject) -> Result:
    """The socket options that the kernel has for both proxies."""
    found = []
    for one in (reference, subject):
        with socket.create_connection((HOST, one.ports[0])) as client:
            client.setblocking(True)
            found.append(_wait_for_options(one.pid, one.ports[0]))
    result = Result(f"keepalive/{group.name}/socket options")
    if found[0] != found[1]:
        shown = [repr(one).encode() for one in found]
        result.differences.append(Difference("the kernel's options", shown[0], shown[1]))
        result.verdict = Verdict.DIFFERENT
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
