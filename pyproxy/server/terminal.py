"""What serving tells the person at the terminal. It goes to standard error: standard output is the access log's."""

from __future__ import annotations

import contextlib
import sys

from pyproxy.policy.load import Loaded
from pyproxy.server.changes import What, compare
from pyproxy.server.listening import address_of
from pyproxy.settings import Listener
from pyproxy.wire.address import format_address

_VERBS = {
    What.ADDED: "listening on",
    What.ROUTES: "new routes on",
    What.CHANGED: "changed",
    What.REMOVED: "closed",
}


def say(line: str) -> None:
    """One line, at once; nobody may be there to read it."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)  # noqa: T201 - this is where it is meant to go


def listening_lines(loaded: Loaded) -> list[str]:
    """What listens where, which policies apply, and lines to paste into a terminal."""
    lines = []
    for listener in loaded.settings.listeners:
        lines.append(f"listening on {_where(listener)}")
        lines.append(f"  policies: {_policies(loaded, listener)}")
        lines += [f"  {line}" for line in _try_lines(listener)]
    return lines


def reload_lines(before: Loaded, after: Loaded) -> list[str]:
    """What has changed, a line for each listener, with the policies that are in force on it now."""
    lines = []
    changed = set()
    for change in compare(before.settings, after.settings):
        changed.add(address_of(change.listener))
        policies = "" if change.what is What.REMOVED else f"; policies: {_policies(after, change.listener)}"
        lines.append(f"pyproxy: reloaded: {_VERBS[change.what]} {_where(change.listener)}{policies}")
    for listener in after.settings.listeners:
        policies = _policies(after, listener)
        if address_of(listener) not in changed and policies != _policies(before, listener):
            lines.append(f"pyproxy: reloaded: nothing new on {_where(listener)}; policies: {policies}")
    return lines or ["pyproxy: reloaded: nothing that is served has changed"]


def _policies(loaded: Loaded, listener: Listener) -> str:
    return ", ".join(loaded.policies_of(listener)) or "none"


def _where(listener: Listener) -> str:
    moved = "" if listener.port == listener.gateway_port else f" (the Gateway's port {listener.gateway_port})"
    return f"{_url(listener)}{moved} for {listener.name}"


def _url(listener: Listener) -> str:
    address = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listener.address, listener.address)
    return f"http://{format_address(address, listener.port)}"


def _try_lines(listener: Listener) -> list[str]:
    proxy = " --haproxy-protocol" if listener.proxy_protocol is not None else ""
    lines = []
    for host in listener.virtual_hosts[:3]:
        name = host.domains[0].replace("*.", "any.")
        header = "" if name == "*" else f' --header "Host: {name}"'
        path = host.routes[0].match.value if host.routes else "/"
        lines.append(f"try: curl --verbose{proxy}{header} {_url(listener)}{path}")
    return lines
