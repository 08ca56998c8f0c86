"""A reverse proxy of aiohttp's own parts: PORT BACKEND_PORT LOG. The server and the client below its application layer,
streaming both ways, under uvloop.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
import uuid
from pathlib import Path
from typing import IO

import aiohttp
import uvloop
from aiohttp import web

HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "upgrade", "te", "proxy-connection"}


class Proxy:
    """Answers requests with what the backend answers."""

    def __init__(self, backend: str, log: IO[str]) -> None:
        self._backend = backend
        self._log = log
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0), auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar()
        )

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Pass on one request and its response."""
        started = time.time()
        headers = request.headers.copy()
        for name in HOP_BY_HOP:
            headers.pop(name, None)
        request_id = str(uuid.uuid4())
        headers["x-forwarded-for"] = request.remote or ""
        headers["x-forwarded-proto"] = "http"
        headers["x-request-id"] = request_id
        body = request.content if request.can_read_body else None
        async with self._session.request(
            request.method, self._backend + request.raw_path, headers=headers, data=body, allow_redirects=False
        ) as answer:
            response = web.StreamResponse(status=answer.status, reason=answer.reason)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    response.headers.add(name, value)
            await response.prepare(request)
            sent = 0
            async for piece in answer.content.iter_any():
                sent += len(piece)
                await response.write(piece)
            await response.write_eof()
        line = {
            "start_time": started,
            "method": request.method,
            "path": request.raw_path,
            "response_code": answer.status,
            "bytes_sent": sent,
            "duration": round((time.time() - started) * 1000),
            "authority": request.host,
            "x-forwarded-for": headers["x-forwarded-for"],
            "x-request-id": request_id,
        }
        self._log.write(json.dumps(line) + "\n")
        return response


async def main(port: int, backend_port: int, log: IO[str]) -> None:
    """Serve until killed."""
    proxy = Proxy(f"http://127.0.0.1:{backend_port}", log)
    server = web.Server(proxy.answer, access_log=None)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", port, backlog=4096).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with (
        Path(sys.argv[3]).open("w", encoding="utf-8") as log_file,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop,
    ):
        loop.run(main(int(sys.argv[1]), int(sys.argv[2]), log_file))
