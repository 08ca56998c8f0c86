"""Resource files to settings and statuses, or to every mistake that is in them.

Three rounds, each over everything: documents (YAML), schemas (one object by itself), references (objects together).
A round with errors ends the loading, as the next would only report what follows from them.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path as FilePath
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from pyproxy.errors import PolicyError, PolicyErrors
from pyproxy.policy.attach import Attachment, attach, key
from pyproxy.policy.client_traffic_policy import ClientTrafficPolicy
from pyproxy.policy.document import Document, Path, parse
from pyproxy.policy.fields import find_refused
from pyproxy.policy.model import Backend, Gateway, GatewayClass, HTTPRoute, Resource, Service
from pyproxy.policy.release import Release
from pyproxy.policy.scalars import parse_duration
from pyproxy.policy.status import CONTROLLER_NAME, format_status
from pyproxy.policy.translate import Backends, bound_port, is_parent, shared_hostnames, translate
from pyproxy.settings import Listener, Settings

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

NO_EFFECT = frozenset(("Namespace", "ServiceAccount", "Deployment", "ConfigMap", "Secret"))
"""Kinds that stand in quickstart files and change nothing about a plain HTTP listener's traffic."""

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
        "ReferenceGrant",
        "SecurityPolicy",
        "TCPRoute",
        "TLSRoute",
        "UDPRoute",
    )
)
"""Kinds that would change traffic, so that leaving them out in silence would be wrong."""

R = TypeVar("R", bound=Resource)


@dataclass(slots=True)
class _Object:
    document: Document
    resource: Resource


@dataclass(slots=True)
class Loaded:
    """What the files amount to."""

    settings: Settings
    policies: list[ClientTrafficPolicy]
    attachment: Attachment
    read_at: datetime

    def policies_of(self, listener: Listener) -> list[str]:
        """``namespace/name`` of each policy that applies to a listener."""
        namespace, gateway, _ = listener.name.split("/")
        names = {
            "/".join(key(policy.metadata))
            for (claim_namespace, claim_gateway, claim_listener), policy in self.attachment.claims.items()
            if (claim_namespace, claim_gateway, claim_listener) == (namespace, gateway, listener.name.split("/")[2])
        }
        return sorted(names)

    def status(self, output: str, now: datetime) -> str:
        """The policies' statuses as ``table``, ``yaml`` or ``json``."""
        return format_status(self.policies, self.attachment, output=output, now=now, since=self.read_at)


def load(paths: Sequence[FilePath], *, release: Release, address: str, now: datetime) -> Loaded:
    """Read files and folders. Raises ``PolicyErrors``."""
    errors: list[PolicyError] = []
    texts = [text for path in paths for text in _read(path, errors)]
    return load_texts(texts, release=release, address=address, now=now, errors=errors)


def load_texts(
    texts: Iterable[tuple[str, str]],
    *,
    release: Release,
    address: str,
    now: datetime,
    errors: list[PolicyError] | None = None,
) -> Loaded:
    """The same for (name, text) pairs already read. Raises ``PolicyErrors``."""
    errors = [] if errors is None else errors
    documents: list[Document] = []
    for name, text in texts:
        found, wrong = parse(text, name)
        documents += found
        errors += wrong
    objects = [one for document in documents if (one := _validate(document, errors)) is not None]
    _check_unique(objects, errors)
    if not errors:
        check_references(objects, errors)
    if errors:
        raise PolicyErrors(sorted(set(errors)))
    gateways = _of_kind(objects, Gateway)
    policies = _of_kind(objects, ClientTrafficPolicy)
    attachment = attach(gateways, policies)
    backends = Backends(
        {key(backend.metadata): backend for backend in _of_kind(objects, Backend)},
        {key(service.metadata): service for service in _of_kind(objects, Service)},
    )
    settings = translate(gateways, _of_kind(objects, HTTPRoute), backends, attachment, release, address)
    return Loaded(settings, policies, attachment, now)


