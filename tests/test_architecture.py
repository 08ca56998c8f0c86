"""The house as design draws it: rooms, sizes, a test for every module."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "pyproxy").rglob("*.py"))

# Data and seams whose tests stand under another name.
TESTED_ELSEWHERE = {
    "__init__.py": "",
    "__main__.py": "e2e/test_cli.py",
    "cli.py": "e2e/test_cli.py",
    "conformance/case.py": "conformance/test_run.py",
    "conformance/cases.py": "conformance/test_run.py",
    "conformance/deviations.py": "conformance/test_run.py",
    "conformance/fuzz.py": "conformance/test_run.py",
    "conformance/kernel.py": "conformance/test_run.py",
    "conformance/peers.py": "conformance/test_run.py",
    "conformance/subjects.py": "conformance/test_run.py",
    "errors.py": "policy/test_load.py",
    "net/exchange.py": "net/test_downstream.py",
    "net/listener.py": "net/test_downstream.py",
    "policy/client_traffic_policy.py": "policy/test_load.py",
    "policy/model.py": "policy/test_load.py",
    "policy/release.py": "policy/test_translate.py",
    "server/plain_http.py": "server/test_echo.py",
    "server/serve.py": "e2e/test_cli.py",
    "settings.py": "policy/test_translate.py",
    "wire/messages.py": "wire/test_http1.py",
}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_and_has_a_test(module: Path) -> None:
    name = str(module.relative_to(ROOT / "pyproxy"))
    assert len(module.read_text().splitlines()) <= 600
    if module.name == "__init__.py":
        return
    mirror = f"{Path(name).parent}/test_{module.name}"
    assert (ROOT / "tests" / TESTED_ELSEWHERE.get(name, mirror)).is_file()


def test_no_path_of_the_machine_it_was_written_on() -> None:
    for folder in ("pyproxy", "tests", "config", "benchmarks", "docs", "scripts"):
        for file in (ROOT / folder).rglob("*"):
            if file.is_file() and file.suffix in (".py", ".md", ".yaml", ".toml", "") and file != Path(__file__):
                assert "/root/" not in file.read_text(errors="replace"), file
