"""Inputs by the thousand: corpora, damaged requests, every cut, and parsers under coverage-guided fuzzing."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import time
from base64 import b64decode

import pytest

from tests.corpus.build import corpora
from tests.fuzz.targets import TARGETS
from tests.reliability.figures import Figures
from tests.support.processes import PYPROXY, ROOT

pytestmark = pytest.mark.timeout(300)

FUZZ_SECONDS = 8


def conformance(figures: Figures, what: str, *arguments: str) -> None:
    """Run the verb, which compares with Envoy, and note its totals."""
    command = [*PYPROXY, "conformance", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=280, check=False)
    print(done.stdout)  # noqa: T201 - pytest shows it where the test fails
    last = done.stdout.splitlines()[-1] if done.stdout else done.stderr
    totals = {word: int(count) for count, word in re.findall(r"(\d+) (cases|the same|explained|different)", last)}
    assert "cases" in totals, done.stdout + done.stderr
    figures.add(f"{what}: cases", totals["cases"])
    figures.add(f"{what}: explained by a deviation", totals.get("explained", 0))
    figures.exactly(f"{what}: different from Envoy", totals.get("different", 0), 0)
    assert "Traceback" not in done.stdout + done.stderr
    assert done.returncode == 0 or totals.get("different"), done.stdout


def test_r25_corpora(figures: Figures) -> None:
    """The conformance cases and the project's corpora, beside Envoy"""
    conformance(figures, "cases")
    conformance(figures, "corpora", "--corpus", "tests/corpus")


def test_r26_damaged(figures: Figures) -> None:
    """Damaged requests and PROXY headers, beside Envoy"""
    conformance(figures, "requests", "--fuzz", "2000", "--seed", "1")
    conformance(figures, "PROXY headers", "--fuzz", "1000", "--seed", "2", "--proxy-protocol", "optional")


def test_r27_cuts(figures: Figures) -> None:
    """Each input of the corpora whole, cut in two at each byte, and byte by byte"""
    targets = {
        "http1_requests.jsonl": ("requests", "lanes"),
        "http1_responses.jsonl": ("responses",),
        "proxy_protocol.jsonl": ("prefaces",),
    }
    count = 0
    for name, parsers in targets.items():
        for row in corpora()[name]:
            data = b64decode(row["input_b64"])
            for parser in parsers:
                # Of a long input, two hundred cuts.
                for at in range(0, len(data), max(1, len(data) // 200)):
                    TARGETS[parser](data, (at,))
                    count += 1
                TARGETS[parser](data, range(len(data)))
    figures.add("cuts with the same result", count)


def test_r28_fuzzed(figures: Figures) -> None:
    """Each parser under coverage-guided fuzzing"""
    if importlib.util.find_spec("atheris") is None:
        pytest.skip("needs atheris, which make reliability installs where there is a wheel of it")
    started = time.monotonic()
    executed = 0
    for name in TARGETS:
        command = [sys.executable, "-m", "tests.fuzz", name, str(FUZZ_SECONDS)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=100, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        found = re.search(r"number_of_executed_units: (\d+)", done.stderr)
        assert found is not None, done.stderr[-2000:]
        executed += int(found[1])
    figures.add("parsers", len(TARGETS))
    figures.add("inputs without an exception", executed)
    figures.add("seconds", round(time.monotonic() - started))
