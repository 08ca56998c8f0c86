"""``pyproxy conformance`` on a machine that may be busy."""

from __future__ import annotations

import re

import pytest

from pyproxy.conformance.run import Options, run_conformance

ATTEMPTS = 3

_NAMED = re.compile(r"(?m)^(.+): (?:different|unsafe|stale, .*)(?:, minimized)?$")


def differs_every_time(options: Options, capsys: pytest.CaptureFixture[str]) -> str:
    """What was said when one and the same thing differed in each of some runs; nothing when none did.

    Many cases are about fractions of a second. What a busy machine makes different is something else the next time.
    """
    said, names = "", None
    for _ in range(ATTEMPTS):
        if run_conformance(options) == 0:
            return ""
        said = capsys.readouterr().out
        found = set(_NAMED.findall(said))
        assert found, said
        names = found if names is None else names & found
        if not names:
            return ""
    return said
