"""The admin address: Envoy's paths, methods, status codes and bodies for what pyproxy has, and the inspector.

It shows and steers a ``Process``, which is this one or several workers together. Who can reach the address can do all
that it offers, so it listens on loopback; a page in a browser on this machine can't use it: requests must name it by IP
address or as localhost (or it could be read by DNS rebinding), and must not come from another site, or be no more than
a link from there that somebody follows. Envoy asks neither.

Source: Envoy, "Administration interface"; answers measured on 1.40 (tests/conformance/test_admin.py).
"""

from __future__ import annotations

import html
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from pyproxy.observe.render import BUCKET_MODES, TYPES, Selection, as_json, as_prometheus, as_text, used
from pyproxy.observe.stats import Collected, Snapshot, without
from pyproxy.proxy.path import normalize
from pyproxy.server import clusters, log_levels
from pyproxy.server.clusters import clusters_of, socket_address
from pyproxy.server.plain_http import HttpServer, Response
from pyproxy.server.query import BadQuery, Query, choice, parse, text_filter
from pyproxy.settings import EscapedSlashes, HttpOptions, Settings
from pyproxy.wire.address import format_address
from pyproxy.wire.messages import RequestHead

_log = logging.getLogger("pyproxy.admin")

Json = Any

_COMMON = [("Cache-Control", "no-cache, max-age=0"), ("X-Content-Type-Options", "nosniff")]
_OK = "OK\n"
_PATHS = HttpOptions(merge_slashes=True, escaped_slashes=EscapedSlashes.KEEP_UNCHANGED)
_LONGEST_FORM = 64 << 10
_FLAGS = ("graceful", "skip_exit", "inboundonly")
_STATS_USAGE = "usage: /stats?format=(json|prometheus|text)\n\n"
_BUCKETS_USAGE = f"usage: /stats?histogram_buckets=({'|'.join(BUCKET_MODES)})\n"


class Process(Protocol):
    """What the admin shows and steers."""

    @property
    def settings(self) -> Settings:
        """What is served."""

    @property
    def live(self) -> bool:
        """Whether it wants new connections: not while it is ending, or its health check is to fail."""

    async def snapshot(self) -> Snapshot:
        """Its stats, ``server.`` and its like included."""

    async def connections(self, limit: int) -> Json:
        """The inspector's view; of the connections at most ``limit``."""

    def server_info(self) -> Json:
        """Version, uptime and options."""

    def config_dump(self) -> Json:
        """The settings, and where each comes from."""

    def status(self) -> str:
        """The policies and their conditions as JSON."""

    async def fail_health_check(self, *, failed: bool) -> None:
        """Answer health checks as if this were failing, and close connections with their next response."""

    async def drain_listeners(self, *, graceful: bool, skip_exit: bool) -> None:
        """Close connections with their next response; stop accepting at once, later (``graceful``) or never."""

    async def reopen_logs(self) -> None:
        """Open the access log's file anew."""

    async def change_log_levels(self, levels: Mapping[str, str]) -> None:
        """Set loggers to levels."""

    def quit(self) -> None:
        """End, without waiting for anybody."""


