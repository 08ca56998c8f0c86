"""One document to one object, or to every mistake in it.

pydantic holds an object to its schema but stops at the fields that are wrong: rules about several fields are not
tried, and there is no object whose references could be checked. So what is wrong is reported and taken out, and the
rest is tried again, until it is an object or nothing more can be taken out.
"""

from __future__ import annotations

import copy
import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from pydantic import BaseModel, ValidationError

from pyproxy.errors import PolicyError
from pyproxy.policy.client_traffic_policy import ClientTrafficPolicy
from pyproxy.policy.document import Document, Path
from pyproxy.policy.fields import find_refused
from pyproxy.policy.http_route import HTTPRoute
from pyproxy.policy.model import (
    Backend,
    BrokenRules,
    Gateway,
    GatewayClass,
    ListenerSet,
    Metadata,
    NamespaceObject,
    NotServed,
    ReferenceGrant,
    Resource,
    Service,
)
from pyproxy.policy.refused_values import find_refused_values

GATEWAY_API = "gateway.networking.k8s.io/v1"
ENVOY_GATEWAY_API = "gateway.envoyproxy.io/v1alpha1"

KINDS: dict[str, tuple[tuple[str, ...], type[Resource]]] = {
    "GatewayClass": ((GATEWAY_API, f"{GATEWAY_API}beta1"), GatewayClass),
    "Gateway": ((GATEWAY_API, f"{GATEWAY_API}beta1"), Gateway),
    "ListenerSet": ((GATEWAY_API,), ListenerSet),
    "HTTPRoute": ((GATEWAY_API, f"{GATEWAY_API}beta1"), HTTPRoute),
    "Backend": ((ENVOY_GATEWAY_API,), Backend),
    "Namespace": (("v1",), NamespaceObject),
    "ReferenceGrant": ((f"{GATEWAY_API}beta1", GATEWAY_API), ReferenceGrant),
    "Service": (("v1",), Service),
    "ClientTrafficPolicy": ((ENVOY_GATEWAY_API,), ClientTrafficPolicy),
}

CLUSTER_WIDE = ("GatewayClass", "Namespace")
"""Kinds whose objects are in no namespace."""

NO_EFFECT = frozenset(
    (
        "ConfigMap",
        "DaemonSet",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Pod",
        "PodDisruptionBudget",
        "Secret",
        "ServiceAccount",
        "StatefulSet",
    )
)
"""Kinds that stand beside the others in quickstart files and by themselves change nothing about the traffic of a plain
HTTP listener: let pass unread."""

UNSERVED = frozenset(
    (
        "BackendTLSPolicy",
        "BackendTrafficPolicy",
        "EnvoyExtensionPolicy",
        "EnvoyGateway",
        "EnvoyPatchPolicy",
        "EnvoyProxy",
        "GRPCRoute",
        "HTTPRouteFilter",
        "SecurityPolicy",
        "TCPRoute",
        "TLSRoute",
        "UDPRoute",
    )
)
"""Kinds that would change traffic, so that leaving them out in silence would be wrong."""

ObjectKey = tuple[str, str, str]
"""(kind, namespace, name)."""


@dataclass(slots=True)
class Object:
    """A document of a kind that pyproxy serves."""

    document: Document
    key: ObjectKey
    resource: Resource | None
    """None if too little of it is right."""
    refused: list[PolicyError] = field(default_factory=list)
    """Fields that are right and not served."""

    @property
    def is_sound(self) -> bool:
        """A cluster would take it, whether pyproxy serves all of it or not."""
        return self.resource is not None and not self.document.failed


