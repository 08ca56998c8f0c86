"""The CRD's rules, each with its message to the letter and the place where it is broken."""

from __future__ import annotations

import pytest

from pyproxy.policy.client_traffic_policy import ClientTrafficPolicySpec
from pyproxy.policy.model import Rule, Strict
from tests.policy.resources import BASE, errors, policy

HEAD = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nmetadata: {name: p}\nspec:\n"
GROUP = "gateway.networking.k8s.io"
GATEWAY = f"group: {GROUP}, kind: Gateway, name: eg"


def found(spec: str) -> list[str]:
    """What is wrong with the schema of a policy whose whole ``spec`` this is."""
    text = HEAD + "".join(f"  {line}\n" for line in spec.splitlines())
    return [
        f"{error.field.removeprefix('spec.')}: {error.message}"
        for error in errors(BASE, text)
        if not error.is_warning and not error.message.endswith("take it out")
    ]


CEL = {
    "either targetRef or targetRefs must be used": [
        ("spec", "tcpKeepalive: {}"),
        ("spec", f"targetRef: {{{GATEWAY}}}\ntargetRefs: [{{{GATEWAY}}}]"),
        ("spec", "targetSelectors: []"),
    ],
    f"this policy can only have a targetRef.group of {GROUP}": [
        ("targetRef.group", "targetRef: {group: apps, kind: Gateway, name: eg}")
    ],
    "this policy can only have a targetRef.kind of Gateway or ListenerSet": [
        ("targetRef.kind", f"targetRef: {{group: {GROUP}, kind: HTTPRoute, name: eg}}")
    ],
    f"this policy can only have a targetRefs[*].group of {GROUP}": [
        ("targetRefs[1].group", f"targetRefs: [{{{GATEWAY}}}, {{group: '', kind: Gateway, name: eg}}]")
    ],
    "this policy can only have a targetRefs[*].kind of Gateway or ListenerSet": [
        ("targetRefs[0].kind", f"targetRefs: [{{group: {GROUP}, kind: Service, name: eg}}, {{{GATEWAY}}}]")
    ],
    f"group must be {GROUP}": [
        ("targetSelectors[0].group", "targetSelectors: [{kind: Gateway, group: gateway.envoyproxy.io}]")
    ],
    "selector must be specified when from is Selector": [
        ("targetSelectors[0].namespaces.from", "targetSelectors: [{kind: Gateway, namespaces: {from: Selector}}]")
    ],
    "exactly one of xForwardedFor, customHeader, or directSourceIP must be set": [
        ("clientIPDetection", "clientIPDetection: {}"),
        ("clientIPDetection", "clientIPDetection: {directSourceIP: {}, customHeader: {name: x}}"),
    ],
    "only one of numTrustedHops or trustedCIDRs must be set": [
        ("clientIPDetection.xForwardedFor", "clientIPDetection: {xForwardedFor: {}}"),
        (
            "clientIPDetection.xForwardedFor",
            "clientIPDetection: {xForwardedFor: {numTrustedHops: 1, trustedCIDRs: [10.0.0.0/8]}}",
        ),
    ],
    "preserveXRequestID and requestID cannot both be set.": [
        ("headers.preserveXRequestID", "headers: {preserveXRequestID: false, requestID: Generate}")
    ],
    "certDetailsToAdd can only be set when mode is AppendForward or SanitizeSet": [
        (
            "headers.xForwardedClientCert.certDetailsToAdd",
            "headers: {xForwardedClientCert: {mode: ForwardOnly, certDetailsToAdd: [Subject]}}",
        ),
        (
            "headers.xForwardedClientCert.certDetailsToAdd",
            "headers: {xForwardedClientCert: {certDetailsToAdd: [URI]}}",
        ),
    ],
    "closeDelay can only be configured when value is set": [
        ("connection.connectionLimit.closeDelay", "connection: {connectionLimit: {closeDelay: 1s}}")
    ],
    "timeout must be less than interval": [
        ("http2.connectionKeepalive.timeout", "http2: {connectionKeepalive: {timeout: 10s, interval: 10000ms}}")
    ],
    "setting ciphers has no effect if the minimum possible TLS version is 1.3": [
        ("tls.ciphers", "tls: {minVersion: '1.3', ciphers: []}")
    ],
    "minVersion must be smaller or equal to maxVersion": [
        ("tls.maxVersion", "tls: {minVersion: '1.2', maxVersion: '1.1'}"),
        ("tls.maxVersion", "tls: {maxVersion: '1.1'}"),
    ],
    "allowExpiredCertificate can only be set when mode is VerifyIfGiven or RequireAndVerify": [
        (
            "tls.clientValidation.allowExpiredCertificate",
            "tls: {clientValidation: {mode: Request, allowExpiredCertificate: true}}",
        )
    ],
}


