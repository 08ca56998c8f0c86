"""Stats beside Envoy's, for some of the cases; tests/bulk/test_stats.py runs them all."""

from __future__ import annotations

import asyncio

import pytest

from pyproxy.conformance.cases import NO_BACKEND, PROXY_REQUIRED
from tests.support.stats import compare_all, report


@pytest.mark.timeout(120)
def test_stats_are_envoys() -> None:
    wrong = asyncio.run(compare_all([NO_BACKEND, PROXY_REQUIRED], at_once=2))
    assert not wrong, report(wrong)
