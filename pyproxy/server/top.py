"""``pyproxy top``: the inspector in a terminal, for a running pyproxy whose admin it asks."""

from __future__ import annotations

import http.client
import json
import time
import urllib.error
import urllib.request
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

Json = Any

INTERVAL = 1.0
"""Seconds between two looks."""

EXIT_NOT_AN_ADMIN = 1
EXIT_NO_ANSWER = 3


class NoAnswer(Exception):
    """The admin can't be asked."""


class NotAnAdmin(Exception):
    """Who answers is something else."""


def watch(admin: str, *, once: bool, console: Console | None = None) -> int:
    """Show the pyproxy whose admin is at ``admin`` (``host:port``) until interrupted; the exit code."""
    console = console or Console()
    before: tuple[float, dict[str, int]] | None = None
    try:
        if once:
            console.print(_frame(admin, None)[0])
            return 0
        with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
            while True:
                shown, before = _frame(admin, before)
                live.update(shown, refresh=True)
                time.sleep(INTERVAL)
    except NoAnswer as error:
        console.print(f"pyproxy top: {error}", markup=False)
        return EXIT_NO_ANSWER
    except NotAnAdmin as error:
        console.print(f"pyproxy top: {error}", markup=False, soft_wrap=True)
        return EXIT_NOT_AN_ADMIN
    except KeyboardInterrupt:
        return 0


def _frame(
    admin: str, before: tuple[float, dict[str, int]] | None
) -> tuple[RenderableType, tuple[float, dict[str, int]]]:
    """What to show, and the counters that the next frame's rates are worked out from."""
    # The window is 50 lines at most; what is below does not fit anyway.
    view = _ask(admin, "/connections?limit=50", {"time", "total", "connections", "requests"})
    counters = _ask(admin, "/stats?format=json&type=Counters", {"stats"})
    stats = {one["name"]: one["value"] for one in counters["stats"]}
    now = time.monotonic()
    totals = {name: _sum(stats, suffix) for name, suffix in _RATES.items()}
    return render(view, totals, None if before is None else (now - before[0], before[1])), (now, totals)


_RATES = {
    "requests": ".downstream_rq_total",
    "connections": ".downstream_cx_total",
    "2xx": ".downstream_rq_2xx",
    "4xx": ".downstream_rq_4xx",
    "5xx": ".downstream_rq_5xx",
}


def _sum(stats: dict[str, int], suffix: str) -> int:
    return sum(value for name, value in stats.items() if name.startswith("http.") and name.endswith(suffix))


def _ask(admin: str, path: str, names: set[str]) -> Json:
    """The object at ``path``, which must have ``names``."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"http://{admin}{path}", timeout=5) as response:
            found = json.load(response)
    except urllib.error.HTTPError as error:
        raise NoAnswer(f"{admin} answers {error.code} to {path}") from error
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise NoAnswer(f"no admin at {admin}: {getattr(reason, 'strerror', None) or reason}") from error
    except (http.client.HTTPException, ValueError) as error:
        raise NotAnAdmin(f"what answers at {admin} is no pyproxy admin: it says no JSON to {path}") from error
    if not isinstance(found, dict) or not names <= found.keys():
        raise NotAnAdmin(f"what answers at {admin} is no pyproxy admin: its JSON for {path} is something else")
    return found


def render(view: Json, totals: dict[str, int], before: tuple[float, dict[str, int]] | None) -> RenderableType:
    """One frame. ``before``: seconds since the last one, and its totals."""
    head = Text()
    head.append(f"{view['time']}  ", style="dim")
    head.append(f"{view['total']} connections", style="bold")
    for name, total in totals.items():
        if before is None:
            head.append(f"   {name} {total}")
        else:
            seconds, earlier = before
            rate = (total - earlier[name]) / seconds if seconds > 0 else 0.0
            head.append(f"   {name} {rate:.1f}/s")
    return Group(head, Text(), _connections(view["connections"]), Text(), _requests(view["requests"][:15]))


def _connections(connections: list[Json]) -> Table:
    table = Table(
        "", "peer", "", "client", "doing", "requests", "open", "rtt", "keepalive", box=None, header_style="dim"
    )
    for one in connections:
        header = one["proxy_header"]
        tcp, keepalive = one["tcp"], one["keepalive"]
        next_probe = keepalive["next_probe_in"] if keepalive is not None else None
        table.add_row(
            f"#{one['id']}",
            one["peer"],
            f"PROXY v{header[0]['meaning'][-1]}" if header else "",
            Text(one["client"], style="bold"),
            one["phase"].lower(),
            str(one["requests"]),
            f"{one['age']:.0f} s",
            f"{tcp['rtt_ms']:.2f} ms" if tcp is not None else "-",
            "off" if keepalive is None else "waits" if next_probe is None else f"probe in {next_probe:.0f} s",
        )
    return table


def _requests(requests: list[Json]) -> Table:
    table = Table("", "client", "request", "status", "time", "backend", box=None, header_style="dim")
    for one in requests:
        status = one["status"]
        style = "green" if 200 <= status < 400 else "yellow" if 400 <= status < 500 else "red"
        flags = "" if one["flags"] == "-" else f" {one['flags']}"
        table.add_row(
            f"#{one['connection']}",
            one["client"],
            Text(
                f"{one['method'] or '-'} {one['authority'] or ''}{one['path'] or ''}", overflow="ellipsis", no_wrap=True
            ),
            Text(f"{status}{flags}", style=style),
            f"{one['timing']['response complete']} ms",
            one["upstream"] or "-",
        )
    return table
