"""The table of fields: complete, true, and tested."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from pyproxy.conformance.cases import CASES
from pyproxy.policy.fields import FIELDS, Enforced, find_refused
from pyproxy.policy.schema import leaves

TESTS = Path(__file__).parents[1]


def test_the_table_has_every_leaf_of_the_schema_and_no_other() -> None:
    assert sorted(FIELDS) == sorted(leaves())


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


# Which listener has a policy is decided before either proxy starts, and for both at once.
WITHOUT_A_CASE = frozenset(
    (
        "spec.targetRef.group",
        "spec.targetRef.kind",
        "spec.targetRef.name",
        "spec.targetRef.namespace",
        "spec.targetRef.sectionName",
        "spec.targetRefs[].group",
        "spec.targetRefs[].kind",
        "spec.targetRefs[].name",
        "spec.targetRefs[].namespace",
        "spec.targetRefs[].sectionName",
        "spec.targetSelectors[].group",
        "spec.targetSelectors[].kind",
        "spec.targetSelectors[].namespaces.from",
        "spec.targetSelectors[].namespaces.selector.matchLabels",
        "spec.targetSelectors[].namespaces.selector.matchExpressions[].key",
        "spec.targetSelectors[].namespaces.selector.matchExpressions[].operator",
        "spec.targetSelectors[].namespaces.selector.matchExpressions[].values[]",
        "spec.targetSelectors[].matchLabels",
        "spec.targetSelectors[].matchExpressions[].key",
        "spec.targetSelectors[].matchExpressions[].operator",
        "spec.targetSelectors[].matchExpressions[].values[]",
    )
)
"""Fields that no bytes through both proxies can show."""


def test_every_enforced_field_that_traffic_shows_has_a_conformance_case() -> None:
    shown = {field for case in CASES for field in case.fields}
    assert {name for name, _ in ENFORCED} - shown == WITHOUT_A_CASE


def test_cases_name_fields_that_are_enforced() -> None:
    assert {field for case in CASES for field in case.fields} <= {name for name, _ in ENFORCED}


def test_an_empty_object_stands_for_its_fields() -> None:
    assert [path for path, _ in find_refused({"http2": {"connectionKeepalive": {}}})] == [
        ("spec", "http2", "connectionKeepalive")
    ]
    empty: dict[str, Any] = {"tcpKeepalive": {}, "proxyProtocol": {}, "headers": {}, "timeout": {"http": {}, "tcp": {}}}
    assert list(find_refused({**empty, "connection": {"connectionLimit": {}}})) == []
    assert [path for path, _ in find_refused({"grpc": {}})] == [("spec", "grpc")]
