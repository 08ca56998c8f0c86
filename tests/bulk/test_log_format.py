"""Access log lines beside Envoy's, for the cases that take longer."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyproxy.conformance.case import Group
from pyproxy.conformance.cases import GUIDE, TODAY
from pyproxy.conformance.cases_route_filters import FILTERS
from pyproxy.conformance.cases_routes import REDIRECTS, REWRITES
from tests.conformance.test_log_format import JSON, TEXT, differences

CASES_OF = [
    (TODAY, ("framing/", "path/", "refused/", "upstream/")),
    (GUIDE, ("headers/",)),
    *((group, ("",)) for group in (FILTERS, REWRITES, REDIRECTS)),
]


@pytest.mark.parametrize("log_format", [TEXT, JSON, "default"], ids=["text", "json", "default"])
@pytest.mark.parametrize(("group", "starts"), CASES_OF, ids=[group.name for group, _ in CASES_OF])
def test_lines_are_envoys(group: Group, starts: tuple[str, ...], log_format: str, tmp_path: Path) -> None:
    assert differences(group, starts, log_format, tmp_path) == []
