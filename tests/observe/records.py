"""Records to log."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pyproxy.observe.request_log import RequestLog


@dataclass
class Connection:
    id: int = 7
    local_address: str = "192.0.2.1:80"
    direct_remote_address: str = "127.0.0.1:45678"
    direct_local_address: str = "[::1]:10080"


def record(**fields: Any) -> RequestLog:
    """A record of a connection, and of nothing else but ``fields``."""
    known = {"downstream_remote_address": "203.0.113.7:4711", "start_time": 1795516535.923456, **fields}
    return RequestLog(connection=Connection(), **known)


def forwarded() -> RequestLog:
    """A request that a backend has answered."""
    return record(
        method=b"GET",
        path=b"/a?b",
        authority=b"h.example",
        forwarded_headers=[
            (b"user-agent", b"test"),
            (b"x-a", b"1"),
            (b"x-a", b"2"),
            (b"x-forwarded-for", b"203.0.113.7"),
            (b"x-request-id", b"an-id"),
        ],
        request_id=b"an-id",
        response_head=b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-backend: 1\r\n\r\n",
        response_code=200,
        response_code_details="via_upstream",
        bytes_received=1,
        bytes_sent=2,
        began=10.0,
        request_ended=10.0,
        response_began=10.002,
        ended=10.0035,
        upstream_host="127.0.0.1:3000",
        upstream_cluster="cluster",
        upstream_local_address="127.0.0.1:5",
        upstream_remote_address="127.0.0.1:3000",
        route_name="route",
    )
