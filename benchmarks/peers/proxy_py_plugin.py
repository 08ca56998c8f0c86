"""A plugin that makes proxy.py do the same work: the headers, and $BENCH_BACKEND as where requests go.

It writes a line of its own access log for each request, into the file that its command line names.
"""

from __future__ import annotations

import os
import uuid

from proxy.common.types import RePattern
from proxy.http import Url
from proxy.http.parser import HttpParser
from proxy.http.server import ReverseProxyBasePlugin

_BACKEND = os.environ["BENCH_BACKEND"].encode()


class Forward(ReverseProxyBasePlugin):  # type: ignore[misc]
    """Everything goes to the one backend."""

    def routes(self) -> list[str]:
        """All paths."""
        return ["/"]

    def handle_route(self, request: HttpParser, pattern: RePattern) -> Url:
        """Where the request goes; proxy.py opens a connection there for each."""
        request.add_header(b"x-forwarded-for", self.client.addr[0].encode())
        request.add_header(b"x-forwarded-proto", b"http")
        request.add_header(b"x-request-id", str(uuid.uuid4()).encode())
        url = Url.from_bytes(_BACKEND)
        url.remainder = request.path
        return url
