"""Access logs in formats of the user's own, line by line beside Envoy's."""

from __future__ import annotations

import asyncio
import json
import re
from difflib import unified_diff
from pathlib import Path

import pytest

from pyproxy.conformance.case import Group
from pyproxy.conformance.cases import CASES, GUIDE_PROXY, NO_BACKEND
from pyproxy.conformance.cases_http_fields import EARLY_SPECIAL
from tests.support.logged import logged

OPERATORS = (
    "REQ(:METHOD)",
    "REQ(:PATH)",
    "REQ(X-ENVOY-ORIGINAL-PATH?:PATH)",
    "REQ(:AUTHORITY)",
    "REQ(HOST)",
    "REQ(:SCHEME)",
    "REQ(USER-AGENT):3",
    "REQ(X-FORWARDED-FOR)",
    "REQ(X-FORWARDED-PROTO)",
    "REQ(X-FORWARDED-HOST)",
    "REQ(X-ENVOY-EXPECTED-RQ-TIMEOUT-MS)",
    "REQ(X-ENVOY-INTERNAL)",
    "REQ(X-ENVOY-EXTERNAL-ADDRESS)",
    "REQ(CONTENT-LENGTH)",
    "REQ(TRANSFER-ENCODING)",
    "REQ(TE)",
    "REQ(UPGRADE)",
    "REQ(COOKIE)",
    "REQ(X-A?X-B):2",
    "REQ(X-NOPE?X-NO)",
    "RESP(:STATUS)",
    "RESP(CONTENT-LENGTH)",
    "RESP(CONTENT-TYPE)",
    "RESP(SERVER)",
    "RESP(TRANSFER-ENCODING)",
    "RESP(LOCATION)",
    "RESP(CONNECTION)",
    "RESP(X-BACKEND):1",
    "TRAILER(X-T)",
    "PROTOCOL",
    "RESPONSE_CODE",
    "RESPONSE_CODE_DETAILS",
    "RESPONSE_FLAGS",
    "RESPONSE_FLAGS_LONG",
    "BYTES_RECEIVED",
    "BYTES_SENT",
    "CONNECTION_TERMINATION_DETAILS",
    "ROUTE_NAME",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_CLUSTER_RAW",
    "UPSTREAM_PROTOCOL",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT",
    "UPSTREAM_TRANSPORT_FAILURE_REASON",
    "UPSTREAM_HOST",
    "UPSTREAM_REMOTE_ADDRESS",
    "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "UPSTREAM_LOCAL_ADDRESS",
    "UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(16)",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS",
    "DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_TLS_VERSION",
    "DOWNSTREAM_PEER_SUBJECT",
    "REQUESTED_SERVER_NAME",
    "DYNAMIC_METADATA(envoy.filters.listener.proxy_protocol:KEY)",
    "FILTER_STATE(key)",
    "TRACE_ID",
    "SPAN_ID",
    "ACCESS_LOG_TYPE",
    "HOSTNAME",
    "ENVIRONMENT(HOME):4",
    "ENVIRONMENT(PYPROXY_NO_SUCH)",
    "START_TIME(%Y-%m-%d)",
)


def name(operator: str) -> str:
    return operator.replace("%", "")


TEXT = " ".join(f"<{name(operator)}=%{operator}%>" for operator in OPERATORS) + " 100%%"
JSON = json.dumps(
    {
        "request": {name(operator): f"%{operator}%" for operator in OPERATORS[:40]},
        "rest": [f"%{operator}%" for operator in OPERATORS[40:]],
        "mixed": "%REQ(:PATH)% %RESPONSE_CODE% %REQ(X-NOPE)%",
        "constant": "100%%",
        "number": 7,
        "yes": True,
        "none": None,
    }
)

# pyproxy notices a control character at another step than Envoy; both answer 400. And of a target that it refuses it
# does not remember the scheme.
OTHER_DETAILS = ("refused/garbage", "path/absolute form with query only")

QUICK = [
    (GUIDE_PROXY, ("headers/",)),
    (NO_BACKEND, ("upstream/",)),
    (EARLY_SPECIAL, ("",)),
]
"""tests/bulk/test_log_format.py has the others."""


def comparable(line: str) -> str:
    """A line without what differs from run to run."""
    line = re.sub(r"(127\.\d+\.\d+\.\d+):\d+", r"\1:*", line)
    line = re.sub(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", "TIME", line)
    line = re.sub(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID", line)
    # The default format's duration and service time, behind the bytes.
    return re.sub(r'^(\[TIME\] ".*" \d+ \S+ \d+ \d+) \d+ \S+', r"\1 * *", line)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("log_format", [TEXT, JSON, "default"], ids=["text", "json", "default"])
@pytest.mark.parametrize(("group", "starts"), QUICK, ids=[group.name for group, _ in QUICK])
def test_lines_are_envoys(group: Group, starts: tuple[str, ...], log_format: str, tmp_path: Path) -> None:
    assert differences(group, starts, log_format, tmp_path) == []


def differences(group: Group, starts: tuple[str, ...], log_format: str, folder: Path) -> list[str]:
    """What the two log differently in the cases of ``group`` whose names start so."""
    cases = [
        case
        for case in CASES
        if case.group is group and case.name.startswith(starts) and not case.is_slow and case.name not in OTHER_DETAILS
    ]
    found = asyncio.run(logged(group, cases, folder, log_format))
    wrong = []
    for case, envoy, pyproxy in zip(cases, found["Envoy"], found["pyproxy"], strict=True):
        lines = unified_diff(fields(envoy), fields(pyproxy), "Envoy", "pyproxy", lineterm="", n=0)
        wrong += [f"{case.name}: {line}" for line in lines]
    return wrong


def fields(lines: list[str]) -> list[str]:
    """One for each operator, so that a failure shows those that differ."""
    return [field for line in lines for field in re.split(r"(?<=>) |(?<=,)(?=\")", comparable(line))]
