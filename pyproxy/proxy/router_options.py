"""What an internal client asks of Envoy's connection manager and router, in headers that nobody else may send.

Measured on 1.40; see Envoy's documents on ``x-envoy-upstream-rq-timeout-ms``,
``x-envoy-upstream-rq-per-try-timeout-ms`` and ``x-envoy-force-trace``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pyproxy.wire.messages import Headers

_TIMEOUT, _TRY_TIMEOUT = b"x-envoy-upstream-rq-timeout-ms", b"x-envoy-upstream-rq-per-try-timeout-ms"
_FORCE_TRACE: Final = b"x-envoy-force-trace"
_OPTIONS: Final = frozenset((_TIMEOUT, _TRY_TIMEOUT, _FORCE_TRACE))

_MILLISECONDS: Final = re.compile(rb"\+?([0-9]{1,40})")
_MOST_MILLISECONDS: Final = 2**63 - 1


class RouteTimeout:
    """How long the backend may take for its response, from the end of the request."""

    __slots__ = ("details", "expected", "milliseconds", "seconds")

    def __init__(self, milliseconds: int, details: str = "response_timeout") -> None:
        self.milliseconds = milliseconds
        """0 for as long as it likes."""
        self.seconds = milliseconds / 1000
        self.details = details
        """response_code_details once it has run out."""
        self.expected = b"%d" % milliseconds if milliseconds else None
        """x-envoy-expected-rq-timeout-ms."""


@dataclass(frozen=True, slots=True)
class RouterOptions:
    """What one request asks for."""

    timeout: int | None = None
    """Milliseconds; ``None`` for the route's."""
    try_timeout: int | None = None
    """Milliseconds for one try, and there is but one."""
    echoes_request_id: bool = False
    """The response is to say the request's id."""

    def timeout_of(self, route: RouteTimeout) -> RouteTimeout:
        """What becomes of the ``route``'s."""
        whole = route if self.timeout is None else RouteTimeout(self.timeout)
        if self.try_timeout and (not whole.milliseconds or self.try_timeout < whole.milliseconds):
            return RouteTimeout(self.try_timeout, "upstream_per_try_timeout")
        return whole


def router_options(headers: Headers) -> RouterOptions | None:
    """What ``headers`` ask for; ``None`` for nothing, as nearly always."""
    for name, _ in headers:
        if name in _OPTIONS:
            break
    else:
        return None
    values = dict(headers)
    return RouterOptions(
        _milliseconds(values.get(_TIMEOUT)), _milliseconds(values.get(_TRY_TIMEOUT)), _FORCE_TRACE in values
    )


def _milliseconds(value: bytes | None) -> int | None:
    match = _MILLISECONDS.fullmatch(value) if value is not None else None
    if match is None or int(match[1]) > _MOST_MILLISECONDS:
        return None
    return int(match[1])
