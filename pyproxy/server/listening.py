"""The listening sockets of a process: bound before anything is served on them, kept over reloads."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterable
from ipaddress import ip_address

from pyproxy.net import sockets
from pyproxy.settings import Listener

Address = tuple[str, int]
"""IP address and port, as a listener's settings have them."""


class StartError(Exception):
    """The process can't serve what it was asked to: an address is taken, a file can't be written."""


def address_of(listener: Listener) -> Address:
    """Where ``listener`` is bound, and what its socket is known by."""
    return str(ip_address(listener.address)), listener.port


class ListenSockets:
    """Owns the sockets for each address: one, or one for each worker.

    What serves an address gets a copy of its socket and closes that when it stops, so that whether the kernel still
    takes connections is decided here alone.
    """

    def __init__(self, inherited: Iterable[socket.socket] = (), *, workers: int = 1) -> None:
        """``inherited``: the service manager's sockets, used where their address is a listener's, and kept.

        Workers share these: there is one for each address.
        """
        self._workers = workers
        self._sockets: dict[Address, list[socket.socket]] = {}
        self._inherited: dict[Address, socket.socket] = {}
        for sock in inherited:
            host, port = sock.getsockname()[:2]
            self._inherited[host, port] = sock

    def bind(self, listeners: Iterable[Listener]) -> None:
        """Have a socket with the right options for each listener.

        Raises ``StartError`` if an address can't be had; then nothing is bound that was not before.
        """
        bound: dict[Address, list[socket.socket]] = {}
        listeners = list(listeners)
        try:
            for listener in listeners:
                address = address_of(listener)
                if address in self._inherited and address not in self._sockets:
                    bound[address] = [self._inherited[address].dup()]
                elif address not in self._sockets:
                    bound[address] = _listen(listener, self._workers)
        except StartError:
            _close(bound)
            raise
        # Nothing can fail any more: policy lets no option through that the kernel refuses.
        self._sockets |= bound
        for listener in listeners:
            for sock in self._sockets[address_of(listener)]:
                sockets.change_keepalive(sock, listener.keepalive)

    def refuse_unused(self) -> None:
        """Raise ``StartError`` if an inherited socket is no listener's: whoever connects to it would wait for ever."""
        unused = [f"{host} port {port}" for host, port in self._inherited.keys() - self._sockets.keys()]
        if unused:
            served = ", ".join(f"{host} port {port}" for host, port in self._sockets)
            raise StartError(f"no listener is at {', '.join(unused)}, whose socket was passed; they are at {served}")

    def copy(self, address: Address, worker: int = 0) -> socket.socket:
        """A socket of the caller's own for an address. Each worker's has its own queue of connections, if it can."""
        sockets = self._sockets[address]
        return sockets[worker % len(sockets)].dup()

    def release(self, listeners: Iterable[Listener]) -> None:
        """Close the sockets that none of these listeners has."""
        wanted = {address_of(listener) for listener in listeners}
        _close({address: self._sockets.pop(address) for address in self._sockets.keys() - wanted})

    def close(self) -> None:
        """Close them all; those that were inherited stay open where they came from."""
        self.release(())
        for sock in self._inherited.values():
            sock.close()


def _listen(listener: Listener, count: int) -> list[socket.socket]:
    try:
        return sockets.listen_beside(listener, count)
    except OSError as error:
        where = f"{listener.address} port {listener.port}"
        raise StartError(f"listener {listener.name}: can't listen on {where}: {error.strerror}") from error


def _close(unwanted: dict[Address, list[socket.socket]]) -> None:
    for sock in itertools.chain.from_iterable(unwanted.values()):
        sock.close()
