"""The Gateway API and Envoy Gateway resources that pyproxy reads, as pydantic models with the API's own names.

These say what is valid; what a valid value does is ``translate``'s. HTTPRoute and ClientTrafficPolicy have modules of
their own.
A field typed ``Unserved`` is known and refused, with its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel

from pyproxy.policy.document import Path
from pyproxy.policy.scalars import DURATION_PATTERN, parse_duration

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule about several fields of a model, as the CRD has it in CEL."""

    message: str
    """The CRD's, to the letter."""
    broken_at: Callable[[Any], Sequence[Path]]
    """The places in the model where it is broken; none where it holds."""


class Strict(BaseModel):
    """No field but those named, no value converted into another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)

    RULES: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        broken = [(place, rule.message) for rule in self.RULES for place in rule.broken_at(self)]
        if broken:
            raise BrokenRules(broken)
        return self


class BrokenRules(ValueError):
    """Rules of a whole model are broken, each (path in it, message)."""

    def __init__(self, broken: Sequence[tuple[Path, str]]) -> None:
        super().__init__("; ".join(message for _, message in broken))
        self.broken = broken


class FieldError(BrokenRules):
    """One rule of a whole model is broken, and ``path`` in it is where."""

    def __init__(self, path: Path, message: str) -> None:
        super().__init__([(path, message)])


class NotServed(ValueError):
    """What a cluster takes and pyproxy does not serve."""


def _refuse(value: object) -> object:
    raise NotServed("pyproxy does not serve this field; take it out")


Unserved = Annotated[Any, BeforeValidator(_refuse)]


def unserved(*values: str, takes: str) -> BeforeValidator:
    """For an enum: values that the API has and pyproxy does not, and those that it has."""

    def refuse(value: object) -> object:
        if value in values:
            raise ValueError(_takes(str(value), takes))
        return value

    return BeforeValidator(refuse)


def quoting(pattern: str, parse: Callable[[Any], object]) -> AfterValidator:
    """``parse`` raises a ValueError for what does not have the CRD's ``pattern``, which the message then quotes."""

    def check(value: Any) -> Any:
        try:
            parse(value)
        except ValueError as error:
            raise ValueError(f"{error} (in body should match '{pattern}')") from None
        return value

    return AfterValidator(check)


def matching(pattern: str, what: str) -> Any:
    """For text: the CRD's pattern, and what the user is told the text should be."""
    compiled = re.compile(pattern.replace("$|", r"\Z|").removesuffix("$") + r"\Z")

    def parse(text: str) -> None:
        if compiled.match(text) is None:
            raise ValueError(f"{text!r} is not {what}")

    return quoting(pattern, parse)


def schema(**words: object) -> Any:
    """For ``pyproxy explain``: what a validator of ours does not tell pydantic's schema."""
    return Field(json_schema_extra=dict(words))  # type: ignore[arg-type]  # its type is a recursive JSON one


def once(of: Callable[[Any], str], at: tuple[str, ...] = ()) -> AfterValidator:
    """For a list: what ``of`` makes of an element may be there once; ``at`` is the place in the element."""

    def check(values: list[Any] | None) -> list[Any] | None:
        found = [of(value) for value in values or []]
        twice = [(index, found.index(one)) for index, one in enumerate(found) if found.index(one) != index]
        if twice:
            raise BrokenRules(
                [((index, *at), f"the same as [{first}] (Duplicate value: {found[index]})") for index, first in twice]
            )
        return values

    return AfterValidator(check)


def unless(holds: Callable[[Any], bool], *place: str) -> Callable[[Any], Sequence[Path]]:
    """For a Rule: ``place`` is where it is broken when it does not hold."""
    return lambda model: () if holds(model) else (place,)


def name_as_json(value: Any) -> str:
    """A list's key, as Kubernetes writes it where the name is all there is to it."""
    return f'{{"name":"{value.name}"}}'


def repeated(values: Sequence[T]) -> list[tuple[int, T]]:
    """(index, value) of each that is there already before it."""
    return [(index, value) for index, value in enumerate(values) if value in values[:index]]


_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DOTTED = rf"{_LABEL}(\.{_LABEL})*"
_TOKEN = r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$"


def _with_unit(value: object) -> object:
    if isinstance(value, int | float) and not isinstance(value, bool):
        raise ValueError(f"must be text with a unit, like {value}s or {value}ms, not {value}")
    return value


