"""What people are told about fields: complete, true, and the same everywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pyproxy import explain
from pyproxy.explain import UnknownField, markdown, source, table, texts
from pyproxy.policy.client_traffic_policy import ClientTrafficPolicySpec
from pyproxy.policy.fields import FIELDS, Enforced

ROOT = Path(__file__).parents[1]
TARGETS = {"targetRefs": [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "eg"}]}


def test_every_field_has_its_text_and_no_other() -> None:
    assert set(texts()) == set(FIELDS)


def present(value: Any, parts: list[str]) -> bool:
    """Whether an example sets a field."""
    if not parts:
        return True
    name = parts[0].removesuffix("[]")
    if not isinstance(value, dict) or name not in value:
        return False
    inner = value[name]
    return any(present(one, parts[1:]) for one in inner) if parts[0].endswith("[]") else present(inner, parts[1:])


@pytest.mark.parametrize("field", FIELDS)
def test_an_example_is_valid_and_sets_the_field(field: str) -> None:
    example = yaml.safe_load(texts()[field].example)
    assert present(example, field.split(".")[1:])
    is_target = any(name.startswith("target") for name in example)
    ClientTrafficPolicySpec.model_validate(example if is_target else {**TARGETS, **example})


def test_the_document_is_the_generated_one() -> None:
    assert (ROOT / "docs/fields.md").read_text() == markdown(), "run make docs"


def test_a_source_is_where_the_function_begins() -> None:
    file, _, line = source("net.sockets:apply_keepalive").partition(":")
    assert file == "pyproxy/net/sockets.py"
    assert (ROOT / file).read_text().splitlines()[int(line) - 1].startswith("def apply_keepalive(")
    method = source("wire.proxy_protocol:Preface.receive")
    assert re.fullmatch(r"pyproxy/wire/proxy_protocol\.py:\d+", method)


def test_the_table_has_a_line_for_each_field_and_the_counts() -> None:
    lines = table().splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == list(FIELDS)
    enforced = [field for field, row in FIELDS.items() if isinstance(row, Enforced)]
    refused = len(FIELDS) - len(enforced)
    assert lines[-1].startswith(f"{len(FIELDS)} fields: {len(enforced)} enforced (")
    assert lines[-1].endswith(f" with a conformance case), {refused} refused")
    assert [line.split()[0] for line in table("enforced").splitlines()[1:-1]] == enforced
    assert len(table("refused").splitlines()) == refused + 2
    row = next(line for line in lines if line.startswith("spec.tcpKeepalive.probes "))
    assert re.search(r" [1-9]\d*  +[1-9]\d*  pyproxy/net/sockets\.py:\d+$", row)
    row = next(line for line in lines if line.startswith("spec.http3 "))
    assert row.endswith("-  refused: pyproxy does not listen with QUIC; take it out")


def test_an_installed_package_has_no_tests_to_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(explain, "PACKAGE", tmp_path / "pyproxy")
    monkeypatch.setattr(explain, "source", lambda target: target)
    explain.held.cache_clear()
    try:
        assert re.search(r"tcpKeepalive\.probes +\? ", table())
        assert " with a test" not in table()
        assert "held to by 1 conformance case\n" in explain.explain("spec.tcpKeepalive.probes")
    finally:
        explain.held.cache_clear()


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_can_be_explained(field: str) -> None:
    text = explain.explain(field)
    assert text.startswith(f"{field}\n  ")
    for name in ("valid", "default", "Envoy"):
        assert f"\n  {name} " in text
    assert ("\n  enforced  " in text) is isinstance(FIELDS[field], Enforced)
    assert "\n  example\n    " in text


def test_a_field_in_full() -> None:
    text = explain.explain("headers.enableEnvoyHeaders")
    assert "default    false (v1.9)\n" in text
    assert "default    they are shown; that release did not have the field (v0.6)\n" in text
    assert "settings   http.suppress_envoy_headers\n" in text
    assert text.endswith("  example\n    headers:\n      enableEnvoyHeaders: true\n")


def test_paths_as_people_write_them() -> None:
    name = explain.explain("spec.targetRefs[].name")
    assert explain.explain("spec.targetRefs[0].name") == explain.explain("targetRefs[].name") == name
    assert explain.explain("spec.headers.lateResponseHeaders.remove").startswith(
        "spec.headers.lateResponseHeaders.remove[]\n"
    )


@pytest.mark.parametrize(
    "path",
    [
        "spec.targetRefs.name",
        "spec.targetRefs[].name",
        "targetRefs[0].name",
        "ctp.spec.targetRefs.name",
        "ClientTrafficPolicy.spec.targetRefs.name",
    ],
)
def test_a_field_in_a_list(path: str) -> None:
    assert explain.explain(path).startswith("spec.targetRefs[].name")


def test_an_object_lists_its_fields() -> None:
    lines = explain.explain("spec.proxyProtocol").splitlines()
    assert lines[0] == "spec.proxyProtocol: 1 field"
    assert lines[2] == "spec.proxyProtocol.optional"
    assert explain.explain("spec").startswith(f"spec: {len(FIELDS)} fields\n")
    assert explain.explain("spec.targetRefs").startswith("spec.targetRefs: 5 fields\n")
    assert "spec.http3 (refused)\n" in explain.explain("spec")


@pytest.mark.parametrize(
    ("path", "hint"),
    [
        ("spec.tcpKeepalive.probs", "; did you mean spec.tcpKeepalive.probes?"),
        ("tcpKeepalife", "; did you mean spec.tcpKeepalive?"),
        ("spec.zebra.crossing", ""),
    ],
)
def test_what_there_is_not(path: str, hint: str) -> None:
    with pytest.raises(UnknownField) as found:
        explain.explain(path)
    assert str(found.value) == f"there is no field {path}{hint}"
