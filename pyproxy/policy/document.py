"""YAML text to plain data that knows where each value stands.

Scalars become what kubectl's parser (sigs.k8s.io/yaml) makes of them: ``on`` and ``y`` are booleans, ``0777`` is octal,
dates and base-60 numbers stay text, and a field without a value is a field that is not there. Duplicate keys and keys
that are no text are errors; so is a document that grows past ``MAX_NODES`` by its aliases, or past ``MAX_DEPTH``.
Nothing is raised: errors are collected with their place, and what can be read beside them is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import yaml

from pyproxy.errors import PolicyError

MAX_NODES = 100_000
"""Values in one document, aliases counted each time they are used."""
MAX_DEPTH = 100
"""Values within values. The C composer recurses for each of them and would overflow its stack (measured)."""

MAX_DIGITS = 4300
"""Python reads no longer numbers (``sys.set_int_max_str_digits``)."""

Path = tuple[str | int, ...]
"""Keys and indexes from the root: ``("spec", "listeners", 0, "port")``."""

_CORE = "tag:yaml.org,2002:"
_BOOLEANS = dict.fromkeys(("y", "yes", "true", "on"), True) | dict.fromkeys(("n", "no", "false", "off"), False)


class _Loader(yaml.CSafeLoader):
    """Plain scalars get the types that sigs.k8s.io/yaml (goyaml.v2, resolve.go) gives them."""

    yaml_implicit_resolvers = {}


for _kind, _pattern, _first in (
    ("bool", "|".join(form for word in _BOOLEANS for form in (word, word.title(), word.upper())), list("yYnNtTfFoO")),
    ("null", "~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("int", r"[-+]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO]?[0-7_]+|[1-9][0-9_]*|0)", list("-+0123456789")),
    (
        "float",
        r"[-+]?(?:(?:\.[0-9]+|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9]+)?|\.inf|\.Inf|\.INF)|\.nan|\.NaN|\.NAN",
        list("-+.0123456789"),
    ),
    ("merge", "<<", ["<"]),
):
    _Loader.add_implicit_resolver(_CORE + _kind, re.compile(rf"(?:{_pattern})\Z"), _first)


@dataclass(slots=True)
class Document:
    """One object of a file, and where its parts stand."""

    file: str
    data: Any
    marks: dict[Path, tuple[int, int]]
    root: Path = ()
    """Where the object is in its YAML document: ``("items", 0)`` in a List."""
    failed: list[Path] = field(default_factory=list)
    """Places with an error: what follows from it is not reported once more."""

    @property
    def line(self) -> int:
        """The line it starts on."""
        return self.marks[self.root][0]

    def position(self, path: Path) -> tuple[int, int]:
        """Line and column of ``path``, or of the nearest parent that the document has."""
        place = (*self.root, *path)
        while place not in self.marks:
            place = place[:-1]
        return self.marks[place]

    def error(self, path: Path, message: str, *, is_warning: bool = False) -> PolicyError:
        """A PolicyError at the position of ``path``."""
        return PolicyError(self.file, *self.position(path), format_path((*self.root, *path)), message, is_warning)

    def has_failed(self, path: Path) -> bool:
        """Whether there is an error at ``path`` or in it."""
        return any(place[: len(path)] == path for place in self.failed)

    def objects(self) -> list[Document]:
        """The objects of a List (as ``kubectl get -o yaml`` prints it), or the document itself."""
        if not isinstance(self.data, dict) or self.data.get("kind") != "List":
            return [self]
        items = self.data.get("items", [])
        if not isinstance(items, list):
            return [self]  # which is no object
        objects = []
        for index, item in enumerate(items):
            root: Path = ("items", index)
            failed = [path[2:] for path in self.failed if path[:2] == root]
            objects.append(Document(self.file, item, self.marks, root, failed))
        return objects


@dataclass(slots=True)
class Parsed:
    """What a file's text gave."""

    documents: list[Document]
    """Empty ones left out."""
    errors: list[PolicyError]
    complete: bool
    """No object was lost to an error."""


