"""What there is to see of a listener's connections and requests, as plain data that JSON can carry.

Everything is worked out here, when somebody looks, from what the connections have anyway and from the kernel.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from pyproxy.net.tcp_info import keepalive_state, read_tcp_info
from pyproxy.observe.request_log import RequestLog
from pyproxy.proxy.explain import Step, explain_connection, explain_request
from pyproxy.wire.proxy_fields import take_apart

if TYPE_CHECKING:
    from pyproxy.net.downstream import DownstreamConnection
    from pyproxy.net.exchange import Exchange
    from pyproxy.net.listener import HttpListener

Json = dict[str, Any]

MAX_REQUESTS = 100
"""Requests that are remembered while somebody looks."""


class RecentRequests:
    """The last requests of a process, from when an inspector is opened."""

    def __init__(self) -> None:
        self._records: deque[tuple[int, HttpListener, RequestLog]] = deque(maxlen=MAX_REQUESTS)
        self._count = 0

    def record(self, listener: HttpListener, record: RequestLog) -> None:
        """Keep one."""
        self._count += 1
        self._records.append((self._count, listener, record))

    def describe(self) -> list[Json]:
        """The requests, the last one first."""
        return [
            {"number": number, **describe_request(listener, record)}
            for number, listener, record in reversed(self._records)
        ]

    def clear(self) -> None:
        """Nobody looks any more."""
        self._records.clear()


def describe_connection(connection: DownstreamConnection) -> Json:
    """One connection: who it is, what it does, what the kernel knows, and how its client was found."""
    now = connection.loop.time()
    return {
        "id": connection.id,
        "listener": connection.listener.settings.name,
        "superseded": connection.listener.superseded,
        "peer": connection.direct_remote_address,
        "local": connection.direct_local_address,
        "client": connection.remote_address,
        "phase": connection.phase,
        "age": round(now - connection.accepted_at, 3),
        "quiet": round(now - connection.active_at, 3),
        "requests": connection.requests,
        "buffered": {"read": connection.bytes_to_read, "write": connection.bytes_to_write},
        "request": _under_way(connection.exchange, now - connection.stream_started),
        "proxy_header": _proxy_header(connection.proxy_header),
        **_kernel(connection),
        "client_address": _steps(
            explain_connection(
                connection.direct_remote_address,
                connection.accepted,
                expects_header=connection.listener.settings.proxy_protocol is not None,
            )
        ),
    }


def _under_way(exchange: Exchange | None, seconds: float) -> Json | None:
    if exchange is None:
        return None
    request = exchange.request
    return {
        "method": _text(request.method),
        "authority": _text(request.authority),
        "path": _text(request.path),
        "backend": exchange.backend,
        "for": f"{seconds:.1f} s",
    }


def _kernel(connection: DownstreamConnection) -> Json:
    try:
        info = read_tcp_info(connection.sock)
        keepalive = keepalive_state(connection.sock, info)
    except OSError:
        return {"tcp": None, "keepalive": None}  # it has just been closed
    return {"tcp": asdict(info), "keepalive": None if keepalive is None else asdict(keepalive)}


def _proxy_header(header: bytes | None) -> list[Json] | None:
    if not header:
        return None
    return [
        {"name": field.name, "bytes": field.raw[:64].hex(" "), "meaning": field.meaning, "depth": field.depth}
        for field in take_apart(header)
    ]


def _steps(steps: list[Step]) -> list[Json]:
    return [asdict(step) for step in steps]


def describe_request(listener: HttpListener, record: RequestLog) -> Json:
    """One request that is over."""
    connection = cast("DownstreamConnection", record.connection)
    options = listener.settings.http.client_address
    steps = explain_request(list(record.headers), connection.client, options) if record.method is not None else []
    return {
        "ago": round(time.time() - record.start_time, 3),
        "connection": record.connection.id,
        "listener": listener.settings.name,
        "client": record.downstream_remote_address,
        "method": _text(record.method),
        "authority": _text(record.authority),
        "path": _text(record.path),
        "id": _text(record.request_id),
        "status": record.response_code,
        "flags": record.response_flags,
        "details": record.response_code_details,
        "route": record.route_name,
        "cluster": record.upstream_cluster,
        "upstream": record.upstream_host,
        "bytes_received": record.bytes_received,
        "bytes_sent": record.bytes_sent,
        "timing": {
            "request complete": record.request_duration,
            "response begins": record.response_duration,
            "response complete": record.duration,
        },
        "client_address": _steps(steps),
    }


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "replace")
