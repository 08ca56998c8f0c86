"""Counters, gauges and histograms beside Envoy's: the same names, labels and values for the same traffic.

Conformance cases run through both proxies with their stats read before and after each, so that a difference names the
case. ``stat_exceptions.toml`` lists what may differ and why.
"""

from __future__ import annotations

import asyncio
import json
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from pyproxy.conformance.case import Group
from pyproxy.conformance.cases import CASES
from pyproxy.conformance.engine import Side
from pyproxy.conformance.subjects import EnvoySubject, PyproxySubject
from tests.support.admin import ask

SCOPES = re.compile(
    r"http\.http-|listener\.(?!admin)|cluster\.|proxy_proto\.|http1\.|server\.|downstream_cx_proxy_proto"
)
FLUSH = 5.6
"""Seconds after which Envoy has surely merged its histograms."""
SETTLE = 3.0
"""Seconds that the two may take to notice that a case is over."""


@dataclass
class Exemption:
    """Something that may differ."""

    pattern: str
    reason: str
    cases: str = ""
    """Only in cases whose name has this in it."""
    within: int | None = None
    """By no more than this."""
    used: bool = False

    def covers(self, name: str, case: str, difference: int) -> bool:
        covered = (
            re.fullmatch(self.pattern, name) is not None
            and re.search(self.cases, case) is not None
            and (self.within is None or difference <= self.within)
        )
        self.used = self.used or covered
        return covered


EXEMPTIONS = [
    Exemption(**entry)
    for entry in tomllib.loads(Path(__file__).with_name("stat_exceptions.toml").read_text())["exception"]
]


def covered(name: str, case: str, difference: int = 0) -> bool:
    """Whether ``name`` may differ."""
    covering = [one for one in EXEMPTIONS if one.covers(name, case, difference)]  # each is to learn that it is needed
    return bool(covering)


@dataclass
class Reading:
    """One proxy's stats at one time; names without the ports, which differ."""

    plain: dict[str, int] = field(default_factory=dict)
    histograms: dict[str, int] = field(default_factory=dict)
    """Values counted."""


def port_free(text: str) -> str:
    """``text`` without the addresses of listeners and endpoints."""
    return re.sub(r"(http-|127\.\d+\.\d+\.\d+[_:])\d+", lambda found: re.sub(r"\d+", "N", found[0]), text)


async def read(side: Side) -> Reading:
    reading = Reading()
    stats = json.loads(await ask(side.subject.admin_port, "/stats?format=json&histogram_buckets=detailed"))["stats"]
    for one in stats:
        if "histograms" in one:
            for histogram in one["histograms"]["details"]:
                if SCOPES.match(histogram["name"]):
                    count = sum(row["count"] for row in histogram["totals"])
                    reading.histograms[port_free(histogram["name"])] = count
        elif SCOPES.match(one["name"]):
            reading.plain[port_free(one["name"])] = one["value"]
    return reading


def changes(before: Mapping[str, int], after: Mapping[str, int]) -> dict[str, int]:
    return {name: change for name, value in after.items() if (change := value - before.get(name, 0))}


def differences(envoy: Mapping[str, int], pyproxy: Mapping[str, int], case: str) -> dict[str, tuple[int, int]]:
    """What differs and may not."""
    names = sorted(envoy.keys() | pyproxy.keys())
    pairs = {name: (envoy.get(name, 0), pyproxy.get(name, 0)) for name in names}
    different = {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}
    return {name: pair for name, pair in different.items() if not covered(name, case, abs(pair[0] - pair[1]))}


async def settled(sides: Iterable[Side], before: list[Reading], case: str) -> tuple[list[Reading], dict[str, Any]]:
    """The stats once both have done with a case, and what is left of differences."""
    deadline = asyncio.get_running_loop().time() + SETTLE
    while True:
        after = [await read(side) for side in sides]
        envoy, pyproxy = [changes(old.plain, new.plain) for old, new in zip(before, after, strict=True)]
        left = differences(envoy, pyproxy, case)
        if not left or asyncio.get_running_loop().time() > deadline:
            return after, left
        await asyncio.sleep(0.03)


async def families(side: Side) -> dict[str, tuple[str, set[str]]]:
    """Type, and labels with their values, of each family in the exposition."""
    found: dict[str, tuple[str, set[str]]] = {}
    # The parser takes counters without _total for unknown ones, so that their type is read here.
    text = await ask(side.subject.admin_port, "/stats/prometheus")
    types = dict(re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE))
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            of_admin = sample.labels.get("envoy_http_conn_manager_prefix") in ("admin", "async-client")
            if of_admin or "_admin_" in sample.name:
                continue
            labels = port_free(json.dumps(sample.labels, sort_keys=True))
            name = next((one for one in (sample.name, family.name) if one in types), sample.name)
            found.setdefault(sample.name, (types.get(name, ""), set()))[1].add(labels)
    return {name: entry for name, entry in found.items() if SCOPES_IN_PROMETHEUS.match(name)}


SCOPES_IN_PROMETHEUS = re.compile(
    r"envoy_(http1?_|listener_(?!admin|manager)|cluster_(?!manager)|proxy_proto_|server_|downstream_cx_proxy_proto)"
)


async def compare(group: Group) -> dict[str, Any]:
    """What differs, by the case, over all cases of ``group`` but the slow ones."""
    cases = [case for case in CASES if case.group is group and not case.is_slow]
    sides = [Side(EnvoySubject, group, lanes=1), Side(PyproxySubject, group, lanes=1)]
    wrong: dict[str, Any] = {}
    for side in sides:
        await side.start()
    try:
        readings = first = [await read(side) for side in sides]
        for case in cases:
            await asyncio.gather(*(side.run(case, 0) for side in sides))
            readings, left = await settled(sides, readings, case.name)
            if left:
                wrong[case.name] = left
        await asyncio.sleep(FLUSH)
        last = [await read(side) for side in sides]
        counts = [changes(old.histograms, new.histograms) for old, new in zip(first, last, strict=True)]
        left = differences(counts[0], counts[1], "histograms")
        if left:
            wrong["histograms"] = left
        envoy, pyproxy = [await families(side) for side in sides]
        for name in sorted(envoy.keys() | pyproxy.keys()):
            if envoy.get(name) != pyproxy.get(name) and not covered(name, "exposition"):
                wrong[f"exposition {name}"] = (envoy.get(name), pyproxy.get(name))
    finally:
        for side in sides:
            await side.stop()
    return wrong


async def compare_all(groups: Iterable[Group], *, at_once: int) -> dict[str, dict[str, Any]]:
    """``compare`` for several groups, by their names; those without differences are left out."""
    turn = asyncio.Semaphore(at_once)

    async def one(group: Group) -> tuple[str, dict[str, Any]]:
        async with turn:
            return group.name, await compare(group)

    return {name: wrong for name, wrong in await asyncio.gather(*map(one, groups)) if wrong}


def report(wrong: Mapping[str, Mapping[str, Any]]) -> str:
    """For a failure."""
    lines = {group: {name: repr(pair) for name, pair in one.items()} for group, one in wrong.items()}
    return json.dumps(lines, indent=1)
