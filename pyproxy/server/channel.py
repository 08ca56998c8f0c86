"""Messages between two processes of this program on one machine, with sockets that go along.

A packet carries descriptors only. The first is of a file in memory with the message, whose length so does not matter.
It is a pickle: only a process and the child that it has started itself talk in this way.
"""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
from collections.abc import Callable, Sequence
from typing import Any

from pyproxy.server.beside_traffic import beside_traffic

MAX_DESCRIPTORS = 250
"""Of one packet; Linux takes 253 (SCM_MAX_FD)."""

LONG = 65_536
"""Bytes of a message that is read beside the traffic."""

_MORE, _LAST = b"+", b"."


class Channel:
    """One end; ``pair`` makes two. One message at a time may be under way in each direction."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock = sock
        self._loop = asyncio.get_running_loop()

    @staticmethod
    def pair() -> tuple[socket.socket, socket.socket]:
        """The sockets of both ends; packets keep their bounds, and an end sees that the other one is gone."""
        return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)

    async def send(self, message: Any, sockets: Sequence[socket.socket] = ()) -> None:
        """Send a message and copies of ``sockets``. Raises ``OSError`` if there is nobody to receive it."""
        memory = _write(message)
        try:
            descriptors = [memory, *(sock.fileno() for sock in sockets)]
            while len(descriptors) > MAX_DESCRIPTORS:
                await self._send_packet(_MORE, descriptors[:MAX_DESCRIPTORS])
                del descriptors[:MAX_DESCRIPTORS]
            await self._send_packet(_LAST, descriptors)
        finally:
            os.close(memory)

    async def receive(self) -> tuple[Any, list[socket.socket]]:
        """The next message and its sockets. Raises ``EOFError`` when the other end is closed."""
        descriptors: list[int] = []
        kind = _MORE
        while kind == _MORE:
            kind, more = await self._receive_packet()
            descriptors += more
        memory, *sockets = descriptors
        is_long = os.fstat(memory).st_size > LONG
        message = await beside_traffic(_read, memory) if is_long else _read(memory)
        return message, [socket.socket(fileno=descriptor) for descriptor in sockets]

    def close(self) -> None:
        """Close this end."""
        self._sock.close()

    async def _send_packet(self, kind: bytes, descriptors: list[int]) -> None:
        while True:
            try:
                socket.send_fds(self._sock, [kind], descriptors)
                return
            except BlockingIOError:
                await self._until(self._loop.add_writer, self._loop.remove_writer)

    async def _receive_packet(self) -> tuple[bytes, list[int]]:
        while True:
            try:
                kind, descriptors, _, _ = socket.recv_fds(self._sock, 1, MAX_DESCRIPTORS)
            except BlockingIOError:
                await self._until(self._loop.add_reader, self._loop.remove_reader)
                continue
            except ConnectionError as error:
                raise EOFError from error
            if not kind:
                raise EOFError
            for descriptor in descriptors:
                os.set_inheritable(descriptor, False)
            return kind, list(descriptors)

    async def _until(self, add: Callable[..., None], remove: Callable[[socket.socket], object]) -> None:
        ready = asyncio.Event()
        add(self._sock, ready.set)
        try:
            await ready.wait()
        finally:
            remove(self._sock)


def _write(message: Any) -> int:
    memory = os.memfd_create("message", os.MFD_CLOEXEC)
    with open(memory, "wb", closefd=False) as file:
        pickle.dump(message, file)
    return memory


def _read(memory: int) -> Any:
    with open(memory, "rb") as file:
        file.seek(0)  # it is the very file that the sender has written
        return pickle.load(file)
