"""One object by itself: every mistake in it, at its line."""

from __future__ import annotations

import pytest

from pyproxy.settings import Keepalive
from tests.policy.resources import BASE, errors, first, loaded, policy


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "a.yaml:1:1: a resource is a mapping with apiVersion, kind, metadata and spec"),
        ("kind: [a]\n", "a.yaml:1:1: kind: required: the kind of the resource"),
        ("a: 1\n", "a.yaml:1:1: kind: required: the kind of the resource"),
        ("kind: Gatewai\n", "a.yaml:1:1: kind: unknown kind Gatewai; did you mean Gateway?"),
        ("kind: Zebra\n", "a.yaml:1:1: kind: unknown kind Zebra"),
        ("kind: SecurityPolicy\n", "a.yaml:1:1: kind: pyproxy does not serve SecurityPolicy; take it out"),
        (
            "apiVersion: v1\nkind: Gateway\n",
            "a.yaml:1:1: apiVersion: Gateway has apiVersion gateway.networking.k8s.io/v1, not 'v1'",
        ),
    ],
)
def test_what_is_no_resource(text: str, message: str) -> None:
    assert first(text) == message


def test_a_listener_set_is_right_and_not_served() -> None:
    text = (
        "apiVersion: gateway.networking.k8s.io/v1\nkind: ListenerSet\nmetadata: {name: more}\n"
        "spec: {parentRef: {name: eg}, listeners: [{name: a, protocol: HTTPS, port: 8443}]}\n"
    )
    refused = "b.yaml:2:1: kind: pyproxy does not serve ListenerSet; take it out"
    assert [str(error) for error in errors(BASE, text)] == [refused]
    assert [str(error) for error in errors(BASE, text.replace("8443", "x"))] == [
        refused,
        'b.yaml:4:70: spec.listeners[0].port: must be of type integer: "string"; write a whole number, without quotes',
    ]


