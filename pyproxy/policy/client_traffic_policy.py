"""ClientTrafficPolicy v1alpha1, field for field, with the CRD's patterns, enums, limits and CEL rules.

Which fields are served is not said here but in ``policy.fields``. Stricter than the CRD are only CIDRs, whose pattern
is not anchored. A message has the CRD's own words in it, beside what helps more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Literal

from pydantic import Field

from pyproxy.policy.document import Path
from pyproxy.policy.model import (
    Duration,
    HeaderName,
    Namespace,
    Resource,
    Rule,
    Strict,
    matching,
    name_as_json,
    once,
    quoting,
    schema,
    unless,
)
from pyproxy.policy.scalars import DURATION_PATTERN, QUANTITY_PATTERN, parse_cidr, parse_duration, parse_quantity

GATEWAY_GROUP = "gateway.networking.k8s.io"

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(\.{_LABEL})*"
_LOWER_CASE = "write lower-case letters, digits, - and ."
_CUSTOM_HEADER = "^[A-Za-z0-9-]+$"
_KIND = "^[a-zA-Z]([-a-zA-Z0-9]*[a-zA-Z0-9])?$"

Quantity = Annotated[str | int, quoting(QUANTITY_PATTERN, parse_quantity), schema(pattern=QUANTITY_PATTERN)]
# The CRD's pattern goes on for 700 characters.
CIDR = Annotated[str, quoting("((25[0-5]|…", parse_cidr), schema(format="a CIDR")]
UInt32 = Annotated[int, Field(ge=0, le=2**31 - 1)]
"""The CRD's format is int32, and Envoy Gateway reads it as uint32."""
HeaderValue = Annotated[str, Field(min_length=1, max_length=4096)]
Group = Annotated[
    str,
    Field(max_length=253),
    matching(f"^$|^{_SUBDOMAIN}$", f"a group: {_LOWER_CASE}"),
    schema(pattern=f"^$|^{_SUBDOMAIN}$"),
]
Kind = Annotated[str, Field(min_length=1, max_length=63), matching(_KIND, "a kind"), schema(pattern=_KIND)]
ObjectName = Annotated[str, Field(min_length=1, max_length=253)]
SectionName = Annotated[
    str,
    Field(min_length=1, max_length=253),
    matching(f"^{_SUBDOMAIN}$", f"a section's name: {_LOWER_CASE}"),
    schema(pattern=f"^{_SUBDOMAIN}$"),
]


def _count(*values: object) -> int:
    return sum(value is not None for value in values)


class StringMatch(Strict):
    type: Literal["Exact", "Prefix", "Suffix", "RegularExpression"] = "Exact"
    value: Annotated[str, Field(min_length=1, max_length=1024)]


class TargetRef(Strict):
    group: Group
    kind: Kind
    name: ObjectName
    namespace: Namespace | None = None
    """Not in today's schema; the guide of v0.6 writes it, so it is taken where it changes nothing."""
    section_name: SectionName | None = None


class LabelSelectorRequirement(Strict):
    key: str
    operator: str
    values: list[str] | None = None


class LabelSelector(Strict):
    match_labels: dict[str, str] | None = None
    match_expressions: list[LabelSelectorRequirement] | None = None


class SelectorNamespaces(Strict):
    from_: Literal["Same", "All", "Selector"] = Field(default="Same", alias="from")
    selector: LabelSelector | None = None

    RULES = (
        Rule(
            "selector must be specified when from is Selector",
            unless(lambda one: one.from_ != "Selector" or one.selector is not None, "from"),
        ),
    )


class TargetSelector(Strict):
    group: Group = GATEWAY_GROUP
    kind: Kind
    namespaces: SelectorNamespaces | None = None
    match_labels: dict[str, str] | None = None
    match_expressions: list[LabelSelectorRequirement] | None = None

    RULES = (
        Rule(
            f"group must be {GATEWAY_GROUP}",
            unless(lambda one: one.group == GATEWAY_GROUP, "group"),
        ),
    )


# What of these the kernel takes is policy.refused_values' to say: a cluster takes more.
KernelSeconds = Annotated[Duration, schema(pattern=DURATION_PATTERN, format="1s to 32767s")]
KernelProbes = Annotated[UInt32, schema(minimum=1, maximum=127)]


