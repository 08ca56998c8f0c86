"""Every condition and message of Envoy Gateway's, each with a file in ``statuses/`` that gives it.

What no file can give is in ``UNREACHABLE``, with what comes instead.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pyproxy.policy.load import Statuses, load_statuses
from tests.policy.resources import BASE, NOW, errors, policy

FILES = Path(__file__).parent / "statuses"

ACCEPTED = "Accepted=True Accepted: Policy has been accepted."
CONFLICTED = "Accepted=False Conflicted: Unable to target"
ALREADY = "another ClientTrafficPolicy has already attached to it"
BUFFER_LIMIT = "Connection: BufferLimit value 4Gi is out of range, must be between 0 and 4294967295"
OVERRIDING = "Overridden=True Overridden: There are existing ClientTrafficPolicies that are overriding these sections"
NO_HOST = "cannot set http10 default host on listener with only wildcard hostnames"
NOTHING_LEFT = "did not provide valid configuration to add/set/remove any headers"

NO_HTTP3 = (
    'HTTP/3 was disabled for listener "https" because Envoy does not support downstream client TLS validation over QUIC'
)

SAME_PORT = (
    "ClientTrafficPolicy is being applied to multiple http (non https) listeners ({}) on the same port, "
    "which is not allowed."
)

EXPECTED: dict[str, list[str]] = {
    "accepted": [f"p Gateway default/eg {ACCEPTED}"],
    "accepted-section": [f"p Gateway default/eg admin {ACCEPTED}"],
    "conflicted-gateway": [
        f"newer Gateway default/eg {CONFLICTED} Gateway eg, {ALREADY}",
        f"older Gateway default/eg {ACCEPTED}",
    ],
    "conflicted-section": [
        f"b Gateway default/eg admin {CONFLICTED} section of eg, {ALREADY}",
        f"a Gateway default/eg admin {ACCEPTED}",
    ],
    "conflicted-with-itself": [f"p Gateway default/eg {CONFLICTED} Gateway eg, {ALREADY}"],
    "section-not-found": [
        "p Gateway default/eg https Accepted=False TargetNotFound: No section name https found for Gateway default/eg"
    ],
    "overridden": [
        f"all Gateway default/eg {OVERRIDING} [a http]",
        f"all Gateway default/eg {ACCEPTED}",
        f"one Gateway default/eg http {ACCEPTED}",
        f"other Gateway default/eg a {ACCEPTED}",
    ],
    "same-port": [
        (
            "p Gateway default/eg b Accepted=False Invalid: ClientTrafficPolicy is being applied to multiple http "
            "(non https) listeners (default/eg/http, default/eg/c) on the same port, which is not allowed."
        )
    ],
    "same-port-gateway": [f"p Gateway default/eg {ACCEPTED}"],
    "deprecated-fields": [
        f"p Gateway default/eg {ACCEPTED}",
        (
            "p Gateway default/eg Warning=True DeprecatedField: "
            "spec.enableProxyProtocol is deprecated, use spec.proxyProtocol instead; "
            "spec.headers.preserveXRequestID is deprecated, use spec.headers.requestID instead; "
            "spec.targetRef is deprecated, use spec.targetRefs instead; "
            "spec.tls.clientValidation.optional is deprecated, use spec.tls.clientValidation.mode instead"
        ),
    ],
    "deprecated-field-of-the-guide": [
        f"p Gateway default/eg http {ACCEPTED}",
        (
            "p Gateway default/eg http Warning=True DeprecatedField: "
            "spec.targetRef is deprecated, use spec.targetRefs instead"
        ),
    ],
    "invalid-buffer-limit-out-of-range": [
        (
            "p Gateway default/eg Accepted=False Invalid: "
            "Connection: BufferLimit value 5Gi is out of range, must be between 0 and 4294967295."
        )
    ],
    "invalid-buffer-limit-negative": [
        (
            "p Gateway default/eg Accepted=False Invalid: "
            "Connection: BufferLimit value -1 is out of range, must be between 0 and 4294967295."
        )
    ],
    "invalid-buffer-limit-no-number": [
        "p Gateway default/eg Accepted=False Invalid: Connection: invalid BufferLimit value 8Ei."
    ],
    "invalid-request-header-limit-too-small": [
        "p Gateway default/eg Accepted=False Invalid: Headers: MaxRequestHeaderLimit value 1k must be at least 1Ki."
    ],
    "invalid-request-header-limit-too-large": [
        (
            "p Gateway default/eg Accepted=False Invalid: "
            "Headers: MaxRequestHeaderLimit value 9Mi exceeds the maximum of 8192Ki."
        )
    ],
    "invalid-header-values": [
        (
            "p Gateway default/eg Accepted=False Invalid: Headers: "
            "EarlyRequestHeaders cannot add a header with an invalid value. Header: '\"x-add\"'\n"
            "EarlyRequestHeaders cannot set a header with an invalid value. Header: '\"x-set\"'\n"
            "EarlyRequestHeaders cannot addIfAbsent a header with an invalid value. Header: '\"x-absent\"'."
        )
    ],
    "invalid-header-removed-without-a-name": [
        (
            "p Gateway default/eg Accepted=False Invalid: "
            "Headers: LateResponseHeaders cannot remove a header with an empty name."
        )
    ],
    "invalid-headers-nothing-left": [
        (
            f"p Gateway default/eg Accepted=False Invalid: Headers: EarlyRequestHeaders {NOTHING_LEFT}\n"
            "LateResponseHeaders cannot set a header with an invalid value. Header: '\"x-set\"'\n"
            "LateResponseHeaders cannot remove a header with an empty name\n"
            f"LateResponseHeaders {NOTHING_LEFT}."
        )
    ],
    "invalid-http10-no-hostname": [f"p Gateway default/eg Accepted=False Invalid: HTTP1: {NO_HOST}."],
    "invalid-http10-several-hostnames": [
        f"p Gateway default/eg Accepted=False Invalid: HTTP1: {NO_HOST} and more than one possible default route."
    ],
    "http10-one-hostname": [f"p Gateway default/eg {ACCEPTED}"],
    "http10-listener-hostname": [f"p Gateway default/eg {ACCEPTED}"],
    "invalid-in-several-ways": [
        (
            f"p Gateway default/eg Accepted=False Invalid: {BUFFER_LIMIT}\n"
            "Headers: MaxRequestHeaderLimit value 512 must be at least 1Ki\n"
            f"EarlyRequestHeaders {NOTHING_LEFT}\n"
            f"HTTP1: {NO_HOST}."
        )
    ],
    "invalid-on-two-listeners": [
        f"p Gateway default/eg Accepted=False Invalid: {BUFFER_LIMIT}\n{BUFFER_LIMIT}.",
    ],
    "invalid-and-overridden": [
        f"all Gateway default/eg {OVERRIDING} [admin]",
        f"all Gateway default/eg Accepted=False Invalid: {BUFFER_LIMIT}.",
        f"one Gateway default/eg admin {ACCEPTED}",
    ],
    "invalid-keeps-its-section": [
        f"all Gateway default/eg {OVERRIDING} [admin]",
        f"all Gateway default/eg {ACCEPTED}",
        f"one Gateway default/eg admin Accepted=False Invalid: {BUFFER_LIMIT}.",
    ],
    "invalid-and-deprecated": [
        f"p Gateway default/eg Accepted=False Invalid: {BUFFER_LIMIT}.",
        (
            "p Gateway default/eg Warning=True DeprecatedField: "
            "spec.enableProxyProtocol is deprecated, use spec.proxyProtocol instead"
        ),
    ],
    "aggregated": [
        "p Gateway default/eg l16 Accepted=False TargetNotFound: No section name l16 found for Gateway default/eg",
        *(f"p Gateway default/eg l{number} {ACCEPTED}" for number in range(15)),
        (
            "p Gateway default/eg l14 Aggregated=True Aggregated: "
            "Ancestors have been truncated because the number of policy ancestors exceeds 16."
        ),
    ],
    "https": [f"p Gateway default/eg {ACCEPTED}"],
    "https-one-port": [f"p Gateway default/eg other {ACCEPTED}"],
    "tcp": [f"p Gateway default/eg {ACCEPTED}"],
    "invalid-on-tcp": [f"p Gateway default/eg Accepted=False Invalid: {BUFFER_LIMIT}."],
    "invalid-http2-window-sizes": [
        (
            "p Gateway default/eg Accepted=False Invalid: "
            "HTTP2: InitialStreamWindowSize value 32Ki is out of range, must be between 65535 and 2147483647\n"
            "InitialConnectionWindowSize value 2Gi is out of range, must be between 65535 and 2147483647."
        )
    ],
    "invalid-http2-window-size-no-number": [
        "p Gateway default/eg Accepted=False Invalid: HTTP2: invalid InitialConnectionWindowSize value 8Ei."
    ],
    "invalid-tls-verify-if-given": [
        (
            "p Gateway default/eg Accepted=False Invalid: "
            'TLS: tls.clientValidation.mode "VerifyIfGiven" requires caCertificateRefs.'
        )
    ],
    "invalid-tls-optional": [
        (
            "p Gateway default/eg Accepted=False Invalid: TLS: tls.clientValidation.optional=true requires "
            'caCertificateRefs (maps to mode "VerifyIfGiven").'
        ),
        (
            "p Gateway default/eg Warning=True DeprecatedField: "
            "spec.tls.clientValidation.optional is deprecated, use spec.tls.clientValidation.mode instead"
        ),
    ],
    "http3-with-client-validation": [
        f"p Gateway default/eg {ACCEPTED}",
        f"p Gateway default/eg Warning=True UnsupportedHTTP3ClientValidation: {NO_HTTP3}",
    ],
    "several-warnings": [
        f"p Gateway default/eg https {ACCEPTED}",
        (
            "p Gateway default/eg https Warning=True Warnings: "
            f"spec.tls.clientValidation.optional is deprecated, use spec.tls.clientValidation.mode instead; {NO_HTTP3}"
        ),
    ],
    "same-port-listener-set": [
        f"p Gateway default/eg a Accepted=False Invalid: {SAME_PORT.format('default/more/x')}",
        f"q Gateway default/eg b {ACCEPTED}",
        f"r ListenerSet default/more Accepted=False Invalid: {SAME_PORT.format('default/eg/a')}",
    ],
    "another-controllers-gateway": [],
    "keepalive-that-no-kernel-takes": [
        f"p Gateway default/eg {ACCEPTED}",
        f"q Gateway default/eg {CONFLICTED} Gateway eg, {ALREADY}",
    ],
    "unknown-gateway": [],
    "gateway-in-another-namespace": [],
    "listener-set": [],
    "listener-set-accepted": [f"p ListenerSet default/more {ACCEPTED}", f"q Gateway default/eg {ACCEPTED}"],
    "listener-set-conflicted": [
        f"p ListenerSet default/more {OVERRIDING} [a]",
        f"p ListenerSet default/more {ACCEPTED}",
        f"q ListenerSet default/more {CONFLICTED} ListenerSet more, {ALREADY}",
        f"r ListenerSet default/more a {ACCEPTED}",
        f"s ListenerSet default/more a {CONFLICTED} section of more, {ALREADY}",
    ],
    "listener-set-section-not-found": [
        (
            "p ListenerSet default/more c Accepted=False TargetNotFound: "
            'ListenerSet default/more does not have a listener named "c"'
        )
    ],
    "listener-set-invalid": [f"p ListenerSet default/more a Accepted=False Invalid: {BUFFER_LIMIT}."],
    "no-target": [],
    "selected": [f"p Gateway default/eg {ACCEPTED}"],
    "selected-nothing": [],
    "selected-across-namespaces": [f"p Gateway default/eg {ACCEPTED}"],
    "selected-without-a-grant": [],
}


def read(name: str) -> Statuses:
    return load_statuses([FILES / f"{name}.yaml"], now=NOW)


@pytest.mark.parametrize("name", EXPECTED)
def test_what_a_policy_is_told(name: str) -> None:
    statuses = read(name)
    assert not statuses.left_out
    shown = [
        " ".join(
            [
                item["metadata"]["name"],
                reference["kind"],
                f"{reference['namespace']}/{reference['name']}",
                *([reference["sectionName"]] if "sectionName" in reference else []),
                f"{condition['type']}={condition['status']} {condition['reason']}: {condition['message']}",
            ]
        )
        for item in json.loads(statuses.status("json", NOW))["items"]
        for ancestor in item["status"]["ancestors"]
        for reference in [ancestor["ancestorRef"]]
        for condition in ancestor["conditions"]
    ]
    assert shown == EXPECTED[name]


def test_every_file_is_in_the_table() -> None:
    assert {file.stem for file in FILES.iterdir()} == set(EXPECTED)


TERMINAL: dict[str, list[str]] = {
    "accepted": [],
    "conflicted-gateway": [f"20:5: spec.targetRefs[0]: Unable to target Gateway eg, {ALREADY}"],
    "section-not-found": ["20:65: spec.targetRefs[0].sectionName: No section name https found for Gateway default/eg"],
    "deprecated-field-of-the-guide": ["19:3: warning: spec.targetRef: deprecated, use spec.targetRefs instead"],
    "unknown-gateway": [
        "20:55: warning: spec.targetRefs[0].name: there is no Gateway other in namespace default; there is eg"
    ],
    "gateway-in-another-namespace": [
        (
            "20:55: warning: spec.targetRefs[0].name: there is no Gateway eg in namespace apps; "
            "there is one in namespace default"
        )
    ],
    "listener-set": ["20:40: warning: spec.targetRefs[0].kind: pyproxy does not serve ListenerSet; target a Gateway"],
    "no-target": ["19:3: warning: spec.targetRefs: there is no target"],
    "https": [
        (
            "13:73: spec.listeners[0].allowedRoutes.namespaces.from: "
            "pyproxy does not serve Selector here; it takes All and Same"
        ),
        "14:19: spec.listeners[1].protocol: pyproxy does not serve HTTPS here; it takes HTTP",
    ],
    "selected-without-a-grant": [
        (
            "19:3: warning: spec.targetSelectors: no Gateway is selected; "
            "one in another namespace needs a ReferenceGrant there"
        )
    ],
    "invalid-buffer-limit-no-number": ["21:16: spec.connection.bufferLimit: invalid BufferLimit value 8Ei"],
    "invalid-on-two-listeners": [
        "22:16: spec.connection.bufferLimit: BufferLimit value 4Gi is out of range, must be between 0 and 4294967295"
    ],
    "invalid-header-values": [
        (
            "23:27: spec.headers.earlyRequestHeaders.add[0].value: "
            "EarlyRequestHeaders cannot add a header with an invalid value. Header: '\"x-add\"'"
        ),
        (
            "24:27: spec.headers.earlyRequestHeaders.set[0].value: "
            "EarlyRequestHeaders cannot set a header with an invalid value. Header: '\"x-set\"'"
        ),
        (
            "25:38: spec.headers.earlyRequestHeaders.addIfAbsent[0].value: "
            "EarlyRequestHeaders cannot addIfAbsent a header with an invalid value. Header: '\"x-absent\"'"
        ),
    ],
}


@pytest.mark.parametrize("name", TERMINAL)
def test_the_terminal_gets_what_is_wrong_with_its_line(name: str) -> None:
    file = FILES / f"{name}.yaml"
    said = [str(problem).removeprefix(f"{file}:") for problem in read(name).problems]
    assert [line for line in said if not line.endswith("take it out")] == TERMINAL[name]


UNREACHABLE = {
    # The CRD's pattern for durations takes nothing that Go does not.
    "invalid IdleTime value x": "tcpKeepalive: {idleTime: x}",
    "invalid Interval value x": "tcpKeepalive: {interval: x}",
    "invalid CloseDelay value x": "connection: {connectionLimit: {value: 1, closeDelay: x}}",
    "invalid MaxConnectionDuration value x": "connection: {connectionLimit: {maxConnectionDuration: x}}",
    "invalid MaxStreamDuration value x": "connection: {connectionLimit: {maxStreamDuration: x}}",
    "invalid TCP IdleTimeout value x": "timeout: {tcp: {idleTimeout: x}}",
    "invalid TCP TLSHandshakeTimeout value x": "timeout: {tcp: {tlsHandshakeTimeout: x}}",
    "invalid TCP ConnectionInspectionTimeout value x": "timeout: {tcp: {connectionInspectionTimeout: x}}",
    "invalid HTTP RequestReceivedTimeout value x": "timeout: {http: {requestReceivedTimeout: x}}",
    "invalid HTTP IdleTimeout value x": "timeout: {http: {idleTimeout: x}}",
    "invalid HTTP StreamIdleTimeout value x": "timeout: {http: {streamIdleTimeout: x}}",
    "invalid HTTP RequestHeadersReceivedTimeout value x": "timeout: {http: {requestHeadersReceivedTimeout: x}}",
    # Its pattern and lengths for headers' names and matchers leave nothing to be said about them.
    "X cannot add a header with an empty name": "headers: {earlyRequestHeaders: {add: [{name: '', value: x}]}}",
    "X cannot set a header with an empty name": "headers: {earlyRequestHeaders: {set: [{name: '', value: x}]}}",
    "X cannot addIfAbsent a header with an empty name": (
        "headers: {earlyRequestHeaders: {addIfAbsent: [{name: '', value: x}]}}"
    ),
    "X cannot add a header with a '/' or ':' character in them": (
        "headers: {earlyRequestHeaders: {add: [{name: 'a/b', value: x}]}}"
    ),
    "X cannot set a header with a '/' or ':' character in them": (
        "headers: {earlyRequestHeaders: {set: [{name: 'a:b', value: x}]}}"
    ),
    "X cannot addIfAbsent a header with a '/' or ':' character in them": (
        "headers: {earlyRequestHeaders: {addIfAbsent: [{name: 'a/b', value: x}]}}"
    ),
    "X cannot remove a header with an empty matcher value": (
        "headers: {earlyRequestHeaders: {removeOnMatch: [{value: ''}]}}"
    ),
}
"""The translator's message, and a spec that would get it if the CRD did not refuse it first. Further ones are about
the names of cipher suites and what is in a TLS listener's Secrets and ConfigMaps, which pyproxy does not read."""


@pytest.mark.parametrize("message", UNREACHABLE)
def test_what_the_crd_refuses_before_the_translator(message: str) -> None:
    found = errors(BASE, policy(UNREACHABLE[message]))
    refused = [error for error in found if "should match" in error.message or "at least 1 chars" in error.message]
    assert refused, found
    assert message not in str(found)
