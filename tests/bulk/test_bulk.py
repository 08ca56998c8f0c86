"""Two gigabytes each way through a running pyproxy: nothing is lost and nothing is kept. Its own target: make bulk."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.bulk import transfer

GIGABYTE = 1 << 30


# A response must be whole within the route's 15 s, Envoy's default, however slow its reader is.
@pytest.mark.parametrize("direction", ["up", "down"])
@pytest.mark.parametrize(("size", "rate"), [(2 * GIGABYTE, None), (12 << 20, 1 << 20)], ids=["2 GB", "1 MB/s"])
def test_bulk(direction: str, size: int, rate: int | None, tmp_path: Path) -> None:
    result = transfer(direction, size, rate, tmp_path)
    print(f"{direction}: {size >> 20} MiB, memory grew by {result.growth / 1e6:.1f} MB, {result.seconds:.1f} s")  # noqa: T201
    assert result.same
    assert result.growth < 20_000_000
