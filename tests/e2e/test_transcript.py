"""docs/transcript.md: every field at once, and each one's effect."""

from __future__ import annotations

from tests.policy.test_fields import ENFORCED
from tests.support.transcript import FILE, masked, page, run_all, shown_fields


def test_every_field_is_shown() -> None:
    assert shown_fields() == {name for name, _ in ENFORCED}


def test_the_page_is_what_happens() -> None:
    assert masked(page(run_all())) == masked(FILE.read_text()), "run make docs"
