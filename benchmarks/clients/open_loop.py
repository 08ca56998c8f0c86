"""Requests at fixed times, whatever the answers do: PORT RATE SECONDS CONNECTIONS; latencies in milliseconds as JSON.

Each request has its time beforehand. It goes out then, or as soon as a connection is free, and its latency is counted
from the time it should have gone: a proxy that stalls is charged for all who would have asked meanwhile (no coordinated
omission). ``select`` waits to the microsecond, which event loops' timers do not.
"""

from __future__ import annotations

import json
import select
import socket
import sys
import time
from collections import deque

REQUEST = b"GET / HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: open-loop\r\nAccept: */*\r\n\r\n"
END = b"hello, world"
"""How every response ends."""
WARM_UP = 0.5
"""Seconds before the first request that counts."""


def latencies(port: int, rate: float, seconds: float, connections: int) -> list[float]:
    """Milliseconds from when each request was due to the last byte of its response."""
    idle = deque(socket.create_connection(("127.0.0.1", port)) for _ in range(connections))
    due: deque[float] = deque()
    asked: dict[socket.socket, tuple[float, bytes]] = {}
    found: list[float] = []
    started = time.perf_counter()
    total, sent, answered = int(rate * (seconds + WARM_UP)), 0, 0
    while answered < total:
        now = time.perf_counter()
        while sent < total and started + sent / rate <= now:
            due.append(started + sent / rate)
            sent += 1
        while due and idle:
            sock = idle.popleft()
            sock.send(REQUEST)
            asked[sock] = due.popleft(), b""
        wait = max(0.0, started + sent / rate - time.perf_counter()) if sent < total else 5.0
        ready, _, _ = select.select(asked, [], [], wait)
        for sock in ready:
            when, received = asked[sock]
            received += sock.recv(65_536)
            if not received.endswith(END):
                asked[sock] = when, received
                continue
            if not received.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(received.decode("latin-1"))
            del asked[sock]
            idle.append(sock)
            answered += 1
            if when >= started + WARM_UP:
                found.append((time.perf_counter() - when) * 1000)
    return found


if __name__ == "__main__":
    print(json.dumps(latencies(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4]))))
