"""What a request must answer to while it waits for, or has, an upstream connection."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from pyproxy.errors import Fault
from pyproxy.observe.stats import Responses
from pyproxy.wire.chunked import LAST_CHUNK
from pyproxy.wire.messages import ResponseHead

if TYPE_CHECKING:
    from pyproxy.net.upstream import UpstreamConnection


class Requester(ABC):
    """One request that waits for, or has, an upstream connection. No Protocol: compiled, calls to this are plain."""

    __slots__ = ()

    responses: Responses
    """Where its responses are counted."""

    @abstractmethod
    def on_endpoint_chosen(self, address: str) -> None:
        """Which endpoint it will be, as the access log names it."""

    @abstractmethod
    def on_upstream_ready(self, upstream: UpstreamConnection) -> None:
        """The connection is the request's until the response is complete or one of them is reset."""

    @abstractmethod
    def on_upstream_failed(self, fault: Fault) -> None:
        """No connection could be made."""

    @abstractmethod
    def on_response(self, head: ResponseHead, data: bytes, *, end: bool, ending: bytes = LAST_CHUNK) -> None:
        """The final head, and what has come of the body with it. ``ending``: as of ``on_response_body``."""

    @abstractmethod
    def on_response_body(self, data: bytes, *, end: bool, ending: bytes = LAST_CHUNK) -> None:
        """More of the body. With ``end`` the connection is no longer the request's.

        ``ending``: what comes behind the body where it goes on in chunks.
        """

    @abstractmethod
    def on_tunnel_data(self, data: bytes) -> None:
        """Bytes behind a 101."""

    @abstractmethod
    def on_upstream_reset(self, fault: Fault) -> None:
        """The connection ended, or can't be understood, before the response was complete."""

    @abstractmethod
    def on_upstream_blocked(self, *, blocked: bool) -> None:
        """The backend does (not) take bytes as fast as they come."""
