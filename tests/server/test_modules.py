"""A module of ours runs as a process, wherever it is started."""

from __future__ import annotations

import subprocess
from pathlib import Path

from pyproxy.server.modules import as_process


def test_what_lies_in_the_current_folder_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "enum.py").write_text("raise SystemExit('the wrong one')")
    command, environment = as_process("pyproxy", "--version")
    done = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
