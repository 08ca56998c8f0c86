"""Large bodies through pyproxy, hashed at both ends."""

from __future__ import annotations

import hashlib
import random
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from pyproxy.envoy.process import free_port
from tests.support.processes import gateway, serving

BLOCK = random.Random(7).randbytes(1 << 20)


@dataclass(frozen=True, slots=True)
class Result:
    """How a transfer went."""

    same: bool
    """Both ends have the same SHA-256."""
    growth: int
    """Bytes by which pyproxy's resident memory grew at most."""
    seconds: float


def resident(pid: int) -> int:
    """Bytes of resident memory of a process."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * 4096


def transfer(direction: str, size: int, rate: int | None, folder: Path) -> Result:
    """Send ``size`` bytes up or down, the reader taking ``rate`` bytes a second at most."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = free_port()
        file = folder / "gateway.yaml"
        file.write_text(gateway(port, listening.getsockname()[1]))
        digests: dict[str, str] = {}
        target = _send_body if direction == "down" else _read_body
        with serving("-f", file, "--access-log", "off") as server:
            backend = threading.Thread(target=_backend, args=(listening, target, size, rate, digests))
            backend.start()
            try:
                return _client(server.pid, port, direction, size, rate, digests, backend)
            finally:
                backend.join(600)


def _client(
    pid: int, port: int, direction: str, size: int, rate: int | None, digests: dict[str, str], backend: threading.Thread
) -> Result:
    stop, peak = threading.Event(), [0]
    with socket.create_connection(("127.0.0.1", port)) as client:
        started, before = time.monotonic(), resident(pid)

        def watch() -> None:
            while not stop.wait(0.05):
                peak[0] = max(peak[0], resident(pid) - before)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            if direction == "down":
                client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
                _read_head(client)
                digests["reader"] = _read_body(client, size, rate)
            else:
                client.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size)
                digests["writer"] = _send_body(client, size, None)
                assert b"200 OK" in _read_head(client)
        finally:
            stop.set()
            watcher.join()
        backend.join(600)
    return Result(digests["reader"] == digests["writer"], peak[0], time.monotonic() - started)


def _backend(listening: socket.socket, target: object, size: int, rate: int | None, digests: dict[str, str]) -> None:
    connection, _ = listening.accept()
    with connection:
        _read_head(connection)
        if target is _send_body:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            digests["writer"] = _send_body(connection, size, None)
        else:
            digests["reader"] = _read_body(connection, size, rate)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


def _read_head(sock: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        piece = sock.recv(1)
        assert piece, f"the connection ended after {head!r}"
        head += piece
    return head


def _send_body(sock: socket.socket, size: int, rate: int | None) -> str:
    digest = hashlib.sha256()
    while size:
        block = BLOCK[: min(size, len(BLOCK))]
        sock.sendall(block)
        digest.update(block)
        size -= len(block)
    return digest.hexdigest()


def _read_body(sock: socket.socket, size: int, rate: int | None) -> str:
    digest, started, read = hashlib.sha256(), time.monotonic(), 0
    while read < size:
        piece = sock.recv(min(1 << 20 if rate is None else rate // 10, size - read))
        assert piece, f"the connection ended after {read} bytes"
        digest.update(piece)
        read += len(piece)
        if rate is not None:
            time.sleep(max(0.0, started + read / rate - time.monotonic()))
    return digest.hexdigest()
