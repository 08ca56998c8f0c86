"""The sockets of a process, over changes of what it listens on."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from pyproxy.net.sockets import read_back_keepalive
from pyproxy.server.listening import ListenSockets, StartError, address_of
from pyproxy.settings import Keepalive
from tests.support.processes import free_port
from tests.support.scenario import settings_for

ONE, TWO = (replace(settings_for(), port=free_port()) for _ in range(2))


@pytest.fixture
def sockets() -> Iterator[ListenSockets]:
    """None yet."""
    with closing(ListenSockets()) as made:
        yield made


def listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_a_port_that_is_taken_leaves_everything_as_it_was(sockets: ListenSockets) -> None:
    sockets.bind([ONE])
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = replace(TWO, port=other.getsockname()[1])
        with pytest.raises(StartError, match=f"can't listen on 127.0.0.1 port {taken.port}: Address already in use"):
            sockets.bind([replace(ONE, keepalive=Keepalive()), TWO, taken])
    assert listens(ONE.port)
    assert not listens(TWO.port)
    with sockets.copy(address_of(ONE)) as copy:
        assert read_back_keepalive(copy) is None


def test_what_stays_keeps_its_socket_and_gets_its_options(sockets: ListenSockets) -> None:
    sockets.bind([ONE])
    with sockets.copy(address_of(ONE)) as first, socket.create_connection(first.getsockname()):
        sockets.bind([replace(ONE, keepalive=Keepalive(3, 60, 5)), TWO])
        sockets.release([ONE, TWO])
        assert read_back_keepalive(first) == Keepalive(3, 60, 5)
        first.setblocking(True)
        first.accept()[0].close()
    sockets.bind([TWO])
    sockets.release([TWO])
    assert not listens(ONE.port)
    assert listens(TWO.port)
