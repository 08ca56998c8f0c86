"""The threat model names tests; they are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NAMED = sorted(set(re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", (ROOT / "THREAT_MODEL.md").read_text())))


@pytest.mark.parametrize(("file", "name"), NAMED)
def test_a_test_that_holds_a_promise_is_there(file: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE)


def test_every_promise_has_one() -> None:
    promises = [
        line
        for section in (ROOT / "THREAT_MODEL.md").read_text().split("\n### ")[1:]
        for line in section.partition("\n## ")[0].splitlines()
        if line.startswith("| ") and not line.startswith("| promise")
    ]
    assert len(promises) > 20
    assert all("`tests/" in line for line in promises)