Duration = Annotated[
    str, BeforeValidator(_with_unit), quoting(DURATION_PATTERN, parse_duration), schema(pattern=DURATION_PATTERN)
]
Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[
    str,
    Field(min_length=1, max_length=253),
    matching(f"^{_DOTTED}$", "a name: write lower-case letters, digits, - and ."),
]
Namespace = Annotated[
    str,
    Field(min_length=1, max_length=63),
    matching(f"^{_LABEL}$", "a namespace: write lower-case letters, digits and -"),
]
HeaderName = Annotated[
    str,
    Field(min_length=1, max_length=256),
    matching(_TOKEN, "a header's name: write letters, digits and !#$%&'*+-.^_`|~"),
    schema(pattern=_TOKEN),
]
PreciseHostname = Annotated[
    str, Field(min_length=1, max_length=253), matching(f"^{_DOTTED}$", "a hostname: write a DNS name in lower case")
]
Hostname = Annotated[
    str,
    Field(min_length=1, max_length=253),
    matching(rf"^(\*\.)?{_DOTTED}$", "a hostname: write a DNS name in lower case, perhaps with *. in front"),
]


class Metadata(Strict):
    """ObjectMeta; the fields that a cluster adds are let pass, as kubectl's output is full of them."""

    name: Name
    namespace: Namespace = "default"
    """kubectl's default, and the guide's."""
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)
    creation_timestamp: Annotated[AwareDatetime, Field(strict=False)] | None = None
    generation: int = 1
    generate_name: Any = None
    uid: Any = None
    resource_version: Any = None
    self_link: Any = None
    managed_fields: Any = None
    owner_references: Any = None
    finalizers: Any = None
    deletion_timestamp: Any = None
    deletion_grace_period_seconds: Any = None

    @property
    def key(self) -> tuple[str, str]:
        """(namespace, name)."""
        return self.namespace, self.name

    @property
    def by_age(self) -> tuple[bool, float, str, str]:
        """Sort key: older first, objects without a time last, then namespace and name."""
        created = self.creation_timestamp
        return created is None, created.timestamp() if created else 0.0, self.namespace, self.name


class Resource(Strict):
    """What every object has."""

    api_version: str
    kind: str
    metadata: Metadata
    status: Any = None


class GatewayClassSpec(Strict):
    controller_name: str
    description: str | None = None
    parameters_ref: Unserved = None


class GatewayClass(Resource):
    """gateway.networking.k8s.io/v1 GatewayClass."""

    spec: GatewayClassSpec


class RouteNamespaces(Strict):
    from_: Literal["All", "Same", "Selector", "None"] = Field(default="Same", alias="from")
    selector: Any = None


class RouteKind(Strict):
    group: str = "gateway.networking.k8s.io"
    kind: str


class AllowedRoutes(Strict):
    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: list[RouteKind] = Field(default_factory=list)


class GatewayListener(Strict):
    name: Name
    port: Port
    protocol: Literal["HTTP", "HTTPS", "TLS", "TCP", "UDP"]
    hostname: Hostname | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()
    tls: Any = None
    """Of listeners that are not served; these count for statuses alone."""


class GatewaySpec(Strict):
    gateway_class_name: Name
    listeners: list[GatewayListener] = Field(min_length=1, max_length=64)
    addresses: Unserved = None
    infrastructure: Unserved = None
    backend_tls: Unserved = Field(default=None, alias="backendTLS")
    tls: Unserved = None
    allowed_listeners: Unserved = None

    RULES = (
        Rule(
            "tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']",
            lambda spec: [
                ("listeners", index, "tls")
                for index, one in enumerate(spec.listeners)
                if one.protocol in ("HTTP", "TCP", "UDP") and one.tls is not None
            ],
        ),
        Rule(
            "hostname must not be specified for protocols ['TCP', 'UDP']",
            lambda spec: [
                ("listeners", index, "hostname")
                for index, one in enumerate(spec.listeners)
                if one.protocol in ("TCP", "UDP") and one.hostname is not None
            ],
        ),
        Rule(
            "Listener name must be unique within the Gateway",
            lambda spec: [
                ("listeners", index, "name") for index, _ in repeated([listener.name for listener in spec.listeners])
            ],
        ),
        Rule(
            "Combination of port, protocol and hostname must be unique for each listener",
            lambda spec: [
                ("listeners", index, "port")
                for index, _ in repeated(
                    [(listener.port, listener.protocol, listener.hostname) for listener in spec.listeners]
                )
            ],
        ),
    )


