"""Asking an admin."""

from __future__ import annotations

import asyncio
import urllib.request


async def ask(port: int, path: str, method: str = "GET") -> str:
    """The body of the answer. Raises ``urllib.error.HTTPError`` for one that is no 200."""
    return await asyncio.to_thread(ask_now, port, path, method)


def ask_now(port: int, path: str, method: str = "GET") -> str:
    """The same, for code that does not run in a loop."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    with opener.open(request, timeout=10) as response:
        body: bytes = response.read()
    return body.decode()
