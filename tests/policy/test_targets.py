"""Which Gateways a policy finds."""

from __future__ import annotations

import pytest

from pyproxy.policy.client_traffic_policy import LabelSelectorRequirement
from pyproxy.policy.load import load_statuses_of_texts
from pyproxy.policy.targets import matches, why_never
from tests.policy.resources import NOW

CLASS = """\
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: eg}
spec: {controllerName: gateway.envoyproxy.io/gatewayclass-controller}
"""


def gateway(name: str, namespace: str = "default", labels: str = "{}", created: str = "") -> str:
    time = f", creationTimestamp: '{created}'" if created else ""
    return f"""\
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: {name}, namespace: {namespace}, labels: {labels}{time}}}
spec: {{gatewayClassName: eg, listeners: [{{name: http, protocol: HTTP, port: 80}}]}}
"""


def grant(to: str, namespace: str = "apps", of: str = "default", kind: str = "ClientTrafficPolicy") -> str:
    return f"""\
---
apiVersion: gateway.networking.k8s.io/v1beta1
kind: ReferenceGrant
metadata: {{name: grant, namespace: {namespace}}}
spec:
  from: [{{group: gateway.envoyproxy.io, kind: {kind}, namespace: {of}}}]
  to: [{to}]
"""


ANY_GATEWAY = "{group: gateway.networking.k8s.io, kind: Gateway}"
OTHER_GATEWAY = ANY_GATEWAY.replace("}", ", name: other}")


def selected(selector: str, *resources: str) -> list[str]:
    """``namespace/name`` of each Gateway that a policy of the default namespace has for an ancestor."""
    policy = f"""\
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {{name: p}}
spec: {{targetSelectors: [{selector}]}}
"""
    statuses = load_statuses_of_texts([("f.yaml", "".join((CLASS, *resources, policy)))], now=NOW)
    assert not statuses.left_out, statuses.problems
    ancestors = statuses.attachment.ancestors.get(("default", "p"), [])
    return [f"{ancestor.namespace}/{ancestor.gateway}" for ancestor in ancestors]


EDGE, INNER = gateway("edge", labels="{tier: edge, zone: a}"), gateway("inner", labels="{tier: inner}")


@pytest.mark.enforces("spec.targetSelectors[].group")
@pytest.mark.enforces("spec.targetSelectors[].kind")
@pytest.mark.enforces("spec.targetSelectors[].matchLabels")
@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("{kind: Gateway}", ["default/edge", "default/inner"]),
        ("{kind: Gateway, group: gateway.networking.k8s.io}", ["default/edge", "default/inner"]),
        ("{kind: Gateway, matchLabels: {}}", ["default/edge", "default/inner"]),
        ("{kind: Gateway, matchLabels: {tier: edge}}", ["default/edge"]),
        ("{kind: Gateway, matchLabels: {tier: edge, zone: b}}", []),
        ("{kind: HTTPRoute}", []),
    ],
)
def test_by_labels(selector: str, names: list[str]) -> None:
    assert selected(selector, EDGE, INNER) == names


@pytest.mark.enforces("spec.targetSelectors[].matchExpressions[].key")
@pytest.mark.enforces("spec.targetSelectors[].matchExpressions[].operator")
@pytest.mark.enforces("spec.targetSelectors[].matchExpressions[].values[]")
@pytest.mark.parametrize(
    ("expressions", "names"),
    [
        ("{key: tier, operator: In, values: [edge, other]}", ["default/edge"]),
        ("{key: tier, operator: NotIn, values: [edge]}", ["default/inner"]),
        ("{key: zone, operator: NotIn, values: [b]}", ["default/edge", "default/inner"]),
        ("{key: zone, operator: In, values: [b]}", []),
        ("{key: zone, operator: Exists}", ["default/edge"]),
        ("{key: zone, operator: DoesNotExist}", ["default/inner"]),
        ("{key: tier, operator: Exists}, {key: zone, operator: DoesNotExist}", ["default/inner"]),
        ("{key: tier, operator: Equals, values: [edge]}", []),
        ("{key: tier, operator: In}", []),
        ("{key: tier, operator: Exists, values: [edge]}", []),
    ],
)
def test_by_expressions(expressions: str, names: list[str]) -> None:
    assert selected(f"{{kind: Gateway, matchExpressions: [{expressions}]}}", EDGE, INNER) == names


