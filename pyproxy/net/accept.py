"""Taking connections from a listening socket: for whom, how many at a time and at all, and what when out of files.

The event loops' own servers have an idea of their own of each: asyncio accepts until nothing waits, libuv closes
connections that it has no descriptor for, and neither says what it has accepted and not handed over yet.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from typing import TYPE_CHECKING, Any, cast

from pyproxy.net import sockets
from pyproxy.net.tally import ConnectionIds, Tally

if TYPE_CHECKING:
    from pyproxy.net.downstream import DownstreamConnection
    from pyproxy.net.listener import HttpListener

BACKLOG = 4096
"""Connections that the kernel keeps ready, where net.core.somaxconn lets it; that is its default."""

BACK_OFF = 0.25
"""Seconds that a socket lets new connections wait when the process is out of descriptors."""

_GONE_ALREADY = (errno.EAGAIN, errno.EINTR, errno.ECONNABORTED)


class GlobalConnections:
    """The downstream connections of all listeners (Envoy's global_downstream_max_connections)."""

    __slots__ = ("_tally", "ids", "limit")

    def __init__(self, limit: int = 50_000, tally: Tally | None = None, ids: ConnectionIds | None = None) -> None:
        self.limit = limit
        self.ids = ids or ConnectionIds()
        """Give each connection its number."""
        self._tally = tally or Tally()

    @property
    def active(self) -> int:
        """Those there are now."""
        return self._tally.total

    def take(self) -> bool:
        """Count one more; ``False`` if there are as many as may be."""
        return self._tally.take(self.limit)

    def release(self) -> None:
        """One that was counted has ended."""
        self._tally.release()


class Acceptor:
    """Accepts on ``sock`` from its making until ``stop``, and hands each connection to the listener in force.

    The socket is bound, listening and non-blocking; ``stop`` closes it.
    """

    def __init__(self, sock: socket.socket, listener: HttpListener) -> None:
        self.listener = listener
        """Gets every connection from now on."""
        self._sock = sock
        host, port = self.address
        self._local = None if host in ("0.0.0.0", "::") else (host, port)
        self._loop = listener.loop
        self._starting: dict[asyncio.Task[object], DownstreamConnection] = {}
        self._retry: asyncio.TimerHandle | None = None
        # Linux lets accepted sockets inherit it.
        sockets.set_nodelay(sock)
        self._loop.add_reader(sock, self._on_readable)
        listener.look_names_up()

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that are bound; the port is the kernel's choice where the settings have 0."""
        return _address(self._sock.getsockname())

    def replace(self, listener: HttpListener) -> HttpListener:
        """Hand further connections to ``listener``; the one that had them until now.

        That one still gets those which wait in the kernel: they may have come with the socket options of before.
        """
        self._accept(BACKLOG)
        former, self.listener = self.listener, listener
        listener.look_names_up()
        return former

    def stop(self) -> None:
        """Take no more connections, but those which wait in the kernel: closing the socket would reset them."""
        if self._sock.fileno() >= 0:
            self._accept(BACKLOG)
            if self._retry is not None:
                self._retry.cancel()
            self._loop.remove_reader(self._sock)
            self._sock.close()

    async def settled(self) -> None:
        """Wait until each connection accepted so far is among its listener's."""
        await asyncio.gather(*self._starting, return_exceptions=True)

    async def close(self) -> None:
        """Take no more connections and end those of the listener at once."""
        self.stop()
        await self.settled()
        await self.listener.close()

    def _on_readable(self) -> None:
        self._accept(self.listener.settings.max_connections_to_accept_per_socket_event or BACKLOG)

    def _accept(self, limit: int) -> None:
        listener = self.listener
        accepted = 0
        while accepted < limit:
            try:
                sock, peer = self._sock.accept()
            except OSError as error:
                if error.errno not in _GONE_ALREADY:
                    self._back_off(error)
                break
            accepted += 1
            if not listener.global_connections.take():
                listener.listener_stats.downstream_global_cx_overflow += 1
                sock.close()
                continue
            sock.setblocking(False)
            local = self._local or _address(sock.getsockname())
            self._start(listener.new_connection(sock, _address(peer), local), sock)
        if accepted:
            listener.listener_stats.connections_accepted_per_socket_event.record(accepted)

    def _start(self, connection: DownstreamConnection, sock: socket.socket) -> None:
        protocol = cast("asyncio.Protocol", connection)
        task = self._loop.create_task(self._loop.connect_accepted_socket(lambda: protocol, sock), name="accept")
        self._starting[task] = connection
        task.add_done_callback(self._on_started)

    def _on_started(self, task: asyncio.Task[object]) -> None:
        connection = self._starting.pop(task)
        if not task.cancelled() and isinstance(task.exception(), OSError):
            connection.sock.close()
            connection.listener.global_connections.release()

    def _back_off(self, error: OSError) -> None:
        # The socket stays readable: asking again at once would be a busy loop.
        self._loop.remove_reader(self._sock)
        if self._retry is not None:
            self._retry.cancel()
        self._retry = self._loop.call_later(BACK_OFF, self._loop.add_reader, self._sock, self._on_readable)
        self._loop.call_exception_handler({"message": "can't accept connections", "exception": error})


def _address(name: tuple[Any, ...]) -> tuple[str, int]:
    """Without what IPv6 adds to it."""
    return name[0], name[1]
