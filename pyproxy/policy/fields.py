"""Every leaf of the ClientTrafficPolicy schema and what becomes of it: who enforces it, or why it is refused.

A test holds the table to the schema and its targets to what can be imported. A refused field in a policy is an error
with its line, never ignored: a policy must not seem to do what it does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pyproxy.policy.document import Path


@dataclass(frozen=True, slots=True)
class Enforced:
    """``target`` is ``module:name``, relative to the package, of the function that makes the field true."""

    target: str


@dataclass(frozen=True, slots=True)
class Refused:
    """``reason`` is what the user is told."""

    reason: str


def enforced(target: str) -> Enforced | Refused:
    """A row for a field that is served."""
    return Enforced(target)


def refused(reason: str) -> Enforced | Refused:
    """A row for a field that is not served."""
    return Refused(reason)


_TLS = "pyproxy serves plain HTTP listeners, on which Envoy Gateway ignores TLS settings; take it out"
_HTTP2 = "pyproxy speaks HTTP/1.1 only; take it out"
_HTTP3 = "pyproxy does not listen with QUIC; take it out"
_GRPC = "pyproxy does not translate gRPC-Web; take it out"
_TCP = "it concerns TCP listeners, which pyproxy does not serve; take it out"
_NOT_IN_ENVOY_GATEWAY = "Envoy Gateway itself does not implement it; take it out"

FIELDS: dict[str, Enforced | Refused] = {
    "spec.targetRef.group": enforced("policy.attach:attach"),
    "spec.targetRef.kind": enforced("policy.attach:attach"),
    "spec.targetRef.name": enforced("policy.attach:attach"),
    "spec.targetRef.namespace": enforced("policy.references:check_references"),
    "spec.targetRef.sectionName": enforced("policy.attach:attach"),
    "spec.targetRefs[].group": enforced("policy.attach:attach"),
    "spec.targetRefs[].kind": enforced("policy.attach:attach"),
    "spec.targetRefs[].name": enforced("policy.attach:attach"),
    "spec.targetRefs[].namespace": enforced("policy.references:check_references"),
    "spec.targetRefs[].sectionName": enforced("policy.attach:attach"),
    "spec.targetSelectors[].group": enforced("policy.targets:targets"),
    "spec.targetSelectors[].kind": enforced("policy.targets:targets"),
    "spec.targetSelectors[].namespaces.from": enforced("policy.targets:targets"),
    "spec.targetSelectors[].namespaces.selector.matchLabels": enforced("policy.targets:targets"),
    "spec.targetSelectors[].namespaces.selector.matchExpressions[].key": enforced("policy.targets:targets"),
    "spec.targetSelectors[].namespaces.selector.matchExpressions[].operator": enforced("policy.targets:targets"),
    "spec.targetSelectors[].namespaces.selector.matchExpressions[].values[]": enforced("policy.targets:targets"),
    "spec.targetSelectors[].matchLabels": enforced("policy.targets:targets"),
    "spec.targetSelectors[].matchExpressions[].key": enforced("policy.targets:targets"),
    "spec.targetSelectors[].matchExpressions[].operator": enforced("policy.targets:targets"),
    "spec.targetSelectors[].matchExpressions[].values[]": enforced("policy.targets:targets"),
    "spec.tcpKeepalive.probes": enforced("net.sockets:apply_keepalive"),
    "spec.tcpKeepalive.idleTime": enforced("net.sockets:apply_keepalive"),
    "spec.tcpKeepalive.interval": enforced("net.sockets:apply_keepalive"),
    "spec.enableProxyProtocol": enforced("wire.proxy_protocol:Preface.receive"),
    "spec.proxyProtocol.optional": enforced("wire.proxy_protocol:Preface.receive"),
    "spec.clientIPDetection.xForwardedFor.numTrustedHops": enforced("proxy.client_address:locate"),
    "spec.clientIPDetection.xForwardedFor.trustedCIDRs[]": enforced("proxy.client_address:locate"),
    "spec.clientIPDetection.xForwardedFor.disableXForwardedForAppend": enforced("proxy.client_address:locate"),
    "spec.clientIPDetection.customHeader.name": enforced("proxy.client_address:locate"),
    "spec.clientIPDetection.customHeader.failClosed": enforced("proxy.client_address:locate"),
    "spec.clientIPDetection.directSourceIP": enforced("proxy.client_address:locate"),
    "spec.tls.minVersion": refused(_TLS),
    "spec.tls.maxVersion": refused(_TLS),
    "spec.tls.ciphers[]": refused(_TLS),
    "spec.tls.ecdhCurves[]": refused(_TLS),
    "spec.tls.signatureAlgorithms[]": refused(_TLS),
    "spec.tls.alpnProtocols[]": refused(_TLS),
    "spec.tls.fingerprints[]": refused(_TLS),
    "spec.tls.clientValidation.optional": refused(_TLS),
    "spec.tls.clientValidation.mode": refused(_TLS),
    "spec.tls.clientValidation.caCertificateRefs[].group": refused(_TLS),
    "spec.tls.clientValidation.caCertificateRefs[].kind": refused(_TLS),
    "spec.tls.clientValidation.caCertificateRefs[].name": refused(_TLS),
    "spec.tls.clientValidation.caCertificateRefs[].namespace": refused(_TLS),
    "spec.tls.clientValidation.spkiHashes[]": refused(_TLS),
    "spec.tls.clientValidation.certificateHashes[]": refused(_TLS),
    "spec.tls.clientValidation.subjectAltNames.dnsNames[].type": refused(_TLS),
    "spec.tls.clientValidation.subjectAltNames.dnsNames[].value": refused(_TLS),
    "spec.tls.clientValidation.subjectAltNames.emailAddresses[].type": refused(_TLS),
    "spec.tls.clientValidation.subjectAltNames.emailAddresses[].value": refused(_TLS),
    "spec.tls.clientValidation.subjectAltNames.ipAddresses[].type": refused(_TLS),
    "spec.tls.clientValidation.subjectAltNames.ipAddresses[].value": refused(_TLS),
    "spec.tls.clientValidation.subjectAltNames.uris[].type": refused(_TLS),
    "spec.tls.clientValidation.subjectAltNames.uris[].value": refused(_TLS),
    "spec.tls.clientValidation.subjectAltNames.otherNames[].oid": refused(_TLS),
    "spec.tls.clientValidation.subjectAltNames.otherNames[].type": refused(_TLS),
    "spec.tls.clientValidation.subjectAltNames.otherNames[].value": refused(_TLS),
    "spec.tls.clientValidation.crl.refs[].group": refused(_TLS),
    "spec.tls.clientValidation.crl.refs[].kind": refused(_TLS),
    "spec.tls.clientValidation.crl.refs[].name": refused(_TLS),
    "spec.tls.clientValidation.crl.refs[].namespace": refused(_TLS),
    "spec.tls.clientValidation.crl.onlyVerifyLeafCertificate": refused(_TLS),
    "spec.tls.clientValidation.allowExpiredCertificate": refused(_TLS),
    "spec.tls.session.resumption.stateless": refused(_TLS),
    "spec.tls.session.resumption.stateful": refused(_TLS),
    "spec.path.escapedSlashesAction": enforced("proxy.path:normalize"),
    "spec.path.disableMergeSlashes": enforced("proxy.path:normalize"),
    "spec.headers.enableEnvoyHeaders": enforced("proxy.headers:downstream_response"),
    "spec.headers.disableRateLimitHeaders": enforced("proxy.replies:response_head"),
    "spec.headers.xForwardedClientCert.mode": enforced("proxy.headers:HeaderRules"),
    "spec.headers.xForwardedClientCert.certDetailsToAdd[]": enforced("proxy.headers:HeaderRules"),
    "spec.headers.withUnderscoresAction": enforced("wire.head:check_request_fields"),
    "spec.headers.preserveXRequestID": enforced("proxy.request_id:keep_request_id"),
    "spec.headers.requestID": enforced("proxy.request_id:keep_request_id"),
    "spec.headers.earlyRequestHeaders.set[].name": enforced("proxy.header_mutation:apply"),
    "spec.headers.earlyRequestHeaders.set[].value": enforced("proxy.header_mutation:apply"),
    "spec.headers.earlyRequestHeaders.add[].name": enforced("proxy.header_mutation:apply"),
    "spec.headers.earlyRequestHeaders.add[].value": enforced("proxy.header_mutation:apply"),
    "spec.headers.earlyRequestHeaders.addIfAbsent[].name": enforced("proxy.header_mutation:apply"),
    "spec.headers.earlyRequestHeaders.addIfAbsent[].value": enforced("proxy.header_mutation:apply"),
    "spec.headers.earlyRequestHeaders.remove[]": enforced("proxy.header_mutation:apply"),
    "spec.headers.earlyRequestHeaders.removeOnMatch[].type": enforced("proxy.header_mutation:apply"),
    "spec.headers.earlyRequestHeaders.removeOnMatch[].value": enforced("proxy.header_mutation:apply"),
    "spec.headers.lateResponseHeaders.set[].name": enforced("proxy.header_mutation:apply"),
    "spec.headers.lateResponseHeaders.set[].value": enforced("proxy.header_mutation:apply"),
    "spec.headers.lateResponseHeaders.add[].name": enforced("proxy.header_mutation:apply"),
    "spec.headers.lateResponseHeaders.add[].value": enforced("proxy.header_mutation:apply"),
    "spec.headers.lateResponseHeaders.addIfAbsent[].name": enforced("proxy.header_mutation:apply"),
    "spec.headers.lateResponseHeaders.addIfAbsent[].value": enforced("proxy.header_mutation:apply"),
    "spec.headers.lateResponseHeaders.remove[]": enforced("proxy.header_mutation:apply"),
    "spec.headers.lateResponseHeaders.removeOnMatch[].type": enforced("proxy.header_mutation:apply"),
    "spec.headers.lateResponseHeaders.removeOnMatch[].value": enforced("proxy.header_mutation:apply"),
    "spec.headers.host.stripTrailingHostDot": enforced("proxy.host:strip_trailing_dot"),
    "spec.headers.maxRequestHeaderLimit": enforced("wire.http1:RequestReader.read_head"),
    "spec.timeout.tcp.idleTimeout": refused(_TCP),
    "spec.timeout.tcp.tlsHandshakeTimeout": refused(_TLS),
    "spec.timeout.tcp.connectionInspectionTimeout": enforced("net.downstream:DownstreamConnection.connection_made"),
    "spec.timeout.http.requestReceivedTimeout": enforced("proxy.timeouts:StreamTimeouts.of_stream"),
    "spec.timeout.http.requestHeadersReceivedTimeout": enforced("proxy.timeouts:StreamTimeouts.of_head"),
    "spec.timeout.http.idleTimeout": enforced("net.downstream:DownstreamConnection._wait_for_request"),
    "spec.timeout.http.streamIdleTimeout": enforced("proxy.timeouts:StreamTimeouts.of_stream"),
    "spec.connection.connectionLimit.value": enforced("net.downstream:DownstreamConnection._begin_http"),
    "spec.connection.connectionLimit.closeDelay": enforced("net.downstream:DownstreamConnection._begin_http"),
    "spec.connection.connectionLimit.maxConnectionDuration": enforced(
        "net.downstream:DownstreamConnection._check_connection"
    ),
    "spec.connection.connectionLimit.maxRequestsPerConnection": enforced(
        "net.downstream:DownstreamConnection._begin_stream"
    ),
    "spec.connection.connectionLimit.maxStreamDuration": enforced("proxy.timeouts:StreamTimeouts.of_stream"),
    "spec.connection.bufferLimit": enforced("net.sockets:set_watermarks"),
    "spec.connection.socketBufferLimit": refused(_NOT_IN_ENVOY_GATEWAY),
    "spec.connection.maxAcceptPerSocketEvent": enforced("net.accept:Acceptor"),
    "spec.http1.enableTrailers": enforced("wire.chunked:last_chunk"),
    "spec.http1.preserveHeaderCase": enforced("proxy.headers:respell"),
    "spec.http1.http10.useDefaultHost": enforced("wire.http1:parse_request_head"),
    "spec.http1.disableSafeMaxConnectionDuration": enforced("net.downstream:DownstreamConnection._check_connection"),
    "spec.http1.ignoredUpgradeTypes[].type": enforced("wire.http1:parse_request_head"),
    "spec.http1.ignoredUpgradeTypes[].value": enforced("wire.http1:parse_request_head"),
    "spec.http2.initialStreamWindowSize": refused(_HTTP2),
    "spec.http2.initialConnectionWindowSize": refused(_HTTP2),
    "spec.http2.maxConcurrentStreams": refused(_HTTP2),
    "spec.http2.onInvalidMessage": refused(_HTTP2),
    "spec.http2.connectionKeepalive.interval": refused(_HTTP2),
    "spec.http2.connectionKeepalive.timeout": refused(_HTTP2),
    "spec.http2.connectionKeepalive.intervalJitter": refused(_HTTP2),
    "spec.http2.connectionKeepalive.idleInterval": refused(_HTTP2),
    "spec.http3": refused(_HTTP3),
    "spec.grpc.enableWeb": refused(_GRPC),
    "spec.healthCheck.path": enforced("net.exchange:Exchange.start"),
    "spec.scheme": enforced("proxy.headers:upstream_request"),
}


def find_refused(spec: Any, schema_path: str = "spec", path: Path = ("spec",)) -> Iterator[tuple[Path, str]]:
    """(place, reason) of each refused field that a policy's ``spec`` sets, whether it is valid or not."""
    row = FIELDS.get(schema_path)
    if isinstance(row, Refused):
        yield path, row.reason
    elif row is None and isinstance(spec, dict):
        if not spec and schema_path not in _MEANINGFUL_WHEN_EMPTY:
            yield from _refused_below(schema_path, path)
        for key, value in spec.items():
            yield from find_refused(value, f"{schema_path}.{key}", (*path, key))
    elif row is None and isinstance(spec, list):
        for index, value in enumerate(spec):
            yield from find_refused(value, f"{schema_path}[]", (*path, index))


_MEANINGFUL_WHEN_EMPTY = (
    "spec",
    "spec.tcpKeepalive",
    "spec.proxyProtocol",
    "spec.headers",
    "spec.timeout",
    "spec.timeout.http",
    "spec.timeout.tcp",
    "spec.connection",
    "spec.connection.connectionLimit",
)


def _refused_below(schema_path: str, path: Path) -> Iterator[tuple[Path, str]]:
    """An empty object stands for its fields: ``http1.http10: {}`` changes what a listener does."""
    for name, row in FIELDS.items():
        if name.startswith(f"{schema_path}.") and isinstance(row, Refused):
            yield path, row.reason
            return
