"""The policy changes under load."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reliability.figures import Figures
from tests.support.rewriting import rewrite
from tests.support.subjects import Subject

pytestmark = pytest.mark.asyncio


async def test_r12_rewritten(subject: Subject, figures: Figures, tmp_path: Path) -> None:
    """A policy rewritten 100 times, good and bad in turn, under 1,000 requests/s; for Envoy by LDS"""
    result = await rewrite(tmp_path, times=100, rate=1000, envoy=subject.is_envoy)
    figures.add("requests", result.outcome.ok, at_least=5000)
    figures.add("connections told to close", result.outcome.told_to_close)
    figures.exactly("failed requests", result.outcome.failed, 0)
    figures.exactly("further connections reset", result.resets, 0)
    figures.exactly("good ones in force", len(result.in_force), 50)
    figures.add("in force after, at most, s", max(result.in_force), at_most=1)
    figures.exactly("bad ones reported", len(result.reported), 50)
    figures.add("reported after, at most, s", max(result.reported), at_most=1)
    figures.add("slowest request, ms", result.outcome.worst)
    figures.add("memory in the second half, % more", result.growth, at_most=2)