def _read(path: FilePath, errors: list[PolicyError]) -> list[tuple[str, str]]:
    """(name, text) of a file, or of a folder's resource files, not of folders in it."""
    try:
        files = [path]
        if path.is_dir():
            files = sorted(
                file
                for file in path.iterdir()
                if file.suffix in (".yaml", ".yml", ".json") and not file.name.startswith(".") and file.is_file()
            )
            if not files:
                errors.append(PolicyError(str(path), 1, 1, "", "the folder has no .yaml, .yml or .json file"))
        return [(str(file), file.read_text(encoding="utf-8-sig")) for file in files]
    except UnicodeDecodeError as error:
        errors.append(PolicyError(str(path), 1, 1, "", f"not UTF-8: {error.reason} at byte {error.start}"))
    except OSError as error:
        errors.append(PolicyError(str(path), 1, 1, "", f"can't be read: {error.strerror}"))
    return []


# -- one object by itself --------------------------------------------------------------------------------------


def _validate(document: Document, errors: list[PolicyError]) -> _Object | None:
    data = document.data
    if not isinstance(data, dict):
        errors.append(document.error((), "a resource is a mapping with apiVersion, kind, metadata and spec"))
        return None
    kind = data.get("kind")
    if kind in NO_EFFECT:
        return None
    known = KINDS.get(kind) if isinstance(kind, str) else None
    if known is None:
        errors.append(document.error(("kind",), _kind_message(kind)))
        return None
    versions, model = known
    if data.get("apiVersion") not in versions:
        errors.append(document.error(("apiVersion",), f"{kind} has apiVersion {versions[0]}"))
        return None
    try:
        resource = model.model_validate(data)
    except ValidationError as error:
        errors += [_schema_error(document, model, detail) for detail in error.errors()]
        return None
    if isinstance(resource, ClientTrafficPolicy):
        _check_policy(document, resource, errors)
    return _Object(document, resource)


def _kind_message(kind: object) -> str:
    if not isinstance(kind, str):
        return "required: the kind of the resource"
    if kind in UNSERVED:
        return f"pyproxy does not serve {kind}; take it out"
    return f"unknown kind {kind}{_did_you_mean(kind, [*KINDS, *UNSERVED, *NO_EFFECT])}"


def _schema_error(document: Document, model: type[BaseModel], detail: Any) -> PolicyError:
    """pydantic's finding in the user's terms, at the user's line."""
    kind, location = detail["type"], detail["loc"]
    path: Path = ()
    value = document.data
    for part in location:
        if isinstance(value, dict) and (part in value or part == location[-1]):
            value = value.get(part)
        elif isinstance(value, list) and isinstance(part, int):
            value = value[part]
        else:
            break  # the arm of a union, which is no place in the document
        path = (*path, part)
    if kind == "missing":
        message = "required field is missing"
    elif kind == "extra_forbidden":
        message = f"unknown field{_did_you_mean(str(path[-1]), _field_names(model, path[:-1]))}"
    elif kind == "literal_error":
        expected = detail["ctx"]["expected"]
        message = f"{value!r} is none of {expected}{_did_you_mean(str(value), _quoted(expected))}"
    elif kind == "value_error":
        message = str(detail["ctx"]["error"])
    elif kind in _TYPE_NAMES:
        message = f"must be {_TYPE_NAMES[kind]}, not {_describe(value)}"
    else:
        message = f"{detail['msg'][0].lower()}{detail['msg'][1:]}, not {_describe(value)}"
    return document.error(path, message)


_TYPE_NAMES = {
    "bool_type": "true or false",
    "dict_type": "a mapping",
    "int_type": "a whole number",
    "list_type": "a list",
    "model_type": "a mapping",
    "string_type": "text (put it in quotes)",
}


def _describe(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return "a mapping" if isinstance(value, dict) else "a list"
    return repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)


def _quoted(expected: str) -> list[str]:
    return expected.split("'")[1::2]


def _did_you_mean(word: str, candidates: Iterable[str]) -> str:
    close = difflib.get_close_matches(word, list(candidates), n=1, cutoff=0.6)
    return f"; did you mean {close[0]}?" if close else ""


def _field_names(model: type[BaseModel], path: Path) -> list[str]:
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


