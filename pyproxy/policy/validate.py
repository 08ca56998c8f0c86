"""One document to one object, or to every mistake in it.

pydantic holds an object to its schema but stops at the fields that are wrong: rules about several fields are not
tried, and there is no object whose references could be checked. So what is wrong is reported and taken out, and the
rest is tried again, until it is an object or nothing more can be taken out.
"""

from __future__ import annotations

import copy
import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from pyproxy.errors import PolicyError
from pyproxy.policy.client_traffic_policy import ClientTrafficPolicy
from pyproxy.policy.document import Document, Path
from pyproxy.policy.fields import find_refused
from pyproxy.policy.model import Backend, FieldError, Gateway, GatewayClass, HTTPRoute, Metadata, Resource, Service

GATEWAY_API = "gateway.networking.k8s.io/v1"
ENVOY_GATEWAY_API = "gateway.envoyproxy.io/v1alpha1"

KINDS: dict[str, tuple[tuple[str, ...], type[Resource]]] = {
    "GatewayClass": ((GATEWAY_API, f"{GATEWAY_API}beta1"), GatewayClass),
    "Gateway": ((GATEWAY_API, f"{GATEWAY_API}beta1"), Gateway),
    "HTTPRoute": ((GATEWAY_API, f"{GATEWAY_API}beta1"), HTTPRoute),
    "Backend": ((ENVOY_GATEWAY_API,), Backend),
    "Service": (("v1",), Service),
    "ClientTrafficPolicy": ((ENVOY_GATEWAY_API,), ClientTrafficPolicy),
}

NO_EFFECT = frozenset(
    (
        "ConfigMap",
        "DaemonSet",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Namespace",
        "Pod",
        "PodDisruptionBudget",
        "ReferenceGrant",
        "Secret",
        "ServiceAccount",
        "StatefulSet",
    )
)
"""Kinds that stand beside the others in quickstart files and by themselves change nothing about the traffic of a plain
HTTP listener (a ReferenceGrant only allows references, and those across namespaces are refused): let pass unread."""

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
        "ListenerSet",
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
        message = f"{kind} has apiVersion {versions[0]}, not {describe(version)}"
        errors.append(document.error(("apiVersion",), message))
        document.failed.append(("apiVersion",))
        if version is not None and not nearest(str(version), versions, cutoff=0.9):
            return Object(document, _key(data), None)  # something else of the same name
    resource = _Validation(document, model, errors).run()
    spec = data.get("spec")
    if model is ClientTrafficPolicy and isinstance(spec, dict):
        for path, reason in find_refused(spec):
            if not document.has_failed(path):
                errors.append(document.error(path, reason))
    return Object(document, _key(data), resource)


def _key(data: dict[str, Any]) -> ObjectKey:
    kind = data["kind"]
    metadata = data.get("metadata")
    named = metadata if isinstance(metadata, dict) else {}
    namespace = named.get("namespace", Metadata.model_fields["namespace"].default)
    return kind, "" if kind == "GatewayClass" else str(namespace), str(named.get("name", ""))


def _kind_message(kind: str) -> str:
    if kind in UNSERVED:
        return f"pyproxy does not serve {kind}; take it out"
    return f"unknown kind {kind}{did_you_mean(kind, [*KINDS, *UNSERVED, *NO_EFFECT])}"


class _Validation:
    """The rounds over one document."""

    def __init__(self, document: Document, model: type[Resource], errors: list[PolicyError]) -> None:
        self.document = document
        self.model = model
        self.errors = errors
        self.data = copy.deepcopy(document.data)
        self._reported: set[str] = set()
        """Names of the fields that are reported, as they are and as they were meant."""
        self._earlier: frozenset[str] = frozenset()
        """Those of the rounds before. A rule about several fields that names one of them says nothing new."""

    def run(self) -> Resource | None:
        while True:
            try:
                return self.model.model_validate(self.data)
            except ValidationError as error:
                found = [(self._place(detail), detail) for detail in error.errors()]
            self._earlier = frozenset(self._reported)
            for path, detail in found:
                self._report(path, detail)
            taken_out = [self._take_out(path) for path, _ in found]
            if not any(taken_out):
                return None

    def _place(self, detail: Any) -> Path:
        """Where pydantic's finding is in the document: without the arms of unions."""
        path: Path = ()
        location = detail["loc"]
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, FieldError):
            location = (*location, *cause.path)
        value = self.data
        for part in location:
            if isinstance(value, dict) and (part in value or detail["type"] == "missing"):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int):
                value = value[part]
            else:
                break
            path = (*path, part)
        return path

    def _report(self, path: Path, detail: Any) -> None:
        message = self._message(path, detail)
        follows = path in self.document.failed or self._earlier & set(re.findall(r"\w+", message))
        self.document.failed.append(path)
        if follows:
            return
        self.errors.append(self.document.error(path, message))
        if path and isinstance(path[-1], str):
            self._reported.add(path[-1])
            if detail["type"] == "extra_forbidden":
                self._reported.update(nearest(path[-1], field_names(self.model, path[:-1])))

    def _take_out(self, path: Path) -> bool:
        """Whether something could be taken out of the data at ``path``."""
        holder = self.data
        for part in path[:-1]:
            holder = holder[part]
        return isinstance(holder, dict) and holder.pop(path[-1], None) is not None

    def _message(self, path: Path, detail: Any) -> str:
        """pydantic's finding in the user's terms."""
        kind = detail["type"]
        value = detail["input"]
        if kind == "missing":
            return "required field is missing"
        if kind == "extra_forbidden":
            return f"unknown field{did_you_mean(str(path[-1]), field_names(self.model, path[:-1]))}"
        if kind == "literal_error":
            expected = detail["ctx"]["expected"]
            values = expected.split("'")[1::2]
            is_not = "is none of" if len(values) > 1 else "is not"
            return f"{describe(value)} {is_not} {expected}{did_you_mean(str(value), values)}"
        if kind == "value_error":
            return str(detail["ctx"]["error"])
        if kind in _TYPE_NAMES:
            return f"must be {_TYPE_NAMES[kind]}, not {describe(value)}"
        text: str = detail["msg"]
        return f"{text[0].lower()}{text[1:]}, not {describe(value)}"


_TYPE_NAMES = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
    "string_type": "text (put it in quotes)",
}


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
