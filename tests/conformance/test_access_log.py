"""The access log, line by line beside Envoy's."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.cases import CASES, GUIDE, GUIDE_PROXY, NO_BACKEND, TODAY, V1_LINE, get
from pyproxy.conformance.run import Side
from pyproxy.conformance.subjects import EnvoySubject, PyproxySubject

VOLATILE = ("start_time", "duration", "x-request-id", "x-envoy-upstream-service-time", "upstream_local_address")
ADDRESSES = ("downstream_remote_address", "downstream_local_address", "upstream_host")

# pyproxy notices a control character at another step than Envoy; both answer 400.
OTHER_DETAILS = ("refused/garbage",)


def comparable(line: str) -> dict[str, Any]:
    """A record without what differs from run to run."""
    record: dict[str, Any] = json.loads(line)
    for name in VOLATILE:
        if record[name] is not None:
            record[name] = "*"
    for name in ADDRESSES:
        if record[name] is not None:
            record[name] = re.sub(r"^(127\.0\.0\.1):\d+$", r"\1:*", record[name])
    return record


async def records(group: Group, cases: list[Case], folder: Path) -> dict[str, list[list[dict[str, Any]]]]:
    """What each proxy logs, a list for each case."""
    logs = {"Envoy": folder / "envoy", "pyproxy": folder / "pyproxy"}
    sides = [
        Side(partial(EnvoySubject, access_log=logs["Envoy"]), group, lanes=1),
        Side(partial(PyproxySubject, access_log=logs["pyproxy"]), group, lanes=1),
    ]
    preface = V1_LINE if group.spec else b""
    for side in sides:
        await side.start()
    try:
        for case in cases:
            mark = get(b"User-Agent: mark", path=b"/mark", host=group.hostname.encode() or b"h")
            for side in sides:
                await side.run(replace(case, steps=(preface + mark,), responses=1, bodiless=False), 0)
                await side.run(case, 0)
    finally:
        for side in sides:
            await side.stop()
    return {name: split(log.read_text()) for name, log in logs.items()}


def split(text: str) -> list[list[dict[str, Any]]]:
    """The records behind each mark."""
    found: list[list[dict[str, Any]]] = []
    for line in text.splitlines():
        record = comparable(line)
        if record["user-agent"] == "mark":
            found.append([])
        else:
            found[-1].append(record)
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("group", "start"),
    [
        (TODAY, "framing/"),
        (TODAY, "path/"),
        (TODAY, "refused/"),
        (TODAY, "upstream/"),
        (GUIDE, "headers/"),
        (GUIDE_PROXY, "headers/"),
        (NO_BACKEND, "upstream/"),
    ],
    ids=lambda value: value.name if isinstance(value, Group) else value,
)
def test_lines_are_envoys(group: Group, start: str, tmp_path: Path) -> None:
    cases = [
        case
        for case in CASES
        if case.group is group and case.name.startswith(start) and not case.is_slow and case.name not in OTHER_DETAILS
    ]
    found = asyncio.run(records(group, cases, tmp_path))
    for case, envoy, pyproxy in zip(cases, found["Envoy"], found["pyproxy"], strict=True):
        assert pyproxy == envoy, case.name
