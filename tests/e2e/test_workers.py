"""Several processes that serve together."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from pyproxy.conformance.kernel import keepalive_options
from pyproxy.settings import Keepalive
from tests.support.load import Load, fast_backend, load
from tests.support.measure import open_sockets
from tests.support.processes import Running, curl, free_port, gateway, serving, workers_of
from tests.support.restarting import Order, restart
from tests.support.rewriting import replace_file, rewrite
from tests.support.scenario import eventually, run

WORKERS = ("--workers", "2")


@contextmanager
def connections(port: int, count: int) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(count)]


def answered(sock: socket.socket) -> bool:
    """Whether a request on it is."""
    sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    return sock.recv(1000).startswith(b"HTTP/1.1 503 ")


@dataclass
class Served:
    process: Running
    port: int
    file: Path


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """Two workers before a backend that is not there."""
    port, file = free_port(), tmp_path / "gateway.yaml"
    file.write_text(gateway(port, 1))
    with serving("-f", file, *WORKERS, "--access-log", tmp_path / "log") as server:
        yield Served(server, port, file)


def test_both_serve_and_only_they(served: Served) -> None:
    assert len(workers_of(served.process)) == 2
    pids = [served.process.pid, *workers_of(served.process)]
    before = [len(open_sockets(pid)) for pid in pids]
    with connections(served.port, 60) as socks:
        assert all(answered(sock) for sock in socks)
        more = [len(open_sockets(pid)) - number for pid, number in zip(pids, before, strict=True)]
        assert more[0] == 0
        assert more[1] + more[2] >= 60
        assert min(more[1:]) > 10


def test_a_worker_that_is_killed_takes_only_its_own_connections_along(served: Served) -> None:
    victim, survivor = workers_of(served.process)
    with connections(served.port, 40) as socks:
        assert all(answered(sock) for sock in socks)
        os.kill(victim, signal.SIGKILL)
        served.process.wait_for("worker . was ended by SIGKILL; another one takes its place")
        lost = 0
        for sock in socks:
            try:
                lost += not answered(sock)
            except ConnectionError:
                lost += 1
        assert 0 < lost < 40
    deadline = time.monotonic() + 10
    while len(workers_of(served.process)) != 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert survivor in workers_of(served.process)
    with connections(served.port, 40) as socks:
        assert all(answered(sock) for sock in socks)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_whole_group_drains(number: signal.Signals, tmp_path: Path) -> None:
    """As a terminal sends SIGINT, and systemd's KillMode=control-group SIGTERM."""
    port, file = free_port(), tmp_path / "gateway.yaml"
    file.write_text(gateway(port, 1))
    with serving("-f", file, *WORKERS, prefix=["setsid"]) as server, connections(port, 4) as socks:
        assert all(answered(sock) for sock in socks)
        os.killpg(server.pid, number)
        assert server.process.wait(15) == 0
        assert server.said.count("draining") == 1
        assert "takes its place" not in server.said


