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
    "conformance/cases_http1.py": "conformance/test_run.py",
    "conformance/cases_together.py": "conformance/test_run.py",
    "conformance/cases_http_fields.py": "conformance/test_run.py",
    "conformance/cases_net_fields.py": "conformance/test_run.py",
    "conformance/cases_route_filters.py": "conformance/test_run.py",
    "conformance/cases_routes.py": "conformance/test_run.py",
    "conformance/child.py": "conformance/test_engine.py",
    "conformance/document.py": "conformance/test_deviations.py",
    "conformance/fuzz/choose.py": "conformance/test_fuzz.py",
    "conformance/fuzz/chunks.py": "conformance/test_fuzz.py",
    "conformance/fuzz/corners.py": "conformance/test_fuzz.py",
    "conformance/fuzz/generate.py": "conformance/test_fuzz.py",
    "conformance/fuzz/mutate.py": "conformance/test_fuzz.py",
    "conformance/fuzz/policies.py": "conformance/test_fuzz.py",
    "conformance/fuzz/prefaces.py": "conformance/test_fuzz.py",
    "conformance/fuzz/requests.py": "conformance/test_fuzz.py",
    "conformance/fuzz/responses.py": "conformance/test_fuzz.py",
    "conformance/inputs.py": "conformance/test_run.py",
    "conformance/kernel.py": "conformance/test_run.py",
    "conformance/peers.py": "conformance/test_engine.py",
    "conformance/route_rules.py": "conformance/test_run.py",
    "conformance/subjects.py": "conformance/test_engine.py",
    "errors.py": "policy/test_load.py",
    "net/connection_state.py": "net/test_downstream.py",
    "net/counting.py": "conformance/test_stats.py",
    "net/exchange.py": "net/test_downstream.py",
    "net/exchange_state.py": "conformance/test_log_format.py",
    "net/listener.py": "net/test_downstream.py",
    "net/requester.py": "net/test_upstream.py",
    "observe/request_log.py": "observe/test_log_format.py",
    "policy/model.py": "policy/test_load.py",
    "policy/release.py": "policy/test_translate.py",
    "server/configuration.py": "e2e/test_admin.py",
    "server/instruments.py": "e2e/test_admin.py",
    "server/log_levels.py": "server/test_admin.py",
    "server/plain_http.py": "server/test_echo.py",
    "server/process.py": "e2e/test_admin.py",
    "server/serve.py": "e2e/test_cli.py",
    "server/worker.py": "e2e/test_workers.py",
    "server/workers.py": "e2e/test_workers.py",
    "settings.py": "policy/test_translate.py",
    "server/clusters.py": "server/test_admin.py",
    "server/query.py": "server/test_admin.py",
    "wire/messages.py": "wire/test_http1.py",
    "wire/upgrade.py": "wire/test_http1.py",
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
