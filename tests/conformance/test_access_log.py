"""The access log, line by line beside Envoy's."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import Any

import pytest

from pyproxy.conformance.case import Group
from pyproxy.conformance.cases import CASES, GUIDE, GUIDE_PROXY, NO_BACKEND, TODAY
from pyproxy.conformance.cases_net_fields import COUNTED_GUIDE, HEALTH, RECEIVED, STREAM_DURATION_GUIDE, STREAM_IDLE
from tests.support.logged import logged

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
            record[name] = re.sub(r"^(127\.\d+\.\d+\.\d+):\d+$", r"\1:*", record[name])
    return record


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
        (RECEIVED, "timeout/"),
        (STREAM_IDLE, "timeout/"),
        (STREAM_DURATION_GUIDE, "stream/"),
        (COUNTED_GUIDE, "requests/"),
        (HEALTH, "health check/"),
    ],
    ids=lambda value: value.name if isinstance(value, Group) else value,
)
def test_lines_are_envoys(group: Group, start: str, tmp_path: Path) -> None:
    cases = [
        case
        for case in CASES
        if case.group is group and case.name.startswith(start) and not case.is_slow and case.name not in OTHER_DETAILS
    ]
    found = asyncio.run(logged(group, cases, tmp_path))
    for case, envoy, pyproxy in zip(cases, found["Envoy"], found["pyproxy"], strict=True):
        assert list(map(comparable, pyproxy)) == list(map(comparable, envoy)), case.name
