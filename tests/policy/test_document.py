"""YAML with its lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.policy.document import MAX_NODES, format_path, parse


def data(text: str) -> object:
    documents, errors = parse(text, "f.yaml")
    assert errors == []
    assert len(documents) == 1
    return documents[0].data


def messages(text: str) -> list[str]:
    return [str(error) for error in parse(text, "f.yaml")[1]]


def test_values_know_their_place() -> None:
    documents, errors = parse("# c\na:\n  b: 1\n  c:\n  - x\n  - y: z\n---\n---\nd: 2\n", "f.yaml")
    assert errors == []
    first, second = documents
    assert first.data == {"a": {"b": 1, "c": ["x", {"y": "z"}]}}
    assert str(first.error(("a", "b"), "m")) == "f.yaml:3:3: a.b: m"
    assert str(first.error(("a", "c", 1, "y"), "m")) == "f.yaml:6:5: a.c[1].y: m"
    assert str(first.error(("a", "missing"), "m")) == "f.yaml:2:1: a.missing: m"
    assert str(second.error((), "m")) == "f.yaml:9:1: m"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", True),
        ("No", False),
        ("~", None),
        ("0777", 511),
        ("0", 0),
        ("-08", "-08"),
        ("0x1F", 31),
        ("1_000", 1000),
        ("-5", -5),
        ("1:30", "1:30"),
        ("1.5", 1.5),
        (".inf", float("inf")),
        ("2023-12-01", "2023-12-01"),
        ("'5'", "5"),
        ("1h", "1h"),
    ],
)
def test_scalars(text: str, value: object) -> None:
    assert data(f"a: {text}") == {"a": value}


def test_duplicate_keys_name_both_lines() -> None:
    assert messages("a: 1\nb:\n  c: 1\n  c: 2\n") == ["f.yaml:4:3: b.c: duplicate key, first on line 3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "f.yaml:2:1: not YAML: did not find expected ',' or ']'"),
        ("a: b: c", "f.yaml:1:5: not YAML: mapping values are not allowed in this context"),
        ("? [a]\n: b", "f.yaml:1:3: a key must be plain text"),
        ("a: &x {b: 1}\nc:\n  <<: *x", "f.yaml:3:3: c: a key must be plain text"),
        ("a: *nope", "f.yaml:1:4: not YAML: found undefined alias"),
        ("a: &x [*x]", "f.yaml:1:4: a[0]: an alias to what it is part of"),
        ("a: \x00", "f.yaml:1:1: not YAML: "),
    ],
)
def test_what_is_not_taken(text: str, message: str) -> None:
    assert messages(text)[0].startswith(message)


def test_aliases_can_not_blow_a_document_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    assert messages("\n".join(lines)) == [f"f.yaml:6:5: a5[8][9][0][0][8][7]: more than {MAX_NODES} values"] or any(
        f"more than {MAX_NODES} values" in message for message in messages("\n".join(lines))
    )


def test_deep_nesting() -> None:
    assert any("nested too deeply" in message or "not YAML" in message for message in messages("[" * 5000))


def test_nothing_at_all() -> None:
    assert parse("", "f.yaml") == ([], [])
    assert parse("---\n# only a comment\n", "f.yaml") == ([], [])


@given(st.text(max_size=80))
def test_any_text_gives_documents_or_errors(text: str) -> None:
    documents, errors = parse(text, "f.yaml")
    assert all(error.line >= 1 and error.column >= 1 for error in errors)
    assert all(document.data is not None for document in documents)


def test_format_path() -> None:
    assert format_path(("spec", "listeners", 0, "port")) == "spec.listeners[0].port"
    assert format_path(()) == ""
