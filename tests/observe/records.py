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
        request_head=(
            b"GET /a?b HTTP/1.1\r\nhost: h.example\r\nuser-agent: test\r\nx-a: 1\r\nx-a: 2\r\n"
            b"x-forwarded-for: 203.0.113.7\r\nx-request-id: an-id\r\n\r\n"
        ),
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
