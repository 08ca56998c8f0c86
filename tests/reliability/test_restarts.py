"""The process is restarted under load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.figures import Figures
from tests.support.restarting import Order, restart

pytestmark = pytest.mark.asyncio


@pytest.mark.parametrize("order", Order)
async def test_r11_restarted(order: Order, figures: Figures, tmp_path: Path) -> None:
    """Restarted 5 times under 1,000 requests/s, on a socket that stays"""
    result = await restart(tmp_path, order, times=5, rate=1000)
    outcome = result.outcome
    figures.add(f"{order.value}: requests", outcome.ok, at_least=1000)
    figures.exactly(f"{order.value}: failed requests", outcome.failed, 0)
    figures.add(f"{order.value}: told to close", outcome.told_to_close)
    figures.add(f"{order.value}: SIGTERM to the end, at most, s", max(result.stopped_after), at_most=10)
    figures.add(f"{order.value}: slowest request, ms", outcome.worst)
    assert set(result.exit_codes) == {0}
