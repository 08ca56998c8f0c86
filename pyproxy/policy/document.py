"""YAML text to plain data that knows where each value stands.

Scalars become what Kubernetes makes of them: YAML 1.1 booleans (``on``, ``yes``) are booleans there too, but times
and base-60 numbers stay text. Duplicate keys, merge keys and keys that are no text are errors, and so is a document
that grows past ``MAX_NODES`` by aliases. Nothing is raised: errors are collected with their place.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from pyproxy.errors import PolicyError

MAX_NODES = 100_000
"""Values in one document, aliases counted each time they are used."""

Path = tuple[str | int, ...]
"""Keys and indexes from the root: ``("spec", "listeners", 0, "port")``."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(slots=True)
class Document:
    """One YAML document of a file."""

    file: str
    data: Any
    line: int
    column: int
    _marks: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def error(self, path: Path, message: str) -> PolicyError:
        """A PolicyError at ``path``, or at the nearest parent that the document has."""
        place = path
        while place and place not in self._marks:
            place = place[:-1]
        line, column = self._marks.get(place, (self.line, self.column))
        return PolicyError(self.file, line, column, format_path(path), message)


def format_path(path: Path) -> str:
    """``spec.listeners[0].port``."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def parse(text: str, file: str) -> tuple[list[Document], list[PolicyError]]:
    """The documents of ``text``, empty ones left out, and every error found on the way."""
    documents: list[Document] = []
    errors: list[PolicyError] = []
    try:
        for node in yaml.compose_all(text, Loader=_LOADER):
            reader = _Reader(file, errors)
            document = Document(file, None, node.start_mark.line + 1, node.start_mark.column + 1, reader.marks)
            document.data = reader.read(node, ())
            if document.data is not None and not reader.failed:
                documents.append(document)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        errors.append(PolicyError(file, line, column, "", f"not YAML: {error.problem or error}"))
    except yaml.YAMLError as error:
        errors.append(PolicyError(file, 1, 1, "", f"not YAML: {' '.join(str(error).split())}"))
    except RecursionError:
        errors.append(PolicyError(file, 1, 1, "", "nested too deeply"))
    return documents, errors


class _Reader:
    def __init__(self, file: str, errors: list[PolicyError]) -> None:
        self.file = file
        self.errors = errors
        self.marks: dict[Path, tuple[int, int]] = {}
        self.failed = False
        self._nodes = 0
        self._open: set[int] = set()

    def read(self, node: yaml.Node, path: Path) -> Any:
        self.marks.setdefault(path, (node.start_mark.line + 1, node.start_mark.column + 1))
        self._nodes += 1
        if self._nodes > MAX_NODES:
            if self._nodes == MAX_NODES + 1:
                self._fail(node, path, f"more than {MAX_NODES} values")
            return None
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, path)
        if id(node) in self._open:
            self._fail(node, path, "an alias to what it is part of")
            return None
        self._open.add(id(node))
        value: Any
        if isinstance(node, yaml.SequenceNode):
            value = [self.read(child, (*path, index)) for index, child in enumerate(node.value)]
        else:
            value = self._mapping(node, path)
        self._open.discard(id(node))
        return value

    def _mapping(self, node: Any, path: Path) -> dict[str, Any]:
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or key_node.tag == "tag:yaml.org,2002:merge":
                self._fail(key_node, path, "a key must be plain text")
                continue
            if key in mapping:
                first = self.marks[(*path, key)][0]
                self._fail(key_node, (*path, key), f"duplicate key, first on line {first}")
                continue
            self.marks[(*path, key)] = (key_node.start_mark.line + 1, key_node.start_mark.column + 1)
            mapping[key] = self.read(value_node, (*path, key))
        return mapping

    def _scalar(self, node: yaml.ScalarNode, path: Path) -> Any:
        text: str = node.value
        kind = node.tag.rpartition(":")[2]
        if kind == "null":
            return None
        if kind == "bool":
            return text.lower() in ("yes", "true", "on")
        try:
            if kind == "int" and ":" not in text:
                return _integer(text)
            if kind == "float" and ":" not in text:
                return float(text.replace("_", "").replace(".inf", "inf").replace(".nan", "nan"))
        except ValueError:
            self._fail(node, path, f"not a number: {text}")
            return None
        return text

    def _fail(self, node: yaml.Node, path: Path, message: str) -> None:
        self.failed = True
        mark = node.start_mark
        self.errors.append(PolicyError(self.file, mark.line + 1, mark.column + 1, format_path(path), message))


def _integer(text: str) -> int:
    digits = text.replace("_", "")
    sign = -1 if digits.startswith("-") else 1
    digits = digits.lstrip("+-")
    if digits.startswith("0") and digits.isdigit() and digits != "0":
        return sign * int(digits, 8)
    return sign * int(digits, 0)
