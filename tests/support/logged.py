"""What both proxies log for the same cases."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.engine import Side
from pyproxy.conformance.inputs import V1_LINE, get
from pyproxy.conformance.subjects import EnvoySubject, PyproxySubject

MARK = "/a-mark"


async def logged(
    group: Group, cases: Sequence[Case], folder: Path, log_format: str = "json"
) -> dict[str, list[list[str]]]:
    """The lines of each proxy, a list for each case. The format must have the path in it."""
    logs = {"Envoy": folder / "envoy", "pyproxy": folder / "pyproxy"}
    sides = [
        Side(partial(EnvoySubject, access_log=logs["Envoy"], log_format=log_format), group, lanes=1),
        Side(partial(PyproxySubject, access_log=logs["pyproxy"], log_format=log_format), group, lanes=1),
    ]
    preface = V1_LINE if "roxyProtocol" in group.spec else b""
    for side in sides:
        await side.start()
    try:
        for case in cases:
            mark = get(path=MARK.encode(), host=group.hostname.encode() or b"h")
            marked = replace(case, steps=(preface + mark,), responses=1)
            for part in (marked, case):
                await asyncio.gather(*(side.run(part, 0) for side in sides))
    finally:
        for side in sides:
            await side.stop()
    return {name: _split(log.read_text(errors="surrogateescape")) for name, log in logs.items()}


def _split(text: str) -> list[list[str]]:
    """The lines behind each mark."""
    found: list[list[str]] = []
    for line in text.split("\n")[:-1]:
        if MARK in line:
            found.append([])
        else:
            found[-1].append(line)
    return found
