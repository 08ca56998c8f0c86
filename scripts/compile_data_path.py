"""Compile the data path with mypyc: compile_data_path.py SOURCE BUILT OPT_LEVEL, where SOURCE has ``pyproxy`` in it.

What is to lie beside the sources goes to BUILT, and nothing to SOURCE. OPT_LEVEL is gcc's: 3 takes a minute, 0 some
seconds.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from mypyc.build import mypycify
from setuptools import setup

MODULES = ("errors.py", "settings.py", "wire/*.py", "proxy/*.py", "net/*.py", "observe/*.py")


def main(source: str, built: str, opt_level: str) -> None:
    target = Path(built).absolute()
    with TemporaryDirectory(prefix="pyproxy-") as folder:
        shutil.copytree(Path(source) / "pyproxy", Path(folder) / "pyproxy")
        os.chdir(folder)
        _compile(target, opt_level)
        os.chdir("/")


def _compile(target: Path, opt_level: str) -> None:
    found = [path for pattern in MODULES for path in sorted(Path("pyproxy").glob(pattern))]
    # Of an __init__.py there is nothing to compile; the types of other packages do not matter to what is made of ours.
    sources = [str(path) for path in found if path.name != "__init__.py"]
    extensions = mypycify(
        ["--config-file=", "--ignore-missing-imports", *sources], opt_level=opt_level, debug_level="0"
    )
    arguments = ["--quiet", "build_ext", "--build-lib", str(target)]
    setup(name="pyproxy-data-path", packages=[], ext_modules=extensions, script_args=arguments)


main(*sys.argv[1:])
