"""The fields of a ClientTrafficPolicy, for people: what each does, where that is done, and what holds it to it.

``pyproxy fields``, ``pyproxy explain`` and docs/fields.md are the same facts: the table of fields, the schema, the text
in ``policy/fields.toml``, the source of the function that enforces a field, the tests and the conformance cases.
"""

from __future__ import annotations

import ast
import re
import textwrap
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import yaml

from pyproxy.conformance.cases import CASES
from pyproxy.policy.fields import FIELDS, Enforced
from pyproxy.policy.provenance import DECIDES
from pyproxy.policy.release import Release
from pyproxy.policy.schema import describe
from pyproxy.policy.validate import did_you_mean

PACKAGE = Path(__file__).parent
WIDTH = 100


class UnknownField(Exception):
    """There is no such field."""


@dataclass(frozen=True, slots=True)
class Text:
    """What ``fields.toml`` says of a field."""

    does: str
    default: str
    envoy: str
    example: str
    default_v0_6: str | None = None


@cache
def texts() -> dict[str, Text]:
    """The text of every field."""
    entries = tomllib.loads(resources.files("pyproxy.policy").joinpath("fields.toml").read_text())

    def whole(entry: dict[str, str]) -> dict[str, str]:
        like = whole(entries[entry["like"]]) if "like" in entry else {}
        return {**like, **{name: text for name, text in entry.items() if name != "like"}}

    return {field: Text(**whole(entry)) for field, entry in entries.items()}


@dataclass(frozen=True, slots=True)
class Held:
    """How often a field is held to what it does."""

    tests: Counter[str] | None
    """By field; None where the tests are not there, as in an installed package."""
    cases: Counter[str]


@cache
def held() -> Held:
    """The tests marked with each field, and the conformance cases that name it."""
    folder = PACKAGE.parent / "tests"
    files = [file.read_text() for file in folder.rglob("test_*.py")] if folder.is_dir() else None
    marks = re.compile(r'^@pytest\.mark\.enforces\("([^"]+)"\)', re.MULTILINE)
    tests = Counter(field for text in files for field in marks.findall(text)) if files is not None else None
    return Held(tests, Counter(field for case in CASES for field in case.fields))


def source(target: str) -> str:
    """``pyproxy/net/sockets.py:41`` of ``net.sockets:apply_keepalive``."""
    module, _, path = target.partition(":")
    file = PACKAGE / f"{module.replace('.', '/')}.py"
    # Out of the text: what is compiled can't say where its source is.
    found: ast.AST = _syntax(file)
    for part in path.split("."):
        found = next(one for one in ast.iter_child_nodes(found) if isinstance(one, _NAMED) and one.name == part)
    assert isinstance(found, _NAMED)
    line = min(one.lineno for one in (found, *found.decorator_list))
    return f"{file.relative_to(PACKAGE.parent)}:{line}"


