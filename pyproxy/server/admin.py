"""The admin address: whether the process is ready, and what it made of its policies."""

from __future__ import annotations

from collections.abc import Callable

from pyproxy.server.plain_http import HttpServer, Response
from pyproxy.wire.messages import RequestHead

_TEXT = [("Content-Type", "text/plain; charset=UTF-8"), ("Cache-Control", "no-cache, max-age=0")]
_JSON = [("Content-Type", "application/json"), ("Cache-Control", "no-cache, max-age=0")]

HELP = b"""admin commands are:
  /help: print out list of admin commands
  /ready: print server state, return 200 if LIVE, otherwise return 503
  /status: print the policies and their conditions as JSON
"""


def admin_server(is_live: Callable[[], bool], status: Callable[[], str]) -> HttpServer:
    """The admin's server, not started. ``status`` gives the policies' statuses as JSON."""

    def handle(request: RequestHead) -> Response:
        if not _is_local_name(request.authority or b""):
            # A page in a browser must not read this by a name that it made point here (DNS rebinding).
            return Response(403, _TEXT, b"the admin answers to IP addresses and localhost only\n")
        path = request.path.partition(b"?")[0]
        if path not in (b"/", b"/help", b"/ready", b"/status"):
            return Response(404, _TEXT, b"invalid path. " + HELP)
        if request.method not in (b"GET", b"HEAD"):
            return Response(405, _TEXT, b"Method Not Allowed\n")
        if path == b"/ready":
            return Response(200, _TEXT, b"LIVE\n") if is_live() else Response(503, _TEXT, b"DRAINING\n")
        if path == b"/status":
            return Response(200, _JSON, status().encode())
        return Response(200, _TEXT, HELP)

    return HttpServer(handle)


def _is_local_name(authority: bytes) -> bool:
    host = authority.rpartition(b":")[0] if authority.rpartition(b":")[2].isdigit() else authority
    return host == b"localhost" or host.startswith(b"[") or not host.strip(b"0123456789.")
