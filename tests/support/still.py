"""A downstream connection without a socket, an event loop or a backend, on a clock that stands still.

What the client sends and what the backend answers are calls; what the proxy wrote, and how it ended the connection, are
attributes. Nothing here waits.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

from pyproxy.net.downstream import DownstreamConnection
from pyproxy.net.listener import HttpListener
from pyproxy.net.requester import Requester
from pyproxy.net.upstream import ClusterPool, UpstreamConnection, UpstreamHost
from pyproxy.observe.stats import ClusterStats, EndpointStats
from pyproxy.settings import Cluster, Listener
from pyproxy.wire.http1 import parse_response_head
from pyproxy.wire.messages import ResponseHead
from tests.support.clock import FakeLoop
from tests.support.scenario import Log


class FakeSocket:
    """Remembers whether closing it would reset the connection."""

    def __init__(self) -> None:
        self.resets = False

    def setsockopt(self, level: int, name: int, value: int | bytes) -> None:
        if (level, name) == (socket.SOL_SOCKET, socket.SO_LINGER):
            self.resets = True

    def getsockopt(self, *arguments: int) -> bytes:
        raise OSError("the kernel knows nothing of it")


class FakeTransport(asyncio.Transport):
    """Keeps what is written; ``end`` is ``fin``, ``rst`` or empty."""

    def __init__(self) -> None:
        self.socket = FakeSocket()
        super().__init__()
        self.written = b""
        self.end = ""
        self._reading = True
        self.watermarks: tuple[int | None, int | None] = (None, None)

    def write(self, data: Any) -> None:
        self.written += data

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self.watermarks = high, low

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True

    def is_reading(self) -> bool:
        return self._reading

    def close(self) -> None:
        self.end = self.end or ("rst" if self.socket.resets else "fin")

    def abort(self) -> None:
        self.end = self.end or "rst"


class FakeUpstream:
    """A backend's connection, which keeps what is sent to it."""

    remote_address = "198.51.100.1:80"
    local_address = "192.0.2.1:50000"

    def __init__(self) -> None:
        self.host = UpstreamHost((socket.AF_INET, ("198.51.100.1", 80)), EndpointStats())
        self.sent = b""
        self.reset_by_proxy = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def end_request(self) -> None: ...

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def reset(self) -> None:
        self.reset_by_proxy = True


class StillPool:
    """Gives each request a ``FakeUpstream`` at once."""

    def __init__(self, cluster: Cluster, listener: StillListener) -> None:
        self.stats = ClusterStats()
        self._listener = listener

    def request(self, requester: Requester, method: bytes, *, upgrade: bool) -> Callable[[], None]:
        listener = self._listener
        listener.requester, listener.upstream = requester, FakeUpstream()
        requester.on_upstream_ready(cast("UpstreamConnection", listener.upstream))
        return lambda: None


class StillListener(HttpListener):
    """A listener whose requests all get a ``FakeUpstream`` at once."""

    def __init__(self, settings: Listener, loop: FakeLoop, log: Log) -> None:
        super().__init__(
            settings,
            loop=cast("asyncio.AbstractEventLoop", loop),
            node_address="192.0.2.9",
            node_cluster="default/eg",
            access_log=log,
        )
        self.requester: Requester
        self.upstream: FakeUpstream

    def pool(self, cluster: Cluster) -> ClusterPool:
        return cast("ClusterPool", StillPool(cluster, self))


class Still:
    """One connection to a listener with ``settings``, its HTTP options replaced by ``http``."""

    def __init__(self, settings: Listener, *, beside: Still | None = None, **http: Any) -> None:
        if beside is None:
            self.loop, self.log = FakeLoop(), Log()
            settings = replace(settings, http=replace(settings.http, **http))
            self.listener = StillListener(settings, self.loop, self.log)
        else:
            self.loop, self.log, self.listener = beside.loop, beside.log, beside.listener
        self.transport = FakeTransport()
        sock = cast("socket.socket", self.transport.socket)
        self.connection = DownstreamConnection(self.listener, sock, ("192.0.2.7", 4711), ("192.0.2.1", 80))
        self.connection.connection_made(self.transport)
        self._started = self.loop.now

    def pass_until(self, seconds: float) -> Still:
        """Let time pass until ``seconds`` after the connection was made."""
        self.loop.move_to(self._started + seconds)
        return self

    def receive(self, data: bytes) -> Still:
        """Bytes from the client."""
        self.connection.data_received(data)
        return self

    def lose(self) -> None:
        """The socket is gone."""
        self.connection.connection_lost(None)

    def answer(self, head: bytes, body: bytes = b"", *, end: bool = True) -> Still:
        """The backend's response to the current request."""
        parsed = parse_response_head(
            head, b"GET", self.listener.settings.http, upgrade=head.startswith(b"HTTP/1.1 101")
        )
        assert isinstance(parsed, ResponseHead)
        self.listener.requester.on_response(parsed, body, end=end)
        return self

    def answer_ok(self) -> Still:
        """A whole 200."""
        return self.answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"ok")

    def take(self) -> bytes:
        """What has been written to the client since the last call."""
        written, self.transport.written = self.transport.written, b""
        return written

    @property
    def end(self) -> str:
        """How the proxy has ended the connection: ``fin``, ``rst`` or empty."""
        return self.transport.end
