"""The Gateway API and Envoy Gateway resources that pyproxy reads, as pydantic models with the API's own names.

These say what is valid; what a valid value does is ``translate``'s. ClientTrafficPolicy has a module of its own.
A field typed ``Unserved`` is known and refused, with its line.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel


class Strict(BaseModel):
    """No field but those named, no value converted into another type."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, alias_generator=to_camel)


class FieldError(ValueError):
    """A rule of a whole model is broken, and ``path`` in it is where."""

    def __init__(self, path: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.path = path


def _refuse(value: object) -> object:
    raise ValueError("pyproxy does not serve this field; take it out")


Unserved = Annotated[Any, BeforeValidator(_refuse)]


def _unserved(*values: str, takes: str) -> BeforeValidator:
    """For an enum: values that the API has and pyproxy does not, and those that it has."""

    def refuse(value: object) -> object:
        if value in values:
            raise ValueError(f"pyproxy does not serve {value} here; it takes {takes}")
        return value

    return BeforeValidator(refuse)


def _matching(pattern: str, what: str) -> AfterValidator:
    """For text: a pattern, and what the user is told the text should be."""
    compiled = re.compile(pattern)

    def check(value: str) -> str:
        if compiled.fullmatch(value) is None:
            raise ValueError(f"{value!r} is not {what}")
        return value

    return AfterValidator(check)


_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_DOTTED = rf"{_LABEL}(\.{_LABEL})*"

Port = Annotated[int, Field(ge=1, le=65535)]
Name = Annotated[
    str,
    Field(min_length=1, max_length=253),
    _matching(_DOTTED, "a name: write lower-case letters, digits, - and ."),
]
Namespace = Annotated[
    str, Field(min_length=1, max_length=63), _matching(_LABEL, "a namespace: write lower-case letters, digits and -")
]
Hostname = Annotated[
    str,
    Field(min_length=1, max_length=253),
    _matching(rf"(\*\.)?{_DOTTED}", "a hostname: write a DNS name in lower case, perhaps with *. in front"),
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
    from_: Annotated[Literal["All", "Same"], _unserved("Selector", "None", takes="All and Same")] = Field(
        default="Same", alias="from"
    )
    selector: Unserved = None


class RouteKind(Strict):
    group: str = "gateway.networking.k8s.io"
    kind: Annotated[Literal["HTTPRoute"], _unserved("GRPCRoute", takes="HTTPRoute")]


class AllowedRoutes(Strict):
    namespaces: RouteNamespaces = RouteNamespaces()
    kinds: list[RouteKind] = Field(default_factory=list)


class GatewayListener(Strict):
    name: Name
    port: Port
    protocol: Annotated[Literal["HTTP"], _unserved("HTTPS", "TLS", "TCP", "UDP", takes="HTTP")]
    hostname: Hostname | None = None
    allowed_routes: AllowedRoutes = AllowedRoutes()
    tls: Unserved = None


class GatewaySpec(Strict):
    gateway_class_name: Name
    listeners: list[GatewayListener] = Field(min_length=1, max_length=64)
    addresses: Unserved = None
    infrastructure: Unserved = None
    backend_tls: Unserved = Field(default=None, alias="backendTLS")
    tls: Unserved = None
    allowed_listeners: Unserved = None


class Gateway(Resource):
    """gateway.networking.k8s.io/v1 Gateway."""

    spec: GatewaySpec


class ParentReference(Strict):
    group: Literal["gateway.networking.k8s.io"] = "gateway.networking.k8s.io"
    kind: Literal["Gateway"] = "Gateway"
    namespace: Namespace | None = None
    name: Name
    section_name: Name | None = None
    port: Port | None = None


_PATH = re.compile(r"/(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})*")
_NOT_IN_PATH = re.compile(r"//|/\.\.?(?:/|$)|%2[fF]")


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise ValueError("value must be an absolute path and start with '/' when type one of ['Exact', 'PathPrefix']")
    if (part := _NOT_IN_PATH.search(value)) is not None:
        raise ValueError(f"a path must not contain {part[0]!r}")
    if _PATH.fullmatch(value) is None:
        raise ValueError(f"{value!r} is not a path: write other characters than a-z, 0-9 and -._~!$&'()*+,;=:@ as %XX")
    return value


class HTTPPathMatch(Strict):
    type: Annotated[Literal["Exact", "PathPrefix"], _unserved("RegularExpression", takes="Exact and PathPrefix")] = (
        "PathPrefix"
    )
    value: Annotated[str, Field(max_length=1024), AfterValidator(_path)] = "/"


class HTTPRouteMatch(Strict):
    path: HTTPPathMatch = HTTPPathMatch()
    headers: Unserved = None
    query_params: Unserved = None
    method: Unserved = None


class BackendRef(Strict):
    group: str = ""
    kind: str = "Service"
    name: Name
    namespace: Namespace | None = None
    port: Port | None = None
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    filters: Unserved = None

    @model_validator(mode="after")
    def _service_port(self) -> BackendRef:
        if (self.group, self.kind) == ("", "Service") and self.port is None:
            raise ValueError("Must have port for Service reference")
        return self


class HTTPRouteRule(Strict):
    name: Name | None = None
    matches: list[HTTPRouteMatch] = Field(default_factory=list, max_length=64)
    backend_refs: list[BackendRef] = Field(default_factory=list, max_length=16)
    filters: Unserved = None
    timeouts: Unserved = None
    retry: Unserved = None
    session_persistence: Unserved = None


class HTTPRouteSpec(Strict):
    parent_refs: list[ParentReference] = Field(min_length=1, max_length=32)
    hostnames: list[Hostname] = Field(default_factory=list, max_length=16)
    rules: list[HTTPRouteRule] = Field(default_factory=lambda: [HTTPRouteRule()], max_length=16)
    use_default_gateways: Unserved = None


class HTTPRoute(Resource):
    """gateway.networking.k8s.io/v1 HTTPRoute."""

    spec: HTTPRouteSpec


def _ip(value: str) -> str:
    try:
        return str(ip_address(value))
    except ValueError:
        raise ValueError(f"{value!r} is not an IP address; for a name write fqdn with hostname and port") from None


class IPEndpoint(Strict):
    address: Annotated[str, AfterValidator(_ip)]
    port: Port


class FQDNEndpoint(Strict):
    hostname: Hostname
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
    type: Annotated[Literal["Endpoints"], _unserved("DynamicResolver", takes="Endpoints")] = "Endpoints"
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


class Service(Resource):
    """v1 Service."""

    spec: ServiceSpec = ServiceSpec()
