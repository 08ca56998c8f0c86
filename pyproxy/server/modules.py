"""A module of ours as a process of its own."""

from __future__ import annotations

import os
import sys


def as_process(module: str, *arguments: str) -> tuple[list[str], dict[str, str]]:
    """Command and environment to run ``module`` with what is importable here, whatever lies in the current folder."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return [sys.executable, "-P", "-m", module, *arguments], environment