class TCPKeepalive(Strict):
    probes: KernelProbes | None = None
    idle_time: KernelSeconds | None = None
    interval: KernelSeconds | None = None


class ProxyProtocolSettings(Strict):
    optional: bool | None = None


class XForwardedFor(Strict):
    num_trusted_hops: UInt32 | None = None
    trusted_cidrs: list[CIDR] | None = Field(default=None, alias="trustedCIDRs", min_length=1)
    disable_x_forwarded_for_append: bool | None = None

    RULES = (
        Rule(
            "only one of numTrustedHops or trustedCIDRs must be set",
            unless(lambda one: _count(one.num_trusted_hops, one.trusted_cidrs) == 1),
        ),
    )


class CustomHeader(Strict):
    name: Annotated[
        str,
        Field(min_length=1, max_length=255),
        matching(_CUSTOM_HEADER, "a header's name: write letters, digits and -"),
        schema(pattern=_CUSTOM_HEADER),
    ]
    fail_closed: bool | None = None


class DirectSourceIP(Strict):
    pass


class ClientIPDetection(Strict):
    x_forwarded_for: XForwardedFor | None = None
    custom_header: CustomHeader | None = None
    direct_source_ip: DirectSourceIP | None = Field(default=None, alias="directSourceIP")

    RULES = (
        Rule(
            "exactly one of xForwardedFor, customHeader, or directSourceIP must be set",
            unless(lambda one: _count(one.x_forwarded_for, one.custom_header, one.direct_source_ip) == 1),
        ),
    )


class SecretReference(Strict):
    group: Group = ""
    kind: Kind = "Secret"
    name: ObjectName
    namespace: Namespace | None = None


class SubjectAltNameOther(Strict):
    oid: str
    type: Literal["Exact", "Prefix", "Suffix", "RegularExpression"] = "Exact"
    value: Annotated[str, Field(min_length=1, max_length=1024)]


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

    RULES = (
        Rule(
            "allowExpiredCertificate can only be set when mode is VerifyIfGiven or RequireAndVerify",
            unless(
                lambda one: one.allow_expired_certificate is None or one.mode not in ("Request", "RequireAny"),
                "allowExpiredCertificate",
            ),
        ),
    )


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
_TLS_LOWEST = {"Auto": 0, "1.0": 1, "1.1": 2, "1.2": 3, "1.3": 4}
_TLS_HIGHEST = _TLS_LOWEST | {"Auto": 5}


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

    RULES = (
        Rule(
            "setting ciphers has no effect if the minimum possible TLS version is 1.3",
            unless(lambda one: one.min_version != "1.3" or one.ciphers is None, "ciphers"),
        ),
        Rule(
            "minVersion must be smaller or equal to maxVersion",
            unless(
                lambda one: (
                    one.max_version is None or _TLS_LOWEST[one.min_version or "1.2"] <= _TLS_HIGHEST[one.max_version]
                ),
                "maxVersion",
            ),
        ),
    )


class PathSettings(Strict):
    escaped_slashes_action: (
        Literal["KeepUnchanged", "RejectRequest", "UnescapeAndForward", "UnescapeAndRedirect"] | None
    ) = None
    disable_merge_slashes: bool | None = None


class HTTPHeader(Strict):
    name: HeaderName
    value: HeaderValue


_HeadersOnce = Annotated[list[HTTPHeader] | None, once(name_as_json, ("name",))]
_NamesOnce = Annotated[list[str] | None, once(lambda name: f'"{name}"')]


class HTTPHeaderFilter(Strict):
    set: _HeadersOnce = Field(default=None, min_length=1, max_length=64)
    add: _HeadersOnce = Field(default=None, min_length=1, max_length=64)
    add_if_absent: _HeadersOnce = Field(default=None, min_length=1, max_length=64)
    remove: _NamesOnce = Field(default=None, min_length=1, max_length=64)
    remove_on_match: list[StringMatch] | None = Field(default=None, min_length=1, max_length=64)