def validate(document: Document, errors: list[PolicyError]) -> Object | None:
    """The object of a document, whose mistakes go to ``errors``; None if it is of no kind that is served."""
    data = document.data
    if not isinstance(data, dict):
        errors.append(document.error((), "a resource is a mapping with apiVersion, kind, metadata and spec"))
        return None
    kind = data.get("kind")
    if not isinstance(kind, str):
        errors.append(document.error(("kind",), "required: the kind of the resource"))
        return None
    if kind in NO_EFFECT:
        return None
    if kind not in KINDS:
        errors.append(document.error(("kind",), _kind_message(kind)))
        return None
    versions, model = KINDS[kind]
    version = data.get("apiVersion")
    if version not in versions:
        found = "which is missing" if version is None else f"not {describe(version)}"
        message = f"{kind} has apiVersion {versions[0]}, {found}"
        errors.append(document.error(("apiVersion",), message))
        document.failed.append(("apiVersion",))
        if version is not None and not nearest(str(version), versions, cutoff=0.9):
            return Object(document, _key(data), None)  # something else of the same name
    validation = _Validation(document, model, errors)
    one = Object(document, _key(data), validation.run(), validation.refused)
    if model is ListenerSet:
        one.refused.append(document.error(("kind",), _kind_message(kind)))
    if isinstance(one.resource, Gateway):
        one.refused += [document.error(path, message) for path, message in one.resource.not_served()]
    spec = data.get("spec")
    if model is ClientTrafficPolicy and isinstance(spec, dict):
        refused = (*find_refused(spec), *find_refused_values(spec))
        one.refused += [document.error(path, reason) for path, reason in refused if not document.has_failed(path)]
    return one


def _key(data: dict[str, Any]) -> ObjectKey:
    kind = data["kind"]
    metadata = data.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    namespace = named.get("namespace", Metadata.model_fields["namespace"].default)
    return kind, "" if kind in CLUSTER_WIDE else str(namespace), str(named.get("name", ""))


def _kind_message(kind: str) -> str:
    if kind == "List":
        return "a List has its objects in a list, items, and none of them is a List"
    if kind in UNSERVED or kind in KINDS:
        return f"pyproxy does not serve {kind}; take it out"
    return f"unknown kind {kind}{did_you_mean(kind, [*KINDS, *UNSERVED, *NO_EFFECT])}"


NOT_SERVED = "not_served"
"""What pydantic's kinds of errors do not have."""