def test_kinds_that_change_nothing_are_let_pass() -> None:
    assert errors(BASE, "kind: Deployment\nanything: goes\n---\napiVersion: v1\nkind: ConfigMap\n") == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "port: 80}",
            "port: '80'}",
            'a.yaml:12:34: spec.listeners[0].port: must be of type integer: "string"; write a whole',
        ),
        ("port: 80}", "port: 0}", "spec.listeners[0].port: should be greater than or equal to 1, not 0"),
        ("port: 80}", "prot: 80}", "a.yaml:12:5: spec.listeners[0].port: Required value"),
        ("{name: http", "{name: 5", 'spec.listeners[0].name: must be of type string: "integer"; put it in quotes'),
        (
            "protocol: HTTP",
            "protocol: HTTPS",
            "12:18: spec.listeners[0].protocol: pyproxy does not serve HTTPS here; it takes HTTP",
        ),
        ("port: 80}", "port: 80, hostname: A_b}", "spec.listeners[0].hostname: 'A_b' is not a hostname"),
        ("port: 80}", "port: 80, hostname: A.b}", "'A.b' is not a hostname: write a DNS name in lower case"),
        ("port: 80}", "port: 80, tls: {}}", "0].tls: tls must not be specified for protocols ['HTTP', 'TCP', 'UDP']"),
        (
            "protocol: HTTP, port: 80}",
            "protocol: TCP, port: 80, hostname: a.example}",
            "0].hostname: hostname must not be specified for protocols ['TCP', 'UDP']",
        ),
        (
            "gatewayClassName: eg",
            "gatewayClassName: eg\n  addresses: []",
            "spec.addresses: pyproxy does not serve this",
        ),
        (
            "port: 80}",
            "port: 80, allowedRoutes: {namespaces: {from: Selector, selector: {}}}}",
            "0].allowedRoutes.namespaces.from: pyproxy does not serve Selector here; it takes All and Same",
        ),
        (
            "port: 80}",
            "port: 80, allowedRoutes: {kinds: [{kind: GRPCRoute}]}}",
            "allowedRoutes.kinds[0].kind: pyproxy does not serve GRPCRoute here; it takes HTTPRoute",
        ),
        ("address: 127.0.0.1", "address: nope", "'nope' is not an IP address; for a name write fqdn"),
        ("{ip: {address: 127.0.0.1, port: 3000}}", "{}", "one of fqdn, ip or unix must be specified"),
        (
            "{ip: {address: 127.0.0.1, port: 3000}}",
            "{ip: {address: 127.0.0.1, port: 1}, fqdn: {hostname: a, port: 1}}",
            "only one of fqdn, ip or unix can be specified",
        ),
        (
            "{ip: {address: 127.0.0.1, port: 3000}}",
            "{ip: {address: 127.0.0.1, port: 1}}, {fqdn: {hostname: a, port: 1}}",
            "fqdn addresses cannot be mixed with other address types",
        ),
        ("parentRefs: [{name: eg}]", "parentRefs: eg", 'spec.parentRefs: must be of type array: "string"'),
        ("parentRefs: [{name: eg}]", "parentRefs: [eg]", 'spec.parentRefs[0]: must be of type object: "string"'),
        ("kind: Backend, name", "kind: Backend, weight: -1, name", "backendRefs[0].weight: should be greater"),
        ("- backendRefs", "- matches: [{path: {type: Exakt}}]\n    backendRefs", "did you mean Exact?"),
        ("group: gateway.envoyproxy.io, kind: Backend, ", "", "[0]: Must have port for Service reference"),
        ("metadata: {name: backend}", "metadata: {name: a/b}", "metadata.name: 'a/b' is not a name: write lower-case"),
        (
            "metadata: {name: backend}",
            "metadata: {name: b, nmae: b}",
            "metadata.nmae: unknown field; did you mean name?",
        ),
        ("metadata: {name: eg}", "metadata: {name: eg, creationTimestamp: x}", "metadata.creationTimestamp: "),
        ("metadata: {name: backend}\nspec:\n  endp", "metadata: {}\nspec:\n  endp", "metadata.name: Required value"),
        ("name: backend}]", "naem: backend}]", "unknown field; did you mean name?"),
    ],
)
def test_schema_errors(old: str, new: str, message: str) -> None:
    assert old in BASE
    found = [str(error) for error in errors(BASE.replace(old, new))]
    assert any(message in line for line in found), found


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tcpKeepalife: {}", "b.yaml:6:3: spec.tcpKeepalife: unknown field; did you mean tcpKeepalive?"),
        ("tcpKeepalive: {probs: 3}", "b.yaml:6:18: spec.tcpKeepalive.probs: unknown field; did you mean probes?"),
        ("tcpKeepalive: {probes: '3'}", 'spec.tcpKeepalive.probes: must be of type integer: "string"'),
        ("tcpKeepalive: {probes: 128}", "spec.tcpKeepalive.probes: the kernel takes 1 to 127, not 128"),
        ("tcpKeepalive: {probes: 0}", "spec.tcpKeepalive.probes: the kernel takes 1 to 127, not 0"),
        ("tcpKeepalive: {idleTime: 0s}", "the kernel takes 1s to 32767s, in whole seconds, not 0s"),
        ("tcpKeepalive: {idleTime: 999ms}", "the kernel takes 1s to 32767s, in whole seconds, not 999ms"),
        ("tcpKeepalive: {interval: 10h}", "spec.tcpKeepalive.interval: the kernel takes 1s to 32767s"),
        ("tcpKeepalive: {idleTime: 5}", "spec.tcpKeepalive.idleTime: must be text with a unit, like 5s or 5ms, not 5"),
        ("tcpKeepalive: {idleTime: 5x}", "spec.tcpKeepalive.idleTime: '5x' is not a duration"),
        ("connection: {bufferLimit: '" + "9" * 6000 + "Ki'}", "is not a quantity"),
        ("tcpKeepalive: on", 'spec.tcpKeepalive: must be of type object: "boolean"'),
        (
            "enableProxyProtocol: 'yes'",
            'spec.enableProxyProtocol: must be of type boolean: "string"; write true or false',
        ),
        ("enableProxyProtocol: ", "nothing"),
        ("path: {escapedSlashesAction: KeepUnchangd}", "did you mean KeepUnchanged?"),
        ("grpc: {}", "b.yaml:6:3: spec.grpc: pyproxy does not translate gRPC-Web; take it out"),
        ("http3: {}", "spec.http3: pyproxy does not listen with QUIC; take it out"),
        ("tls: {minVersion: '1.2'}", "spec.tls.minVersion: pyproxy serves plain HTTP listeners"),
        ("connection: {socketBufferLimit: 32Ki}", "spec.connection.socketBufferLimit: Envoy Gateway itself does not"),
        ("connection: {connectionLimit: {value: 9999999999999999999}}", "less than or equal to 9223372036854775807"),
        ("connection: {bufferLimit: 1x}", "spec.connection.bufferLimit: '1x' is not a quantity"),
        ("headers: {requestID: Disable, preserveXRequestID: true}", "preserveXRequestID and requestID cannot both"),
        ("timeout: {tcp: {idleTimeout: 1m}}", "spec.timeout.tcp.idleTimeout: it concerns TCP listeners"),
    ],
)
def test_policy_errors(spec: str, message: str) -> None:
    found = [str(error) for error in errors(BASE, policy(spec))]
    if message == "nothing":
        assert found == []
    else:
        assert any(message in line for line in found), found


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ("", "spec: either targetRef or targetRefs must be used"),
        (
            "targetRef: {group: apps, kind: Gateway, name: eg}",
            "this policy can only have a targetRef.group of gateway.networking.k8s.io",
        ),
        (
            "targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: eg}]",
            "this policy can only have a targetRefs[*].kind of Gateway or ListenerSet",
        ),
        ("targetRef: {kind: Gateway, name: eg}", "spec.targetRef.group: Required value"),
        (
            "targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: eg, namespace: other}",
            "warning: spec.targetRef.namespace: a policy's target is in its own namespace, default; this one gets no",
        ),
        (
            "targetRef: {group: gateway.networking.k8s.io, kind: ListenerSet, name: eg}",
            "warning: spec.targetRef.kind: pyproxy does not serve ListenerSet; target a Gateway",
        ),
        (
            "targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: ge}",
            "warning: spec.targetRef.name: there is no Gateway ge in namespace default; there is eg",
        ),
        ("targetSelectors: [{kind: Gateway, matchLabels: {a: b}}]", "warning: spec.targetSelectors: no Gateway is"),
    ],
)
def test_target_errors(targets: str, message: str) -> None:
    text = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nmetadata: {name: p}\nspec:\n"
    found = [str(error) for error in errors(BASE, text + (f"  {targets}\n" if targets else "  tcpKeepalive: {}\n"))]
    assert any(message in line for line in found), found


