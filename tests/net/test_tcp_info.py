"""TCP_INFO and keepalive, beside what ``ss`` prints of the same socket."""

from __future__ import annotations

import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from pyproxy.net import sockets
from pyproxy.net.tcp_info import TcpInfo, keepalive_state, read_tcp_info
from pyproxy.settings import Keepalive


@contextmanager
def connection() -> Iterator[tuple[socket.socket, socket.socket]]:
    """Both ends of a connection over which each side has sent something."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        client = socket.create_connection(server.getsockname())
        accepted, _ = server.accept()
        with client, accepted:
            client.sendall(b"abc")
            assert accepted.recv(10) == b"abc"
            accepted.sendall(b"hello")
            assert client.recv(10) == b"hello"
            yield accepted, client


def test_what_the_kernel_counts() -> None:
    with connection() as (sock, _):
        info = read_tcp_info(sock)
        assert (info.state, info.bytes_received, info.retransmits) == ("ESTABLISHED", 3, 0)
        assert 0 < info.rtt_ms < 1000
        assert keepalive_state(sock, info) is None


def test_the_keepalive_timer_is_what_ss_says() -> None:
    with connection() as (sock, _):
        sockets.apply_keepalive(sock, Keepalive(probes=4, idle=70, interval=9))
        state = keepalive_state(sock, read_tcp_info(sock))
        assert state is not None
        assert (state.idle, state.interval, state.probes, state.probes_sent) == (70, 9, 4, 0)
        assert state.next_probe_in is not None
        assert state.gives_up_in == pytest.approx(state.next_probe_in + 4 * 9)
        command = ["ss", "-tnoH", "state", "established", "sport", "=", f":{sock.getsockname()[1]}"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        # ss writes a whole minute as 1min9sec, and less than that in seconds.
        found = re.search(r"timer:\(keepalive,(?:(\d+)min)?(?:(\d+)sec)?", said)
        assert found is not None, said
        assert 60 * int(found[1] or 0) + int(found[2] or 0) == pytest.approx(state.next_probe_in, abs=1.5)


def info(**fields: object) -> TcpInfo:
    known = dict.fromkeys(TcpInfo.__dataclass_fields__, 0)
    return TcpInfo(**{**known, "state": "ESTABLISHED", **fields})  # type: ignore[arg-type]  # names of its fields


@pytest.mark.parametrize(
    ("fields", "next_probe", "gives_up"),
    [
        ({"since_data_received_ms": 3000, "since_ack_received_ms": 9000}, 7, 16),
        ({"since_data_received_ms": 9000, "since_ack_received_ms": 3000}, 7, 16),
        ({"since_data_received_ms": 11500, "since_ack_received_ms": 11500, "keepalive_probes_sent": 1}, 1.5, 7.5),
        ({"since_data_received_ms": 19500, "since_ack_received_ms": 19500, "keepalive_probes_sent": 3}, 0, 0),
        ({"unacknowledged": 2, "keepalive_probes_sent": 1}, None, None),
        ({"state": "CLOSE_WAIT"}, None, None),
    ],
)
def test_where_the_timer_stands(fields: dict[str, object], next_probe: float | None, gives_up: float | None) -> None:
    with socket.socket() as sock:
        sockets.apply_keepalive(sock, Keepalive(probes=3, idle=10, interval=3))
        state = keepalive_state(sock, info(**fields))
        assert state is not None
        assert (state.next_probe_in, state.gives_up_in) == (next_probe, gives_up)
        assert state.probes_sent == (0 if fields.get("unacknowledged") else fields.get("keepalive_probes_sent", 0))


def test_a_closed_socket() -> None:
    sock = socket.socket()
    sock.close()
    with pytest.raises(OSError, match="Bad file descriptor"):
        read_tcp_info(sock)
