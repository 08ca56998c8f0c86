"""One measurement each: load on a subject for some seconds, and what it cost.

What load costs comes from the operating system's accounting of the subject's processes, so that a load generator which
is slower than the subject spoils only the requests a second. ``busy`` shows that: the share of its core that the
subject had work for.
"""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks import machine
from benchmarks.clients.open_loop import END, REQUEST
from benchmarks.rounds import percentile
from benchmarks.subjects import Started
from tests.support.processes import ROOT

Figures = Mapping[str, float]
"""By their names, which say the unit too."""

REQUESTS_A_SECOND = "requests/s"
CPU = "CPU µs/request"
BUSY = "busy, % of a core"
CPU_A_GIGABYTE = "CPU s/GB"
MEGABYTES_A_SECOND = "MB/s"
P50, P99, P999, WORST = "p50 ms", "p99 ms", "p99.9 ms", "worst ms"
BYTES_A_CONNECTION = "bytes/connection"
SECONDS = "seconds"

PROXY_LINE = "PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\\r\\n"
NEW_CONNECTIONS = f"""\
local head = "GET / HTTP/1.1\\r\\nHost: www.example.com\\r\\nConnection: close\\r\\n\\r\\n"
local preface = ""
request = function()
  local whole = preface .. head
  preface = "{PROXY_LINE}"
  return whole
end
"""
"""A script for wrk, which opens a connection for each request where the response closes it.

wrk checks the first request that it is given, and does not send it; there it wants no PROXY header.
"""

HEADS_THAT_DIFFER = """\
local number = 0
request = function()
  number = number + 1
  return "GET / HTTP/1.1\\r\\nHost: www.example.com\\r\\nX-Number: " .. number .. "\\r\\n\\r\\n"
end
"""
"""No request's header lines have been there before: what is remembered of them helps nobody."""

ROUTES = """\
local count, number = {count}, 0
request = function()
  number = (number * 5 + 1) % count
  return "GET /service-" .. number .. "/item HTTP/1.1\\r\\nHost: www.example.com\\r\\n\\r\\n"
end
"""
"""Another one: every route gets its requests, in no order that a cache could like."""


def wrk(
    subject: Started,
    seconds: int,
    core: str,
    *,
    connections: int = 64,
    path: str = "/",
    headers: Sequence[str] = (),
    script: Path | None = None,
) -> Figures:
    """As many requests as ``connections`` can have answered one by one."""
    command = ["taskset", "-c", core, "wrk", "-t1", f"-c{connections}", f"-d{seconds}s"]
    if script is not None:
        command += ["-s", str(script)]
    for header in headers:
        command += ["-H", header]
    with _accounting(subject) as account:
        said = _run([*command, f"http://127.0.0.1:{subject.port}{path}"])
    # Only what goes on after wrk has hung up can be an error of reading.
    if "Non-2xx" in said or re.search(r"Socket errors: .*(connect|timeout) [1-9]", said):
        raise RuntimeError(said)
    return account.of(int(_find(r"(\d+) requests in", said)), float(_find(r"requests in ([0-9.]+)s", said)))


def h2load(subject: Started, seconds: int, core: str, *, connections: int = 64) -> Figures:
    """The same by another program, so that no generator's habits decide."""
    command = ["taskset", "-c", core, "h2load", "--h1", "-t1", f"-c{connections}", "-D", str(seconds)]
    with _accounting(subject) as account:
        said = _run([*command, f"http://127.0.0.1:{subject.port}/"])
    succeeded, failed = int(_find(r"(\d+) 2xx", said)), int(_find(r"(\d+) 5xx", said))
    if failed:
        raise RuntimeError(said)
    return account.of(succeeded, seconds)


def download(subject: Started, core: str, *, size: int, times: int) -> Figures:
    """Bodies from the backend to the client, one after the other."""
    url = f"http://127.0.0.1:{subject.port}/bodies/{size}"
    return _bulk(subject, ["taskset", "-c", core, "curl", "-sSf", *["-o", "/dev/null", url] * times], size * times)


