"""Objects together: every name leads somewhere."""

from __future__ import annotations

import pytest

from tests.policy.resources import BASE, errors, first, loaded, only, policy


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gatewayClassName: eg", "gatewayClassName: ge", "there is no GatewayClass ge; there is eg"),
        ("gatewayclass-controller}", "other}", "Envoy Gateway's, and so pyproxy's, is gateway.envoyproxy.io/"),
        (
            "kind: Backend, name: backend",
            "kind: Backend, name: bakend",
            "no Backend bakend in namespace default; there is",
        ),
        ("kind: Backend, name: backend", "kind: Backend, namespace: x, name: backend", "the route's own namespace"),
        ("group: gateway.envoyproxy.io, kind: Backend", "group: '', kind: Backend", "a backendRef is a Service"),
        ("parentRefs: [{name: eg}]", "parentRefs: [{name: ge}]", "there is no Gateway ge in namespace default"),
        ("parentRefs: [{name: eg}]", "parentRefs: [{name: eg, sectionName: x}]", "no listener of Gateway eg takes"),
        (
            "port: 80}",
            "port: 80}\n  - {name: http, protocol: HTTP, port: 81}",
            "Listener name must be unique within the Gateway",
        ),
        (
            "port: 80}",
            "port: 80}\n  - {name: b, protocol: HTTP, port: 80}",
            "Combination of port, protocol and hostname must be unique",
        ),
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
    assert "port 10080 is bound for Gateway eg already" in first(BASE, other)


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


def test_a_service_port_is_checked_only_where_ports_are_named() -> None:
    spec = "{type: ExternalName, externalName: a, ports: [{port: 81}]}"
    assert "Service app has no such port; its ports: 81" in only(TO_SERVICE + SERVICE + spec)


def test_an_object_in_another_namespace_is_pointed_out() -> None:
    elsewhere = BASE.replace(
        "metadata: {name: backend}\nspec:\n  endpoints", "metadata: {name: backend, namespace: b}\nspec:\n  endpoints"
    )
    assert "there is no Backend backend in namespace default; there is one in namespace b" in only(elsewhere)


def test_among_many_the_nearest_is_named() -> None:
    backends = [BASE.split("---\n")[3].replace("backend}", f"{name}}}") for name in ("red", "green", "blue", "backed")]
    text = "---\n".join([*BASE.split("---\n")[:3], *backends])
    assert "there is no Backend backend in namespace default; did you mean backed?" in only(text)


def test_a_section_that_is_not_there() -> None:
    text = BASE.replace("parentRefs: [{name: eg}]", "parentRefs: [{name: eg, sectionName: htp}]")
    assert only(text).endswith("no listener of Gateway eg takes this route; did you mean http?")


def test_an_object_with_mistakes_is_still_there() -> None:
    broken = BASE.replace("port: 80}", "port: 80, tls: {}, port: 81}").replace("port: 3000", "port: 0")
    assert [error.field for error in errors(broken)] == [
        "spec.listeners[0].tls",
        "spec.listeners[0].port",
        "spec.endpoints[0].ip.port",
    ]
    lost = BASE.replace("listeners:\n  - {name: http, protocol: HTTP, port: 80}", "listeners: []")
    assert [error.field for error in errors(lost)] == ["spec.listeners"]


def test_an_object_that_could_not_be_read_is_not_missed() -> None:
    text = BASE.replace("endpoints: [{ip", "endpoints: [{ip}}")
    assert [error.message[:8] for error in errors(text)] == ["not YAML"]
    aliased = BASE.replace("endpoints: [{ip", "endpoints: &loop [*loop, {ip")
    assert [error.message for error in errors(aliased)] == ["an alias to what it is part of"]


def test_mistakes_in_one_object_and_between_objects_come_together() -> None:
    route = BASE.replace("parentRefs: [{name: eg}]", "parentRefs: [{name: ge}]")
    text = route.replace("name: backend}]", "name: bakend, wieght: 1}]") + "---\n" + policy("probes: 1")
    assert [error.field for error in errors(text)] == [
        "spec.parentRefs[0].name",
        "spec.rules[0].backendRefs[0].wieght",
        "spec.probes",
    ]


def test_a_reference_with_a_mistake_in_it_is_not_followed() -> None:
    assert [error.field for error in errors(BASE, policy("", target="name: ge, nmespace: x"))] == [
        "spec.targetRefs[0].nmespace"
    ]
    assert [error.field for error in errors(BASE.replace("kind: Backend, name", "kindd: Backend, port: 1, name"))] == [
        "spec.rules[0].backendRefs[0].kindd"
    ]


def test_a_route_of_another_namespace() -> None:
    route = BASE.split("---\n")[2].replace("{name: backend}\n", "{name: backend, namespace: b}\n")
    route = route.replace("{name: eg}", "{name: eg, namespace: default}")
    assert first(BASE, route).endswith("spec.parentRefs[0]: no listener of Gateway eg takes this route")


def test_a_file_left_out_is_the_last_thing_to_be_said() -> None:
    alone = policy("tcpKeepalive: {}")
    assert [error.field for error in errors(alone)] == ["", "spec.targetRefs[0].name"]
    assert [error.field for error in errors(alone + "  probes: 1\n")] == ["spec.probes"]
    without_class = "---\n".join(BASE.split("---\n")[1:])
    assert only(without_class).endswith("there is no GatewayClass eg; add its file with another -f")


def test_a_backend_that_is_not_there_is_said_and_served_as_500() -> None:
    without_backend = loaded("---\n".join(BASE.split("---\n")[:3]))
    (problem,) = without_backend.problems
    assert str(problem) == (
        "a.yaml:20:65: spec.rules[0].backendRefs[0].name: there is no Backend backend in namespace default; add its "
        "file with another -f; its share of the requests is answered 500"
    )
    assert not problem.is_warning
    (route,) = without_backend.settings.listeners[0].virtual_hosts[0].routes
    assert (route.clusters, route.direct_response) == ((), 500)


def test_a_backend_that_is_not_there_comes_among_other_mistakes() -> None:
    text = "---\n".join(BASE.split("---\n")[:3]).replace("port: 80}", "port: 0}")
    assert [error.field for error in errors(text)] == ["spec.listeners[0].port", "spec.rules[0].backendRefs[0].name"]
