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


_NOT_YET = "pyproxy does not enforce this field yet; take it out"
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
    "spec.targetSelectors[].group": refused(_NOT_YET),
    "spec.targetSelectors[].kind": refused(_NOT_YET),
    "spec.targetSelectors[].namespaces.from": refused(_NOT_YET),
    "spec.targetSelectors[].namespaces.selector.matchLabels": refused(_NOT_YET),
    "spec.targetSelectors[].namespaces.selector.matchExpressions[].key": refused(_NOT_YET),
    "spec.targetSelectors[].namespaces.selector.matchExpressions[].operator": refused(_NOT_YET),
    "spec.targetSelectors[].namespaces.selector.matchExpressions[].values[]": refused(_NOT_YET),
    "spec.targetSelectors[].matchLabels": refused(_NOT_YET),
    "spec.targetSelectors[].matchExpressions[].key": refused(_NOT_YET),
    "spec.targetSelectors[].matchExpressions[].operator": refused(_NOT_YET),
    "spec.targetSelectors[].matchExpressions[].values[]": refused(_NOT_YET),
    "spec.tcpKeepalive.probes": enforced("net.sockets:apply_keepalive"),
    "spec.tcpKeepalive.idleTime": enforced("net.sockets:apply_keepalive"),
    "spec.tcpKeepalive.interval": enforced("net.sockets:apply_keepalive"),
    "spec.enableProxyProtocol": enforced("wire.proxy_protocol:Preface.receive"),
    "spec.proxyProtocol.optional": enforced("wire.proxy_protocol:Preface.receive"),
    "spec.clientIPDetection.xForwardedFor.numTrustedHops": refused(_NOT_YET),
    "spec.clientIPDetection.xForwardedFor.trustedCIDRs[]": refused(_NOT_YET),
    "spec.clientIPDetection.xForwardedFor.disableXForwardedForAppend": refused(_NOT_YET),
    "spec.clientIPDetection.customHeader.name": refused(_NOT_YET),
    "spec.clientIPDetection.customHeader.failClosed": refused(_NOT_YET),
    "spec.clientIPDetection.directSourceIP": refused(_NOT_YET),
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
    "spec.path.escapedSlashesAction": refused(_NOT_YET),
    "spec.path.disableMergeSlashes": refused(_NOT_YET),
    "spec.headers.enableEnvoyHeaders": enforced("proxy.headers:downstream_response"),
    "spec.headers.disableRateLimitHeaders": refused(_NOT_YET),
    "spec.headers.xForwardedClientCert.mode": refused(_NOT_YET),
    "spec.headers.xForwardedClientCert.certDetailsToAdd[]": refused(_NOT_YET),
    "spec.headers.withUnderscoresAction": refused(_NOT_YET),
    "spec.headers.preserveXRequestID": refused(_NOT_YET),
    "spec.headers.requestID": refused(_NOT_YET),
    "spec.headers.earlyRequestHeaders.set[].name": refused(_NOT_YET),
    "spec.headers.earlyRequestHeaders.set[].value": refused(_NOT_YET),
    "spec.headers.earlyRequestHeaders.add[].name": refused(_NOT_YET),
    "spec.headers.earlyRequestHeaders.add[].value": refused(_NOT_YET),
    "spec.headers.earlyRequestHeaders.addIfAbsent[].name": refused(_NOT_YET),
    "spec.headers.earlyRequestHeaders.addIfAbsent[].value": refused(_NOT_YET),
    "spec.headers.earlyRequestHeaders.remove[]": refused(_NOT_YET),
    "spec.headers.earlyRequestHeaders.removeOnMatch[].type": refused(_NOT_YET),
    "spec.headers.earlyRequestHeaders.removeOnMatch[].value": refused(_NOT_YET),
    "spec.headers.lateResponseHeaders.set[].name": refused(_NOT_YET),
    "spec.headers.lateResponseHeaders.set[].value": refused(_NOT_YET),
    "spec.headers.lateResponseHeaders.add[].name": refused(_NOT_YET),
    "spec.headers.lateResponseHeaders.add[].value": refused(_NOT_YET),
    "spec.headers.lateResponseHeaders.addIfAbsent[].name": refused(_NOT_YET),
    "spec.headers.lateResponseHeaders.addIfAbsent[].value": refused(_NOT_YET),
    "spec.headers.lateResponseHeaders.remove[]": refused(_NOT_YET),
    "spec.headers.lateResponseHeaders.removeOnMatch[].type": refused(_NOT_YET),
    "spec.headers.lateResponseHeaders.removeOnMatch[].value": refused(_NOT_YET),
    "spec.headers.host.stripTrailingHostDot": refused(_NOT_YET),
    "spec.headers.maxRequestHeaderLimit": refused(_NOT_YET),
    "spec.timeout.tcp.idleTimeout": refused(_TCP),
    "spec.timeout.tcp.tlsHandshakeTimeout": refused(_TLS),
    "spec.timeout.tcp.connectionInspectionTimeout": refused(_NOT_YET),
    "spec.timeout.http.requestReceivedTimeout": refused(_NOT_YET),
    "spec.timeout.http.requestHeadersReceivedTimeout": refused(_NOT_YET),
    "spec.timeout.http.idleTimeout": refused(_NOT_YET),
    "spec.timeout.http.streamIdleTimeout": refused(_NOT_YET),
    "spec.connection.connectionLimit.value": refused(_NOT_YET),
    "spec.connection.connectionLimit.closeDelay": refused(_NOT_YET),
    "spec.connection.connectionLimit.maxConnectionDuration": refused(_NOT_YET),
    "spec.connection.connectionLimit.maxRequestsPerConnection": refused(_NOT_YET),
    "spec.connection.connectionLimit.maxStreamDuration": refused(_NOT_YET),
    "spec.connection.bufferLimit": refused(_NOT_YET),
    "spec.connection.socketBufferLimit": refused(_NOT_IN_ENVOY_GATEWAY),
    "spec.connection.maxAcceptPerSocketEvent": refused(_NOT_YET),
    "spec.http1.enableTrailers": refused(_NOT_YET),
    "spec.http1.preserveHeaderCase": refused(_NOT_YET),
    "spec.http1.http10.useDefaultHost": refused(_NOT_YET),
    "spec.http1.disableSafeMaxConnectionDuration": refused(_NOT_YET),
    "spec.http1.ignoredUpgradeTypes[].type": refused(_NOT_YET),
    "spec.http1.ignoredUpgradeTypes[].value": refused(_NOT_YET),
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
    "spec.healthCheck.path": refused(_NOT_YET),
    "spec.scheme": refused(_NOT_YET),
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


_MEANINGFUL_WHEN_EMPTY = ("spec", "spec.tcpKeepalive", "spec.proxyProtocol", "spec.headers")


def _refused_below(schema_path: str, path: Path) -> Iterator[tuple[Path, str]]:
    """An empty object stands for its fields: ``http1.http10: {}`` changes what a listener does."""
    for name, row in FIELDS.items():
        if name.startswith(f"{schema_path}.") and isinstance(row, Refused):
            yield path, row.reason
            return
