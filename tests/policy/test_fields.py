"""The table of fields: complete, true, and tested."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pyproxy.conformance.cases import CASES
from pyproxy.policy.client_traffic_policy import ClientTrafficPolicySpec
from pyproxy.policy.fields import FIELDS, Enforced, find_refused

TESTS = Path(__file__).parents[1]


def leaves(schema: dict[str, Any], path: str, definitions: dict[str, Any]) -> list[str]:
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    arms = [arm for arm in schema.get("anyOf", []) if arm.get("type") != "null"]
    if len(arms) == 1:
        return leaves(arms[0], path, definitions)
    if schema.get("type") == "array":
        return leaves(schema["items"], f"{path}[]", definitions)
    properties = schema.get("properties")
    if properties:
        return [leaf for name, child in properties.items() for leaf in leaves(child, f"{path}.{name}", definitions)]
    return [path]


def test_the_table_has_every_leaf_of_the_schema_and_no_other() -> None:
    schema = ClientTrafficPolicySpec.model_json_schema()
    assert sorted(FIELDS) == sorted(leaves(schema, "spec", schema["$defs"]))


ENFORCED = [(name, row.target) for name, row in FIELDS.items() if isinstance(row, Enforced)]


@pytest.mark.parametrize(("name", "target"), ENFORCED)
def test_what_enforces_a_field_is_there(name: str, target: str) -> None:
    module, _, path = target.partition(":")
    found: Any = import_module(f"pyproxy.{module}")
    for part in path.split("."):
        found = getattr(found, part)
    assert callable(found)


@pytest.mark.parametrize("name", [name for name, _ in ENFORCED])
def test_every_enforced_field_has_a_test(name: str) -> None:
    marks = re.compile(r'enforces\("([^"]+)"\)')
    marked = {field for file in TESTS.rglob("test_*.py") for field in marks.findall(file.read_text())}
    assert name in marked


def test_every_enforced_field_that_traffic_shows_has_a_conformance_case() -> None:
    shown = {field for case in CASES for field in case.fields}
    about_traffic = {name for name, _ in ENFORCED if not name.startswith("spec.target")}
    assert about_traffic <= shown


def test_an_empty_object_stands_for_its_fields() -> None:
    assert [path for path, _ in find_refused({"http1": {"http10": {}}})] == [("spec", "http1", "http10")]
    assert list(find_refused({"tcpKeepalive": {}, "proxyProtocol": {}, "headers": {}})) == []
    assert [path for path, _ in find_refused({"path": {}})] == [("spec", "path")]
