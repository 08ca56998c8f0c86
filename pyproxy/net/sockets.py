"""Listening and upstream sockets with the options a policy asks for. Linux only: TCP_KEEPIDLE and its siblings."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import select
import socket
import struct
import sys
from typing import Final

from pyproxy.settings import Keepalive, Listener

_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
_UNLIMITED: Final = 2**31 - 1  # uvloop counts in a C int


def apply_keepalive(sock: socket.socket, keepalive: Keepalive) -> None:
    """Turn keepalive on, in the order in which Envoy Gateway lists the options for Envoy.

    Set on the listening socket before bind, as STATE_PREBIND; Linux lets accepted sockets inherit them. Raises
    ``OSError`` for a value that the kernel refuses, which ``policy`` has excluded.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    if keepalive.probes is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, keepalive.probes)
    if keepalive.idle is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, keepalive.idle)
    if keepalive.interval is not None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, keepalive.interval)


def change_keepalive(sock: socket.socket, keepalive: Keepalive | None) -> None:
    """Give a listening socket that is in use these options: connections that come from now on have them.

    What the policy leaves to the kernel goes back to what a new socket has. Raises ``OSError`` as ``apply_keepalive``.
    """
    if read_back_keepalive(sock) == keepalive:
        return
    if keepalive is None:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 0)
        return
    with socket.socket(sock.family, socket.SOCK_STREAM) as fresh:
        apply_keepalive(fresh, keepalive)
        complete = read_back_keepalive(fresh)
    assert complete is not None, "it has just been turned on"
    apply_keepalive(sock, complete)


def read_back_keepalive(sock: socket.socket) -> Keepalive | None:
    """What the kernel has for ``sock``: ``None`` if keepalive is off."""
    if not sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE):
        return None
    return Keepalive(
        probes=sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT),
        idle=sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE),
        interval=sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL),
    )


def listen(listener: Listener, *, backlog: int = 4096) -> socket.socket:
    """The bound, listening, non-blocking socket of ``listener``. Raises ``OSError`` if it can't be bound."""
    return listen_beside(listener, 1, backlog=backlog)[0]


def listen_beside(listener: Listener, count: int, *, backlog: int = 4096) -> list[socket.socket]:
    """``count`` sockets of the same address, among which the kernel spreads connections (SO_REUSEPORT).

    Raises ``OSError`` if the address can't be had; somebody else's SO_REUSEPORT is not joined.
    """
    bound = [_bind(listener, listener.port, beside=False)]
    try:
        if count > 1:
            # Set only now, so that the first bind failed if there were others.
            bound[0].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            port = bound[0].getsockname()[1]
            bound += [_bind(listener, port, beside=True) for _ in range(count - 1)]
        for sock in bound:
            sock.listen(backlog)
    except BaseException:
        for sock in bound:
            sock.close()
        raise
    return bound


def _bind(listener: Listener, port: int, *, beside: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in listener.address else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if beside:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if listener.address == "::" else 1)
        if listener.keepalive is not None:
            apply_keepalive(sock, listener.keepalive)
        sock.bind((listener.address, port))
    except BaseException:
        sock.close()
        raise
    return sock


def set_nodelay(sock: socket.socket) -> None:
    """Send small writes at once; the peer may have gone already, which the transport then reports."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def set_watermarks(transport: asyncio.WriteTransport, limit: int) -> None:
    """Stop the other side when more than ``limit`` bytes wait to be written, until half of them are; 0 is no limit."""
    high = min(limit or _UNLIMITED, _UNLIMITED)
    transport.set_write_buffer_limits(high=high, low=high // 2)


def reset_on_close(sock: socket.socket) -> None:
    """Make closing ``sock`` send RST and nothing else (SO_LINGER with no time)."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)


class News:
    """Whether an idle connection has bytes or its end waiting, so that it can't be used for another request."""

    __slots__ = ("_poll",)

    def __init__(self, sock: socket.socket) -> None:
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    def __bool__(self) -> bool:
        return bool(self._poll.poll(0))


READ_SIZE: Final = 16_384


def read_at_once(buffer_limit: int) -> int:
    """Bytes that Envoy takes from a client before it looks at them, and so before it refuses a head.

    It reads 16 KiB at a time until it has as many as the listener's buffer limit (measured for 8 and 32 KiB).
    """
    return -(-buffer_limit // READ_SIZE) * READ_SIZE or sys.maxsize


def interface_index(name: str) -> int | None:
    """The index of this machine's interface ``name``, if there is one."""
    try:
        return socket.if_nametoindex(name)
    except (OSError, ValueError):
        return None


def node_address() -> str:
    """The machine's own address as Envoy's local_info has it: the first IPv4 address of an interface but loopback.

    127.0.0.1 where there is none. Envoy writes it into x-forwarded-for for clients on loopback.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for _, name in socket.if_nameindex():
            request = struct.pack("256s", name.encode()[:15])
            try:
                reply = fcntl.ioctl(sock.fileno(), 0x8915, request)  # SIOCGIFADDR
            except OSError:
                continue  # the interface has no IPv4 address
            address = socket.inet_ntoa(reply[20:24])
            if not address.startswith("127."):
                return address
    return "127.0.0.1"
