"""Which figures are taken, of whom, and how."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from pathlib import Path

from benchmarks import measure
from benchmarks.measure import CPU, REQUESTS_A_SECOND, Figures
from benchmarks.subjects import NOT_COMPILED, PLAIN, SIZES, SUBJECTS, Started, Subject, Work

NATIVE = tuple(subject for subject in SUBJECTS if not subject.is_python)
TWO = NATIVE[:2]
"""pyproxy and Envoy, which take the same resources."""
IN_PYTHON = (NATIVE[0], *(subject for subject in SUBJECTS if subject.is_python))

LARGE = 100_000_000
RATE = 2000
"""Requests a second of the open loop."""


class Life(Enum):
    """How long a subject lives."""

    KEPT = auto()
    """For all rounds."""
    NEW = auto()
    """For one measurement, so that none finds what another has left in its memory."""
    BEGINNING = auto()
    """The same, and the measurement begins with it; ``take`` is given when that was."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a measurement has to work with."""

    folder: Path
    load_core: str
    seconds: int
    crowd: int
    """Connections of the idle crowd."""

    @property
    def point_seconds(self) -> int:
        """For a point of a curve; wrk knows whole seconds only."""
        return max(1, self.seconds // 2)

    def script(self, name: str, text: str) -> Path:
        """A file for wrk."""
        file = self.folder / name
        file.write_text(text)
        return file


@dataclass(frozen=True, slots=True)
class Scenario:
    """One thing to know about each of some subjects."""

    name: str
    how: str
    """For the page of results."""
    take: Callable[[Means, Started, float], Figures]
    """Take the figures; its last argument is the point of a curve, and 0 where the scenario is none."""
    subjects: Sequence[Subject] = NATIVE
    points: Sequence[float] = ()
    """Of a curve."""
    axis: str = ""
    """What the points are."""
    work: Callable[[float], Work] = field(default=lambda _: PLAIN)
    """What the subjects are set up for at a point."""
    life: Life = Life.KEPT
    all_cores: bool = False
    """The subject has the load's core as well."""

    def shortened(self) -> Scenario:
        """For the short mode: two points of a curve, and only of pyproxy and Envoy."""
        if not self.points:
            return self
        points = self.points[0], self.points[-2 if len(self.points) > 2 else -1]
        return Scenario(
            self.name, self.how, self.take, TWO, points, self.axis, self.work,
            self.life, self.all_cores,
        )  # fmt: skip


def _keep_alive(means: Means, subject: Started, _: float) -> Figures:
    return measure.wrk(subject, means.seconds, means.load_core)


def _heads_that_differ(means: Means, subject: Started, _: float) -> Figures:
    script = means.script("differ.lua", measure.HEADS_THAT_DIFFER)
    return measure.wrk(subject, means.seconds, means.load_core, script=script)


def _by_h2load(means: Means, subject: Started, _: float) -> Figures:
    return measure.h2load(subject, means.seconds, means.load_core)


def _new_connections(means: Means, subject: Started, _: float) -> Figures:
    script = means.script("new.lua", measure.NEW_CONNECTIONS)
    return measure.wrk(subject, means.seconds, means.load_core, script=script)


def _download(means: Means, subject: Started, _: float) -> Figures:
    return measure.download(subject, means.load_core, size=LARGE, times=max(2, round(2 * means.seconds)))


def _upload(means: Means, subject: Started, _: float) -> Figures:
    file = means.folder / "bodies" / str(LARGE)
    return measure.upload(subject, means.load_core, file=file, times=max(2, round(2 * means.seconds)))


def _open_loop(means: Means, subject: Started, _: float) -> Figures:
    return measure.open_loop(subject, 2 * means.seconds, means.load_core, rate=RATE)


def _idle(means: Means, subject: Started, _: float) -> Figures:
    return measure.idle_memory(subject, means.crowd)


def _start(means: Means, subject: Started, started: float) -> Figures:
    return measure.first_answer(subject, started)


def _connections(means: Means, subject: Started, count: float) -> Figures:
    return measure.wrk(subject, means.point_seconds, means.load_core, connections=int(count))


def _open_connections(means: Means, subject: Started, count: float) -> Figures:
    with measure.crowd(subject, max(0, int(count) - 64)):
        return measure.wrk(subject, means.point_seconds, means.load_core)


def _body(means: Means, subject: Started, size: float) -> Figures:
    if size <= 1_000_000:
        return measure.wrk(subject, means.point_seconds, means.load_core, path=f"/bodies/{size:.0f}")
    times = max(2, round(means.seconds * 1e8 / size))
    bulk = measure.download(subject, means.load_core, size=int(size), times=times)
    a_second = bulk[measure.MEGABYTES_A_SECOND] * 1e6 / size
    return {REQUESTS_A_SECOND: a_second, CPU: bulk[measure.CPU_A_GIGABYTE] * size / 1e3}


def _headers(means: Means, subject: Started, count: float) -> Figures:
    headers = [f"x-header-{number}: the value of {number}" for number in range(int(count) - 1)]  # and Host
    return measure.wrk(subject, means.point_seconds, means.load_core, headers=headers)


def _routes(means: Means, subject: Started, count: float) -> Figures:
    script = means.script("routes.lua", measure.ROUTES.format(count=int(count)))
    return measure.wrk(subject, means.seconds, means.load_core, script=script)


KEEP_ALIVE = Scenario(
    "keep-alive GET", "By wrk: 64 connections, a 12-byte response", _keep_alive, (*NATIVE, NOT_COMPILED)
)
HEADS_THAT_DIFFER = Scenario(
    "keep-alive GET, heads differ",
    "The same, each request with a header line that has not been there before",
    _heads_that_differ,
    TWO,
)
BY_H2LOAD = Scenario("keep-alive GET, h2load", "By h2load --h1: 64 connections, a 12-byte response", _by_h2load)
NEW_CONNECTIONS = Scenario(
    "new connections",
    "By wrk: 64 at a time, each with a PROXY header, one request and `connection: close`",
    _new_connections,
    work=lambda _: Work(proxy_protocol=True),
)
DOWNLOAD = Scenario("100 MB response", "By curl, one after the other", _download)
UPLOAD = Scenario("100 MB request", "By curl, one after the other", _upload)
OPEN_LOOP = Scenario(
    "open loop",
    f"{RATE:,} requests/s at fixed times over 64 connections; latencies are counted from when each was due",
    _open_loop,
)
IDLE = Scenario(
    "idle connections",
    "Resident memory of 10,000 connections (1,000 in the short mode), each after one request",
    _idle,
    life=Life.NEW,
)
START = Scenario("start", "From exec to the first answer, files cached", _start, life=Life.BEGINNING)
PYTHON_PEERS = Scenario("keep-alive GET, in Python", "As the first, beside Python's proxies", _keep_alive, IN_PYTHON)

ROUTES = Scenario(
    "routes",
    "Path prefixes, all of them asked for in turn",
    _routes,
    TWO,
    (1, 10, 100, 1_000, 10_000),
    "routes",
    lambda count: Work(routes=int(count)),
)
CURVES = (
    Scenario("connections", "All with a request", _connections, NATIVE, (1, 8, 64, 256, 1_000), "connections"),
    Scenario("open connections", "64 with a request, the rest idle", _open_connections, NATIVE,
             (64, 1_000, 10_000), "open connections"),
    Scenario("body sizes", "64 connections up to 1 MB, then one", _body, NATIVE, SIZES, "bytes of the response"),
    Scenario("header counts", "Headers of the request, about 35 bytes each", _headers, NATIVE, (5, 15, 45, 90),
             "headers"),
    ROUTES,
    Scenario("workers", "On all cores of the machine, load and backend on one of them", _keep_alive, TWO, (1, 2),
             "workers", lambda count: Work(workers=int(count)), all_cores=True),
)  # fmt: skip
SCENARIOS = (
    KEEP_ALIVE, HEADS_THAT_DIFFER, BY_H2LOAD, NEW_CONNECTIONS, DOWNLOAD, UPLOAD, OPEN_LOOP, IDLE, START, PYTHON_PEERS,
    *CURVES,
)  # fmt: skip