def _check_policy(document: Document, policy: ClientTrafficPolicy, errors: list[PolicyError]) -> None:
    spec = policy.spec
    for path, reason in find_refused(document.data["spec"]):
        errors.append(document.error(path, reason))
    keepalive = spec.tcp_keepalive
    if keepalive is not None:
        # Envoy Gateway lets these through, and Envoy then drops the listener (measured).
        place: Path = ("spec", "tcpKeepalive")
        for name, duration in (("idleTime", keepalive.idle_time), ("interval", keepalive.interval)):
            if duration is not None and not 1 <= parse_duration(duration) // 1000 <= 32767:
                message = f"the kernel takes 1s to 32767s, in whole seconds, not {duration}"
                errors.append(document.error((*place, name), message))
        if keepalive.probes is not None and not 1 <= keepalive.probes <= 127:
            errors.append(document.error((*place, "probes"), f"the kernel takes 1 to 127, not {keepalive.probes}"))


# -- objects together ------------------------------------------------------------------------------------------


def _of_kind(objects: Sequence[_Object], kind: type[R]) -> list[R]:
    return [one.resource for one in objects if isinstance(one.resource, kind)]


def _check_unique(objects: Sequence[_Object], errors: list[PolicyError]) -> None:
    seen: dict[tuple[str, str, str], Document] = {}
    for one in objects:
        name = (one.resource.kind, *key(one.resource.metadata))
        first = seen.setdefault(name, one.document)
        if first is not one.document:
            message = f"{name[0]} {name[2]} is there already, in {first.file}:{first.line}"
            errors.append(one.document.error(("metadata", "name"), message))


def check_references(objects: Sequence[_Object], errors: list[PolicyError]) -> None:
    """Every name that one object has for another must lead to one."""
    names = {kind: {key(one.metadata) for one in _of_kind(objects, model)} for kind, (_, model) in KINDS.items()}
    classes = {one.metadata.name: one for one in _of_kind(objects, GatewayClass)}
    gateways = _of_kind(objects, Gateway)
    ports: dict[int, Gateway] = {}
    for one in objects:
        document, resource = one.document, one.resource
        if isinstance(resource, GatewayClass):
            if resource.spec.controller_name != CONTROLLER_NAME:
                message = f"Envoy Gateway's, and so pyproxy's, is {CONTROLLER_NAME}"
                errors.append(document.error(("spec", "controllerName"), message))
        elif isinstance(resource, Gateway):
            _check_gateway(document, resource, set(classes), ports, errors)
        elif isinstance(resource, HTTPRoute):
            _check_parents(document, resource, gateways, names["Gateway"], errors)
            _check_backends(document, resource, objects, names, errors)
        elif isinstance(resource, ClientTrafficPolicy):
            _check_targets(document, resource, names["Gateway"], errors)


def _check_gateway(
    document: Document, gateway: Gateway, classes: set[str], ports: dict[int, Gateway], errors: list[PolicyError]
) -> None:
    wanted = gateway.spec.gateway_class_name
    if wanted not in classes:
        message = f"there is no GatewayClass {wanted}{_name_hint(wanted, classes)}"
        errors.append(document.error(("spec", "gatewayClassName"), message))
    seen: set[tuple[int, str | None]] = set()
    listener_names: set[str] = set()
    for index, listener in enumerate(gateway.spec.listeners):
        place: Path = ("spec", "listeners", index)
        if listener.name in listener_names:
            errors.append(document.error((*place, "name"), f"there are two listeners {listener.name}"))
        listener_names.add(listener.name)
        if (listener.port, listener.hostname) in seen:
            message = "Port, protocol and hostname tuple must be unique for every listener"
            errors.append(document.error((*place, "port"), message))
        seen.add((listener.port, listener.hostname))
        port = bound_port(listener.port)
        other = ports.setdefault(port, gateway)
        same = next((one for one in gateway.spec.listeners if bound_port(one.port) == port), listener)
        if other is not gateway or same.port != listener.port:
            owner = other.metadata.name if other is not gateway else f"listener {same.name}"
            errors.append(document.error((*place, "port"), f"port {port} is bound for {owner} already"))


