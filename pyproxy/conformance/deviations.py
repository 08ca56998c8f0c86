"""Known differences from Envoy, each with its reason: ``deviations.toml``.

Only where pyproxy is stricter for safety, or where Envoy's behaviour is a bug. An entry that no case needs is stale.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources


@dataclass(frozen=True, slots=True)
class Deviation:
    """One class of differences."""

    name: str
    cases: tuple[str, ...]
    """Names of the cases in which it shows."""
    reason: str


def load_deviations() -> list[Deviation]:
    """The packaged list."""
    text = resources.files("pyproxy.conformance").joinpath("deviations.toml").read_text()
    return [
        Deviation(entry["name"], tuple(entry["cases"]), entry["reason"])
        for entry in tomllib.loads(text).get("deviation", [])
    ]
