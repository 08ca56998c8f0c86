"""Known differences from Envoy, each with its reason: ``deviations.toml``.

Only where pyproxy is stricter for safety. An entry explains a difference if its pattern is in what the client sent and
pyproxy forwarded less than Envoy: nothing explains forwarding what Envoy refuses.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources

from pyproxy.conformance.messages import UNFINISHED


@dataclass(frozen=True, slots=True)
class Deviation:
    """One class of differences."""

    name: str
    pattern: re.Pattern[bytes]
    """On the bytes that the client sent."""
    example: bytes
    reason: str
    proxy_protocol: bool
    """The example is for a listener that reads PROXY headers."""


def load_deviations() -> list[Deviation]:
    """The packaged list."""
    text = resources.files("pyproxy.conformance").joinpath("deviations.toml").read_text()
    return [
        Deviation(
            entry["name"],
            re.compile(entry["pattern"].encode()),
            entry["example"].encode(),
            entry["reason"],
            entry.get("proxy_protocol", False),
        )
        for entry in tomllib.loads(text)["deviation"]
    ]


def explain(deviations: Sequence[Deviation], sent: bytes, envoy: bytes, pyproxy: bytes) -> str | None:
    """The name of the deviation that a difference is, or ``None``. ``envoy``, ``pyproxy``: what each backend got."""
    if not envoy.startswith(pyproxy.removesuffix(UNFINISHED)):
        return None
    return next((deviation.name for deviation in deviations if deviation.pattern.search(sent)), None)