def format_path(path: Path) -> str:
    """``spec.listeners[0].port``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse(text: str, file: str) -> Parsed:
    """The documents of ``text`` and every error found on the way."""
    parsed = Parsed([], [], complete=True)
    if (place := _too_deep(text)) is not None:
        return Parsed([], [PolicyError(file, *place, "", f"more than {MAX_DEPTH} levels")], complete=False)
    try:
        for node in yaml.compose_all(text, Loader=_Loader):
            reader = _Reader(file, parsed.errors)
            data = reader.read(node, ())
            if reader.lost:
                parsed.complete = False
            elif data is not None:
                parsed.documents += Document(file, data, reader.marks, failed=reader.failed).objects()
    except yaml.MarkedYAMLError as error:
        line, column = _position(error.problem_mark or error.context_mark)
        stands_there = "".join(text.splitlines()[line - 1 : line])[column - 1 : column]
        problem = "a tab; indent with blanks" if stands_there == "\t" else error.problem
        parsed.errors.append(PolicyError(file, line, column, "", f"not YAML: {problem}"))
        parsed.complete = False
    except yaml.reader.ReaderError as error:
        before = text.encode()[: error.position].decode(errors="ignore")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        parsed.errors.append(PolicyError(file, line, column, "", f"not YAML: {error.reason}"))
        parsed.complete = False
    return parsed


def _too_deep(text: str) -> tuple[int, int] | None:
    """Where values are nested too deeply to be composed."""
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > MAX_DEPTH:
                return _position(event.start_mark)
    except yaml.YAMLError:
        pass  # composing finds it again, after the documents that stand before it
    return None


def _position(mark: Any) -> tuple[int, int]:
    """Line and column as people count them."""
    return mark.line + 1, mark.column + 1


class _Reader:
    """Reads one document; keeps the places of its values and the errors."""

    def __init__(self, file: str, errors: list[PolicyError]) -> None:
        self.file = file
        self.errors = errors
        self.marks: dict[Path, tuple[int, int]] = {}
        self.failed: list[Path] = []
        self.lost = False
        """A part could not be read, so that the rest makes no sense."""
        self._nodes = 0
        self._open: set[int] = set()

    def read(self, node: yaml.Node, path: Path) -> Any:
        self.marks.setdefault(path, _position(node.start_mark))
        self._nodes += 1
        if self._nodes > MAX_NODES:
            if not self.lost:
                self._lose(node, path, f"more than {MAX_NODES} values")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._lose(node, path, "an alias to what it is part of")
            return None
        if len(path) > MAX_DEPTH:
            self._lose(node, path, f"more than {MAX_DEPTH} levels")
            return None
        self._open.add(id(node))
        value: Any
        if isinstance(node, yaml.MappingNode) and node.tag == f"{_CORE}map":
            value = self._mapping(node, path)
        elif isinstance(node, yaml.SequenceNode) and node.tag == f"{_CORE}seq":
            value = [self.read(child, (*path, index)) for index, child in enumerate(node.value)]
        else:
            value = None
            self._fail(node, path, f"the tag {node.tag} is not taken")
        self._open.discard(id(node))
        return value

    def _mapping(self, node: yaml.MappingNode, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        merged: list[yaml.Node] = []
        for key_node, value_node in node.value:
            if key_node.tag == f"{_CORE}merge":
                merged += value_node.value if isinstance(value_node, yaml.SequenceNode) else [value_node]
            elif key_node.tag != f"{_CORE}str":
                self._fail(key_node, path, "a key must be text; put it in quotes")
            elif (key := key_node.value) in mapping:
                first = self.marks[*path, key][0]
                self._fail(key_node, (*path, key), f"duplicate key, first on line {first}")
            else:
                self.marks[*path, key] = _position(key_node.start_mark)
                mapping[key] = self.read(value_node, (*path, key))
        for source in merged:
            if isinstance(source, yaml.MappingNode):
                mapping = {**(self.read(source, path) or {}), **mapping}
            else:
                self._fail(source, path, "<< takes a mapping or a list of mappings")
        return {key: value for key, value in mapping.items() if value is not None}

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text: str = node.value
        read = _SCALARS.get(node.tag.removeprefix(_CORE))
        try:
            if read is not None:
                return read(text)
            problem = f"can not have the tag {node.tag}"
        except (KeyError, ValueError):
            # The explicit tag of something else, or more digits than Python reads.
            problem = "is too long for a number" if len(text) > MAX_DIGITS else f"can not have the tag {node.tag}"
        self._fail(node, path, f"{text[:40]!r} {problem}")
        return None

    def _lose(self, node: yaml.Node, path: Path, message: str) -> None:
        self.lost = True
        self._fail(node, path, message)

    def _fail(self, node: yaml.Node, path: Path, message: str) -> None:
        self.failed.append(path)
        self.errors.append(PolicyError(self.file, *_position(node.start_mark), format_path(path), message))


def _integer(text: str) -> int:
    digits = text.replace("_", "").lower()
    octal = re.fullmatch(r"([-+]?)0([0-7]+)", digits)
    return int(f"{octal[1]}0o{octal[2]}" if octal else digits, 0)


def _number(text: str) -> float | int:
    """A float; one without a fraction is an integer in the JSON that Kubernetes makes of it."""
    value = float(text.replace("_", "").lower().replace(".inf", "inf").replace(".nan", "nan"))
    return int(value) if value.is_integer() else value


_SCALARS: dict[str, Callable[[str], Any]] = {
    "null": lambda text: None,
    "bool": lambda text: _BOOLEANS[text.lower()],
    "int": _integer,
    "float": _number,
    "str": str,
    "timestamp": str,
    "merge": str,
}
