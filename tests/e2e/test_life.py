"""From the service manager's first word to the last connection: readiness, signals, restarts under load."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.load import fast_backend, load
from tests.support.processes import PYPROXY, curl, free_port, gateway, running, serving
from tests.support.restarting import Order, restart
from tests.support.rewriting import replace_file
from tests.support.scenario import eventually, run


@contextmanager
def manager(folder: Path) -> Iterator[socket.socket]:
    """A service manager's notification socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(folder / "notify"))
        sock.settimeout(15)
        yield sock


def test_what_a_service_manager_is_told(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway(free_port(), 1))
    with manager(tmp_path) as heard:
        prefix = ["env", f"NOTIFY_SOCKET={tmp_path / 'notify'}"]
        with serving("-f", file, "--no-watch", prefix=prefix) as server:
            assert heard.recv(1000) == b"READY=1\nSTATUS=serving"
            server.signal(signal.SIGHUP)
            assert heard.recv(1000).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
            assert heard.recv(1000) == b"READY=1\nSTATUS=serving"
            replace_file(file, "kind: Gatewy\n")
            server.signal(signal.SIGHUP)
            assert heard.recv(1000).startswith(b"RELOADING=1\n")
            assert heard.recv(1000) == b"READY=1\nSTATUS=serving, but not what is in the files: see the log"
            server.signal(signal.SIGTERM)
            assert heard.recv(1000) == b"STOPPING=1\nSTATUS=draining for up to 60 s"
            assert server.process.wait(10) == 0


def test_a_socket_that_is_no_listeners(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway(port, 1))
    with socket.create_server(("127.0.0.1", 0)) as sock, pytest.raises(AssertionError) as failed:
        with serving("-f", file, listening=sock):
            pass
    wrong = sock.getsockname()[1] if sock.fileno() >= 0 else r"\d+"
    failed.match(
        f"no listener is at 127.0.0.1 port {wrong}, whose socket was passed; they are at 127.0.0.1 port {port}"
    )


def test_a_listener_goes_and_comes_back_on_the_managers_socket(tmp_path: Path) -> None:
    file, other = tmp_path / "gateway.yaml", free_port()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        file.write_text(gateway(port, 1))
        with serving("-f", file, listening=sock) as server:
            replace_file(file, gateway(other, 1))
            server.wait_for("reloaded: closed")
            replace_file(file, gateway(port, 1))
            server.wait_for(f"reloaded: listening on http://127.0.0.1:{port} ")
            assert curl(f"http://127.0.0.1:{port}/").returncode == 0


@pytest.mark.parametrize("order", Order)
def test_a_restart_on_the_managers_socket_loses_nothing(order: Order, tmp_path: Path, loop_name: str) -> None:
    async def main() -> None:
        result = await restart(tmp_path, order, times=1, rate=200, flags=("--loop", loop_name))
        assert result.outcome.failures == {}
        # A busy machine's clients may have left all their connections idle by the time the only server drains.
        assert result.outcome.told_to_close > 0 or order is Order.OLD_FIRST
        assert result.exit_codes == [0]

    run(main, loop_name)


def test_sigterm_under_load_loses_no_request_that_was_taken(tmp_path: Path, loop_name: str) -> None:
    async def main() -> None:
        async with fast_backend() as backend:
            port = free_port()
            file = tmp_path / "gateway.yaml"
            file.write_text(gateway(port, backend))
            log = tmp_path / "log"
            with serving("-f", file, "--access-log", log, "--loop", loop_name) as server:
                async with load(("127.0.0.1", port), connections=20, rate=400) as clients:
                    await eventually(lambda: log.read_bytes().count(b"\n") > 100)
                    server.signal(signal.SIGTERM)
                    assert await asyncio.to_thread(server.process.wait, 10) == 0
                    outcome = await clients.stop()
            assert outcome.told_to_close == 20
            # Where there is nobody left to take it, a further connection can only be refused.
            assert outcome.failures.keys() <= {"ConnectionRefusedError"}

    run(main, loop_name)


@pytest.mark.parametrize("workers", [1, 2])
def test_two_signals_at_once_with_nobody_connected(workers: int, tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway(free_port(), 1))
    with serving("-f", file, "--workers", str(workers)) as server:
        server.signal(signal.SIGTERM)
        server.signal(signal.SIGINT)
        assert server.process.wait(10) == 0
        assert "cut off" not in server.said


def test_sighup_while_draining(tmp_path: Path) -> None:
    port, file = free_port(), tmp_path / "gateway.yaml"
    file.write_text(gateway(port, 1))
    with serving("-f", file) as server, socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(b"GET / HTTP/1.1\r\n")
        server.signal(signal.SIGTERM)
        server.wait_for("draining")
        server.signal(signal.SIGHUP)
        client.sendall(b"Host: h\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert server.process.wait(10) == 0


def test_pyproxy_runs_where_nobody_listens_to_it() -> None:
    with running(["env", "NOTIFY_SOCKET=/not/there", *PYPROXY, "echo", "--port", "0"]) as process:
        process.wait_for("echo on")
