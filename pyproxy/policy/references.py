"""Objects together: every name that one object has for another must lead to one, and no two may claim the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from pyproxy.errors import PolicyError
from pyproxy.policy.client_traffic_policy import ClientTrafficPolicy
from pyproxy.policy.document import Document, Path
from pyproxy.policy.http_route import BackendRef, HTTPRoute, ParentReference
from pyproxy.policy.model import Gateway, GatewayClass, Service
from pyproxy.policy.status import CONTROLLER_NAME
from pyproxy.policy.targets import why_never
from pyproxy.policy.translate import bound_port
from pyproxy.policy.translate_routes import ref_reaches, shared_hostnames
from pyproxy.policy.validate import Object, ObjectKey, did_you_mean


def check_unique(objects: Sequence[Object], errors: list[PolicyError]) -> None:
    """No two objects of one kind, namespace and name."""
    seen: dict[ObjectKey, Document] = {}
    for one in objects:
        first = seen.setdefault(one.key, one.document)
        if first is not one.document and one.key[2]:
            message = f"{one.key[0]} {one.key[2]} is there already, in {first.file}:{first.line}"
            errors.append(one.document.error(("metadata", "name"), message))


@dataclass(slots=True)
class Dangling:
    """References that lead nowhere and yet are no reason to refuse everything else that is wrong or right."""

    file_missing: list[PolicyError] = field(default_factory=list)
    """They say that a file was left out, rather than that there is a mistake in one: no Gateway or GatewayClass."""
    unresolved: list[PolicyError] = field(default_factory=list)
    """Of backendRefs. Envoy Gateway serves such a route and answers 500 for what would go there."""


def check_references(objects: Sequence[Object], errors: list[PolicyError], *, complete: bool) -> Dangling:
    """Check every object that is valid; one that is not still counts as being there.

    ``complete``: no object was lost to a YAML error, so one that is not here is nowhere.
    """
    checker = _Checker(objects, errors, complete)
    for one in objects:
        match one.resource:
            case GatewayClass():
                checker.gateway_class(one.document, one.resource)
            case Gateway():
                checker.gateway(one.document, one.resource)
            case HTTPRoute():
                checker.route(one.document, one.resource)
            case ClientTrafficPolicy():
                checker.policy(one.document, one.resource)
            case _:
                pass
    return checker.found


class _Checker:
    def __init__(self, objects: Sequence[Object], errors: list[PolicyError], complete: bool) -> None:
        self._keys = {one.key for one in objects}
        self._resources = {one.key: one.resource for one in objects}
        self._errors = errors
        self._complete = complete
        self.found = Dangling()
        self._ports: dict[int, Gateway] = {}

    def gateway_class(self, document: Document, resource: GatewayClass) -> None:
        if resource.spec.controller_name != CONTROLLER_NAME:
            message = f"Envoy Gateway's, and so pyproxy's, is {CONTROLLER_NAME}"
            self._error(document, ("spec", "controllerName"), message)

    def gateway(self, document: Document, gateway: Gateway) -> None:
        wanted = gateway.spec.gateway_class_name
        self._exists(document, ("spec", "gatewayClassName"), ("GatewayClass", "", wanted))
        for index, listener in enumerate(gateway.spec.listeners):
            self._port(document, ("spec", "listeners", index, "port"), gateway, listener.port)

    def _port(self, document: Document, place: Path, gateway: Gateway, port: int) -> None:
        """One machine has each port once, where a cluster gives every Gateway an address of its own."""
        bound = bound_port(port)
        other = self._ports.setdefault(bound, gateway)
        if other is not gateway:
            self._error(document, place, f"port {bound} is bound for Gateway {other.metadata.name} already")
        elif (same := next(one for one in gateway.spec.listeners if bound_port(one.port) == bound)).port != port:
            self._error(document, place, f"port {bound} is bound for listener {same.name} already")

    def route(self, document: Document, route: HTTPRoute) -> None:
        for index, parent in enumerate(route.spec.parent_refs):
            self._parent(document, ("spec", "parentRefs", index), route, parent)
        for rule_index, rule in enumerate(route.spec.rules):
            for index, ref in enumerate(rule.backend_refs):
                place: Path = ("spec", "rules", rule_index, "backendRefs", index)
                if not document.has_failed(place):
                    self._backend(document, place, route, ref)

    def _parent(self, document: Document, place: Path, route: HTTPRoute, ref: ParentReference) -> None:
        wanted = ("Gateway", ref.namespace or route.metadata.namespace, ref.name)
        if document.has_failed(place) or not self._exists(document, (*place, "name"), wanted):
            return
        gateway = self._resources[wanted]
        if not isinstance(gateway, Gateway):
            return
        reached = [listener for listener in gateway.spec.listeners if ref_reaches(ref, gateway, listener, route)]
        if not reached:
            names = [listener.name for listener in gateway.spec.listeners]
            hint = did_you_mean(ref.section_name, names) if ref.section_name and ref.section_name not in names else ""
            self._error(document, place, f"no listener of Gateway {ref.name} takes this route{hint}")
        elif not any(shared_hostnames(route, listener) for listener in reached):
            message = "There were no hostname intersections between the HTTPRoute and this parent ref's Listener(s)."
            self._error(document, ("spec", "hostnames"), message)

    def _backend(self, document: Document, place: Path, route: HTTPRoute, ref: BackendRef) -> None:
        wanted = (ref.kind, route.metadata.namespace, ref.name)
        if (ref.group, ref.kind) not in (("", "Service"), ("gateway.envoyproxy.io", "Backend")):
            message = "a backendRef is a Service of group '' or a Backend of group gateway.envoyproxy.io"
            self._error(document, place, message)
        elif ref.namespace not in (None, route.metadata.namespace):
            message = "pyproxy serves backends of the route's own namespace only"
            self._error(document, (*place, "namespace"), message)
        elif wanted not in self._keys:
            if self._complete:
                self._nowhere(document, (*place, "name"), _missing(wanted, self._keys))
        elif isinstance(service := self._resources[wanted], Service):
            self._service(document, (*place, "port"), service, ref.port)

    def _service(self, document: Document, place: Path, service: Service, port: int | None) -> None:
        name, spec = service.metadata.name, service.spec
        if spec.address is None:
            message = (
                f"Service {name} has no address outside its cluster: give it a clusterIP or an externalName that this "
                "machine reaches, or use a Backend"
            )
            self._error(document, place, message)
        elif not spec.has_port(port):
            ports = ", ".join(str(one.port) for one in spec.ports) or "none"
            self._nowhere(document, place, f"Service {name} has no such port; its ports: {ports}")

    def policy(self, document: Document, policy: ClientTrafficPolicy) -> None:
        namespace = policy.metadata.namespace
        for place, ref in policy.spec.targets():
            if document.has_failed(place):
                continue
            wanted = (ref.kind, namespace, ref.name)
            if ref.namespace not in (None, namespace):
                message = f"a policy's target is in its own namespace, {namespace}; this one gets no policy"
                self._warn(document, (*place, "namespace"), message)
            elif ref.kind != "Gateway" and wanted not in self._keys:
                self._warn(document, (*place, "kind"), f"pyproxy does not serve {ref.kind}; target a Gateway")
            elif wanted not in self._keys and self._complete:
                self._warn(document, (*place, "name"), _missing(wanted, self._keys))
        if policy.spec.target_refs == []:
            self._warn(document, ("spec", "targetRefs"), "there is no target")
        for place, message in _pointless(policy):
            self._warn(document, place, message)
        for path, instead in policy.spec.deprecated():
            self._warn(document, path, f"deprecated, use {instead} instead")

    def _exists(self, document: Document, place: Path, wanted: ObjectKey) -> bool:
        if wanted in self._keys:
            return True
        if self._complete:
            is_left_out = wanted[0] in ("Gateway", "GatewayClass") and wanted[0] not in {key[0] for key in self._keys}
            error = document.error(place, _missing(wanted, self._keys))
            (self.found.file_missing if is_left_out else self._errors).append(error)
        return False

    def _nowhere(self, document: Document, place: Path, message: str) -> None:
        self.found.unresolved.append(document.error(place, f"{message}; its share of the requests is answered 500"))

    def _error(self, document: Document, place: Path, message: str) -> None:
        self._errors.append(document.error(place, message))

    def _warn(self, document: Document, place: Path, message: str) -> None:
        self._errors.append(document.error(place, message, is_warning=True))


def _pointless(policy: ClientTrafficPolicy) -> Iterator[tuple[Path, str]]:
    """Where a selector is one that selects nothing, whatever there is."""
    for index, selector in enumerate(policy.spec.target_selectors or []):
        place: Path = ("spec", "targetSelectors", index)
        if selector.kind != "Gateway":
            yield (*place, "kind"), f"it selects nothing: a policy is for Gateways, not for {selector.kind}"
        of_namespaces = selector.namespaces.selector if selector.namespaces is not None else None
        for path, requirements in (
            ((*place, "matchExpressions"), selector.match_expressions),
            (
                (*place, "namespaces", "selector", "matchExpressions"),
                of_namespaces.match_expressions if of_namespaces is not None else None,
            ),
        ):
            for number, requirement in enumerate(requirements or []):
                if (why := why_never(requirement)) is not None:
                    yield (*path, number, "operator"), f"it selects nothing: {why}"


def _missing(wanted: ObjectKey, keys: Iterable[ObjectKey]) -> str:
    kind, namespace, name = wanted
    where = f" in namespace {namespace}" if namespace else ""
    others = sorted(key[1:] for key in keys if key[0] == kind and key[2])
    here = [other for at, other in others if at == namespace]
    elsewhere = [at for at, other in others if other == name]
    if not others:
        hint = "; add its file with another -f"
    elif elsewhere:
        hint = f"; there is one in namespace {elsewhere[0]}"
    elif 0 < len(here) <= 3:
        hint = f"; there is {', '.join(here)}"
    else:
        hint = did_you_mean(name, here)
    return f"there is no {kind} {name}{where}{hint}"
