"""What changes for traffic between two settings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from pyproxy.server.listening import address_of
from pyproxy.settings import Listener, Settings


class What(Enum):
    """How far a listener's change goes."""

    ADDED = "added"
    ROUTES = "routes"
    """Only what is behind it: open connections take part in the change."""
    CHANGED = "changed"
    """Open connections finish on the old settings."""
    REMOVED = "removed"


@dataclass(frozen=True, slots=True)
class Change:
    """One listener's change."""

    what: What
    listener: Listener
    """As it is now; as it was where it has been removed."""


def compare(before: Settings, after: Settings) -> list[Change]:
    """The changes from ``before`` to ``after``, in the listeners' order. An address is what makes a listener the same.

    Envoy draws the line between ROUTES and CHANGED in the same place: Envoy Gateway sends it routes and clusters apart
    from listeners, so that a change of these drains nothing (measured).
    """
    old = {address_of(listener): listener for listener in before.listeners}
    changes = []
    for listener in after.listeners:
        former = old.pop(address_of(listener), None)
        if former is None:
            changes.append(Change(What.ADDED, listener))
        elif former != listener:
            only_routes = replace(former, virtual_hosts=listener.virtual_hosts) == listener
            changes.append(Change(What.ROUTES if only_routes else What.CHANGED, listener))
    return changes + [Change(What.REMOVED, listener) for listener in old.values()]