class Gateway(Resource):
    """gateway.networking.k8s.io/v1 Gateway."""

    spec: GatewaySpec

    def not_served(self) -> Iterator[tuple[Path, str]]:
        """(place in the document, message) of what a cluster takes and pyproxy does not serve."""
        for index, listener in enumerate(self.spec.listeners):
            place: Path = ("spec", "listeners", index)
            routes = listener.allowed_routes
            if listener.protocol != "HTTP":
                yield (*place, "protocol"), _takes(listener.protocol, "HTTP")
            if routes.namespaces.from_ not in ("All", "Same"):
                path = (*place, "allowedRoutes", "namespaces", "from")
                yield path, _takes(routes.namespaces.from_, "All and Same")
            for number, one in enumerate(routes.kinds):
                if one.kind != "HTTPRoute":
                    yield (*place, "allowedRoutes", "kinds", number, "kind"), _takes(one.kind, "HTTPRoute")


class ListenerSetParent(Strict):
    group: str = "gateway.networking.k8s.io"
    kind: str = "Gateway"
    name: Name
    namespace: Namespace | None = None


class ListenerSetSpec(Strict):
    parent_ref: ListenerSetParent
    listeners: list[GatewayListener] = Field(min_length=1, max_length=64)


class ListenerSet(Resource):
    """gateway.networking.k8s.io/v1 ListenerSet: further listeners of a Gateway. Counts for statuses alone."""

    spec: ListenerSetSpec

    @property
    def parent(self) -> tuple[str, str]:
        """(namespace, name) of its Gateway."""
        ref = self.spec.parent_ref
        return ref.namespace or self.metadata.namespace, ref.name


def _takes(value: str, takes: str) -> str:
    return f"pyproxy does not serve {value} here; it takes {takes}"


def _ip(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address; for a name write fqdn with hostname and port") from None


class IPEndpoint(Strict):
    address: Annotated[str, AfterValidator(_ip)]
    port: Port


class FQDNEndpoint(Strict):
    hostname: PreciseHostname
    port: Port


class BackendEndpoint(Strict):
    ip: IPEndpoint | None = None
    fqdn: FQDNEndpoint | None = None
    unix: Unserved = None
    hostname: Unserved = None
    zone: str | None = None

    @model_validator(mode="after")
    def _one_address(self) -> BackendEndpoint:
        if self.ip is None and self.fqdn is None:
            raise ValueError("one of fqdn, ip or unix must be specified")
        if self.ip is not None and self.fqdn is not None:
            raise ValueError("only one of fqdn, ip or unix can be specified")
        return self


class BackendSpec(Strict):
    type: Annotated[Literal["Endpoints"], unserved("DynamicResolver", takes="Endpoints")] = "Endpoints"
    endpoints: list[BackendEndpoint] = Field(min_length=1, max_length=256)
    app_protocols: Unserved = None
    fallback: Unserved = None
    tls: Unserved = None

    @model_validator(mode="after")
    def _not_mixed(self) -> BackendSpec:
        if len({endpoint.ip is None for endpoint in self.endpoints}) > 1:
            raise ValueError("fqdn addresses cannot be mixed with other address types")
        return self


class Backend(Resource):
    """gateway.envoyproxy.io/v1alpha1 Backend."""

    spec: BackendSpec


class ServicePort(BaseModel):
    """A Service's port; the fields of a cluster's own business are let pass."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel)

    port: Port
    name: str | None = None
    protocol: str = "TCP"


class ServiceSpec(BaseModel):
    """A Service's address as far as it has one outside a cluster."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel)

    type: str = "ClusterIP"
    cluster_ip: str | None = Field(default=None, alias="clusterIP")
    external_name: str | None = None
    ports: list[ServicePort] = Field(default_factory=list)

    @property
    def address(self) -> str | None:
        """Where the Service can be reached from this machine."""
        if self.type == "ExternalName":
            return self.external_name
        try:
            return str(ip_address(self.cluster_ip or ""))
        except ValueError:
            return None

    def has_port(self, port: int | None) -> bool:
        """Whether a backendRef may name ``port``; an ExternalName needs no list of them."""
        return port in [one.port for one in self.ports] or (not self.ports and self.type == "ExternalName")


class Service(Resource):
    """v1 Service."""

    spec: ServiceSpec = ServiceSpec()


class ReferenceGrantFrom(Strict):
    group: str
    kind: str
    namespace: Namespace


class ReferenceGrantTo(Strict):
    group: str
    kind: str
    name: str | None = None


class ReferenceGrantSpec(Strict):
    from_: list[ReferenceGrantFrom] = Field(alias="from", min_length=1, max_length=16)
    to: list[ReferenceGrantTo] = Field(min_length=1, max_length=16)


class ReferenceGrant(Resource):
    """gateway.networking.k8s.io/v1beta1 ReferenceGrant: lets objects of another namespace refer to those of its own."""

    spec: ReferenceGrantSpec


class NamespaceObject(Resource):
    """v1 Namespace, for its labels."""

    spec: Any = None
