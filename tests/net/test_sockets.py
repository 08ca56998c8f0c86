"""Socket options, set and read back."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace

import pytest

from pyproxy.net import sockets
from pyproxy.settings import Endpoint, Keepalive
from tests.support.scenario import settings_for

LISTENER = settings_for(Endpoint("127.0.0.1", 1))


@pytest.mark.enforces("spec.tcpKeepalive.probes")
@pytest.mark.enforces("spec.tcpKeepalive.idleTime")
@pytest.mark.enforces("spec.tcpKeepalive.interval")
@pytest.mark.parametrize(
    ("keepalive", "result"),
    [
        (None, None),
        (Keepalive(3, 1200, 60), Keepalive(3, 1200, 60)),
        (Keepalive(127, 32767, 32767), Keepalive(127, 32767, 32767)),
        (Keepalive(idle=5), Keepalive(9, 5, 75)),
        (Keepalive(), Keepalive(9, 7200, 75)),
    ],
)
def test_accepted_sockets_inherit_keepalive(keepalive: Keepalive | None, result: Keepalive | None) -> None:
    with sockets.listen(replace(LISTENER, keepalive=keepalive)) as listening:
        listening.setblocking(True)
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert sockets.read_back_keepalive(listening) == result
                assert sockets.read_back_keepalive(accepted) == result


@pytest.mark.parametrize("keepalive", [Keepalive(probes=128), Keepalive(idle=32768), Keepalive(interval=0)])
def test_what_the_kernel_refuses_raises_and_leaves_no_socket(keepalive: Keepalive) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        sockets.listen(replace(LISTENER, keepalive=keepalive))


@pytest.mark.parametrize(
    ("address", "reachable"), [("::1", ["::1"]), ("::", ["::1", "127.0.0.1"]), ("0.0.0.0", ["127.0.0.1"])]
)
def test_families(address: str, reachable: list[str]) -> None:
    with sockets.listen(replace(LISTENER, address=address)) as listening:
        for target in reachable:
            socket.create_connection((target, listening.getsockname()[1])).close()


def test_news_of_bytes_and_of_the_end() -> None:
    one, other = socket.socketpair()
    with one:
        news = sockets.News(one)
        with other:
            assert not news
            other.send(b"x")
            assert news
            assert one.recv(1) == b"x"
            assert not news
        assert news
    assert news


def test_reset_on_close() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        accepted, _ = server.accept()
        sockets.reset_on_close(accepted)
        accepted.close()
        with pytest.raises(ConnectionResetError):
            client.recv(1)


def test_options_on_a_socket_that_is_gone_are_no_error() -> None:
    sock = socket.socket()
    sock.close()
    sockets.set_nodelay(sock)
    sockets.reset_on_close(sock)


def test_the_node_address_is_no_loopback_where_there_is_another() -> None:
    address = sockets.node_address()
    assert socket.inet_aton(address)
    interfaces = {name for _, name in socket.if_nameindex()}
    assert interfaces != {"lo"} or address == "127.0.0.1"


@pytest.mark.parametrize(
    ("keepalive", "result"),
    [
        (Keepalive(3, 1200, 60), Keepalive(3, 1200, 60)),
        (Keepalive(idle=5), Keepalive(9, 5, 75)),
        (Keepalive(), Keepalive(9, 7200, 75)),
        (None, None),
    ],
)
@pytest.mark.parametrize("before", [Keepalive(1, 2, 3), None])
def test_a_listening_socket_takes_other_options(
    before: Keepalive | None, keepalive: Keepalive | None, result: Keepalive | None
) -> None:
    with sockets.listen(replace(LISTENER, keepalive=before)) as listening:
        sockets.change_keepalive(listening, keepalive)
        listening.setblocking(True)
        with socket.create_connection(listening.getsockname()):
            accepted, _ = listening.accept()
            with accepted:
                assert sockets.read_back_keepalive(accepted) == result


@pytest.mark.parametrize(("limit", "size"), [(1, 16_384), (8192, 16_384), (32_768, 32_768), (40_000, 49_152)])
def test_what_is_read_at_once(limit: int, size: int) -> None:
    assert sockets.read_at_once(limit) == size
    assert sockets.read_at_once(0) == sys.maxsize


def test_interfaces_by_name() -> None:
    assert sockets.interface_index("lo") == socket.if_nametoindex("lo")
    for name in ("", "nosuch", "a\x00b", "x" * 60_000):
        assert sockets.interface_index(name) is None
