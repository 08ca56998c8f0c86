"""The connection inspector: a page, the same as JSON, and what both are made of.

The page is whole as it is served, so that it can be read without scripts, saved or printed; its script does no more
than load it again every second. Whatever came from a client is escaped, and nothing may be loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from importlib import resources
from typing import Any

from pyproxy.server.admin import Command, Process, json_response, page
from pyproxy.server.plain_http import Response
from pyproxy.server.query import Query, number

Json = Any

DEFAULT_LIMIT = 100
"""Connections that are shown, those with the latest traffic first; ``?limit=`` asks for others."""


def inspector_commands(process: Process) -> dict[str, Command]:
    """The admin's paths of the inspector."""

    async def connections(query: Query) -> Response:
        return json_response(await process.connections(number(query, "limit", DEFAULT_LIMIT)))

    async def inspector(query: Query) -> Response:
        return page(render(await process.connections(number(query, "limit", DEFAULT_LIMIT))))

    async def style(query: Query) -> Response:
        return _file("inspector.css", "text/css")

    async def script(query: Query) -> Response:
        return _file("inspector.js", "text/javascript")

    limit = (("limit", "how many connections to show"),)
    return {
        "/connections": Command(connections, "dump live connections and recent requests as JSON", parameters=limit),
        "/inspector": Command(inspector, "watch live connections and recent requests", parameters=limit),
        "/inspector.css": Command(style, "how the inspector looks"),
        "/inspector.js": Command(script, "what keeps the inspector up to date"),
    }


def _file(name: str, kind: str) -> Response:
    body = resources.files("pyproxy.server").joinpath(name).read_bytes()
    return Response(200, [("Content-Type", f"{kind}; charset=UTF-8"), ("Cache-Control", "no-cache")], body)


# -- the page -----------------------------------------------------------------------------------------------------


def render(view: Json) -> str:
    """The page for what ``Process.connections`` has given."""
    listeners = {one["name"]: one for one in view["listeners"]}
    connections = view["connections"]
    shown = f"{view['total']} open"
    if len(connections) < view["total"]:
        shown += f", the {len(connections)} with the latest traffic are shown"
    cards = "".join(
        _connection(one, listeners.get(one["listener"]), is_open=not number) for number, one in enumerate(connections)
    )
    requests = "".join(_request(one) for one in view["requests"])
    return _PAGE.format(
        time=escape(view["time"]),
        listeners="".join(_listener(one) for one in view["listeners"]),
        shown=shown,
        cards=cards or '<p class="none">No connection is open.</p>',
        requests=f'<table class="requests">{_REQUEST_HEAD}{requests}</table>'
        if requests
        else '<p class="none">None since this page was opened.</p>',
    )


def _listener(listener: Json) -> str:
    policies = ", ".join(listener["policies"]) or "no policy"
    return (
        f"<li><b>{escape(listener['address'])}</b> {escape(listener['name'])}"
        f' <span class="quiet">{escape(policies)}</span>'
    )


def _connection(connection: Json, listener: Json | None, *, is_open: bool) -> str:
    version = _version(connection)
    arrow = f'<span class="via">{escape(version)}</span>' if version else ""
    client = connection["client"]
    peer = connection["peer"]
    who = f"{escape(peer)} {arrow} <b>{escape(client)}</b>" if client != peer else f"<b>{escape(peer)}</b>"
    keepalive = connection["keepalive"]
    summary = (
        f'<span class="id">#{connection["id"]}</span>'
        f'<span class="who">{who}</span>'
        f'<span class="phase {escape(connection["phase"].lower())}">{escape(connection["phase"].lower())}</span>'
        f"<span>{_count(connection['requests'], 'request')}</span>"
        f"<span>open {_seconds(connection['age'])}</span>"
        f'<span class="bar">{_countdown(keepalive)}</span>'
    )
    left = [
        _panel("How its client was found", _steps(connection["client_address"])),
        _panel("Keepalive", _keepalive(keepalive)),
        _panel("TCP, as the kernel has it", _tcp(connection["tcp"], connection["buffered"])),
    ]
    right = []
    if connection["request"]:
        right.append(_panel("Request under way", _facts(connection["request"].items())))
    if connection["proxy_header"]:
        right.append(_panel("PROXY header, field by field", _header(connection["proxy_header"])))
    if connection["superseded"]:
        right.append(_panel("What decided it", '<p class="quiet">Settings from before the last reload.</p>'))
    elif listener is not None and listener["decisions"]:
        right.append(_panel("What decided it", _decisions(listener["decisions"])))
    name = f"connection-{connection.get('worker', 0)}-{connection['id']}"
    opened = " open" if is_open else ""
    return (
        f'<details class="connection" id="{name}"{opened}><summary>{summary}</summary>'
        f'<div class="panels"><div>{"".join(left)}</div><div>{"".join(right)}</div></div></details>'
    )


def _version(connection: Json) -> str:
    fields = connection["proxy_header"]
    return f"PROXY v{fields[0]['meaning'].removeprefix('version ')}" if fields else ""


def _panel(title: str, body: str) -> str:
    return f'<section class="panel"><h3>{title}</h3>{body}</section>'


def _steps(steps: Iterable[Json]) -> str:
    rows = "".join(
        f'<li><span class="source">{escape(step["source"])}</span> <code>{escape(step["found"])}</code>'
        f'<span class="verdict">{escape(step["verdict"])}</span>'
        for step in steps
    )
    return f'<ol class="steps">{rows}</ol>'


