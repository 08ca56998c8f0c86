"""ClientTrafficPolicy v1alpha1, field for field, with the CRD's patterns, enums and rules.

Which fields are served is not said here but in ``policy.fields``. Stricter than the CRD is only tcpKeepalive: Envoy
Gateway lets values through that the kernel refuses, and Envoy then drops the listener (measured).
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from pyproxy.policy.model import FieldError, Name, Namespace, Resource, Strict
from pyproxy.policy.scalars import parse_cidr, parse_duration, parse_quantity


def _duration(text: str) -> str:
    parse_duration(text)
    return text


def _quantity(value: str | int) -> str | int:
    parse_quantity(value)
    return value


def _cidr(text: str) -> str:
    parse_cidr(text)
    return text


Duration = Annotated[str, AfterValidator(_duration)]
Quantity = Annotated[str | int, AfterValidator(_quantity)]
CIDR = Annotated[str, AfterValidator(_cidr)]
UInt32 = Annotated[int, Field(ge=0, le=2**32 - 1)]
HeaderName = Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$")]
HeaderValue = Annotated[str, Field(min_length=1, max_length=4096)]

GATEWAY_GROUP = "gateway.networking.k8s.io"


class StringMatch(Strict):
    type: Literal["Exact", "Prefix", "Suffix", "RegularExpression"] = "Exact"
    value: Annotated[str, Field(min_length=1, max_length=1024)]


class TargetRef(Strict):
    group: str
    kind: str
    name: Name
    namespace: Namespace | None = None
    """Not in today's schema; the guide of v0.6 writes it, so it is taken where it changes nothing."""
    section_name: Name | None = None


class LabelSelectorRequirement(Strict):
    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: list[str] = Field(default_factory=list)


class LabelSelector(Strict):
    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: list[LabelSelectorRequirement] = Field(default_factory=list)


class SelectorNamespaces(Strict):
    from_: Literal["Same", "All", "Selector"] = Field(default="Same", alias="from")
    selector: LabelSelector | None = None


class TargetSelector(Strict):
    group: str = GATEWAY_GROUP
    kind: str
    namespaces: SelectorNamespaces | None = None
    match_labels: dict[str, str] = Field(default_factory=dict)
    match_expressions: list[LabelSelectorRequirement] = Field(default_factory=list)


def _kernel_seconds(text: str) -> str:
    if not 1 <= parse_duration(text) // 1000 <= 32767:
        raise ValueError(f"the kernel takes 1s to 32767s, in whole seconds, not {text}")
    return text


def _kernel_probes(number: int) -> int:
    if not 1 <= number <= 127:
        raise ValueError(f"the kernel takes 1 to 127, not {number}")
    return number


KernelSeconds = Annotated[Duration, AfterValidator(_kernel_seconds)]


class TCPKeepalive(Strict):
    probes: Annotated[int, AfterValidator(_kernel_probes)] | None = None
    idle_time: KernelSeconds | None = None
    interval: KernelSeconds | None = None


class ProxyProtocolSettings(Strict):
    optional: bool | None = None


class XForwardedFor(Strict):
    num_trusted_hops: UInt32 | None = None
    trusted_cidrs: list[CIDR] | None = Field(default=None, alias="trustedCIDRs", min_length=1)
    disable_x_forwarded_for_append: bool | None = None