@pytest.mark.enforces("spec.targetSelectors[].namespaces.from")
@pytest.mark.parametrize(
    ("namespaces", "granted", "names"),
    [
        ("{}", ANY_GATEWAY, ["default/edge"]),
        ("{from: Same}", ANY_GATEWAY, ["default/edge"]),
        ("{from: All}", ANY_GATEWAY, ["default/edge", "apps/other"]),
        (
            "{from: All}",
            OTHER_GATEWAY,
            ["default/edge", "apps/other"],
        ),
        ("{from: All}", OTHER_GATEWAY.replace("other", "another"), ["default/edge"]),
        ("{from: All}", "{group: '', kind: Service}", ["default/edge"]),
    ],
)
def test_in_other_namespaces(namespaces: str, granted: str, names: list[str]) -> None:
    selector = f"{{kind: Gateway, namespaces: {namespaces}}}"
    assert selected(selector, EDGE, gateway("other", "apps"), grant(granted)) == names


def test_a_grant_is_for_its_own_namespace_and_for_whom_it_names() -> None:
    everywhere, other = "{kind: Gateway, namespaces: {from: All}}", gateway("other", "apps")
    assert selected(everywhere, other) == []
    assert selected(everywhere, other, grant(ANY_GATEWAY, namespace="elsewhere")) == []
    assert selected(everywhere, other, grant(ANY_GATEWAY, of="elsewhere")) == []
    assert selected(everywhere, other, grant(ANY_GATEWAY, kind="SecurityPolicy")) == []


@pytest.mark.enforces("spec.targetSelectors[].namespaces.selector.matchLabels")
@pytest.mark.enforces("spec.targetSelectors[].namespaces.selector.matchExpressions[].key")
@pytest.mark.enforces("spec.targetSelectors[].namespaces.selector.matchExpressions[].operator")
@pytest.mark.enforces("spec.targetSelectors[].namespaces.selector.matchExpressions[].values[]")
@pytest.mark.parametrize(
    ("selector", "names"),
    [
        ("{matchLabels: {team: red}}", ["apps/other"]),
        ("{matchLabels: {team: blue}}", []),
        ("{matchLabels: {kubernetes.io/metadata.name: apps}}", ["apps/other"]),
        ("{matchExpressions: [{key: kubernetes.io/metadata.name, operator: In, values: [default]}]}", ["default/edge"]),
        ("{matchExpressions: [{key: team, operator: Exists}]}", ["apps/other"]),
        ("{}", ["default/edge", "apps/other"]),
    ],
)
def test_in_namespaces_by_labels(selector: str, names: list[str]) -> None:
    namespace = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: apps, labels: {team: red}}\n"
    everywhere = f"{{kind: Gateway, namespaces: {{from: Selector, selector: {selector}}}}}"
    assert selected(everywhere, EDGE, gateway("other", "apps"), grant(ANY_GATEWAY), namespace) == names


def test_the_oldest_gateway_comes_first() -> None:
    young = gateway("a", created="2024-02-01T00:00:00Z")
    old = gateway("b", created="2024-01-01T00:00:00Z")
    assert selected("{kind: Gateway}", gateway("c"), young, old) == ["default/b", "default/a", "default/c"]


def test_what_two_selectors_find_is_found_once() -> None:
    assert selected("{kind: Gateway, matchLabels: {tier: edge}}, {kind: Gateway}", EDGE, INNER) == [
        "default/edge",
        "default/inner",
    ]


def test_why_a_requirement_never_holds() -> None:
    assert why_never(LabelSelectorRequirement(key="a", operator="in")) == (
        '"in" is not a valid label selector operator'
    )
    assert why_never(LabelSelectorRequirement(key="a", operator="NotIn", values=[])) == (
        "for 'in', 'notin' operators, values set can't be empty"
    )
    assert why_never(LabelSelectorRequirement(key="a", operator="Exists", values=["b"])) == (
        "values set must be empty for exists and does not exist"
    )
    assert why_never(LabelSelectorRequirement(key="a", operator="DoesNotExist")) is None
    assert matches(None, None, {})
