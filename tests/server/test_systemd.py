"""What is said to the service manager, and which sockets are taken from it."""

from __future__ import annotations

import configparser
import os
import socket
import time
from pathlib import Path

import pytest

from pyproxy.cli import main
from pyproxy.server import systemd
from pyproxy.server.listening import StartError
from pyproxy.server.systemd import Notifier, take_sockets
from tests.support.processes import ROOT


@pytest.mark.parametrize("abstract", [True, False])
def test_what_the_manager_hears(abstract: bool, tmp_path: Path) -> None:
    name = f"@pyproxy-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    environment = {"NOTIFY_SOCKET": name}
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name.replace("@", "\0"))
        notifier = Notifier(environment)
        assert environment == {}
        notifier.ready("serving")
        before = time.monotonic_ns() // 1000
        notifier.reloading()
        notifier.stopping("draining")
        assert manager.recv(1000) == b"READY=1\nSTATUS=serving"
        state, _, moment = manager.recv(1000).partition(b"\nMONOTONIC_USEC=")
        assert state == b"RELOADING=1"
        assert before <= int(moment) <= time.monotonic_ns() // 1000
        assert manager.recv(1000) == b"STOPPING=1\nSTATUS=draining"
    notifier.ready("serving")  # to nobody


def test_without_a_manager() -> None:
    Notifier({}).ready("serving")
    assert take_sockets({}) == []


def environment(count: int, *, pid: int | None = None) -> dict[str, str]:
    return {"LISTEN_PID": str(pid or os.getpid()), "LISTEN_FDS": str(count), "LISTEN_FDNAMES": "x", "HOME": "/"}


def test_sockets_for_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = listening.getsockname()
        os.set_inheritable(listening.fileno(), True)
        monkeypatch.setattr(systemd, "FIRST_DESCRIPTOR", listening.fileno())
        found = environment(1)
        (taken,) = take_sockets(found)
        assert found == {"HOME": "/"}
        assert taken.getsockname() == address
        assert not taken.get_inheritable()
        taken.detach()


def test_sockets_for_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    found = environment(1, pid=os.getpid() + 1)
    assert take_sockets(found) == []
    assert found == {"HOME": "/"}


@pytest.mark.parametrize("kind", ["datagram", "not listening", "Unix", "file", "closed"])
def test_what_is_no_listening_socket(kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sock = socket.socket(
        socket.AF_UNIX if kind == "Unix" else socket.AF_INET,
        socket.SOCK_DGRAM if kind == "datagram" else socket.SOCK_STREAM,
    )
    with sock, (tmp_path / "file").open("w") as file:
        descriptor = file.fileno() if kind == "file" else sock.fileno()
        if kind == "closed":
            sock.close()
        monkeypatch.setattr(systemd, "FIRST_DESCRIPTOR", descriptor)
        with pytest.raises(StartError, match=f"descriptor {descriptor}, .* is no listening TCP socket"):
            take_sockets(environment(1))


def test_the_example_units() -> None:
    units = {}
    for name in ("pyproxy.service", "pyproxy.socket"):
        unit = units[name] = configparser.ConfigParser(interpolation=None)
        unit.optionxform = str  # type: ignore[assignment,method-assign]  # as the module's documentation shows
        unit.read(ROOT / "config" / "systemd" / name)
    service = units["pyproxy.service"]["Service"]
    program, verb, *arguments = service["ExecStart"].replace("\\\n", " ").split()
    assert (Path(program).name, verb) == ("pyproxy", "serve")
    options = main.commands["serve"].make_context("serve", arguments).params
    assert int(service["TimeoutStopSec"]) > options["drain_time"]
    assert units["pyproxy.socket"]["Socket"]["ListenStream"] == f"{options['address']}:10080"
    assert service["Type"] == "notify"
    log = Path(options["access_log"])
    assert log.parent == Path("/var/log", service["LogsDirectory"])
    assert f"\n{log} {{\n" in (ROOT / "docs" / "operations.md").read_text(), "what logrotate moves away"