@pytest.mark.parametrize("forced", [True, False])
def test_connections_that_are_cut_off(forced: bool, tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "gateway.yaml"
    file.write_text(gateway(port, 1))
    times = () if forced else ("--drain-time", "0.3")
    with serving("-f", file, *WORKERS, *times) as server, connections(port, 4) as socks:
        for sock in socks:
            sock.sendall(b"GET / HT")
        server.signal(signal.SIGTERM)
        server.wait_for("draining")
        if forced:
            server.signal(signal.SIGTERM)
        assert server.process.wait(15) == 4
        assert "connections were cut off" in server.said


def test_workers_whose_supervisor_is_killed_end(served: Served) -> None:
    pids = workers_of(served.process)
    served.process.signal(signal.SIGKILL)
    served.process.process.wait(5)
    deadline = time.monotonic() + 10
    while any(
        Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text() for pid in pids
    ):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_listeners_and_options_on_reload(served: Served) -> None:
    second = free_port()
    text = gateway(served.port, 1, "tcpKeepalive: {probes: 4, idleTime: 60s, interval: 9s}")
    before = f"[{{name: http, protocol: HTTP, port: {served.port}}}]"
    after = f"[{{name: http, protocol: HTTP, port: {served.port}}}, {{name: two, protocol: HTTP, port: {second}}}]"
    assert before in text
    replace_file(served.file, text.replace(before, after))
    served.process.wait_for(f"reloaded: listening on http://127.0.0.1:{second} ")
    with connections(served.port, 20), connections(second, 20) as socks:
        assert all(answered(sock) for sock in socks)
        for pid in workers_of(served.process):
            for port in (served.port, second):
                found = keepalive_options(pid, port)
                assert found == {"listening": Keepalive(4, 60, 9), "accepted": Keepalive(4, 60, 9)}
    replace_file(served.file, gateway(second, 1))
    served.process.wait_for(f"reloaded: closed http://127.0.0.1:{served.port} ")
    assert curl(f"http://127.0.0.1:{served.port}/").returncode == 7
    with connections(second, 4) as socks:
        assert all(answered(sock) for sock in socks)


def test_a_limit_is_for_all_workers_together(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "gateway.yaml"
    file.write_text(gateway(port, 1, "connection: {connectionLimit: {value: 5}}"))
    with serving("-f", file, *WORKERS) as server:
        with connections(port, 5) as socks:
            assert all(answered(sock) for sock in socks)
            with connections(port, 10) as excess:
                assert [sock.recv(1) for sock in excess] == [b""] * 10
            # The kernel may have given all of them to either.
            for worker in workers_of(server):
                os.kill(worker, signal.SIGKILL)
            server.wait_for("(?s)(takes its place.*){2}")
            # Their shares are free again.
            deadline = time.monotonic() + 10
            while True:
                try:
                    with connections(port, 1) as (further,):
                        if answered(further):
                            break
                except ConnectionError:
                    pass
                assert time.monotonic() < deadline


def test_a_port_that_somebody_else_shares_is_not_joined(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "gateway.yaml"
    file.write_text(gateway(port, 1))
    with serving("-f", file, *WORKERS), pytest.raises(AssertionError, match="Address already in use"):
        with serving("-f", file, *WORKERS):
            pass


def test_workers_that_do_not_start(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import os, sys\nif '-P' in sys.orig_argv: os._exit(9)\n")
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway(free_port(), 1))
    with pytest.raises(AssertionError, match="pyproxy: a worker ended while it started"):
        with serving("-f", file, *WORKERS, prefix=["env", f"PYTHONPATH={tmp_path}"]):
            pass


@asynccontextmanager
async def under_load(tmp_path: Path, loop_name: str, rate: float) -> AsyncIterator[tuple[Running, Load]]:
    async with fast_backend() as backend:
        port, file = free_port(), tmp_path / "gateway.yaml"
        file.write_text(gateway(port, backend))
        flags = ("--access-log", tmp_path / "log", "--loop", loop_name)
        with serving("-f", file, *WORKERS, *flags) as server:
            async with load(("127.0.0.1", port), connections=20, fresh=0, rate=rate) as clients:
                await eventually(lambda: (tmp_path / "log").read_bytes().count(b"\n") > 100)
                yield server, clients


def test_draining_under_load_loses_nothing_and_logs_every_line(tmp_path: Path, loop_name: str) -> None:
    async def main() -> None:
        async with under_load(tmp_path, loop_name, 400) as (server, clients):
            server.signal(signal.SIGTERM)
            assert await asyncio.to_thread(server.process.wait, 15) == 0
            outcome = await clients.stop()
        assert outcome.told_to_close == 20
        assert outcome.failures.keys() <= {"ConnectionRefusedError"}
        records = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
        assert len(records) == outcome.ok

    run(main, loop_name)


def test_files_rewritten_under_load(tmp_path: Path) -> None:
    async def main() -> None:
        result = await rewrite(tmp_path, times=8, rate=200, flags=WORKERS)
        assert result.outcome.failures == {}
        assert len(result.in_force) == 4

    run(main, "uvloop")


def test_a_restart_on_the_managers_socket(tmp_path: Path) -> None:
    async def main() -> None:
        result = await restart(tmp_path, Order.NEW_FIRST, times=1, rate=200, flags=WORKERS)
        assert result.outcome.failures == {}
        assert result.exit_codes == [0]

    run(main, "uvloop", seconds=40)


def test_lines_of_workers_do_not_mix_in_a_pipe(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "gateway.yaml"
    file.write_text(gateway(port, 1))
    path = b"/" + b"x" * 9000  # more than a pipe takes at once
    with serving(
        "-f", file, *WORKERS, "--access-log", "/dev/stdout", prefix=["sh", "-c", '"$@" | cat', "sh"]
    ) as server:
        with connections(port, 20) as socks:
            for _ in range(20):
                for sock in socks:
                    sock.sendall(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n")
                for sock in socks:
                    assert sock.recv(1000)
        deadline = time.monotonic() + 10
        while server.said.count('"response_code":503') < 400:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        lines = [line for line in server.said.splitlines() if "x" * 100 in line]
        assert len([json.loads(line) for line in lines]) == 400
        for pid in workers_of_pipe(server):
            os.kill(pid, signal.SIGTERM)


def workers_of_pipe(server: Running) -> list[int]:
    """The proxy is the shell's child there."""
    return [int(pid) for pid in Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()]