@pytest.mark.enforces("spec.targetRef.namespace")
@pytest.mark.enforces("spec.targetRefs[].namespace")
def test_a_target_in_the_policys_own_namespace_may_say_so() -> None:
    assert errors(BASE, policy("tcpKeepalive: {}", target="name: eg, namespace: default")) == []


def test_all_mistakes_of_one_object_come_at_once() -> None:
    text = policy("tcpKeepalive: {probes: x, idleTime: 0s}\ngrpc: {enableWeb: true, escaped: 1}\nnonsense: 1")
    text = text.replace("kind: Gateway,", "kind: Gatewy,")
    targets = "this policy can only have a targetRefs[*].kind of Gateway or ListenerSet"
    assert [str(error) for error in errors(BASE, text)] == [
        f"b.yaml:5:51: spec.targetRefs[0].kind: {targets}",
        (
            'b.yaml:6:18: spec.tcpKeepalive.probes: must be of type integer: "string"; '
            "write a whole number, without quotes"
        ),
        "b.yaml:6:29: spec.tcpKeepalive.idleTime: the kernel takes 1s to 32767s, in whole seconds, not 0s",
        "b.yaml:7:10: spec.grpc.enableWeb: pyproxy does not translate gRPC-Web; take it out",
        "b.yaml:7:27: spec.grpc.escaped: unknown field",
        "b.yaml:8:3: spec.nonsense: unknown field",
    ]


def test_what_follows_from_a_mistake_is_not_reported_once_more() -> None:
    meant = policy("tcpKeepalive: {}").replace("targetRefs", "targetRfs")
    assert [str(error) for error in errors(BASE, meant)] == [
        "b.yaml:5:3: spec.targetRfs: unknown field; did you mean targetRefs?"
    ]
    twice = policy("tcpKeepalive: {probes: 3, probes: x}")
    assert [str(error) for error in errors(BASE, twice)] == [
        "b.yaml:6:29: spec.tcpKeepalive.probes: duplicate key, first on line 6"
    ]
    assert len(errors(BASE, policy("connection: {bufferLimit: {a: 1}}"))) == 1
    assert len(errors(BASE, policy("path: {escapedSlashesAction: [x]}"))) == 1


def test_a_wrong_version_hides_the_rest_only_where_it_is_of_something_else() -> None:
    near = policy("nonsense: 1").replace("v1alpha1", "v1alpha2")
    assert [error.field for error in errors(BASE, near)] == ["apiVersion", "spec.nonsense"]
    nothing = policy("nonsense: 1").replace("apiVersion: gateway.envoyproxy.io/v1alpha1\n", "")
    assert [error.field for error in errors(BASE, nothing)] == ["apiVersion", "spec.nonsense"]
    istio = "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: x}\nspec: {servers: []}\n"
    assert [error.field for error in errors(BASE, istio)] == ["apiVersion"]


def test_a_field_without_a_value_is_not_set() -> None:
    text = policy("http3:\nenableProxyProtocol:\ntcpKeepalive:\n  probes:")
    assert errors(BASE, text) == []
    assert loaded(BASE, text).settings.listeners[0].keepalive == Keepalive()


@pytest.mark.parametrize("spec", ["5", "[]", "x", "{targetRefs: 5}", "{targetRefs: [5]}", "{tls: {minVersion: {}}}"])
def test_a_spec_of_any_shape_gives_errors(spec: str) -> None:
    text = (
        f"apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nmetadata: {{name: p}}\nspec: {spec}\n"
    )
    assert errors(BASE, text)
    assert errors(BASE, text.replace("{name: p}", "p"))