class CustomHeader(Strict):
    name: Annotated[str, Field(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9-]+$")]
    fail_closed: bool | None = None


class DirectSourceIP(Strict):
    pass


class ClientIPDetection(Strict):
    x_forwarded_for: XForwardedFor | None = None
    custom_header: CustomHeader | None = None
    direct_source_ip: DirectSourceIP | None = Field(default=None, alias="directSourceIP")


class SecretReference(Strict):
    group: str = ""
    kind: str = "Secret"
    name: Name
    namespace: Namespace | None = None


class SubjectAltNameOther(Strict):
    oid: str
    type: str | None = None
    value: str


class SubjectAltNames(Strict):
    dns_names: list[StringMatch] | None = None
    email_addresses: list[StringMatch] | None = None
    ip_addresses: list[StringMatch] | None = None
    uris: list[StringMatch] | None = None
    other_names: list[SubjectAltNameOther] | None = None


class CertificateRevocationList(Strict):
    refs: list[SecretReference] = Field(min_length=1, max_length=8)
    only_verify_leaf_certificate: bool | None = None


class ClientValidation(Strict):
    optional: bool | None = None
    mode: Literal["Request", "RequireAny", "VerifyIfGiven", "RequireAndVerify"] | None = None
    ca_certificate_refs: list[SecretReference] | None = Field(default=None, max_length=8)
    spki_hashes: list[str] | None = None
    certificate_hashes: list[str] | None = None
    subject_alt_names: SubjectAltNames | None = None
    crl: CertificateRevocationList | None = None
    allow_expired_certificate: bool | None = None


class StatelessResumption(Strict):
    pass


class StatefulResumption(Strict):
    pass


class SessionResumption(Strict):
    stateless: StatelessResumption | None = None
    stateful: StatefulResumption | None = None


class TLSSession(Strict):
    resumption: SessionResumption | None = None


TLSVersion = Literal["Auto", "1.0", "1.1", "1.2", "1.3"]


class TLS(Strict):
    min_version: TLSVersion | None = None
    max_version: TLSVersion | None = None
    ciphers: list[str] | None = None
    ecdh_curves: list[str] | None = None
    signature_algorithms: list[str] | None = None
    alpn_protocols: list[str] | None = None
    fingerprints: list[Literal["JA3", "JA4"]] | None = None
    client_validation: ClientValidation | None = None
    session: TLSSession | None = None


class PathSettings(Strict):
    escaped_slashes_action: (
        Literal["KeepUnchanged", "RejectRequest", "UnescapeAndForward", "UnescapeAndRedirect"] | None
    ) = None
    disable_merge_slashes: bool | None = None


class HTTPHeader(Strict):
    name: HeaderName
    value: HeaderValue


class HTTPHeaderFilter(Strict):
    set: list[HTTPHeader] | None = Field(default=None, min_length=1, max_length=64)
    add: list[HTTPHeader] | None = Field(default=None, min_length=1, max_length=64)
    add_if_absent: list[HTTPHeader] | None = Field(default=None, min_length=1, max_length=64)
    remove: list[str] | None = Field(default=None, min_length=1, max_length=64)
    remove_on_match: list[StringMatch] | None = Field(default=None, min_length=1, max_length=64)


class XForwardedClientCert(Strict):
    mode: Literal["Sanitize", "ForwardOnly", "AppendForward", "SanitizeSet", "AlwaysForwardOnly"] | None = None
    cert_details_to_add: list[Literal["Subject", "Cert", "Chain", "DNS", "URI"]] | None = Field(
        default=None, max_length=5
    )


class HostSettings(Strict):
    strip_trailing_host_dot: bool | None = None


class Headers(Strict):
    enable_envoy_headers: bool | None = None
    disable_rate_limit_headers: bool | None = None
    x_forwarded_client_cert: XForwardedClientCert | None = None
    with_underscores_action: Literal["Allow", "RejectRequest", "DropHeader"] | None = None
    preserve_x_request_id: bool | None = Field(default=None, alias="preserveXRequestID")
    request_id: Literal["PreserveOrGenerate", "Preserve", "Generate", "Disable"] | None = Field(
        default=None, alias="requestID"
    )
    early_request_headers: HTTPHeaderFilter | None = None
    late_response_headers: HTTPHeaderFilter | None = None
    host: HostSettings | None = None
    max_request_header_limit: Quantity | None = None

    @model_validator(mode="after")
    def _one_request_id(self) -> Headers:
        if self.preserve_x_request_id is not None and self.request_id is not None:
            raise ValueError("preserveXRequestID and requestID cannot both be set.")
        return self


class TCPTimeout(Strict):
    idle_timeout: Duration | None = None
    tls_handshake_timeout: Duration | None = None
    connection_inspection_timeout: Duration | None = None


class HTTPTimeout(Strict):
    request_received_timeout: Duration | None = None
    request_headers_received_timeout: Duration | None = None
    idle_timeout: Duration | None = None
    stream_idle_timeout: Duration | None = None


class Timeout(Strict):
    tcp: TCPTimeout | None = None
    http: HTTPTimeout | None = None


class ConnectionLimit(Strict):
    value: Annotated[int, Field(ge=1)] | None = None
    close_delay: Duration | None = None
    max_connection_duration: Duration | None = None
    max_requests_per_connection: UInt32 | None = None
    max_stream_duration: Duration | None = None


class Connection(Strict):
    connection_limit: ConnectionLimit | None = None
    buffer_limit: Quantity | None = None
    socket_buffer_limit: Quantity | None = None
    max_accept_per_socket_event: UInt32 | None = None


class HTTP10(Strict):
    use_default_host: bool | None = None


class HTTP1(Strict):
    enable_trailers: bool | None = None
    preserve_header_case: bool | None = None
    http10: HTTP10 | None = None
    disable_safe_max_connection_duration: bool | None = None
    ignored_upgrade_types: list[StringMatch] | None = None


class HTTP2Keepalive(Strict):
    interval: Duration | None = None
    timeout: Duration | None = None
    interval_jitter: Annotated[int, Field(ge=0, le=100)] | None = None
    idle_interval: Duration | None = None


class HTTP2(Strict):
    initial_stream_window_size: Quantity | None = None
    initial_connection_window_size: Quantity | None = None
    max_concurrent_streams: Annotated[int, Field(ge=1, le=2**31 - 1)] | None = None
    on_invalid_message: str | None = None
    connection_keepalive: HTTP2Keepalive | None = None


class HTTP3(Strict):
    pass


class GRPC(Strict):
    enable_web: bool | None = None


class HealthCheck(Strict):
    path: Annotated[str, Field(min_length=1, max_length=1024)]


class ClientTrafficPolicySpec(Strict):
    target_ref: TargetRef | None = None
    target_refs: list[TargetRef] | None = Field(default=None, min_length=1)
    target_selectors: list[TargetSelector] | None = None
    tcp_keepalive: TCPKeepalive | None = None
    enable_proxy_protocol: bool | None = None
    proxy_protocol: ProxyProtocolSettings | None = None
    client_ip_detection: ClientIPDetection | None = Field(default=None, alias="clientIPDetection")
    tls: TLS | None = None
    path: PathSettings | None = None
    headers: Headers | None = None
    timeout: Timeout | None = None
    connection: Connection | None = None
    http1: HTTP1 | None = None
    http2: HTTP2 | None = None
    http3: HTTP3 | None = None
    grpc: GRPC | None = None
    health_check: HealthCheck | None = None
    scheme: Literal["Preserve", "MatchBackend"] | None = None

    @model_validator(mode="after")
    def _targets(self) -> ClientTrafficPolicySpec:
        # The CRD's CEL rules, with their messages.
        if not self.target_selectors and (self.target_ref is None) == (self.target_refs is None):
            raise ValueError("either targetRef or targetRefs must be used")
        for (_, *place), ref in self.targets:
            name = "targetRefs[*]" if len(place) > 1 else "targetRef"
            if ref.group != GATEWAY_GROUP:
                message = f"this policy can only have a {name}.group of {GATEWAY_GROUP}"
                raise FieldError((*place, "group"), message)
            if ref.kind not in ("Gateway", "ListenerSet"):
                message = f"this policy can only have a {name}.kind of Gateway or ListenerSet"
                raise FieldError((*place, "kind"), message)
        return self

    @property
    def targets(self) -> list[tuple[tuple[str | int, ...], TargetRef]]:
        """(place in the document, reference) of every target."""
        single = [(("spec", "targetRef"), self.target_ref)] if self.target_ref is not None else []
        several = [(("spec", "targetRefs", index), ref) for index, ref in enumerate(self.target_refs or [])]
        return [*single, *several]


class ClientTrafficPolicy(Resource):
    """gateway.envoyproxy.io/v1alpha1 ClientTrafficPolicy."""

    spec: ClientTrafficPolicySpec