@pytest.mark.parametrize(("message", "place", "spec"), [(rule, *broken) for rule in CEL for broken in CEL[rule]])
def test_a_cel_rule_is_broken_with_the_crds_message(message: str, place: str, spec: str) -> None:
    target = "" if "target" in spec or place == "spec" else f"targetRefs: [{{{GATEWAY}}}]\n"
    assert found(target + spec) == [f"{place}: {message}"]


def rules(model: type[Strict], seen: set[type]) -> list[Rule]:
    """The rules of a model and of those in it."""
    if model in seen:
        return []
    seen.add(model)
    inner = [arm for field in model.model_fields.values() for arm in arms(field.annotation)]
    return [*model.RULES, *(rule for one in inner for rule in rules(one, seen))]


def arms(annotation: object) -> list[type[Strict]]:
    if isinstance(annotation, type) and issubclass(annotation, Strict):
        return [annotation]
    return [one for arm in getattr(annotation, "__args__", ()) for one in arms(arm)]


def test_every_rule_of_the_model_is_in_the_table() -> None:
    assert {rule.message for rule in rules(ClientTrafficPolicySpec, set())} == set(CEL)


@pytest.mark.parametrize(
    "spec",
    [
        f"targetRef: {{{GATEWAY}}}\ntargetRefs: [{{{GATEWAY}}}]\ntargetSelectors: [{{kind: Gateway}}]",
        "targetRefs: []",
        f"targetRefs: [{{group: {GROUP}, kind: ListenerSet, name: EG_}}]",
        "targetSelectors: [{kind: Gateway, matchExpressions: [{key: a, operator: Foo}]}]",
        "targetSelectors: [{kind: Gateway, namespaces: {from: Selector, selector: {}}}]",
    ],
)
def test_targets_that_the_crd_takes(spec: str) -> None:
    assert found(spec) == []


@pytest.mark.parametrize(
    "spec",
    [
        "clientIPDetection: {xForwardedFor: {numTrustedHops: 0}}",
        "clientIPDetection: {directSourceIP: {}}",
        "connection: {bufferLimit: 0}",
        "connection: {connectionLimit: {value: 1, closeDelay: 0s}}",
        "headers: {requestID: Disable}",
        "headers: {xForwardedClientCert: {mode: SanitizeSet, certDetailsToAdd: [Subject, URI]}}",
        "headers: {xForwardedClientCert: {mode: ForwardOnly, certDetailsToAdd: []}}",
        "headers: {earlyRequestHeaders: {add: [{name: a, value: x}, {name: A, value: x}], set: [{name: a, value: x}]}}",
        "tls: {minVersion: Auto, maxVersion: Auto}",
        "tls: {minVersion: '1.3', maxVersion: Auto}",
        "tls: {clientValidation: {allowExpiredCertificate: true}}",
        "http2: {connectionKeepalive: {timeout: 9s, interval: 10s}, onInvalidMessage: Whatever}",
    ],
)
def test_what_the_crd_takes(spec: str) -> None:
    assert found(f"targetRefs: [{{{GATEWAY}}}]\n{spec}") == []