def _header(fields: Iterable[Json]) -> str:
    rows = "".join(
        f'<tr class="depth{field["depth"]}"><td>{escape(field["name"])}<td><code>{escape(field["bytes"])}</code>'
        f"<td>{escape(field['meaning'])}"
        for field in fields
    )
    return f'<table class="fields"><tr><th>field<th>bytes<th>meaning{rows}</table>'


def _countdown(keepalive: Json | None) -> str:
    if keepalive is None:
        return '<span class="quiet">keepalive off</span>'
    if keepalive["next_probe_in"] is None:
        return '<span class="quiet">keepalive waits: data is on its way</span>'
    whole = keepalive["interval"] if keepalive["probes_sent"] else keepalive["idle"]
    share = 100 * keepalive["next_probe_in"] / whole if whole else 0
    return (
        f'<meter min="0" max="100" low="10" high="30" optimum="100" value="{share:.1f}"></meter>'
        f"probe in <b>{_seconds(keepalive['next_probe_in'])}</b>"
    )


def _keepalive(keepalive: Json | None) -> str:
    if keepalive is None:
        return '<p class="quiet">Off: the policy has no tcpKeepalive.</p>'
    left = keepalive["probes"] - keepalive["probes_sent"]
    facts: list[tuple[str, str]] = [
        ("idle time", _seconds(keepalive["idle"])),
        ("interval", _seconds(keepalive["interval"])),
        ("probes left", f"{left} of {keepalive['probes']}"),
    ]
    if keepalive["next_probe_in"] is not None:
        facts.append(("next probe in", _seconds(keepalive["next_probe_in"])))
        facts.append(("given up in", _seconds(keepalive["gives_up_in"])))
    pips = "".join(f'<i class="{"left" if number < left else "sent"}"></i>' for number in range(keepalive["probes"]))
    return f'<p class="big">{_countdown(keepalive)}</p><p class="pips">{pips}</p>{_facts(facts)}'


def _tcp(tcp: Json | None, buffered: Json) -> str:
    if tcp is None:
        return '<p class="quiet">The socket is closed.</p>'
    return _facts(
        [
            ("state", tcp["state"]),
            ("round trip", f"{tcp['rtt_ms']:.3f} ms ± {tcp['rtt_variance_ms']:.3f}"),
            ("received", f"{tcp['bytes_received']} bytes, {tcp['since_data_received_ms'] / 1000:.1f} s ago"),
            ("sent", f"{tcp['bytes_acknowledged']} bytes, {tcp['since_data_sent_ms'] / 1000:.1f} s ago"),
            ("unacknowledged", _count(tcp["unacknowledged"], "segment")),
            ("sent again", _count(tcp["retransmits"], "segment")),
            ("window, MSS", f"{tcp['congestion_window']} segments of {tcp['mss']} bytes"),
            ("buffered here", f"{buffered['read']} bytes read, {buffered['write']} to write"),
        ]
    )


def _decisions(decisions: Iterable[Json]) -> str:
    rows = "".join(
        f"<tr><td>{escape(one['setting'])}<td><code>{escape(str(one['value']))}</code><td>{escape(one['source'])}"
        for one in decisions
    )
    return f'<table class="fields"><tr><th>setting<th>value<th>from{rows}</table>'


def _facts(facts: Iterable[tuple[str, Any]]) -> str:
    rows = "".join(f"<dt>{escape(name)}<dd>{escape(str(value))}" for name, value in facts if value is not None)
    return f"<dl>{rows}</dl>"


_REQUEST_HEAD = "<tr><th>connection<th>client<th>request<th>status<th>time<th>backend"


def _request(request: Json) -> str:
    status = request["status"]
    flags = "" if request["flags"] == "-" else f" {escape(request['flags'])}"
    line = f"{request['method'] or '-'} {request['authority'] or ''}{request['path'] or ''}"
    facts = [
        ("details", request["details"]),
        ("route", request["route"]),
        ("cluster", request["cluster"]),
        ("x-request-id", request["id"]),
        ("bytes", f"{request['bytes_received']} received, {request['bytes_sent']} sent"),
        *((name, f"{value} ms") for name, value in request["timing"].items() if value is not None),
    ]
    name = f"request-{request.get('worker', 0)}-{request['number']}"
    return (
        f"<tr><td>#{request['connection']}<td>{escape(request['client'])}"
        f'<td><details id="{name}"><summary><code>{escape(line)}</code></summary>'
        f'<div class="panels"><div>{_panel("How its client was found", _steps(request["client_address"]))}</div>'
        f"<div>{_panel('Facts', _facts(facts))}</div></div></details>"
        f'<td class="status s{status // 100}">{status}{flags}<td>{request["timing"]["response complete"]} ms'
        f"<td>{escape(request['upstream'] or '-')}"
    )


def _seconds(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes}m {rest}s" if hours else f"{minutes}m {rest}s"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


_PAGE = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>pyproxy inspector</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/inspector.css">
<script src="/inspector.js" defer></script>
<noscript><meta http-equiv="refresh" content="5"></noscript>
</head><body>
<header><h1>pyproxy inspector</h1>
<label hidden><input type="checkbox" id="live" checked> live</label>
<nav><a href="/connections">JSON</a> <a href="/stats">stats</a> <a href="/">admin</a></nav></header>
<main>
<p class="quiet">{time}</p>
<ul class="listeners">{listeners}</ul>
<h2>Connections <small>{shown}</small></h2>
{cards}
<h2>Recent requests <small>since this page was opened</small></h2>
{requests}
</main></body></html>
"""
