"""What ends a request that takes too long: the four timeouts of Envoy's connection manager. Pure: times come in.

All count from a request's first byte, be it a blank line before it, and not from the end of its head. Only the idle
timeout moves: with the end of the head, with body bytes and with the response, but not with the bytes of the head.
Which one runs out first decides; measured on 1.40, each with a reply before and after the end of the request, a
response that has begun, an upgrade, HEAD and gRPC.

Source: envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, ``request_headers_timeout``,
``request_timeout``, ``stream_idle_timeout``; envoy.config.core.v3.HttpProtocolOptions, ``max_stream_duration``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from pyproxy.settings import HttpOptions


@dataclass(frozen=True, slots=True)
class Timeout:
    """What the client and the access log are told: 408 while the request is not complete, then 504."""

    details: str
    """response_code_details."""
    body: bytes
    flag: str = "-"
    grpc_status: int | None = None
    """Where it is not what the HTTP status maps to."""


REQUEST_HEADERS: Final = Timeout("request_header_timeout", b"request header timeout")
REQUEST: Final = Timeout("request_overall_timeout", b"request timeout")
STREAM_IDLE: Final = Timeout("stream_idle_timeout", b"stream timeout", "SI")
MAX_DURATION: Final = Timeout("max_duration_timeout", b"downstream duration timeout", grpc_status=4)

_DEADLINE = tuple[float, Timeout]


class StreamTimeouts:
    """The timeouts of one listener's requests, as points in time (seconds of the caller's clock)."""

    __slots__ = ("_duration", "_headers", "_request", "idle", "only_idle")

    def __init__(self, options: HttpOptions) -> None:
        self._headers = options.request_headers_timeout or math.inf
        self._request = options.request_timeout or math.inf
        self._duration = options.max_stream_duration or math.inf
        self.idle = options.stream_idle_timeout or math.inf
        """Seconds without progress, for requests whose route has none of its own."""
        self.only_idle = min(self._headers, self._request, self._duration) == math.inf
        """Nothing but ``idle`` is set, as without a policy."""

    def of_head(self, started: float) -> _DEADLINE:
        """The next one of a request whose head is not complete, and when it runs out; ``inf`` for never."""
        return min(
            (started + self._headers, REQUEST_HEADERS),
            (started + self._request, REQUEST),
            (started + self._duration, MAX_DURATION),
            (started + self.idle, STREAM_IDLE),
            key=_when,
        )

    def of_stream(self, started: float, idle_at: float, *, awaited: bool) -> _DEADLINE:
        """The next one of a request whose head is complete.

        ``idle_at``: when it will have made no progress for too long. ``awaited``: neither is the request complete nor
        has its response begun.
        """
        deadlines: list[_DEADLINE] = [(started + self._duration, MAX_DURATION), (idle_at, STREAM_IDLE)]
        if awaited:
            deadlines.insert(0, (started + self._request, REQUEST))
        return min(deadlines, key=_when)


def _when(deadline: _DEADLINE) -> float:
    return deadline[0]
