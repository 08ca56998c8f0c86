"""What a process and its service manager tell each other, in systemd's protocols, which others speak too.

sd_notify(3): READY, RELOADING and STOPPING as datagrams to $NOTIFY_SOCKET. sd_listen_fds(3): listening sockets that are
inherited, so that none of their connections is refused while the process is started anew.
"""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping

from pyproxy.server.listening import StartError

FIRST_DESCRIPTOR = 3
"""SD_LISTEN_FDS_START."""

_TCP = (socket.AF_INET, socket.AF_INET6)


class Notifier:
    """Tells the service manager, if there is one; it may be gone, which is not the process's concern."""

    def __init__(self, environment: MutableMapping[str, str]) -> None:
        """Takes $NOTIFY_SOCKET out of ``environment``, so that no child speaks in the process's name."""
        self._address = environment.pop("NOTIFY_SOCKET", "")

    def ready(self, status: str) -> None:
        """The process serves, for the first time or after ``reloading``."""
        self._send(f"READY=1\nSTATUS={status}")

    def reloading(self) -> None:
        """The files are read again; ``ready`` follows, whatever comes of it."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self, status: str) -> None:
        """The process takes no more connections."""
        self._send(f"STOPPING=1\nSTATUS={status}")

    def _send(self, message: str) -> None:
        if not self._address:
            return
        address = "\0" + self._address[1:] if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.setblocking(False)
            sock.sendto(message.encode(), address)


def take_sockets(environment: MutableMapping[str, str]) -> list[socket.socket]:
    """The listening sockets that this process has been started with; its children don't get them.

    Raises ``StartError`` for a descriptor that is something else.
    """
    pid, count = environment.pop("LISTEN_PID", ""), environment.pop("LISTEN_FDS", "")
    environment.pop("LISTEN_FDNAMES", None)
    if pid != str(os.getpid()) or not count.isdigit():
        return []  # they were another process's
    return [_take(descriptor) for descriptor in range(FIRST_DESCRIPTOR, FIRST_DESCRIPTOR + int(count))]


def _take(descriptor: int) -> socket.socket:
    with contextlib.suppress(OSError):  # not open, or no socket
        sock = socket.socket(fileno=descriptor)
        if sock.family in _TCP and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
            sock.set_inheritable(False)
            sock.setblocking(False)
            return sock
        sock.detach()
    raise StartError(f"descriptor {descriptor}, which LISTEN_FDS counts, is no listening TCP socket")
