"""The data path compiles, and Envoy says the same of what is compiled. ``make compiled`` runs far more of it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("wire", "proxy", "net", "observe")


@pytest.mark.timeout(400)
def test_what_is_compiled_does_what_envoy_does(tmp_path: Path) -> None:
    # Without optimization, which takes gcc most of its time.
    compile_it: list[str | Path] = [ROOT / "scripts/compiled-tree", sys.executable, tmp_path, "0"]
    subprocess.run(compile_it, cwd=ROOT, check=True, capture_output=True, timeout=300)
    for room in ROOMS:
        sources = {file.stem for file in (ROOT / "pyproxy" / room).glob("*.py")} - {"__init__"}
        assert {file.name.partition(".")[0] for file in (tmp_path / "pyproxy" / room).glob("*.so")} == sources
    said = subprocess.run(
        [sys.executable, "-m", "pyproxy", "conformance", "-k", "framing"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=90,
    )  # fmt: skip
    assert said.returncode == 0, said.stdout + said.stderr
    assert "the same" in said.stdout
