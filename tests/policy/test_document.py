"""YAML with its lines."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.policy.document import MAX_NODES, Parsed, format_path, parse


def data(text: str) -> object:
    parsed = parse(text, "f.yaml")
    assert parsed.errors == []
    assert len(parsed.documents) == 1
    return parsed.documents[0].data


def messages(text: str) -> list[str]:
    return [str(error) for error in parse(text, "f.yaml").errors]


def test_values_know_their_place() -> None:
    parsed = parse("# c\na:\n  b: 1\n  c:\n  - x\n  - k: z\n---\n---\nd: 2\n", "f.yaml")
    assert (parsed.errors, parsed.complete) == ([], True)
    first, second = parsed.documents
    assert first.data == {"a": {"b": 1, "c": ["x", {"k": "z"}]}}
    assert str(first.error(("a", "b"), "m")) == "f.yaml:3:3: a.b: m"
    assert str(first.error(("a", "c", 1, "k"), "m")) == "f.yaml:6:5: a.c[1].k: m"
    assert str(first.error(("a", "missing"), "m")) == "f.yaml:2:1: a.missing: m"
    assert str(second.error((), "m")) == "f.yaml:9:1: m"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("on", True),
        ("No", False),
        ("y", True),
        ("0777", 511),
        ("-0o17", -15),
        ("0", 0),
        ("-08", -8),
        ("0x1F", 31),
        ("0b101", 5),
        ("1_000", 1000),
        ("-5", -5),
        ("1:30", "1:30"),
        ("1.5", 1.5),
        ("3.0", 3),
        ("1e3", 1000),
        (".inf", float("inf")),
        ("2023-12-01", "2023-12-01"),
        ("'5'", "5"),
        ("!!str 5", "5"),
        ("!!float 5", 5),
        ("1h", "1h"),
        ("=", "="),
        ("<<", "<<"),
    ],
)
def test_scalars_are_what_kubernetes_takes_them_for(text: str, value: object) -> None:
    assert data(f"a: {text}") == {"a": value}


@pytest.mark.parametrize("nothing", ["", "~", "null", "!!null x"])
def test_a_field_without_a_value_is_not_there(nothing: str) -> None:
    assert data(f"a: {nothing}\nb: [{nothing or '~'}]") == {"b": [None]}


def test_json_is_yaml() -> None:
    assert data('{\n\t"a":\t[true, null, 1.0],\n\t"b": {}\n}') == {"a": [True, None, 1], "b": {}}


def test_anchors_and_merge_keys() -> None:
    text = "a: &a {x: 1, w: 2}\nb: &b {w: 3}\nc: {<<: *a, x: 4}\nd: {<<: [*b, *a], z: ~}\ne: [*b, *b]\n"
    assert data(text) == {
        "a": {"x": 1, "w": 2},
        "b": {"w": 3},
        "c": {"x": 4, "w": 2},
        "d": {"x": 1, "w": 3},
        "e": [{"w": 3}, {"w": 3}],
    }
    assert str(parse(text, "f.yaml").documents[0].error(("c", "w"), "m")) == "f.yaml:1:14: c.w: m"


def test_the_items_of_a_list_are_objects() -> None:
    parsed = parse("kind: List\nitems:\n- a: 1\n- b: 1\n  b: 2\n", "f.yaml")
    assert [one.data for one in parsed.documents] == [{"a": 1}, {"b": 1}]
    assert [one.failed for one in parsed.documents] == [[], [("b",)]]
    assert str(parsed.documents[1].error(("b",), "m")) == "f.yaml:4:3: items[1].b: m"
    assert parsed.documents[1].line == 4
    assert parse("kind: List\n", "f.yaml").documents == []


def test_items_that_are_no_list_are_no_objects() -> None:
    (document,) = parse("kind: List\nitems: {a: b}\n", "f.yaml").documents
    assert document.data["kind"] == "List"


def test_duplicate_keys_name_both_lines() -> None:
    assert messages("a: 1\nb:\n  c: 1\n  c: 2\n") == ["f.yaml:4:3: b.c: duplicate key, first on line 3"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [1", "f.yaml:2:1: not YAML: did not find expected ',' or ']'"),
        ("a: b: c", "f.yaml:1:5: not YAML: mapping values are not allowed in this context"),
        ("? [a]\n: b", "f.yaml:1:3: a key must be text; put it in quotes"),
        ("on: 1", "f.yaml:1:1: a key must be text; put it in quotes"),
        ("a: {5: 1}", "f.yaml:1:5: a: a key must be text; put it in quotes"),
        ("a:\n  <<: 5", "f.yaml:2:7: a: << takes a mapping or a list of mappings"),
        ("a: *nope", "f.yaml:1:4: not YAML: found undefined alias"),
        ("a: &x [*x]", "f.yaml:1:4: a[0]: an alias to what it is part of"),
        ("a: &x {<<: *x}", "f.yaml:1:4: a: an alias to what it is part of"),
        ("a: \x00", "f.yaml:1:4: not YAML: control characters are not allowed"),
        ("é: é\nb: é\x01", "f.yaml:2:5: not YAML: control characters are not allowed"),
        ("a: !!binary eA==", "f.yaml:1:4: a: 'eA==' can not have the tag tag:yaml.org,2002:binary"),
        ("a: !!int x", "f.yaml:1:4: a: 'x' can not have the tag tag:yaml.org,2002:int"),
        ("a: !!bool x", "f.yaml:1:4: a: 'x' can not have the tag tag:yaml.org,2002:bool"),
        ("a: !mine {b: 1}", "f.yaml:1:4: a: the tag !mine is not taken"),
        ("a:\n\tb: 1", "f.yaml:2:1: not YAML: a tab; indent with blanks"),
        (f"a: {'9' * 5000}", "f.yaml:1:4: a: '9999999999999999999999999999999999999999' is too long for a number"),
    ],
)
def test_what_is_not_taken(text: str, message: str) -> None:
    assert messages(text)[0].startswith(message)


def test_documents_before_a_syntax_error_are_read() -> None:
    parsed = parse("a: 1\n---\nb: [", "f.yaml")
    assert [one.data for one in parsed.documents] == [{"a": 1}]
    assert not parsed.complete


def test_aliases_can_not_blow_a_document_up() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    parsed = parse("\n".join(lines), "f.yaml")
    assert [error.message for error in parsed.errors] == [f"more than {MAX_NODES} values"]
    assert (parsed.documents, parsed.complete) == ([], False)


def test_depth_has_a_limit() -> None:
    assert messages("[" * 200_000) == ["f.yaml:1:101: more than 100 levels"]
    assert messages("[" * 100 + "]" * 100) == []
    by_alias = "a: &a " + "[" * 60 + "]" * 60 + "\nb: " + "[" * 60 + "*a" + "]" * 60
    assert [error.rpartition(": ")[2] for error in messages(by_alias)] == ["more than 100 levels"]


def test_nothing_at_all() -> None:
    assert parse("", "f.yaml") == Parsed([], [], complete=True)
    assert parse("---\n# only a comment\n", "f.yaml") == Parsed([], [], complete=True)


YAMLISH = st.text(alphabet=st.sampled_from("ab1:-[]{}&*<!|>'\"#%?,~. \n\t\x00é"), max_size=80)


@given(st.text(max_size=80) | YAMLISH)
def test_any_text_gives_documents_or_errors(text: str) -> None:
    parsed = parse(text, "f.yaml")
    assert all(error.line >= 1 and error.column >= 1 for error in parsed.errors)
    assert parsed.complete or parsed.errors


PLAIN = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))


@given(st.recursive(st.none() | st.booleans() | st.integers() | PLAIN, lambda inner: st.lists(inner)))
def test_what_kubectl_would_write_is_read_back(value: object) -> None:
    assert data(json.dumps({"a": [value]})) == {"a": [value]}


def test_format_path() -> None:
    assert format_path(("spec", "listeners", 0, "port")) == "spec.listeners[0].port"
    assert format_path(()) == ""
