"""Hosts of one's own on one machine: network namespaces joined by a pair of virtual interfaces."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.support.processes import Running, running


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True)


@dataclass(frozen=True, slots=True)
class Host:
    """A namespace with one address."""

    name: str
    address: str
    interface: str

    @property
    def prefix(self) -> list[str]:
        """What to put before a command to run it there."""
        return ["ip", "netns", "exec", self.name]

    def cut(self) -> None:
        """Take the link away without a word to the peer, as when a cable is pulled."""
        _ip("-n", self.name, "link", "set", self.interface, "down")

    def vanish(self, peer: Host) -> None:
        """Answer nothing to ``peer`` any more, though the link stays up."""
        _ip("-n", self.name, "route", "add", "blackhole", f"{peer.address}/32")

    def disable_ipv6(self) -> None:
        """As with the kernel's option."""
        write = "for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done"
        subprocess.run([*self.prefix, "sh", "-c", write], check=True)

    def sockets(self, port: int, state: str = "established") -> list[str]:
        """Lines of ``ss`` for the sockets on a local port, with their timers."""
        command = [*self.prefix, "ss", "-tnoH", "state", state, f"sport = :{port}"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@contextmanager
def two_hosts() -> Iterator[tuple[Host, Host]]:
    """Two hosts that reach each other and nobody else. Needs root."""
    if os.geteuid() != 0:
        raise RuntimeError("network namespaces need root: run the suite with sudo, or in a container as root")
    tag = f"{os.getpid() % 100_000}"
    one = Host(f"pyproxy-a{tag}", "10.77.0.1", f"ppa{tag}")
    other = Host(f"pyproxy-b{tag}", "10.77.0.2", f"ppb{tag}")
    try:
        for host in (one, other):
            _ip("netns", "add", host.name)
        _ip(
            "link",
            "add",
            one.interface,
            "netns",
            one.name,
            "type",
            "veth",
            "peer",
            other.interface,
            "netns",
            other.name,
        )
        for host in (one, other):
            _ip("-n", host.name, "address", "add", f"{host.address}/24", "dev", host.interface)
            _ip("-n", host.name, "link", "set", host.interface, "up")
            _ip("-n", host.name, "link", "set", "lo", "up")
        yield one, other
    finally:
        for host in (one, other):
            subprocess.run(["ip", "netns", "delete", host.name], check=False, capture_output=True)


_SEND_AND_STAY = """\
import socket, sys, time
sock = socket.create_connection((sys.argv[1], int(sys.argv[2])))
sock.sendall(bytes.fromhex(sys.argv[3]))
received = sock.recv(int(sys.argv[4]))
print("received", received.hex(), flush=True)
time.sleep(90)
"""


@contextmanager
def client_on(host: Host, address: tuple[str, int], request: bytes, *, at_most: int = 65_536) -> Iterator[Running]:
    """A client on ``host`` that sends one request, reads some of the answer and stays; when it has read."""
    arguments = [address[0], str(address[1]), request.hex(), str(at_most)]
    with running([sys.executable, "-c", _SEND_AND_STAY, *arguments], prefix=host.prefix) as client:
        client.wait_for("received")
        yield client
