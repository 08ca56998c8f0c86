"""Many clients at once: idle ones, more than there are descriptors, ones that send rubbish or do not read."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.reliability.figures import CALM, Figures
from tests.support.load import best_of_three, fast_backend, load, load_for
from tests.support.measure import Stopwatch, descriptors, is_alive, resident
from tests.support.noise import noise
from tests.support.processes import gateway
from tests.support.scenario import GET, OK, Client, backend, eventually
from tests.support.subjects import Subject

pytestmark = pytest.mark.asyncio

IDLE = 10_000


@contextmanager
def connections_to(address: tuple[str, int]) -> Iterator[list[socket.socket]]:
    """A list to put connections into; they are closed in the end."""
    socks: list[socket.socket] = []
    try:
        yield socks
    finally:
        for sock in socks:
            sock.close()


async def connect(socks: list[socket.socket], address: tuple[str, int]) -> socket.socket:
    """One more connection."""
    sock = socket.socket()
    socks.append(sock)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, address)
    return sock


@pytest.mark.parametrize("kind", ["silent", "after a request", "PROXY header begun"])
async def test_r9_idle(subject: Subject, figures: Figures, kind: str) -> None:
    """10,000 idle connections while traffic flows"""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[0] < IDLE + 500:
        pytest.skip(f"needs {IDLE + 500} descriptors (ulimit -n)")
    loop = asyncio.get_running_loop()
    policy = "proxyProtocol: {optional: true}" if kind.startswith("PROXY") else ""
    async with fast_backend() as port:
        with subject.serve(port, policy) as proxy:
            with connections_to(proxy.address) as socks:
                async with Client(proxy.address) as client:
                    await client.send(GET)
                    await client.until(b"ok")
                await asyncio.sleep(0.1)
                descriptors_before, memory_before = descriptors(proxy.pid), resident(proxy.pid)
                started = time.monotonic()
                for _ in range(IDLE):
                    sock = await connect(socks, proxy.address)
                    if kind == "after a request":
                        await loop.sock_sendall(sock, GET)
                        assert (await loop.sock_recv(sock, 65_536)).endswith(b"ok")
                    elif kind.startswith("PROXY"):
                        sock.send(b"PROXY TCP4 203.")
                await eventually(lambda: descriptors(proxy.pid) >= descriptors_before + IDLE, 10)
                connected = time.monotonic() - started
                each = (resident(proxy.pid) - memory_before) / IDLE / 1000
                watch = Stopwatch(proxy.pid)
                await asyncio.sleep(2)
                idle_load = watch.load
                times = []
                for _ in range(21):
                    started = time.monotonic()
                    async with Client(proxy.address) as client:
                        await client.send(GET)
                        await client.until(b"ok")
                    times.append(1000 * (time.monotonic() - started))
                outcome = await load_for(2, proxy.address, connections=10, rate=500)
            await eventually(lambda: descriptors(proxy.pid) <= descriptors_before + 12, 20)
            left = max(0, descriptors(proxy.pid) - descriptors_before - 12)
    figures.add(f"{kind}: all there after, s", connected, at_most=10)
    figures.add(f"{kind}: memory for each, kB", each, at_most=7.8 if kind == "after a request" else 40)
    figures.add(f"{kind}: CPU while idle, %", idle_load, at_most=3)
    figures.add(f"{kind}: a new client is answered in, ms, median", statistics.median(times), at_most=50)
    figures.exactly(f"{kind}: failed requests meanwhile", outcome.failed, 0)
    figures.exactly(f"{kind}: descriptors left", left, 0)


async def test_r10_no_descriptors(subject: Subject, figures: Figures) -> None:
    """110 descriptors, 150 connections"""
    async with fast_backend() as port:
        with subject.serve(port, prefix=["prlimit", "--nofile=110:110"]) as proxy:
            with connections_to(proxy.address) as socks:
                said = len(proxy.process.said.splitlines())
                for _ in range(150):
                    sock = await connect(socks, proxy.address)
                    sock.send(GET)
                watch = Stopwatch(proxy.pid)
                await asyncio.sleep(4)
                starved = watch.load
                lines = len(proxy.process.said.splitlines()) - said
                answers = []
                for sock in socks:
                    with contextlib.suppress(BlockingIOError, ConnectionError):
                        answers.append(sock.recv(65_536)[9:12].decode())
            assert is_alive(proxy.pid)
            released = time.monotonic()
            while True:
                with contextlib.suppress(OSError, TimeoutError):
                    async with asyncio.timeout(1), Client(proxy.address) as client:
                        await client.send(GET)
                        if (await client.receive()).startswith(b"HTTP/1.1 200 "):
                            break
                assert time.monotonic() - released < 10, "it does not recover"
                await asyncio.sleep(0.02)
            recovered = time.monotonic() - released
    wrong = [answer for answer in answers if answer not in ("200", "503")]
    figures.add("CPU while starved, %", starved, at_most=20)
    figures.add("answered 200", answers.count("200"))
    figures.add("answered 503", answers.count("503"))
    figures.exactly("answered otherwise, or reset", len(wrong), 0)
    figures.add("200 again after the release, s", recovered, at_most=2)
    figures.add("lines in the log, a second", lines / 4, at_most=10)


def push(sock: socket.socket, seconds: float, block: bytes) -> int:
    """Bytes that were taken in this time."""
    sock.setblocking(False)
    pushed, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            pushed += sock.send(block)
        except BlockingIOError:
            time.sleep(0.01)
    return pushed


UPGRADE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCHING = b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 200000000\r\n\r\n"
LARGE = b"HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n"


@pytest.mark.parametrize(
    ("what", "request_bytes", "response", "backend_sends"),
    [
        ("response", GET, LARGE, True),
        ("upload", UPLOAD, b"", False),
        ("tunnel down", UPGRADE, SWITCHING, True),
        ("tunnel up", UPGRADE, SWITCHING, False),
    ],
    ids=["response", "upload", "tunnel down", "tunnel up"],
)
async def test_r20_nobody_reads(
    subject: Subject, figures: Figures, what: str, request_bytes: bytes, response: bytes, backend_sends: bool
) -> None:
    """One end sends 200 MB or more, the other does not read for 2.5 s"""
    block = bytes(1 << 20)

    def serve_one(listening: socket.socket) -> int:
        sock, _ = listening.accept()
        with sock:
            sock.recv(65_536)
            sock.sendall(response)
            if backend_sends:
                return push(sock, 2.5, block)
            time.sleep(3)
            return 0

    with socket.create_server(("127.0.0.1", 0)) as listening:
        with subject.serve(listening.getsockname()[1]) as proxy:
            answering = asyncio.ensure_future(asyncio.to_thread(serve_one, listening))
            with socket.create_connection(proxy.address) as client:
                before = resident(proxy.pid)
                client.sendall(request_bytes)
                if not backend_sends:
                    await asyncio.sleep(0.2)
                    taken = await asyncio.to_thread(push, client, 2.5, block)
                    growth = resident(proxy.pid) - before
                    await answering
                else:
                    await asyncio.sleep(2.3)
                    growth = resident(proxy.pid) - before
                    taken = await answering
    figures.add(f"{what}: memory grew by, MB", growth / 1e6, at_most=4)
    figures.add(f"{what}: taken, mostly by the kernel, MB", taken / 1e6, at_most=20)


async def test_r37_pipelined_unread(subject: Subject, figures: Figures) -> None:
    """A client pipelines GETs for 3 s and reads no response; 20 of them"""
    async with fast_backend() as port:
        with subject.serve(port) as proxy, connections_to(proxy.address) as socks:
            for _ in range(20):
                (await connect(socks, proxy.address)).send(GET)
            before = resident(proxy.pid)
            block = GET * 1000
            taken = await asyncio.gather(*(asyncio.to_thread(push, sock, 3, block) for sock in socks))
            growth = resident(proxy.pid) - before
            async with Client(proxy.address) as client:
                started = time.monotonic()
                await client.send(GET)
                await client.until(b"ok")
                seconds = time.monotonic() - started
    figures.add("memory for each, kB", growth / len(socks) / 1000, at_most=1000)
    figures.add("taken from each, mostly by the kernel, MB", sum(taken) / len(socks) / 1e6)
    figures.add("another client is answered in, ms", 1000 * seconds, at_most=100)


TWO_BACKENDS = """\
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: stalled}}
spec:
  parentRefs: [{{name: eg}}]
  rules:
  - matches: [{{path: {{type: PathPrefix, value: /stalled}}}}]
    backendRefs: [{{group: gateway.envoyproxy.io, kind: Backend, name: stalled}}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {{name: stalled}}
spec: {{endpoints: [{{ip: {{address: 127.0.0.1, port: {port}}}}}]}}
"""


async def test_r21_connection_limit(subject: Subject, figures: Figures) -> None:
    """connectionLimit 3, closeDelay 1 s, 5 connections"""
    served, refused = 0, []
    async with fast_backend() as port:
        with subject.serve(port, "connection: {connectionLimit: {value: 3, closeDelay: 1s}}") as proxy:
            with connections_to(proxy.address) as socks:
                loop, started = asyncio.get_running_loop(), time.monotonic()
                for _ in range(5):
                    sock = await connect(socks, proxy.address)
                    await loop.sock_sendall(sock, GET)
                    await asyncio.sleep(0.02)

                async def end_of(sock: socket.socket) -> None:
                    nonlocal served
                    received = await loop.sock_recv(sock, 65_536)
                    if received.endswith(b"ok"):
                        served += 1
                    elif not received:
                        refused.append(time.monotonic() - started)

                await asyncio.wait_for(asyncio.gather(*map(end_of, socks)), 5)
    figures.exactly("served", served, 3)
    figures.exactly("closed without a byte", len(refused), 2)
    figures.add("closed after, s", max(refused, default=0), at_least=0.9, at_most=1.3)


async def test_r32_stalled_neighbour(subject: Subject, figures: Figures) -> None:
    """Another backend stalls for 5 s; 100 clients on a healthy one"""

    async def stalled(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(5)
        writer.write(OK)

    async with fast_backend() as healthy, backend(stalled) as endpoint:
        text = gateway(12_345, healthy).replace("port: 12345", "port: {port}")
        text += TWO_BACKENDS.format(port=endpoint.port)
        with subject.serve(healthy, resources=text) as proxy, connections_to(proxy.address) as socks:
            await load_for(1, proxy.address, connections=100, rate=500)
            before = await best_of_three(4, proxy.address, connections=100, rate=500)
            for _ in range(100):
                sock = await connect(socks, proxy.address)
                sock.send(b"GET /stalled HTTP/1.1\r\nHost: h\r\n\r\n")
            meanwhile = await best_of_three(4, proxy.address, connections=100, rate=500)
            loop = asyncio.get_running_loop()
            answers = [await asyncio.wait_for(loop.sock_recv(sock, 65_536), 5) for sock in socks]
    figures.add("p99 before, ms", before.p99)
    figures.add("p99 meanwhile, ms", meanwhile.p99, at_most=max(2 * before.p99, CALM))
    figures.exactly("failed requests meanwhile", meanwhile.failed, 0)
    figures.exactly("of 100 stalled answered in the end", sum(b"200 OK" in answer for answer in answers), 100)


@pytest.mark.parametrize("policy", ["", "proxyProtocol: {optional: true}"], ids=["plain", "PROXY optional"])
async def test_r33_rubbish(subject: Subject, figures: Figures, policy: str) -> None:
    """1000 connections a second of rubbish for 10 s, beside healthy clients"""
    kind = "PROXY optional" if policy else "plain"
    async with fast_backend() as port:
        with subject.serve(port, policy) as proxy:
            await noise(proxy.address, 6, rate=1000, seed=2)
            await asyncio.sleep(1.5)
            before, descriptors_before = resident(proxy.pid), descriptors(proxy.pid)
            async with load(proxy.address, connections=20, rate=200) as healthy:
                watch = Stopwatch(proxy.pid)
                reached = await noise(proxy.address, 10, rate=1000)
                busy = watch.load
                outcome = await healthy.stop()
            await asyncio.sleep(1.5)
            after = resident(proxy.pid)
            assert is_alive(proxy.pid)
            assert descriptors(proxy.pid) <= descriptors_before + 40
            assert "internal error" not in proxy.process.said, proxy.process.said
    figures.add(f"{kind}: connections of rubbish a second", reached, at_least=900)
    figures.exactly(f"{kind}: failed of 2,000 healthy requests", outcome.failed, 0)
    figures.add(f"{kind}: their p99, ms", outcome.p99)
    figures.add(f"{kind}: CPU, %", busy)
    figures.add(f"{kind}: memory after, % of before", 100 * after / before, at_most=110)