class _Validation:
    """The rounds over one document."""

    def __init__(self, document: Document, model: type[Resource], errors: list[PolicyError]) -> None:
        self.document = document
        self.model = model
        self.errors = errors
        self.data = copy.deepcopy(document.data)
        self.refused: list[PolicyError] = []
        """What is right and not served."""
        self._wrong: set[str] = set()
        """Names of the fields that are wrong, as they are and as they were meant."""
        self._earlier: frozenset[str] = frozenset()
        """Those of the rounds before. A rule about several fields that names one of them says nothing new."""

    def run(self) -> Resource | None:
        while True:
            try:
                return self.model.model_validate(self.data)
            except ValidationError as error:
                found = [one for detail in error.errors() for one in self._findings(detail)]
            self._earlier = frozenset(self._wrong)
            for path, kind, message in found:
                if kind == NOT_SERVED:
                    self.refused.append(self.document.error(path, message))
                else:
                    self._report(path, kind, message)
            taken_out = [self._take_out(path) for path, _, _ in found]
            if not any(taken_out):
                return None

    def _findings(self, detail: Any) -> Iterator[tuple[Path, str, str]]:
        """(place, kind, message) of what pydantic has found, which is one thing or several broken rules."""
        location, kind = detail["loc"], detail["type"]
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, BrokenRules):
            for place, message in cause.broken:
                yield self._place((*location, *place), kind), kind, message
        else:
            path = self._place(location, kind)
            kind = NOT_SERVED if isinstance(cause, NotServed) else kind
            yield path, kind, self._message(path, detail)

    def _place(self, location: Path, kind: str) -> Path:
        """``location`` in the document: without the arms of unions."""
        path: Path = ()
        value = self.data
        for part in location:
            if isinstance(value, dict) and (part in value or kind == "missing"):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int):
                value = value[part]
            else:
                break
            path = (*path, part)
        return path

    def _report(self, path: Path, kind: str, message: str) -> None:
        follows = path in self.document.failed or self._earlier & set(re.findall(r"\w+", message))
        self.document.failed.append(path)
        if path and isinstance(path[-1], str):
            self._wrong.add(path[-1])
            if kind == "extra_forbidden":
                self._wrong.update(nearest(path[-1], field_names(self.model, path[:-1])))
        if not follows:
            self.errors.append(self.document.error(path, message))

    def _take_out(self, path: Path) -> bool:
        """Whether something could be taken out of the data at ``path``."""
        holder = self.data
        for part in path[:-1]:
            holder = holder[part]
        return isinstance(holder, dict) and holder.pop(path[-1], None) is not None

    def _message(self, path: Path, detail: Any) -> str:
        """pydantic's finding in Kubernetes' words, and what may help."""
        kind = detail["type"]
        value = detail["input"]
        context = detail.get("ctx", {})
        if kind == "missing":
            return "Required value"
        if kind == "extra_forbidden":
            return f"unknown field{did_you_mean(str(path[-1]), field_names(self.model, path[:-1]))}"
        if kind == "value_error":
            return str(context["error"])
        if kind == "literal_error":
            supported = re.findall(r"'[^']*'|[0-9]+", context["expected"])
            if isinstance(value, str) or not supported[0].startswith("'"):
                listed = ", ".join(supported).replace("'", '"')
                hint = did_you_mean(value, [one.strip("'") for one in supported]) if isinstance(value, str) else ""
                return f"Unsupported value: {json.dumps(value)}: supported values: {listed}{hint}"
        if kind in _TYPES:
            missed = _TYPES[kind]
            hint = _TYPE_HINTS.get(missed, "") if not isinstance(value, dict | list) else ""
            return f'must be of type {missed}: "{_json_type(value)}"{hint}'
        match kind:
            case "string_too_short":
                return f"should be at least {context['min_length']} chars long, not {describe(value)}"
            case "string_too_long":
                return f"should be at most {context['max_length']} chars long, not {len(value)}"
            case "too_short":
                return f"should have at least {context['min_length']} items, not {context['actual_length']}"
            case "too_long":
                return f"must have at most {context['max_length']} items, not {len(value)}"
            case _:
                pass
        text: str = detail["msg"]
        return f"{text[0].lower()}{text[1:]}, not {describe(value)}".removeprefix("input ")


_TYPES = {
    "bool_type": "boolean",
    "dict_type": "object",
    "int_type": "integer",
    "list_type": "array",
    "literal_error": "string",
    "model_type": "object",
    "string_type": "string",
}
"""JSON's name of the type that is missed."""
_TYPE_HINTS = {
    "boolean": "; write true or false, without quotes",
    "integer": "; write a whole number, without quotes",
    "string": "; put it in quotes",
}


def _json_type(value: object) -> str:
    names = ((bool, "boolean"), (int, "integer"), (float, "number"), (str, "string"), (list, "array"))
    return next((name for kind, name in names if isinstance(value, kind)), "object")


def describe(value: object) -> str:
    """A value as the user wrote it."""
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return str(value).lower() if isinstance(value, bool) else repr(value)


def nearest(word: str, candidates: Iterable[str], *, cutoff: float = 0.6) -> list[str]:
    """The candidate that ``word`` was probably meant to be, if there is one."""
    return difflib.get_close_matches(word, list(candidates), n=1, cutoff=cutoff)


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """``; did you mean X?``, or nothing."""
    return "".join(f"; did you mean {candidate}?" for candidate in nearest(word, candidates))


def field_names(model: type[BaseModel], path: Path) -> list[str]:
    """The names that the mapping at ``path`` may have."""
    current: type[BaseModel] | None = model
    for part in path:
        if current is None or isinstance(part, int):
            continue
        field = next((f for n, f in current.model_fields.items() if (f.alias or n) == part), None)
        current = _model_in(field.annotation) if field is not None else None
    return [field.alias or name for name, field in current.model_fields.items()] if current else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arm in getattr(annotation, "__args__", ()) if (found := _model_in(arm))), None)
