"""Known differences from Envoy, each with its reason: ``deviations.toml``.

Only where pyproxy refuses, for safety or because what Envoy does is a bug. An entry explains a difference if its
pattern is in the part of the bytes that it is about, and pyproxy forwarded less than Envoy and nothing else.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from pyproxy.conformance.case import Case, Group, Observation
from pyproxy.conformance.cases import PROXY_REQUIRED, TODAY
from pyproxy.conformance.inputs import GET
from pyproxy.conformance.judge import refuses
from pyproxy.conformance.parts import PARTS, PROXY_HEADER, parts
from pyproxy.conformance.peers import Script

SENDERS = ("client", "backend")


@dataclass(frozen=True, slots=True)
class Deviation:
    """One class of differences."""

    name: str
    sender: str
    """Whose bytes it is about: ``client`` or ``backend``."""
    part: str
    """Which part of them, as ``parts`` cuts them."""
    pattern: re.Pattern[bytes]
    example: bytes
    """What that sender sends, so that the two proxies differ."""
    reason: str
    request: bytes = GET
    """That a backend's example answers."""
    policy: str = ""
    """The ClientTrafficPolicy's spec that the example needs."""

    def matches(self, case: Case) -> bool:
        """Whether ``case`` has the bytes that this is about."""
        if self.sender == "client":
            found = parts(case.sent, proxy_protocol=case.reads_proxy_headers)
        elif not case.answers_specially:
            return False
        else:
            found = parts(case.script.replies[0])
        return any(name == self.part and self.pattern.search(data) for name, data in found)

    def example_case(self) -> Case:
        """The example, to be run through both proxies."""
        name = f"deviation/{self.name}"
        group = Group(f"deviation {self.name}", spec=self.policy) if self.policy else TODAY
        if self.sender == "backend":
            return Case(name, group, (self.request,), Script((self.example,)), quiet=1.4, corpus="deviations")
        if self.part == PROXY_HEADER:
            group = PROXY_REQUIRED
        return Case(name, group, (self.example,), corpus="deviations")


@cache
def load_deviations() -> tuple[Deviation, ...]:
    """The packaged list."""
    text = resources.files("pyproxy.conformance").joinpath("deviations.toml").read_text()
    found = tuple(
        Deviation(
            entry["name"],
            entry["sender"],
            entry["part"],
            re.compile(entry["pattern"].encode("latin-1")),
            entry["example"].replace("{long}", "x" * 17_000).encode("latin-1"),
            entry["reason"],
            entry["request"].encode("latin-1") if "request" in entry else GET,
            entry.get("policy", ""),
        )
        for entry in tomllib.loads(text)["deviation"]
    )
    assert all(one.sender in SENDERS and one.part in PARTS for one in found)
    return found


def explain(deviations: Sequence[Deviation], case: Case, envoy: Observation, pyproxy: Observation) -> str | None:
    """The name of the deviation that a difference is, or ``None``."""
    if not refuses(envoy, pyproxy, to_head=case.answers_to_head):
        return None
    return next((deviation.name for deviation in deviations if deviation.matches(case)), None)
