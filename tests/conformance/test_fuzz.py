"""What is generated: the same for the same seed, of all kinds, about the listener's own hosts and paths."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.cases import PROXY_REQUIRED, TODAY
from pyproxy.conformance.fuzz import generate, generate_with_policies
from pyproxy.conformance.fuzz.choose import Chooser
from pyproxy.conformance.fuzz.generate import MARK
from pyproxy.policy.load import load_texts
from pyproxy.policy.release import Release

RESOURCES = """\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: eg}
spec: {gatewayClassName: eg, listeners: [{name: web, protocol: HTTP, port: 80}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: shop}
spec:
  parentRefs: [{name: eg}]
  hostnames: ["*.shop.example"]
  rules:
  - matches: [{path: {type: PathPrefix, value: /cart}}]
    backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: shop}]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: shop}
spec: {endpoints: [{fqdn: {hostname: shop.internal.example, port: 8080}}]}
"""


@pytest.mark.parametrize("group", [TODAY, PROXY_REQUIRED], ids=lambda group: group.name)
def test_the_same_seed_gives_the_same_cases(group: Group) -> None:
    one, other = list(generate(group, 300, 7)), list(generate(group, 300, 7))
    assert one == other
    assert len({case.name for case in one}) == 300
    assert len({(case.steps, case.script) for case in one}) > 290
    assert list(generate(group, 300, 8)) != one


def sent(cases: list[Case]) -> bytes:
    return b"".join(case.sent for case in cases)


def test_all_kinds_of_cases_come_up() -> None:
    cases = list(generate(TODAY, 2000, 1))
    assert sum(case.answers_specially for case in cases) > 300
    assert {case.script.then for case in cases} == {"keep", "close", "reset"}
    assert sum(len(case.steps) > 1 for case in cases) > 300
    assert sum(case.sent.count(MARK) for case in cases) > 600
    assert max(len(case.sent) for case in cases) > 61_440
    for token in (b"\x00", b"HTTP/1.0", b"Transfer-Encoding: chunked", b"%2f", b"http://", b"\r\r\n", b"100-continue"):
        assert token in sent(cases)


def test_proxy_headers_where_they_are_read() -> None:
    cases = list(generate(PROXY_REQUIRED, 500, 1))
    assert sum(case.sent.startswith((b"PROXY ", b"\r\n\r\n\x00\r\nQUIT\n")) for case in cases) > 350
    assert sum(case.addresses for case in cases) > 250


def test_hosts_and_paths_are_the_listeners() -> None:
    now = datetime.now(UTC)
    loaded = load_texts([("r.yaml", RESOURCES)], release=Release.V1_9, address="127.0.0.1", now=now)
    cases = list(generate(Group("own", listener=loaded.settings.listeners[0]), 300, 1))
    assert sum(b"any.shop.example" in case.sent and b" /cart" in case.sent for case in cases) > 200


def test_faults_are_counted() -> None:
    choose = Chooser(1)
    choose.allow(2, 1.0)
    assert [choose.good("g", "b") for _ in range(4)] == ["b", "b", "g", "g"]
    choose.allow(0, 1.0)
    assert choose.good("g", "b") == "g"


def test_policies_are_the_same_for_the_same_seed_and_have_many_fields() -> None:
    cases = list(generate_with_policies(330, 7))
    assert list(generate_with_policies(330, 7)) == cases
    assert len({case.name for case in cases}) == 330
    groups = {case.group.name: case.group for case in cases}
    assert list(groups) == [f"fuzz/policy 7/{number}" for number in range(9)]
    specs = [yaml.safe_load(group.spec) or {} for group in groups.values()]
    for field in (
        "proxyProtocol",
        "clientIPDetection",
        "path",
        "headers",
        "connection",
        "http1",
        "healthCheck",
        "scheme",
    ):
        assert any(field in spec for spec in specs), field
    assert sum(map(len, specs)) / len(specs) > 3
    assert {group.release for group in groups.values()} == set(Release)