class XForwardedClientCert(Strict):
    mode: Literal["Sanitize", "ForwardOnly", "AppendForward", "SanitizeSet", "AlwaysForwardOnly"] | None = None
    cert_details_to_add: list[Literal["Subject", "Cert", "Chain", "DNS", "URI"]] | None = Field(
        default=None, max_length=5
    )

    RULES = (
        Rule(
            "certDetailsToAdd can only be set when mode is AppendForward or SanitizeSet",
            unless(
                lambda one: not one.cert_details_to_add or one.mode in ("AppendForward", "SanitizeSet"),
                "certDetailsToAdd",
            ),
        ),
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

    RULES = (
        Rule(
            "preserveXRequestID and requestID cannot both be set.",
            unless(lambda one: _count(one.preserve_x_request_id, one.request_id) < 2, "preserveXRequestID"),
        ),
    )


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
    value: Annotated[int, Field(ge=1, le=2**63 - 1)] | None = None
    close_delay: Duration | None = None
    max_connection_duration: Duration | None = None
    max_requests_per_connection: UInt32 | None = None
    max_stream_duration: Duration | None = None

    RULES = (
        Rule(
            "closeDelay can only be configured when value is set",
            unless(lambda one: one.close_delay is None or one.value is not None, "closeDelay"),
        ),
    )


class Connection(Strict):
    connection_limit: ConnectionLimit | None = None
    buffer_limit: Quantity | None = None
    socket_buffer_limit: Quantity | None = None
    max_accept_per_socket_event: UInt32 | None = 1


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

    RULES = (
        Rule(
            "timeout must be less than interval",
            unless(
                lambda one: (
                    one.timeout is None
                    or one.interval is None
                    or parse_duration(one.timeout) < parse_duration(one.interval)
                ),
                "timeout",
            ),
        ),
    )


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


def _single(spec: ClientTrafficPolicySpec, attribute: str, *allowed: str) -> Sequence[Path]:
    ref = spec.target_ref
    return [("targetRef", attribute)] if ref is not None and getattr(ref, attribute) not in allowed else []


def _several(spec: ClientTrafficPolicySpec, attribute: str, *allowed: str) -> Sequence[Path]:
    refs = enumerate(spec.target_refs or [])
    return [("targetRefs", index, attribute) for index, ref in refs if getattr(ref, attribute) not in allowed]


class ClientTrafficPolicySpec(Strict):
    target_ref: TargetRef | None = None
    target_refs: list[TargetRef] | None = None
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

    RULES = (
        Rule(
            "either targetRef or targetRefs must be used",
            unless(lambda spec: bool(spec.target_selectors) or _count(spec.target_ref, spec.target_refs) == 1),
        ),
        Rule(
            f"this policy can only have a targetRef.group of {GATEWAY_GROUP}",
            lambda spec: _single(spec, "group", GATEWAY_GROUP),
        ),
        Rule(
            "this policy can only have a targetRef.kind of Gateway or ListenerSet",
            lambda spec: _single(spec, "kind", "Gateway", "ListenerSet"),
        ),
        Rule(
            f"this policy can only have a targetRefs[*].group of {GATEWAY_GROUP}",
            lambda spec: _several(spec, "group", GATEWAY_GROUP),
        ),
        Rule(
            "this policy can only have a targetRefs[*].kind of Gateway or ListenerSet",
            lambda spec: _several(spec, "kind", "Gateway", "ListenerSet"),
        ),
    )

    def targets(self) -> Iterator[tuple[Path, TargetRef]]:
        """(place in the document, reference) of every target by name; targetRefs do not count beside a targetRef."""
        if self.target_ref is not None:
            yield ("spec", "targetRef"), self.target_ref
            return
        for index, ref in enumerate(self.target_refs or []):
            yield ("spec", "targetRefs", index), ref

    def deprecated(self) -> Iterator[tuple[Path, str]]:
        """(place in the document, what to use instead) of every deprecated field that is set."""
        if self.enable_proxy_protocol is not None:
            yield ("spec", "enableProxyProtocol"), "spec.proxyProtocol"
        if self.headers is not None and self.headers.preserve_x_request_id is not None:
            yield ("spec", "headers", "preserveXRequestID"), "spec.headers.requestID"
        if self.target_ref is not None:
            yield ("spec", "targetRef"), "spec.targetRefs"
        if self.tls is not None and self.tls.client_validation is not None and self.tls.client_validation.optional:
            yield ("spec", "tls", "clientValidation", "optional"), "spec.tls.clientValidation.mode"


class ClientTrafficPolicy(Resource):
    """gateway.envoyproxy.io/v1alpha1 ClientTrafficPolicy."""

    spec: ClientTrafficPolicySpec