Handler = Callable[[Query], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Command:
    """One path."""

    handler: Handler
    help: str
    post: bool = False
    """It changes something."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Name and what it does."""


class Admin:
    """Answers the admin's requests for one process."""

    def __init__(self, process: Process, pages: Mapping[str, Command]) -> None:
        """``pages``: further paths, the inspector's."""
        self._process = process
        self._reset_at: Collected = {}
        """The counters' values when they were last reset."""
        text_filter = ("filter", "regular expression; only stats whose name it is found in")
        stats = (
            ("usedonly", "only what has been written since the start"),
            text_filter,
            ("invert_filter", "only what the filter does not find"),
        )
        self.commands: dict[str, Command] = {
            "/": Command(self._index, "Admin home page"),
            "/certs": Command(self._certs, "print certs on machine"),
            "/clusters": Command(
                self._clusters,
                "upstream cluster status",
                parameters=(("format", "text or json"), ("filter", "regular expression on the cluster's name")),
            ),
            "/config_dump": Command(self._config_dump, "dump the settings, each with the file and line it comes from"),
            "/drain_listeners": Command(
                self._drain_listeners,
                "drain listeners",
                post=True,
                parameters=(
                    ("graceful", "go on accepting for the drain time, then stop"),
                    ("skip_exit", "never stop accepting"),
                    ("inboundonly", "only listeners that are declared inbound, of which there are none"),
                ),
            ),
            "/healthcheck/fail": Command(self._fail, "cause the server to fail health checks", post=True),
            "/healthcheck/ok": Command(self._pass, "cause the server to pass health checks", post=True),
            "/help": Command(self._help, "print out list of admin commands"),
            "/listeners": Command(self._listeners, "print listener info", parameters=(("format", "text or json"),)),
            "/logging": Command(
                self._logging,
                "query/change logging levels",
                post=True,
                parameters=(("level", "of all loggers"), ("paths", "<logger>:<level>,<logger>:<level>")),
            ),
            "/memory": Command(self._memory, "print current allocation/heap usage"),
            "/quitquitquit": Command(self._quit, "exit the server", post=True),
            "/ready": Command(self._ready, "print server state, return 200 if LIVE, otherwise return 503"),
            "/reopen_logs": Command(self._reopen_logs, "reopen access logs", post=True),
            "/reset_counters": Command(self._reset_counters, "reset all counters to zero", post=True),
            "/server_info": Command(self._server_info, "print server version/status information"),
            "/stats": Command(
                self._stats,
                "print server stats",
                parameters=(
                    *stats,
                    ("format", "text, json or prometheus"),
                    ("type", ", ".join(TYPES)),
                    ("histogram_buckets", ", ".join(BUCKET_MODES)),
                ),
            ),
            "/stats/prometheus": Command(
                self._stats_prometheus,
                "print server stats in prometheus format",
                parameters=(*stats, ("histogram_buckets", "cumulative or summary")),
            ),
            "/status": Command(self._status, "print the policies and their conditions as JSON"),
            **pages,
        }

    def server(self) -> HttpServer:
        """Serves the admin; not started."""
        return HttpServer(self.handle, longest_body=_LONGEST_FORM)

    async def handle(self, request: RequestHead, body: bytes = b"") -> Response:
        """The answer to a request. ``body`` may be a form, which counts where there is no query."""
        response = await self._dispatch(request, body)
        _log.debug("%s %s %d", request.method.decode(), request.path.decode("latin-1"), response.status)
        return response

    async def _dispatch(self, request: RequestHead, body: bytes) -> Response:
        if request.authority is None:
            return text("a request must say which host it is for\n", 400)
        if not _is_local_name(request.authority):
            return text("the admin answers to IP addresses and localhost only\n", 403)
        if _is_of_another_site(request):
            return text("another site's page can't use the admin\n", 403)
        target = normalize(request.path, _PATHS) if request.path.startswith(b"/") else request.path
        if not isinstance(target, bytes):
            return text("this can't be a path\n", 400)
        path, _, query = target.decode("latin-1").partition("?")
        command = self.commands.get(path)
        if command is None:
            return text("invalid path. " + self._help_text(), 404)
        if command.post:
            if request.method != b"POST":
                return text(f"Method {request.method.decode()} not allowed, POST required.", 405)
            if not query and dict(request.headers).get(b"content-type") == b"application/x-www-form-urlencoded":
                query = body.decode("latin-1")
        try:
            return await command.handler(parse(query))
        except BadQuery as error:
            return text(str(error), 400)

    # -- pages ----------------------------------------------------------------------------------------------------

    async def _index(self, query: Query) -> Response:
        rows = [_index_row(path, command) for path, command in sorted(self.commands.items()) if path != "/"]
        return page(_INDEX % "".join(rows))

    async def _help(self, query: Query) -> Response:
        return text(self._help_text())

    def _help_text(self) -> str:
        lines = ["admin commands are:\n"]
        for path, command in sorted(self.commands.items()):
            lines.append(f"  {path}{' (POST)' if command.post else ''}: {command.help}\n")
            lines += [f"      {name}: {what}\n" for name, what in command.parameters]
        return "".join(lines)

    async def _ready(self, query: Query) -> Response:
        return text("LIVE\n") if self._process.live else text("DRAINING\n", 503)

    async def _status(self, query: Query) -> Response:
        return json_text(self._process.status())

    async def _server_info(self, query: Query) -> Response:
        return json_response(self._process.server_info())

    async def _config_dump(self, query: Query) -> Response:
        for name in ("resource", "mask", "name_regex"):
            if query.get(name):
                raise BadQuery(f"{name} is Envoy's; here there is only the whole of /config_dump\n")
        return json_response(self._process.config_dump())

    async def _certs(self, query: Query) -> Response:
        return json_response({"certificates": []})

    async def _memory(self, query: Query) -> Response:
        gauges = (await self._process.snapshot()).gauges
        return json_response(
            {
                "allocated": str(gauges["server.memory_allocated"]),
                "heap_size": str(gauges["server.memory_heap_size"]),
                "total_physical_bytes": str(gauges["server.memory_physical_size"]),
            }
        )

    async def _listeners(self, query: Query) -> Response:
        listeners = self._process.settings.listeners
        if query.get("format") == "json":
            statuses = [{"name": one.name, "local_address": socket_address(one.address, one.port)} for one in listeners]
            return json_response({"listener_statuses": statuses})
        return text("".join(f"{one.name}::{format_address(one.address, one.port)}\n" for one in listeners))

    async def _clusters(self, query: Query) -> Response:
        hosts = (await self._process.snapshot()).hosts
        try:
            matches = text_filter(query)
        except BadQuery:
            return text("Invalid re2 regex", 400)
        found = [one for one in clusters_of(self._process.settings) if matches is None or matches(one.name.encode())]
        if query.get("format") == "json":
            statuses = [clusters.as_json(one, hosts.get(one.name, {})) for one in found]
            return json_response({"cluster_statuses": statuses})
        return text("".join(clusters.as_text(one, hosts.get(one.name, {})) for one in found))

    # -- stats ----------------------------------------------------------------------------------------------------

    async def _stats(self, query: Query) -> Response:
        # Envoy looks at all of them, and in this order.
        matches = text_filter(query)
        mode = choice(query, "histogram_buckets", ("", "none", *BUCKET_MODES), _BUCKETS_USAGE)
        kind = choice(query, "type", TYPES, "invalid &type= param")
        form = choice(query, "format", ("text", "json", "prometheus"), _STATS_USAGE)
        if form == "prometheus":
            if mode in ("disjoint", "detailed"):
                raise BadQuery("unsupported prometheus histogram bucket mode")
            kind = "All"
        taken = await self._process.snapshot()
        seen = used(taken) if "usedonly" in query else None
        selection = Selection(kind, matches, "invert_filter" in query, seen)
        shown = without(taken, self._reset_at)
        if form == "prometheus":
            return text(as_prometheus(shown, selection, "cumulative" if mode in ("", "cumulative") else "summary"))
        mode = "summary" if mode in ("", "none") else mode
        if form == "json":
            return json_text(as_json(shown, selection, mode))
        return text(as_text(shown, selection, mode))

    async def _stats_prometheus(self, query: Query) -> Response:
        choice(query, "format", ("text", "json", "prometheus"), _STATS_USAGE)
        return await self._stats(query | {"format": "prometheus"})

    async def _reset_counters(self, query: Query) -> Response:
        self._reset_at = (await self._process.snapshot()).counters
        return text(_OK)

    # -- what changes something -----------------------------------------------------------------------------------

    async def _fail(self, query: Query) -> Response:
        await self._process.fail_health_check(failed=True)
        return text(_OK)

    async def _pass(self, query: Query) -> Response:
        await self._process.fail_health_check(failed=False)
        return text(_OK)

    async def _drain_listeners(self, query: Query) -> Response:
        if "inboundonly" not in query:
            await self._process.drain_listeners(graceful="graceful" in query, skip_exit="skip_exit" in query)
        return text(_OK)

    async def _reopen_logs(self, query: Query) -> Response:
        await self._process.reopen_logs()
        return text(_OK)

    async def _logging(self, query: Query) -> Response:
        try:
            levels = log_levels.parse_change(query)
        except log_levels.LevelError as error:
            return text(f"error: {error}\n{log_levels.USAGE}{log_levels.describe()}", 400)
        await self._process.change_log_levels(levels)
        return text(log_levels.describe())

    async def _quit(self, query: Query) -> Response:
        self._process.quit()
        return text(_OK)


def text(body: str, status: int = 200) -> Response:
    """A plain answer."""
    return Response(status, [("Content-Type", "text/plain; charset=UTF-8"), *_COMMON], body.encode())


def json_response(value: Json) -> Response:
    """``value`` as Envoy prints JSON: with one blank a level."""
    return json_text(json.dumps(value, indent=1) + "\n")


def json_text(body: str) -> Response:
    """What is JSON already."""
    return Response(200, [("Content-Type", "application/json"), *_COMMON], body.encode())


def page(body: str) -> Response:
    """A page that may load nothing but from here, and be framed by nobody."""
    policy = "default-src 'self'; img-src data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    headers = [("Content-Type", "text/html; charset=UTF-8"), ("Content-Security-Policy", policy), *_COMMON]
    return Response(200, headers, body.encode())


_LOCAL_NAME = re.compile(rb"(?:localhost|[0-9.]+|\[[0-9a-fA-F:.]+\])(?::[0-9]+)?", re.IGNORECASE)


def _is_local_name(authority: bytes) -> bool:
    return _LOCAL_NAME.fullmatch(authority) is not None


def _is_of_another_site(request: RequestHead) -> bool:
    """Browsers say of a request which site's page makes it, and whether that is a link that somebody follows."""
    headers = dict(request.headers)
    own = b"http://" + (request.authority or b"")
    if headers.get(b"origin", own) != own:
        return True
    if headers.get(b"sec-fetch-site", b"none") in (b"none", b"same-origin"):
        return False
    is_link = headers.get(b"sec-fetch-mode") == b"navigate" and headers.get(b"sec-fetch-dest") == b"document"
    return not is_link or request.method not in (b"GET", b"HEAD")


def _index_row(path: str, command: Command) -> str:
    parameters = "".join(
        f"<li><code>{html.escape(name)}</code>: {html.escape(what)}" for name, what in command.parameters
    )
    inputs = "".join(
        f' <label>{name} <input name="{name}"{" type=checkbox" if name in _FLAGS else ""}></label>'
        for name, _ in command.parameters
        if command.post
    )
    method = "post" if command.post else "get"
    button = f'<form method="{method}" action="{path}"><button>{path}</button>{inputs}</form>'
    return f"<tr><td>{button}<td>{html.escape(command.help)}<ul>{parameters}</ul>\n"


_INDEX = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>pyproxy admin</title>
<link rel="stylesheet" href="/inspector.css"></head>
<body><header><h1>pyproxy admin</h1></header><main><table class="commands">
%s</table></main></body></html>
"""
