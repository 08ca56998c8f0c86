"""What is known of a request when it is over: the record that access logs and the inspector read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class ConnectionLog(Protocol):
    """What a record asks of its downstream connection. Addresses are ``host:port``."""

    id: int
    local_address: str
    """The PROXY header's destination, else this end's."""
    direct_remote_address: str
    """The peer's, whatever a PROXY header says."""
    direct_local_address: str


@dataclass(slots=True)
class RequestLog:
    """One request, or what could not be read as one."""

    connection: ConnectionLog
    downstream_remote_address: str
    """The client's, wherever it was found; the port is 0 where a header named it."""
    start_time: float
    """Seconds since the epoch."""
    method: bytes | None = None
    path: bytes | None = None
    """Normalised, with the query."""
    authority: bytes | None = None
    protocol: bytes = b"HTTP/1.1"
    headers: Sequence[tuple[bytes, bytes]] = ()
    """Of the request, as received."""
    is_admitted: bool = True
    """Its scheme and client have been found out."""
    request_head: bytes = b""
    """As the backend got it, or would have; its header lines alone where it was not forwarded."""
    request_id: bytes | None = None
    response_head: bytes = b""
    """As the client got it."""
    adds_length: bool = False
    """Where its ``content-length`` is 0, the response has that from its codec: to a log there is none."""
    response_code: int = 0
    response_flags: str = "-"
    response_code_details: str | None = None
    upstream_transport_failure_reason: str | None = None
    bytes_received: int = 0
    bytes_sent: int = 0
    began: float = 0.0
    """This and the next three: seconds of one monotonic clock, ``inf`` for what has not happened."""
    request_ended: float = math.inf
    response_began: float = math.inf
    """Its first byte from the backend."""
    ended: float = 0.0
    upstream_host: str | None = None
    upstream_cluster: str | None = None
    upstream_local_address: str | None = None
    upstream_remote_address: str | None = None
    route_name: str | None = None

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
