"""A small HTTP/1.1 server for the pages that a pyproxy process has of its own: the example backend and the admin.

It reads requests with the proxy's own reader and answers one after the other; nothing here is on the data path.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import cast

from pyproxy.errors import Fault
from pyproxy.net.timing import HttpDate
from pyproxy.proxy.replies import CONTINUE, phrase, status_line
from pyproxy.settings import HttpOptions, Underscores
from pyproxy.wire.http1 import RequestReader
from pyproxy.wire.messages import RequestHead

Headers = list[tuple[str, str]]

_OPTIONS = HttpOptions(headers_with_underscores=Underscores.ALLOW)


@dataclass(frozen=True, slots=True)
class Response:
    """What a handler answers. ``date`` and ``content-length`` are added."""

    status: int
    headers: Headers
    body: bytes


Handler = Callable[[RequestHead, bytes], Response | Awaitable[Response]]
"""Of a request and its body."""


class HttpServer:
    """Answers requests on one address with ``handler``."""

    def __init__(self, handler: Handler, *, longest_body: int | None = None) -> None:
        """``longest_body``: in bytes, a longer one gets 413; ``None``: bodies are read and dropped, however long."""
        self.handler = handler
        self.longest_body = longest_body
        self.date = HttpDate()
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, address: str, port: int) -> None:
        """Bind and serve. Raises ``OSError``."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: _Connection(self), address, port)

    @property
    def port(self) -> int:
        """The port that is bound."""
        assert self._server is not None, "the server has been started"
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Stop, and end every connection."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.abort()


class _Connection(asyncio.Protocol):
    def __init__(self, server: HttpServer) -> None:
        self._server = server
        self._reader = RequestReader(_OPTIONS)
        self._request: RequestHead | None = None
        self._body = b""
        self._answering: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._server.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        if self._answering is not None:
            self._answering.cancel()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._reader.receive(data)
        if self._answering is None:
            self._advance()

    def _advance(self) -> None:
        while self._answering is None and not self._transport.is_closing():
            if self._request is None:
                head = self._reader.read_head()
                if head is None:
                    return
                if isinstance(head, Fault):
                    self._refuse(head.status)
                    return
                self._request = head
                if head.expect_continue:
                    self._transport.write(CONTINUE)
            while not self._reader.body_complete:
                piece = self._reader.read_body()
                if isinstance(piece, Fault):
                    self._refuse(piece.status)
                    return
                if not piece and not self._reader.body_complete:
                    return
                if self._server.longest_body is not None:
                    self._body += piece
                    if len(self._body) > self._server.longest_body:
                        self._refuse(413)
                        return
            request, body, self._request, self._body = self._request, self._body, None, b""
            response = self._server.handler(request, body)
            if isinstance(response, Response):
                self._answer(request, response)
            else:
                self._transport.pause_reading()
                self._answering = asyncio.ensure_future(self._answer_later(request, response))

    async def _answer_later(self, request: RequestHead, response: Awaitable[Response]) -> None:
        try:
            self._answer(request, await response)
        except Exception as error:
            # As for one raised at once: the connection ends, and the loop's handler reports it.
            asyncio.get_running_loop().call_exception_handler({"message": "a handler failed", "exception": error})
            self._transport.abort()
        self._answering = None
        if not self._transport.is_closing():
            self._transport.resume_reading()
            self._advance()

    def _refuse(self, status: int) -> None:
        self._write(Response(status, [("Content-Type", "text/plain")], phrase(status)), head_only=False, close=True)

    def _answer(self, request: RequestHead, response: Response) -> None:
        self._write(response, head_only=request.method == b"HEAD", close=request.close)

    def _write(self, response: Response, *, head_only: bool, close: bool) -> None:
        lines = [status_line(response.status).decode()]
        lines += [f"{name}: {value}\r\n" for name, value in response.headers]
        lines.append(f"Date: {self._server.date.now().decode()}\r\nContent-Length: {len(response.body)}\r\n")
        if close:
            lines.append("Connection: close\r\n")
        self._transport.write("".join(lines).encode("latin-1") + b"\r\n" + (b"" if head_only else response.body))
        if close:
            self._transport.close()
