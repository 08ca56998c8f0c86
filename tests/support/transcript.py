"""docs/transcript.md: config/every-field.yaml as it is served, and what each field does, seen with curl and ss.

``python -m tests.support.transcript`` writes the page. A test runs all of it again, holds each output to what it has to
show, and the page to the outputs.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import textwrap
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import PYPROXY, ROOT, free_port, running, serving

POLICY = ROOT / "config/every-field.yaml"
FILE = ROOT / "docs/transcript.md"

PREFACE = """\
# Every field at once

[config/every-field.yaml](../config/every-field.yaml) has one policy with every field of a ClientTrafficPolicy that
concerns an HTTP listener, and three small ones on listeners of their own for what can't stand beside these fields. This
is what curl and ss see of each. `make docs` writes this page; a test runs its commands again and compares.

The backend, `python -m tests.support.mirror 3000`, answers with the bytes that it got.
"""

PRELUDE = """\
get() { curl --silent --include --max-time 20 --header "Host: www.example.com" "http://127.0.0.1:10080$1" "${@:2}"; }
# What curl can't be made to send; prints what comes back until the other side closes.
say() { exec 3<>/dev/tcp/127.0.0.1/${2-10080}; printf "$1" >&3; cat <&3; }
TIMEFORMAT="%1R s"
"""


@dataclass(frozen=True, slots=True)
class Step:
    """A command, what it is about, and patterns of what it has to print, in this order."""

    fields: list[str]
    command: str
    shows: list[str]
    title: str = ""
    text: str = ""
    alone: bool = False
    """Nothing else may have connections meanwhile."""


def read_steps() -> list[Step]:
    """The table beside this module."""
    return [Step(**step) for step in tomllib.loads(Path(__file__).with_suffix(".toml").read_text())["step"]]


STEPS = read_steps()


def shown_fields() -> set[str]:
    """All that some step is about."""
    return {f"spec.{field}" for step in STEPS for field in step.fields}


def run_all() -> dict[str, str]:
    """What each command prints. Ports are other ones than the page's; in commands and outputs they are the page's."""
    ports = {documented: free_port() for documented in (10080, 8081, 8082, 8083, 3000)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "every-field.yaml"
        file.write_text(_with_ports(POLICY.read_text().replace("port: 80,", "port: 10080,"), ports))
        mirror = [sys.executable, "-m", "tests.support.mirror", str(ports[3000])]
        with running(mirror) as backend:
            backend.wait_for("mirror on")
            with serving("--release", "v1.9", "-f", file, "--access-log", "off") as server:

                def run(step: Step) -> str:
                    return _run(step.command, ports, file, server.pid)

                # What mostly waits does so together.
                together = [step for step in STEPS if not step.alone]
                with ThreadPoolExecutor(6) as pool:
                    outputs = list(pool.map(run, together))
                found = {step.command: output for step, output in zip(together, outputs, strict=True)}
                return found | {step.command: run(step) for step in STEPS if step.alone}


def _run(command: str, ports: Mapping[int, int], file: Path, pid: int) -> str:
    command = _with_ports(PRELUDE + command, ports).replace("config/every-field.yaml", str(file))
    command = command.replace("pyproxy ", f"{' '.join(PYPROXY)} ").replace("python -c", f"{sys.executable} -c")
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment["PATH"] = f"{environment['PATH']}:/usr/sbin:/sbin"
    done = subprocess.run(
        ["bash", "-c", command.replace("$PID", str(pid))],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
        timeout=60, check=False, env=environment, cwd=ROOT,
    )  # fmt: skip
    text = done.stdout.decode().replace("\r", "").replace(str(file), "config/every-field.yaml")
    return _with_ports(text, {real: documented for documented, real in ports.items()})


def _with_ports(text: str, ports: Mapping[int, int]) -> str:
    return re.sub(r"\b\d{4,5}\b", lambda found: str(ports.get(int(found[0]), found[0])), text)


def masked(text: str) -> str:
    """Without what is another time each time: times, and how much a buffer holds."""
    text = re.sub(r"\b\d+\.\d s\b", "N s", text)
    text = re.sub(r"(?m)^\d+ (?=127)", "N ", text)
    return re.sub(r"service-time: \d+|(?<=forwarded-for: 198\.51\.100\.1,)\S+|\d+min", "N", text)


def page(found: Mapping[str, str]) -> str:
    """docs/transcript.md. Raises ``ValueError`` if a command does not show what it has to."""
    lines = [PREFACE, "```shell", "pyproxy serve --release v1.9 -f config/every-field.yaml & PID=$!", PRELUDE + "```"]
    for step in STEPS:
        lines += ["", f"## {step.title}"] if step.title else []
        if re.search(".*".join(step.shows), found[step.command], re.DOTALL | re.MULTILINE) is None:
            raise ValueError(f"{step.command}\ndoes not show {step.shows}:\n{found[step.command]}")
        lines += ["", *([*textwrap.wrap(step.text, 118, break_on_hyphens=False), ""] if step.text else [])]
        lines += ["```console", f"$ {step.command}", *found[step.command].rstrip().splitlines(), "```"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(page(run_all()))
