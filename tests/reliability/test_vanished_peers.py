"""Peers that vanish without a word, and a machine without IPv6: each in network namespaces of its own."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator

import pytest

from tests.reliability.figures import Figures
from tests.support.measure import descriptors
from tests.support.namespaces import Host, client_on, two_hosts
from tests.support.processes import echo, running
from tests.support.scenario import GET
from tests.support.subjects import Subject

KEEPALIVE = "tcpKeepalive: {idleTime: 2s, interval: 1s, probes: 3}"

# A backend on the proxy's host: two hundred kilobytes for whoever asks.
LARGE_BACKEND = """\
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "200000")
        self.end_headers()
        self.wfile.write(bytes(200000))
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("port", server.server_port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """The host with the proxy, and the client's."""
    with two_hosts() as pair:
        yield pair


def seconds_until(condition: Callable[[], bool], at_most: float, since: float) -> float | None:
    """Seconds from ``since`` until ``condition`` holds; ``None`` if it does not within ``at_most``."""
    while time.monotonic() - since < at_most:
        if condition():
            return time.monotonic() - since
        time.sleep(0.05)
    return None


@pytest.mark.parametrize("how", ["no route", "link down"])
def test_r1_vanished(hosts: tuple[Host, Host], subject: Subject, figures: Figures, how: str) -> None:
    """An idle peer vanishes; keepalive 2 s, 1 s, 3 probes"""
    server, client = hosts
    with echo(prefix=server.prefix) as backend, subject.serve(backend, KEEPALIVE, host=server) as proxy:
        with client_on(client, proxy.address, GET):
            last_byte = time.monotonic()
            (line,) = server.sockets(proxy.port)
            assert "timer:(keepalive" in line
            with_client = descriptors(proxy.pid)
            if how == "link down":
                client.cut()
            else:
                client.vanish(server)
            gone = seconds_until(lambda: not server.sockets(proxy.port), 8, last_byte)
            assert gone is not None, "keepalive did not end the connection"
            figures.add(f"{how}: socket gone after the last byte, s", gone, at_least=4.8, at_most=5.6)
            assert seconds_until(lambda: descriptors(proxy.pid) < with_client, 1, time.monotonic()), (
                "it holds the socket"
            )


def test_r2_stays(hosts: tuple[Host, Host], subject: Subject, figures: Figures) -> None:
    """No policy and a peer that vanishes; keepalive and a live idle peer"""
    server, client = hosts
    with (
        echo(prefix=server.prefix) as backend,
        subject.serve(backend, KEEPALIVE, host=server) as kept,
        client_on(client, kept.address, GET),
    ):
        time.sleep(8)
        assert len(server.sockets(kept.port)) == 1
        figures.add("keepalive, live idle peer: after 8 s", "stays")
        with subject.serve(backend, host=server) as proxy, client_on(client, proxy.address, GET):
            (line,) = server.sockets(proxy.port)
            assert "timer:(keepalive" not in line
            client.vanish(server)
            gone = seconds_until(lambda: not server.sockets(proxy.port), 8, time.monotonic())
            assert gone is None
            figures.add("no policy, vanished peer: after 8 s", "stays")


def test_r3_unacknowledged(hosts: tuple[Host, Host], subject: Subject, figures: Figures) -> None:
    """A peer vanishes with 200 kB unacknowledged; keepalive 2 s, 1 s, 3 probes"""
    server, client = hosts
    with running([sys.executable, "-c", LARGE_BACKEND], prefix=server.prefix) as large:
        backend = int(large.wait_for(r"port (\d+)")[1])
        with (
            subject.serve(backend, KEEPALIVE, host=server) as proxy,
            client_on(client, proxy.address, GET, at_most=1),
        ):
            client.vanish(server)
            gone = seconds_until(lambda: not server.sockets(proxy.port), 20, time.monotonic())
            # Keepalive does not cover sent data (tcp(7)): retransmissions do, for a quarter of an hour.
            figures.add("socket", "there after 20 s" if gone is None else f"gone after {gone:.1f} s")


def test_r29_no_ipv6(hosts: tuple[Host, Host], subject: Subject, figures: Figures) -> None:
    """A PROXY header with IPv6 addresses on a machine without IPv6"""
    server, client = hosts
    server.disable_ipv6()
    headers = {
        "v1": b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n",
        "v2": b"\r\n\r\n\x00\r\nQUIT\n\x21\x21\x00\x24"
        + bytes.fromhex("20010db8" + "0" * 23 + "7") * 2
        + b"\x12\x67\x00\x50",
    }
    with echo(prefix=server.prefix) as backend, subject.serve(backend, "proxyProtocol: {}", host=server) as proxy:
        for version, header in headers.items():
            with client_on(client, proxy.address, header + GET) as asked:
                answer = bytes.fromhex(asked.wait_for(r"received ([0-9a-f]*)\n")[1])
            status = answer[9:12].decode()
            served = f"{status}, client known" if b"2001:db8::7" in answer else status
            figures.add(f"{version}: answer", served or "closed")
        assert proxy.process.process.poll() is None, proxy.process.said
        assert "Traceback" not in proxy.process.said