_NAMED = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@cache
def _syntax(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


# -- pyproxy fields --------------------------------------------------------------------------------------------


def table(status: str | None = None) -> str:
    """A line for each field, all or those ``enforced`` or ``refused``, and the counts."""
    counts = held()
    rows = [("FIELD", "TESTS", "CASES", "ENFORCED BY, OR WHY NOT")]
    for field, row in FIELDS.items():
        if isinstance(row, Enforced) and status != "refused":
            tests = str(counts.tests[field]) if counts.tests is not None else "?"
            rows.append((field, tests, str(counts.cases[field]), source(row.target)))
        elif not isinstance(row, Enforced) and status != "enforced":
            rows.append((field, "-", "-", f"refused: {row.reason}"))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{row[0]:<{widths[0]}}  {row[1]:>{widths[1]}}  {row[2]:>{widths[2]}}  {row[3]}" for row in rows]
    enforced = [field for field, row in FIELDS.items() if isinstance(row, Enforced)]
    tested = f"{sum(counts.tests[field] > 0 for field in enforced)} with a test, " if counts.tests is not None else ""
    shown = sum(counts.cases[field] > 0 for field in enforced)
    lines.append(
        f"{len(FIELDS)} fields: {len(enforced)} enforced ({tested}{shown} with a conformance case), "
        f"{len(FIELDS) - len(enforced)} refused"
    )
    return "\n".join(lines) + "\n"


# -- pyproxy explain -------------------------------------------------------------------------------------------


def explain(path: str) -> str:
    """All about one field, or the fields in an object. Raises ``UnknownField`` with a hint."""
    # As kubectl takes them: with or without the kind, and without the marks of lists.
    field = re.sub(r"^(clienttrafficpolic(y|ies)|ctp)\.", "", _unmarked(path.strip(".")), flags=re.IGNORECASE)
    field = field if field.partition(".")[0] == "spec" else f"spec.{field}"
    leaves = [leaf for leaf in FIELDS if f"{_unmarked(leaf)}.".startswith(f"{field}.")]
    if len(leaves) == 1 and _unmarked(leaves[0]) == field:
        return _explain_leaf(leaves[0])
    if leaves:
        return _explain_node(field, leaves)
    raise UnknownField(f"there is no field {path}{did_you_mean(field, _nodes())}")


def _unmarked(field: str) -> str:
    """Without the marks of lists: ``spec.targetRefs.name``."""
    return re.sub(r"\[\d*\]", "", field)


def _nodes() -> list[str]:
    """Every leaf and every object, without the marks of lists."""
    nodes: dict[str, None] = {}
    for field in FIELDS:
        parts = _unmarked(field).split(".")
        nodes.update(dict.fromkeys(".".join(parts[:end]) for end in range(1, len(parts) + 1)))
    return list(nodes)


def _explain_node(path: str, leaves: Sequence[str]) -> str:
    lines = [f"{path}: {_count(len(leaves), 'field')}", ""]
    for leaf in leaves:
        status = "" if isinstance(FIELDS[leaf], Enforced) else " (refused)"
        first = re.split(r"(?<=[a-z)0-9])[.;:] ", texts()[leaf].does)[0].removesuffix(".")
        lines += [f"{leaf}{status}", *textwrap.wrap(first, WIDTH, initial_indent="  ", subsequent_indent="  ")]
    return "\n".join(lines) + "\n"


def _explain_leaf(field: str) -> str:
    lines = [field, *textwrap.wrap(texts()[field].does, WIDTH, initial_indent="  ", subsequent_indent="  "), ""]
    for name, text in [*_facts(field), *_places(field)]:
        indent = " " * 13
        lines += textwrap.wrap(f"{name:<11}{text}", WIDTH, initial_indent="  ", subsequent_indent=indent)
    lines += ["", "  example", *(f"    {line}" for line in _example(field))]
    return "\n".join(lines) + "\n"


def _facts(field: str) -> Iterator[tuple[str, str]]:
    """(name, text) of what does not depend on where the source stands."""
    text = texts()[field]
    for sentence in describe(field):
        yield "valid", sentence
    if text.default_v0_6 is None:
        yield "default", f"{text.default} ({' and '.join(release.value for release in Release)})"
    else:
        yield "default", f"{text.default} ({Release.V1_9.value})"
        yield "default", f"{text.default_v0_6} ({Release.V0_6.value})"
    yield "Envoy", text.envoy


def _places(field: str) -> Iterator[tuple[str, str]]:
    """(name, text) of where the field is enforced and tested."""
    row = FIELDS[field]
    if not isinstance(row, Enforced):
        yield "refused", row.reason
        return
    yield "enforced", f"{source(row.target)} ({row.target})"
    if settings := DECIDES.get(field):
        yield "settings", ", ".join(settings)
    counts = held()
    tests = f"{_count(counts.tests[field], 'test')} and " if counts.tests is not None else ""
    yield "held to by", tests + _count(counts.cases[field], "conformance case")


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _example(field: str) -> list[str]:
    return yaml.safe_dump(yaml.safe_load(texts()[field].example), sort_keys=False).splitlines()


# -- docs/fields.md --------------------------------------------------------------------------------------------


_PREFACE = (
    "What `pyproxy explain FIELD` prints, for every field; that has the source's lines and the counts of tests as "
    "well. Written by `make docs` from the table of fields, the schema and `pyproxy/policy/fields.toml`."
)


def markdown() -> str:
    """docs/fields.md."""
    lines = ["# The fields of a ClientTrafficPolicy", "", *textwrap.wrap(_PREFACE, 118)]
    section = ""
    for field in FIELDS:
        top = ".".join(field.split(".")[:2]).removesuffix("[]")
        if top != section:
            section = top
            lines += ["", f"## {top.removeprefix('spec.')}"]
        lines += ["", f"### {field}", "", *textwrap.wrap(texts()[field].does, 118, break_on_hyphens=False), ""]
        row = FIELDS[field]
        if isinstance(row, Enforced):
            lines += [f"- {name}: {_code(name, text)}" for name, text in _facts(field)]
            lines += [f"- enforced by `{row.target}`", "", "```yaml", *_example(field), "```"]
        else:
            lines.append(f"- refused: {row.reason}")
    return "\n".join(lines) + "\n"


def _code(name: str, text: str) -> str:
    """Patterns and names of Envoy's as Markdown shows them unchanged."""
    return re.sub(r"(\^\S+)", r"`\1`", text) if name == "valid" else text
