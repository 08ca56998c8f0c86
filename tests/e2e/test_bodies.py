"""Large bodies, as far as a suite has time for them; tests/bulk has the rest."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bulk import transfer


@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize(("size", "rate"), [(128 << 20, None), (10 << 20, 5 << 20)], ids=["128 MB", "5 MB/s"])
def test_a_large_body(direction: str, size: int, rate: int | None, tmp_path: Path) -> None:
    result = transfer(direction, size, rate, tmp_path)
    assert result.same
    assert result.growth < 20_000_000
