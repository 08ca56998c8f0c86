"""Settings that follow the files, as a running process does it."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pyproxy.conformance.kernel import keepalive_options
from pyproxy.settings import Keepalive
from tests.support.processes import PYPROXY, ROOT, curl, echo, free_port, gateway, serving
from tests.support.rewriting import replace_file, rewrite
from tests.support.scenario import Client, run


def test_files_rewritten_under_load(tmp_path: Path, loop_name: str) -> None:
    async def main() -> None:
        result = await rewrite(tmp_path, times=8, rate=200, flags=("--loop", loop_name))
        assert (result.outcome.failures, result.resets) == ({}, 0)
        assert result.outcome.told_to_close > 0
        assert len(result.in_force) == len(result.reported) == 4

    run(main, loop_name)


def options_of(pid: int, port: int) -> Keepalive | None:
    """What the kernel has for the listening socket, and for a connection that it takes now."""
    with socket.create_connection(("127.0.0.1", port)):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            try:
                found = keepalive_options(pid, port)
            except LookupError:
                continue  # not accepted yet
            assert found["listening"] == found["accepted"]
            return found["listening"]
    raise AssertionError("nothing was accepted")


def test_keepalive_of_the_same_socket(tmp_path: Path) -> None:
    port = free_port()
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway(port, 1))
    with serving("-f", file) as server:
        for policy, options in (
            ("tcpKeepalive: {idleTime: 60s, probes: 3}", Keepalive(3, 60, 75)),
            ("tcpKeepalive: {interval: 5s}", Keepalive(9, 7200, 5)),
            ("headers: {enableEnvoyHeaders: true}", None),
        ):
            before = server.said.count("reloaded: changed")
            replace_file(file, gateway(port, 1, policy))
            server.wait_for(rf"(?s)(reloaded: changed.*){{{before + 1}}}")
            assert options_of(server.pid, port) == options


def listeners(*ports: int) -> str:
    items = ", ".join(f"{{name: l{port}, protocol: HTTP, port: {port}}}" for port in ports)
    text = gateway(ports[0], 1)
    return text.replace(f"[{{name: http, protocol: HTTP, port: {ports[0]}}}]", f"[{items}]")


def test_listeners_come_and_go(tmp_path: Path) -> None:
    one, two, taken = free_port(), free_port(), free_port()
    file = tmp_path / "gateway.yaml"
    file.write_text(listeners(one))
    with serving("-f", file) as server:
        replace_file(file, listeners(one, two))
        server.wait_for(f"reloaded: listening on http://127.0.0.1:{two} for default/eg/l{two}; policies: none\n")
        assert curl(f"http://127.0.0.1:{two}/").returncode == 0
        with serving("-f", _written(tmp_path / "other.yaml", gateway(taken, 1))):
            replace_file(file, listeners(two, taken))
            server.wait_for(f"not reloaded: listener default/eg/l{taken}: can't listen on 127.0.0.1 port {taken}: ")
            assert curl(f"http://127.0.0.1:{one}/").returncode == 0
        replace_file(file, listeners(two))
        server.wait_for(f"reloaded: closed http://127.0.0.1:{one} for default/eg/l{one}\n")
        assert curl(f"http://127.0.0.1:{one}/").returncode == 7
        assert curl(f"http://127.0.0.1:{two}/").returncode == 0


def _written(file: Path, text: str) -> Path:
    file.write_text(text)
    return file


def test_a_config_map(tmp_path: Path) -> None:
    port, folder = free_port(), tmp_path / "mounted"

    def publish(version: str, policy: str) -> None:
        """As the kubelet does: new files in a folder of their own, then ``..data`` is swapped."""
        (folder / version).mkdir()
        (folder / version / "gateway.yaml").write_text(gateway(port, 1, policy))
        (folder / "..data_tmp").symlink_to(version)
        os.replace(folder / "..data_tmp", folder / "..data")

    folder.mkdir()
    publish("..1", "tcpKeepalive: {}")
    (folder / "gateway.yaml").symlink_to("..data/gateway.yaml")
    for given in (folder, folder / "gateway.yaml"):
        with serving("-f", given) as server:
            for number, probes in enumerate((3, 4, 5)):
                publish(f"..{given == folder}{number}", f"tcpKeepalive: {{probes: {probes}}}")
                server.wait_for(rf"(?s)(reloaded: changed.*){{{number + 1}}}")
                assert options_of(server.pid, port) == Keepalive(probes, 7200, 75)


def test_without_watching_sighup_reloads(tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway(port, 1))
    with serving("-f", file, "--no-watch", "--admin", f"127.0.0.1:{admin}") as server:
        server.wait_for("admin on")
        replace_file(file, gateway(port, 1, "tcpKeepalive: {}"))
        server.signal(signal.SIGHUP)
        server.wait_for("reloaded: changed .*; policies: default/policy\n")
        listing = json.loads(curl(f"http://127.0.0.1:{admin}/status").stdout)
        assert listing["items"][0]["metadata"]["name"] == "policy"
        replace_file(file, "kind: Gatewy\n")
        server.signal(signal.SIGHUP)
        server.wait_for(f"{file}:1:1: kind: unknown kind Gatewy; did you mean Gateway\\?\n")
        replace_file(file, gateway(port, 1, "tcpKeepalive: {}"))
        server.signal(signal.SIGHUP)
        server.wait_for("reloaded: nothing that is served has changed")
        assert server.said.count("not reloaded") == 1


def test_sighup_of_a_terminal_that_has_gone_ends_it(tmp_path: Path) -> None:
    file = tmp_path / "gateway.yaml"
    file.write_text(gateway(free_port(), 1))
    ours, theirs = pty.openpty()
    command = [*PYPROXY, "serve", "-f", str(file), "--admin", "off", "--access-log", "off"]
    # A session's first process is told of the end of the terminal that it opens first.
    become = "import os, sys; os.close(os.open(os.ttyname(0), os.O_RDWR)); os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", become, *command],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        cwd=ROOT,
    )
    os.close(theirs)
    try:
        said = b""
        while b"policies" not in said:
            said += os.read(ours, 1000)
    finally:
        os.close(ours)
    assert process.wait(10) == 0


@pytest.mark.parametrize("flags", [(), ("--no-watch",)])
def test_what_can_not_change(flags: tuple[str, ...], tmp_path: Path) -> None:
    text = gateway(free_port(), 1)
    (tmp_path / "standard-input").write_text(text)
    with (tmp_path / "standard-input").open() as source, serving("-f", "-", *flags, stdin=source) as server:
        server.signal(signal.SIGHUP)
        server.wait_for("reloaded: nothing that is served has changed")


def test_open_connections_follow_the_routes(tmp_path: Path, loop_name: str) -> None:
    async def main() -> None:
        port = free_port()
        file = tmp_path / "gateway.yaml"
        file.write_text(gateway(port, 1, hostnames="[old.example]"))
        with echo() as backend, serving("-f", file, "--loop", loop_name) as server:
            async with Client(("127.0.0.1", port)) as client:
                request = b"HEAD / HTTP/1.1\r\nHost: new.example\r\n\r\n"
                await client.send(request)
                assert b" 404 " in await client.until(b"\r\n\r\n")
                replace_file(file, gateway(port, backend, hostnames="[new.example]"))
                await asyncio.to_thread(server.wait_for, "reloaded: new routes on")
                await client.send(request)
                reply = await client.until(b"\r\n\r\n")
                assert b" 200 " in reply
                assert b"connection: close" not in reply

    run(main, loop_name)