DURATION = (
    "is not a duration: write up to four numbers of at most five digits, each with h, m, s or ms, like 1h30m, 60s or "
    "500ms (in body should match '^([0-9]{1,5}(h|m|s|ms)){1,4}$')"
)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tcpKeepalive: {idleTime: 20 minutes}", f"tcpKeepalive.idleTime: '20 minutes' {DURATION}"),
        (
            "connection: {bufferLimit: 1.5Mi}",
            (
                "connection.bufferLimit: '1.5Mi' is not a quantity: write a whole number, perhaps with k, M, G, Ki, Mi "
                "or Gi (in body should match '^[1-9]+[0-9]*([EPTGMK]i|[EPTGMk])?$')"
            ),
        ),
        (
            "headers: {earlyRequestHeaders: {add: [{name: 'a b', value: x}]}}",
            (
                "headers.earlyRequestHeaders.add[0].name: 'a b' is not a header's name: write letters, digits and "
                "!#$%&'*+-.^_`|~ (in body should match '^[A-Za-z0-9!#$%&'*+\\-.^_\\x60|~]+$')"
            ),
        ),
        (
            "clientIPDetection: {customHeader: {name: x_client}}",
            (
                "clientIPDetection.customHeader.name: 'x_client' is not a header's name: write letters, digits and - "
                "(in body should match '^[A-Za-z0-9-]+$')"
            ),
        ),
        (
            "clientIPDetection: {xForwardedFor: {trustedCIDRs: [10.0.0.0/33]}}",
            (
                "clientIPDetection.xForwardedFor.trustedCIDRs[0]: '10.0.0.0/33' is not a CIDR: write an address and a "
                "length, like 10.0.0.0/8 or fd00::/8 (in body should match '((25[0-5]|…')"
            ),
        ),
        (
            "connection: {connectionLimit: {value: 0}}",
            "connection.connectionLimit.value: should be greater than or equal to 1, not 0",
        ),
        (
            "clientIPDetection: {xForwardedFor: {numTrustedHops: 2147483648}}",
            (
                "clientIPDetection.xForwardedFor.numTrustedHops: should be less than or equal to 2147483647, not "
                "2147483648"
            ),
        ),
        ("healthCheck: {path: ''}", "healthCheck.path: should be at least 1 chars long, not ''"),
        ("healthCheck: {}", "healthCheck.path: Required value"),
        (
            "scheme: MatchBackEnd",
            (
                'scheme: Unsupported value: "MatchBackEnd": supported values: "Preserve", "MatchBackend"; '
                "did you mean MatchBackend?"
            ),
        ),
        (
            "headers: {earlyRequestHeaders: {set: [{name: a, value: x}, {name: b, value: x}, {name: a, value: z}]}}",
            'headers.earlyRequestHeaders.set[2].name: the same as [0] (Duplicate value: {"name":"a"})',
        ),
        (
            "headers: {lateResponseHeaders: {remove: [a, b, b]}}",
            'headers.lateResponseHeaders.remove[2]: the same as [1] (Duplicate value: "b")',
        ),
        (
            "headers: {earlyRequestHeaders: {add: []}}",
            "headers.earlyRequestHeaders.add: should have at least 1 items, not 0",
        ),
    ],
)
def test_patterns_enums_limits_and_what_must_be_there(spec: str, message: str) -> None:
    assert found(f"targetRefs: [{{{GATEWAY}}}]\n{spec}") == [message]


def test_several_rules_of_one_object_come_at_once() -> None:
    assert found("targetRefs: [{group: apps, kind: Deployment, name: x}, {group: '', kind: Service, name: z}]") == [
        f"targetRefs[0].group: this policy can only have a targetRefs[*].group of {GROUP}",
        "targetRefs[0].kind: this policy can only have a targetRefs[*].kind of Gateway or ListenerSet",
        f"targetRefs[1].group: this policy can only have a targetRefs[*].group of {GROUP}",
        "targetRefs[1].kind: this policy can only have a targetRefs[*].kind of Gateway or ListenerSet",
    ]


@pytest.mark.parametrize(
    ("spec", "reason"),
    [
        ("tls: {minVersion: '1.2'}", "plain HTTP listeners, on which Envoy Gateway ignores TLS settings"),
        ("http2: {maxConcurrentStreams: 5}", "pyproxy speaks HTTP/1.1 only"),
        ("http3: {}", "pyproxy does not listen with QUIC"),
        ("grpc: {enableWeb: true}", "pyproxy does not translate gRPC-Web"),
        ("timeout: {tcp: {idleTimeout: 1h}}", "it concerns TCP listeners"),
        ("connection: {socketBufferLimit: 1Mi}", "Envoy Gateway itself does not implement it"),
    ],
)
def test_what_stays_refused_says_so_with_its_line(spec: str, reason: str) -> None:
    refused = [error for error in errors(BASE, policy(spec)) if reason in error.message]
    assert [(error.line, error.is_warning) for error in refused] == [(6, False)]