def _check_parents(
    document: Document,
    route: HTTPRoute,
    gateways: Sequence[Gateway],
    names: set[tuple[str, str]],
    errors: list[PolicyError],
) -> None:
    for index, ref in enumerate(route.spec.parent_refs):
        place: Path = ("spec", "parentRefs", index)
        wanted = (ref.namespace or route.metadata.namespace, ref.name)
        if wanted not in names:
            errors.append(document.error((*place, "name"), _missing("Gateway", wanted, names)))
            continue
        gateway = next(one for one in gateways if key(one.metadata) == wanted)
        single = route.model_copy(update={"spec": route.spec.model_copy(update={"parent_refs": [ref]})})
        reached = [listener for listener in gateway.spec.listeners if is_parent(gateway, listener, single)]
        if not reached:
            errors.append(document.error(place, f"no listener of Gateway {ref.name} takes this route"))
        elif not any(shared_hostnames(route, listener) for listener in reached):
            message = "There were no hostname intersections between the HTTPRoute and this parent ref's Listener(s)."
            errors.append(document.error(("spec", "hostnames"), message))


def _check_backends(
    document: Document,
    route: HTTPRoute,
    objects: Sequence[_Object],
    names: dict[str, set[tuple[str, str]]],
    errors: list[PolicyError],
) -> None:
    groups = {"Backend": "gateway.envoyproxy.io", "Service": ""}
    services = {key(service.metadata): service for service in _of_kind(objects, Service)}
    for rule_index, rule in enumerate(route.spec.rules):
        for index, ref in enumerate(rule.backend_refs):
            place: Path = ("spec", "rules", rule_index, "backendRefs", index)
            name = (route.metadata.namespace, ref.name)
            if groups.get(ref.kind) != ref.group:
                message = "a backendRef is a Service of group '' or a Backend of group gateway.envoyproxy.io"
                errors.append(document.error(place, message))
            elif ref.namespace not in (None, route.metadata.namespace):
                message = "pyproxy serves backends of the route's own namespace only"
                errors.append(document.error((*place, "namespace"), message))
            elif name not in names[ref.kind]:
                errors.append(document.error((*place, "name"), _missing(ref.kind, name, names[ref.kind])))
            elif ref.kind == "Service":
                _check_service(document, (*place, "port"), services[name], ref.port, errors)


def _check_service(
    document: Document, place: Path, service: Service, port: int | None, errors: list[PolicyError]
) -> None:
    name = service.metadata.name
    if service.spec.address is None:
        message = (
            f"Service {name} has no address outside its cluster: give it a clusterIP or an externalName that this "
            "machine reaches, or use a Backend"
        )
        errors.append(document.error(place, message))
    elif port not in [one.port for one in service.spec.ports]:
        ports = ", ".join(str(one.port) for one in service.spec.ports) or "none"
        errors.append(document.error(place, f"Service {name} has no such port; its ports: {ports}"))


def _check_targets(
    document: Document, policy: ClientTrafficPolicy, names: set[tuple[str, str]], errors: list[PolicyError]
) -> None:
    namespace = policy.metadata.namespace
    for place, ref in policy.spec.targets:
        if ref.namespace not in (None, namespace):
            message = f"a policy's target is in its own namespace, {namespace}; take this out"
            errors.append(document.error((*place, "namespace"), message))
        elif ref.kind != "Gateway":
            errors.append(document.error((*place, "kind"), f"pyproxy does not serve {ref.kind}; target a Gateway"))
        elif (namespace, ref.name) not in names:
            errors.append(document.error((*place, "name"), _missing("Gateway", (namespace, ref.name), names)))


def _missing(kind: str, wanted: tuple[str, str], names: set[tuple[str, str]]) -> str:
    namespace, name = wanted
    here = [other for other_namespace, other in names if other_namespace == namespace]
    hint = _name_hint(name, here)
    if not names:
        hint = "; add its file with another -f"
    return f"there is no {kind} {name} in namespace {namespace}{hint}"


def _name_hint(wanted: str, there: Iterable[str]) -> str:
    names = sorted(there)
    if 0 < len(names) <= 3:
        return f"; there is {', '.join(names)}"
    return _did_you_mean(wanted, names)
