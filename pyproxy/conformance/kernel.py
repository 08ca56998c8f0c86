"""What the kernel has for another process's sockets: the keepalive options of a listener and of a connection it took.

The sockets are borrowed with pidfd_getfd(2), which needs the right to trace the process: the same user's child, or
root.
"""

from __future__ import annotations

import ctypes
import os
import socket

from pyproxy.net.sockets import read_back_keepalive
from pyproxy.settings import Keepalive

_PIDFD_GETFD = 438
_LISTEN, _ESTABLISHED = "0A", "01"

_libc = ctypes.CDLL(None, use_errno=True)


def keepalive_options(pid: int, port: int) -> dict[str, Keepalive | None]:
    """``{"listening": …, "accepted": …}`` of process ``pid``'s sockets on loopback ``port``.

    Raises ``OSError`` where the process can't be traced, and ``LookupError`` where it has no such socket.
    """
    return {
        "listening": _options_of(pid, _inodes(pid, port, _LISTEN)),
        "accepted": _options_of(pid, _inodes(pid, port, _ESTABLISHED)),
    }


def _inodes(pid: int, port: int, state: str) -> set[str]:
    inodes = set()
    with open(f"/proc/{pid}/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[3] == state and fields[1].endswith(f":{port:04X}"):
                inodes.add(f"socket:[{fields[9]}]")
    return inodes


def _options_of(pid: int, inodes: set[str]) -> Keepalive | None:
    folder = f"/proc/{pid}/fd"
    for name in os.listdir(folder):
        try:
            if os.readlink(f"{folder}/{name}") not in inodes:
                continue
        except FileNotFoundError:
            continue  # closed since it was listed
        with _borrow(pid, int(name)) as sock:
            return read_back_keepalive(sock)
    raise LookupError(f"process {pid} has none of {sorted(inodes)}")


def _borrow(pid: int, descriptor: int) -> socket.socket:
    pidfd = os.pidfd_open(pid)
    try:
        copy = _libc.syscall(_PIDFD_GETFD, pidfd, descriptor, 0)
        if copy < 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return socket.socket(fileno=copy)
    finally:
        os.close(pidfd)
