"""Files to settings, and every mistake at its line."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.errors import PolicyErrors
from pyproxy.policy.load import load
from pyproxy.policy.release import Release
from tests.policy.resources import BASE, NOW, errors, loaded, policy

ROOT = Path(__file__).parents[2]


def first(*texts: str) -> str:
    found = errors(*texts)
    assert found, "there is no error"
    return str(found[0])


def only(*texts: str) -> str:
    found = errors(*texts)
    assert len(found) == 1, found
    return str(found[0])


EXAMPLES = sorted(path for path in (ROOT / "config").iterdir() if path.suffix == ".yaml" or path.is_dir())


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_every_example_loads(path: Path) -> None:
    paths = (
        [path] if path.is_dir() or "\nkind: Gateway\n" in path.read_text() else [ROOT / "config/quickstart.yaml", path]
    )
    for release in Release:
        assert load(paths, release=release, address="127.0.0.1", now=NOW).settings.listeners


def test_the_guides_policies_are_the_guides() -> None:
    quickstart = ROOT / "config/quickstart.yaml"
    keepalive = load(
        [quickstart, ROOT / "config/keepalive-policy.yaml"], release=Release.V0_6, address="127.0.0.1", now=NOW
    )
    listener = keepalive.settings.listeners[0]
    assert listener.keepalive is not None
    assert (listener.keepalive.idle, listener.keepalive.interval, listener.keepalive.probes) == (1200, 60, 3)
    assert keepalive.policies_of(listener) == ["default/enable-tcp-keepalive-policy"]
    proxy = load(
        [quickstart, ROOT / "config/proxy-protocol-policy.yaml"], release=Release.V0_6, address="127.0.0.1", now=NOW
    )
    assert proxy.settings.listeners[0].proxy_protocol is not None


def test_the_quickstart_is_the_packaged_one() -> None:
    assert (ROOT / "config/quickstart.yaml").read_text() == (ROOT / "pyproxy/quickstart.yaml").read_text()


# -- files -----------------------------------------------------------------------------------------------------


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "b.yaml").write_text(policy("tcpKeepalive: {}"))
    (tmp_path / "a.yml").write_bytes(b"\xef\xbb\xbf" + BASE.encode())
    (tmp_path / ".hidden.yaml").write_text("nonsense: [")
    (tmp_path / "readme.txt").write_text("nonsense: [")
    assert load([tmp_path], release=Release.V0_6, address="127.0.0.1", now=NOW).policies


def load_errors(*paths: Path) -> list[str]:
    with pytest.raises(PolicyErrors) as found:
        load(paths, release=Release.V0_6, address="127.0.0.1", now=NOW)
    return [str(error) for error in found.value.errors]


def test_what_can_not_be_read(tmp_path: Path) -> None:
    missing, binary, empty = tmp_path / "no.yaml", tmp_path / "bin.yaml", tmp_path / "empty"
    binary.write_bytes(b"a: \xff\n")
    empty.mkdir()
    assert load_errors(missing) == [f"{missing}:1:1: can't be read: No such file or directory"]
    assert load_errors(binary) == [f"{binary}:1:1: not UTF-8: invalid start byte at byte 3"]
    assert load_errors(empty) == [f"{empty}:1:1: the folder has no .yaml, .yml or .json file"]


def test_errors_of_all_files_come_at_once_in_order() -> None:
    found = errors(BASE + "---\nkind: Gatewy\n", policy("tcpKeepalife: {}\ntcpKeepalive: {probes: x}"), "a: [")
    assert [(error.file, error.line) for error in found] == [
        ("a.yaml", 28),
        ("b.yaml", 6),
        ("b.yaml", 7),
        ("c.yaml", 2),
    ]


# -- one object ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- a\n", "a.yaml:1:1: a resource is a mapping with apiVersion, kind, metadata and spec"),
        ("a: 1\n", "a.yaml:1:1: kind: required: the kind of the resource"),
        ("kind: Gatewai\n", "a.yaml:1:1: kind: unknown kind Gatewai; did you mean Gateway?"),
        ("kind: Zebra\n", "a.yaml:1:1: kind: unknown kind Zebra"),
        ("kind: SecurityPolicy\n", "a.yaml:1:1: kind: pyproxy does not serve SecurityPolicy; take it out"),
        (
            "apiVersion: v1\nkind: Gateway\n",
            "a.yaml:1:1: apiVersion: Gateway has apiVersion gateway.networking.k8s.io/v1",
        ),
    ],
)
def test_what_is_no_resource(text: str, message: str) -> None:
    assert first(text) == message


def test_kinds_that_change_nothing_are_let_pass() -> None:
    assert errors(BASE, "kind: Deployment\nanything: goes\n---\napiVersion: v1\nkind: Namespace\n") == []


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("port: 80}", "port: '80'}", "a.yaml:12:34: spec.listeners[0].port: must be a whole number, not '80'"),
        ("port: 80}", "port: 0}", "spec.listeners[0].port: input should be greater than or equal to 1, not 0"),
        ("port: 80}", "prot: 80}", "a.yaml:12:5: spec.listeners[0].port: required field is missing"),
        ("{name: http", "{name: 5", "spec.listeners[0].name: must be text (put it in quotes), not 5"),
        ("protocol: HTTP", "protocol: HTTPS", "protocol HTTPS is not served: pyproxy listens with HTTP only"),
        ("port: 80}", "port: 80, hostname: A_b}", "spec.listeners[0].hostname: 'A_b' is not a hostname"),
        ("port: 80}", "port: 80, hostname: A.b}", "a hostname is written in lower case"),
        ("port: 80}", "port: 80, tls: {}}", "spec.listeners[0].tls: pyproxy does not serve this field; take it out"),
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
        ("parentRefs: [{name: eg}]", "parentRefs: eg", "spec.parentRefs: must be a list, not 'eg'"),
        ("parentRefs: [{name: eg}]", "parentRefs: [eg]", "spec.parentRefs[0]: must be a mapping, not 'eg'"),
        ("kind: Backend, name", "kind: Backend, weight: -1, name", "backendRefs[0].weight: input should be greater"),
        ("- backendRefs", "- matches: [{path: {type: Exakt}}]\n    backendRefs", "did you mean Exact?"),
        ("- backendRefs", "- matches: [{path: {value: a}}]\n    backendRefs", "must be an absolute path"),
        ("- backendRefs", "- matches: [{path: {value: /a//b}}]\n    backendRefs", "must not contain '//'"),
        ("- backendRefs", "- matches: [{method: GET}]\n    backendRefs", "pyproxy does not serve this field"),
        ("- backendRefs", "- filters: []\n    backendRefs", "spec.rules[0].filters: pyproxy does not serve"),
        ("metadata: {name: backend}\nspec:\n  endp", "metadata: {}\nspec:\n  endp", "metadata.name: required field"),
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
        ("tcpKeepalive: {probes: '3'}", "spec.tcpKeepalive.probes: must be a whole number, not '3'"),
        ("tcpKeepalive: {probes: 128}", "spec.tcpKeepalive.probes: the kernel takes 1 to 127, not 128"),
        ("tcpKeepalive: {probes: 0}", "spec.tcpKeepalive.probes: the kernel takes 1 to 127, not 0"),
        ("tcpKeepalive: {idleTime: 0s}", "the kernel takes 1s to 32767s, in whole seconds, not 0s"),
        ("tcpKeepalive: {idleTime: 999ms}", "the kernel takes 1s to 32767s, in whole seconds, not 999ms"),
        ("tcpKeepalive: {interval: 10h}", "spec.tcpKeepalive.interval: the kernel takes 1s to 32767s"),
        ("tcpKeepalive: {idleTime: 5}", "spec.tcpKeepalive.idleTime: must be text (put it in quotes), not 5"),
        ("tcpKeepalive: {idleTime: 5x}", "spec.tcpKeepalive.idleTime: '5x' is not a duration"),
        ("tcpKeepalive: on", "spec.tcpKeepalive: must be a mapping, not true"),
        ("enableProxyProtocol: 'yes'", "spec.enableProxyProtocol: must be true or false, not 'yes'"),
        ("enableProxyProtocol: ", "nothing"),
        ("path: {escapedSlashesAction: KeepUnchangd}", "did you mean KeepUnchanged?"),
        ("path: {disableMergeSlashes: true}", "spec.path.disableMergeSlashes: pyproxy does not enforce this field yet"),
        ("http1: {http10: {}}", "b.yaml:6:11: spec.http1.http10: pyproxy does not enforce this field yet"),
        ("http3: {}", "spec.http3: pyproxy does not listen with QUIC; take it out"),
        ("tls: {minVersion: '1.2'}", "spec.tls.minVersion: pyproxy serves plain HTTP listeners"),
        ("connection: {bufferLimit: 32Ki}", "spec.connection.bufferLimit: pyproxy does not enforce this field yet"),
        ("connection: {bufferLimit: 1x}", "spec.connection.bufferLimit: '1x' is not a quantity"),
        ("headers: {requestID: Disable, preserveXRequestID: true}", "preserveXRequestID and requestID cannot both"),
        ("timeout: {http: {idleTimeout: 1m}}", "spec.timeout.http.idleTimeout: pyproxy does not enforce"),
        ("clientIPDetection: {xForwardedFor: {trustedCIDRs: [10.0.0.0/8]}}", "trustedCIDRs[0]: pyproxy does not"),
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
        ("targetRefs: []", "spec.targetRefs: list should have at least 1 item"),
        (
            "targetRef: {group: apps, kind: Gateway, name: eg}",
            "this policy can only have a targetRef.group of gateway.networking.k8s.io",
        ),
        (
            "targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: eg}]",
            "this policy can only have a targetRefs[*].kind of Gateway or ListenerSet",
        ),
        ("targetRef: {kind: Gateway, name: eg}", "spec.targetRef.group: required field is missing"),
        (
            "targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: eg, namespace: other}",
            "spec.targetRef.namespace: a policy's target is in its own namespace, default; take this out",
        ),
        (
            "targetRef: {group: gateway.networking.k8s.io, kind: ListenerSet, name: eg}",
            "spec.targetRef.kind: pyproxy does not serve ListenerSet; target a Gateway",
        ),
        (
            "targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: ge}",
            "spec.targetRef.name: there is no Gateway ge in namespace default; there is eg",
        ),
        ("targetSelectors: [{kind: Gateway, matchLabels: {a: b}}]", "pyproxy does not enforce this field yet"),
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


def test_a_policy_alone_says_what_is_missing() -> None:
    message = only(policy("tcpKeepalive: {}"))
    assert message == (
        "a.yaml:5:66: spec.targetRefs[0].name: there is no Gateway eg in namespace default; "
        "add its file with another -f"
    )


# -- objects together ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gatewayClassName: eg", "gatewayClassName: ge", "there is no GatewayClass ge; there is eg"),
        ("gatewayclass-controller}", "other}", "Envoy Gateway's, and so pyproxy's, is gateway.envoyproxy.io/"),
        (
            "kind: Backend, name: backend",
            "kind: Backend, name: bakend",
            "no Backend bakend in namespace default; there is backend",
        ),
        ("kind: Backend, name: backend", "kind: Backend, namespace: x, name: backend", "the route's own namespace"),
        ("group: gateway.envoyproxy.io, kind: Backend", "group: '', kind: Backend", "a backendRef is a Service"),
        ("parentRefs: [{name: eg}]", "parentRefs: [{name: ge}]", "there is no Gateway ge in namespace default"),
        ("parentRefs: [{name: eg}]", "parentRefs: [{name: eg, sectionName: x}]", "no listener of Gateway eg takes"),
        ("port: 80}", "port: 80}\n  - {name: http, protocol: HTTP, port: 81}", "there are two listeners http"),
        ("port: 80}", "port: 80}\n  - {name: b, protocol: HTTP, port: 80}", "tuple must be unique for every listener"),
        ("port: 80}", "port: 80}\n  - {name: b, protocol: HTTP, port: 10080}", "port 10080 is bound for listener http"),
    ],
)
def test_reference_errors(old: str, new: str, message: str) -> None:
    assert old in BASE
    found = [str(error) for error in errors(BASE.replace(old, new))]
    assert any(message in line for line in found), found


def test_an_object_twice() -> None:
    assert first(BASE, BASE).endswith("metadata.name: GatewayClass eg is there already, in a.yaml:1")


def test_two_gateways_can_not_have_one_port() -> None:
    other = BASE.split("---\n")[1].replace("{name: eg}", "{name: other}")
    assert "port 10080 is bound for eg already" in first(BASE, other)


def test_no_hostname_in_common() -> None:
    text = BASE.replace("port: 80}", "port: 80, hostname: a.example}").replace(
        "parentRefs: [{name: eg}]", "parentRefs: [{name: eg}]\n  hostnames: [b.example]"
    )
    assert "There were no hostname intersections" in only(text)


SERVICE = "---\napiVersion: v1\nkind: Service\nmetadata: {name: app}\nspec: "
TO_SERVICE = BASE.replace("{group: gateway.envoyproxy.io, kind: Backend, name: backend}", "{name: app, port: 80}")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("{ports: [{port: 80}]}", "Service app has no address outside its cluster"),
        ("{clusterIP: None, ports: [{port: 80}]}", "Service app has no address outside its cluster"),
        ("{clusterIP: 127.0.0.1, ports: [{port: 81}]}", "Service app has no such port; its ports: 81"),
        ("{clusterIP: 127.0.0.1}", "Service app has no such port; its ports: none"),
    ],
)
def test_services_without_an_address(spec: str, message: str) -> None:
    assert message in only(TO_SERVICE + SERVICE + spec)


def test_services_with_one() -> None:
    for spec in (
        "{clusterIP: 127.0.0.1, ports: [{port: 80}]}",
        "{type: ExternalName, externalName: a, ports: [{port: 80}]}",
    ):
        settings = loaded(TO_SERVICE + SERVICE + spec).settings
        assert settings.listeners[0].virtual_hosts[0].routes[0].clusters[0][0].endpoints[0].port == 80


def test_there_is_no_such_service() -> None:
    assert "there is no Service app in namespace default" in first(TO_SERVICE)


@given(st.text(max_size=60), st.integers(0, len(BASE)))
def test_a_damaged_file_is_an_error_or_still_valid(text: str, at: int) -> None:
    damaged = BASE[:at] + text + BASE[at:]
    assert all(error.line >= 1 for error in errors(damaged))