def upload(subject: Started, core: str, *, file: Path, times: int) -> Figures:
    """Bodies from the client to the backend, one after the other."""
    url = f"http://127.0.0.1:{subject.port}/uploads/"
    head = ["taskset", "-c", core, "curl", "-sSf", "-H", "Expect:"]
    return _bulk(subject, [*head, *["-o", "/dev/null", "-T", str(file), url] * times], file.stat().st_size * times)


def _bulk(subject: Started, command: Sequence[str], size: int) -> Figures:
    before, started = machine.cpu_seconds(subject.pids), time.perf_counter()
    _run(command)
    seconds = time.perf_counter() - started
    cpu = machine.cpu_seconds(subject.pids) - before
    return {CPU_A_GIGABYTE: cpu / (size / 1e9), MEGABYTES_A_SECOND: size / 1e6 / seconds}


def open_loop(subject: Started, seconds: float, core: str, *, rate: float, connections: int = 64) -> Figures:
    """Latencies of requests that are due at fixed times, counted from when they were due."""
    script = [sys.executable, "-m", "benchmarks.clients.open_loop"]
    arguments = [str(subject.port), str(rate), str(seconds), str(connections)]
    before = machine.cpu_seconds(subject.pids)
    found = sorted(json.loads(_run(["taskset", "-c", core, *script, *arguments])))
    cpu = machine.cpu_seconds(subject.pids) - before
    shares = {P50: 0.5, P99: 0.99, P999: 0.999, WORST: 1.0}
    return {name: percentile(found, share) for name, share in shares.items()} | {CPU: cpu / len(found) * 1e6}


@contextmanager
def crowd(subject: Started, count: int) -> Iterator[None]:
    """So many connections that have had a request answered and are open."""
    with ExitStack() as stack:
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", subject.port)))
            sock.sendall(REQUEST)
            received = b""
            while not received.endswith(END):
                piece = sock.recv(65_536)
                if not piece:
                    raise RuntimeError(f"{subject.port} closed a connection")
                received += piece
        yield


def idle_memory(subject: Started, count: int) -> Figures:
    """What a connection without a request costs in resident memory, once the first ones have warmed the subject up."""
    with crowd(subject, 200):
        before = machine.resident(subject.pids)
        with crowd(subject, count):
            after = machine.resident(subject.pids)
    return {BYTES_A_CONNECTION: (after - before) / count}


def first_answer(subject: Started, started: float) -> Figures:
    """Seconds of ``perf_counter`` since ``started``, once a request is answered."""
    while True:
        try:
            with crowd(subject, 1):
                return {SECONDS: time.perf_counter() - started}
        except OSError:
            if time.perf_counter() > started + 20:
                raise
            time.sleep(0.001)


class _Account:
    """CPU seconds and requests of one measurement."""

    def __init__(self, pids: Sequence[int]) -> None:
        self._pids = pids
        self._before = machine.cpu_seconds(pids)
        self.cpu = 0.0

    def end(self) -> None:
        self.cpu = machine.cpu_seconds(self._pids) - self._before

    def of(self, requests: int, seconds: float) -> Figures:
        """The figures of ``requests`` that were answered in ``seconds``."""
        return {
            REQUESTS_A_SECOND: requests / seconds,
            CPU: self.cpu / requests * 1e6,
            BUSY: 100 * self.cpu / seconds,
        }


@contextmanager
def _accounting(subject: Started) -> Iterator[_Account]:
    account = _Account(subject.pids)
    yield account
    account.end()


def _run(command: Sequence[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command[:8])}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def _find(pattern: str, said: str) -> str:
    found = re.search(pattern, said)
    if found is None:
        raise RuntimeError(f"no {pattern!r} in: {said}")
    return found[1]
