"""Compiles the data path into the wheel when asked to: ``HATCH_BUILD_HOOKS_ENABLE=1 pip install .``

The same modules, translated to C by mypyc (with mypy's types) and lying beside their sources in the wheel. Nothing is
left in the source tree: there it would go on running when its source has changed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface


class CompiledDataPath(BuildHookInterface):  # type: ignore[misc]  # hatchling is only where wheels are built
    """The hook. Its configuration has ``mypy``, a pinned requirement."""

    def dependencies(self) -> list[str]:
        return [self.config["mypy"], "setuptools"]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return  # whoever edits wants to run what is edited
        self._built = Path(tempfile.mkdtemp(prefix="pyproxy-"))
        script = Path(self.root) / "scripts/compile_data_path.py"
        subprocess.run([sys.executable, script, self.root, self._built, "3"], check=True)
        files = self._built.rglob("*.so")
        build_data["force_include"] |= {str(file): str(file.relative_to(self._built)) for file in files}
        build_data["pure_python"] = False
        build_data["infer_tag"] = True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        shutil.rmtree(getattr(self, "_built", ""), ignore_errors=True)
