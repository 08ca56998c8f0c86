"""What is known of a request when it is over: the record that access logs and the inspector read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

Headers = list[tuple[bytes, bytes]]
"""(lower-case name, value)."""


class ConnectionLog(Protocol):
    """What a record asks of its downstream connection. Addresses are ``host:port``."""

    id: int
    local_address: str
    """The PROXY header's destination, else this end's."""
    direct_remote_address: str
    """The peer's, whatever a PROXY header says."""
    direct_local_address: str


class RecordWriter(Protocol):
    """What takes records: an access log, or who tests."""

    def write(self, record: RequestLog) -> None:
        """Take one; never blocks."""


class RequestLog:
    """One request, or what could not be read as one."""

    def __init__(
        self,
        *,
        connection: ConnectionLog,
        downstream_remote_address: str,
        start_time: float,
        method: bytes | None = None,
        path: bytes | None = None,
        authority: bytes | None = None,
        protocol: bytes = b"HTTP/1.1",
        headers: Sequence[tuple[bytes, bytes]] = (),
        is_admitted: bool = True,
        forwarded_headers: Headers | None = None,
        request_id: bytes | None = None,
        response_head: bytes = b"",
        adds_length: bool = False,
        response_code: int = 0,
        response_flags: str = "-",
        response_code_details: str | None = None,
        upstream_transport_failure_reason: str | None = None,
        bytes_received: int = 0,
        bytes_sent: int = 0,
        began: float = 0.0,
        request_ended: float = math.inf,
        response_began: float = math.inf,
        ended: float = 0.0,
        upstream_host: str | None = None,
        upstream_cluster: str | None = None,
        upstream_local_address: str | None = None,
        upstream_remote_address: str | None = None,
        route_name: str | None = None,
    ) -> None:
        self.connection = connection
        self.downstream_remote_address = downstream_remote_address
        """The client's, wherever it was found; the port is 0 where a header named it."""
        self.start_time = start_time
        """Seconds since the epoch."""
        self.method = method
        self.path = path
        """Normalised, with the query."""
        self.authority = authority
        self.protocol = protocol
        self.headers = headers
        """Of the request, as received."""
        self.is_admitted = is_admitted
        """Its scheme and client have been found out."""
        self.forwarded_headers = forwarded_headers or []
        """As the backend got them, or would have."""
        self.request_id = request_id
        self.response_head = response_head
        """As the client got it."""
        self.adds_length = adds_length
        """Where its ``content-length`` is 0, the response has that from its codec: to a log there is none."""
        self.response_code = response_code
        self.response_flags = response_flags
        self.response_code_details = response_code_details
        self.upstream_transport_failure_reason = upstream_transport_failure_reason
        self.bytes_received = bytes_received
        self.bytes_sent = bytes_sent
        self.began = began
        """This and the next three: seconds of one monotonic clock, ``inf`` for what has not happened."""
        self.request_ended = request_ended
        self.response_began = response_began
        """Its first byte from the backend."""
        self.ended = ended
        self.upstream_host = upstream_host
        self.upstream_cluster = upstream_cluster
        self.upstream_local_address = upstream_local_address
        self.upstream_remote_address = upstream_remote_address
        self.route_name = route_name

    @property
    def duration(self) -> int:
        """Of all, in whole milliseconds, cut as Envoy cuts them; so are the next four."""
        return int((self.ended - self.began) * 1000)

    @property
    def request_duration(self) -> int | None:
        """To the request's last byte; ``None`` if it has not come."""
        return _milliseconds(self.request_ended - self.began)

    @property
    def response_duration(self) -> int | None:
        """To the response's first byte from the backend."""
        return _milliseconds(self.response_began - self.began)

    @property
    def response_tx_duration(self) -> int | None:
        """From there to the end."""
        return _milliseconds(self.ended - self.response_began)


def _milliseconds(seconds: float) -> int | None:
    return None if math.isinf(seconds) else int(seconds * 1000)
