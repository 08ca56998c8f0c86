"""The ClientTrafficPolicy's schema in words: what a field may be, and which rules it is in."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from pyproxy.policy.client_traffic_policy import ClientTrafficPolicySpec
from pyproxy.policy.model import Strict

_TYPES = {"boolean": "true or false", "integer": "a whole number", "object": "a mapping", "string": "text"}


def leaves() -> list[str]:
    """Every leaf as ``spec.targetRefs[].name``, in the order of the model."""
    return _leaves(_schema(), "spec")


def describe(field: str) -> list[str]:
    """What a leaf may be, and the rules about it and others, a sentence each."""
    node: Any = _schema()
    lists, required = [], False
    for part in field.split(".")[1:]:
        name = part.removesuffix("[]")
        required = name in node.get("required", ())
        node = _arm(node["properties"][name])
        if part != name:
            lists.append((name, node))
            node = _arm(node["items"])
    sentences = [_type(node)]
    if required:
        sentences.append("must be there")
    sentences += [f"{name}: {size}" for name, array in lists if (size := _size(array, "Items", "entries"))]
    return [*sentences, *rules(field)]


def rules(field: str) -> list[str]:
    """The messages of the CEL rules that name the field, of each object that it is in."""
    found = []
    model: type[Strict] | None = ClientTrafficPolicySpec
    names = [part.removesuffix("[]") for part in field.split(".")[1:]]
    for name in names:
        if model is None:
            break
        found += [rule.message for rule in model.RULES if _is_about(rule.message, name, names[-1])]
        (inner,) = (one for alias, one in model.model_fields.items() if (one.alias or alias) == name)
        model = _model_in(inner.annotation)
    return found


def _is_about(message: str, child: str, leaf: str) -> bool:
    """``child`` is the field of the rule's object on the way to ``leaf``; a rule may name a field of the child."""
    of_child = re.findall(rf"\b{child}(?:\[\*\])?\.(\w+)", message)
    return leaf in of_child if of_child else re.search(rf"\b{child}\b", message) is not None


@cache
def _schema() -> dict[str, Any]:
    return ClientTrafficPolicySpec.model_json_schema()


def _leaves(node: dict[str, Any], path: str) -> list[str]:
    node = _arm(node)
    if node.get("type") == "array":
        return _leaves(node["items"], f"{path}[]")
    properties = node.get("properties")
    if not properties:
        return [path]
    return [leaf for name, child in properties.items() for leaf in _leaves(child, f"{path}.{name}")]


def _arm(node: dict[str, Any]) -> dict[str, Any]:
    """Without references and the possibility of not being there."""
    if "$ref" in node:
        return _arm(_schema()["$defs"][node["$ref"].rpartition("/")[2]])
    arms = [arm for arm in node.get("anyOf", []) if arm.get("type") != "null"]
    return _arm(arms[0]) if len(arms) == 1 else node


def _type(node: dict[str, Any]) -> str:
    if "enum" in node:
        return " or ".join([", ".join(node["enum"][:-1]), node["enum"][-1]])
    if "additionalProperties" in node and node["additionalProperties"] is not False:
        return "a mapping of text to text"
    low, high = node.get("minimum"), node.get("maximum")
    numbers = f" from {low} to {high}" if high is not None else f" from {low} on" if low is not None else ""
    length = _size(node, "Length", "characters")
    texts = (f" of {length}" if length else "") + (f" that matches {node['pattern']}" if "pattern" in node else "")
    details = {"integer": numbers, "string": texts}
    kinds = [arm["type"] for arm in node.get("anyOf", [node])]
    words = " or ".join(_TYPES[kind] + details.get(kind, "") for kind in kinds)
    return f"{words}, {node['format']}" if "format" in node else words


def _size(node: dict[str, Any], what: str, unit: str) -> str:
    low, high = node.get(f"min{what}"), node.get(f"max{what}")
    if high is not None:
        return f"{low or 0} to {high} {unit}"
    return f"at least {low} {unit}" if low is not None else ""


def _model_in(annotation: Any) -> type[Strict] | None:
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return annotation
    return next((found for arm in getattr(annotation, "__args__", ()) if (found := _model_in(arm))), None)
