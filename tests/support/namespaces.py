"""Hosts of one's own on one machine: network namespaces joined by a pair of virtual interfaces."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


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
