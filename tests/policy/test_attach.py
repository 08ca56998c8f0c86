"""Which policy a listener gets, and what each policy is told."""

from __future__ import annotations

import pytest

from pyproxy.policy.attach import Condition
from tests.policy.resources import BASE, loaded, policy

TWO = BASE.replace("port: 80}", "port: 80}\n  - {name: second, protocol: HTTP, port: 8080}")
KEEPALIVE, PROXY = "tcpKeepalive: {}", "proxyProtocol: {}"


def conditions(text: str, *names: str) -> dict[str, list[Condition]]:
    result = loaded(text)
    return {
        name: [
            condition
            for ancestor in result.attachment.ancestors[("default", name)]
            for condition in ancestor.conditions
        ]
        for name in names
    }


def claims(text: str) -> dict[str, str]:
    attachment = loaded(text).attachment
    return {listener: one.policy.metadata.name for (_, _, listener), one in attachment.applied.items()}


@pytest.mark.enforces("spec.targetRefs[].group")
@pytest.mark.enforces("spec.targetRefs[].kind")
@pytest.mark.enforces("spec.targetRefs[].name")
def test_a_policy_for_the_gateway_has_every_listener() -> None:
    text = TWO + "---\n" + policy(KEEPALIVE)
    assert claims(text) == {"http": "p", "second": "p"}
    assert conditions(text, "p")["p"] == [Condition("Accepted", True, "Accepted", "Policy has been accepted.")]


@pytest.mark.enforces("spec.targetRefs[].sectionName")
def test_a_section_wins_and_the_gateway_wide_policy_hears_of_it() -> None:
    text = "---\n".join(
        [TWO, policy(KEEPALIVE, name="all"), policy(PROXY, name="one", target="name: eg, sectionName: second")]
    )
    assert claims(text) == {"http": "all", "second": "one"}
    assert conditions(text, "all")["all"][0] == Condition(
        "Overridden",
        True,
        "Overridden",
        "There are existing ClientTrafficPolicies that are overriding these sections [second]",
    )
    listeners = loaded(text).settings.listeners
    assert [(one.keepalive is not None, one.proxy_protocol is not None) for one in listeners] == [
        (True, False),
        (False, True),
    ]


def test_the_older_policy_wins_then_the_first_by_name() -> None:
    old = policy(KEEPALIVE, name="z", metadata=", creationTimestamp: '2023-01-01T00:00:00Z'")
    new = policy(PROXY, name="a", metadata=", creationTimestamp: '2024-01-01T00:00:00Z'")
    undated = policy(PROXY, name="b")
    text = "---\n".join([BASE, new, undated, old])
    assert claims(text) == {"http": "z"}
    refused = Condition(
        "Accepted",
        False,
        "Conflicted",
        "Unable to target Gateway eg, another ClientTrafficPolicy has already attached to it",
    )
    assert conditions(text, "a", "b") == {"a": [refused], "b": [refused]}
    assert claims("---\n".join([BASE, policy(PROXY, name="b"), policy(KEEPALIVE, name="a")])) == {"http": "a"}


def test_a_section_is_claimed_once() -> None:
    target = "name: eg, sectionName: second"
    text = "---\n".join([TWO, policy(KEEPALIVE, name="a", target=target), policy(PROXY, name="b", target=target)])
    assert claims(text) == {"second": "a"}
    assert conditions(text, "b")["b"] == [
        Condition(
            "Accepted",
            False,
            "Conflicted",
            "Unable to target section of eg, another ClientTrafficPolicy has already attached to it",
        )
    ]


def test_a_section_that_is_not_there() -> None:
    text = TWO + "---\n" + policy(KEEPALIVE, target="name: eg, sectionName: third")
    assert claims(text) == {}
    assert conditions(text, "p")["p"] == [
        Condition("Accepted", False, "TargetNotFound", "No section name third found for Gateway default/eg")
    ]


def test_a_section_that_shares_its_port() -> None:
    text = BASE.replace("port: 80}", "port: 80}\n  - {name: b, protocol: HTTP, port: 80, hostname: b.example}")
    text += "---\n" + policy(KEEPALIVE, target="name: eg, sectionName: b")
    assert claims(text) == {}
    # The section stays claimed: a policy for the whole Gateway does not fall back onto it.
    assert claims(text + "---\n" + policy(PROXY, name="all")) == {"http": "all"}
    assert conditions(text + "---\n" + policy(PROXY, name="all"), "all")["all"][0].message.endswith("sections [b]")
    assert conditions(text, "p")["p"] == [
        Condition(
            "Accepted",
            False,
            "Invalid",
            "ClientTrafficPolicy is being applied to multiple http (non https) listeners "
            "(default/eg/http) on the same port, which is not allowed.",
        )
    ]


@pytest.mark.enforces("spec.targetRef.group")
@pytest.mark.enforces("spec.targetRef.kind")
@pytest.mark.enforces("spec.targetRef.name")
@pytest.mark.enforces("spec.targetRef.sectionName")
def test_deprecated_fields_are_named() -> None:
    text = BASE + (
        "---\napiVersion: gateway.envoyproxy.io/v1alpha1\nkind: ClientTrafficPolicy\nmetadata: {name: p}\nspec:\n"
        "  targetRef: {group: gateway.networking.k8s.io, kind: Gateway, name: eg, sectionName: http}\n"
        "  enableProxyProtocol: false\n"
    )
    assert claims(text) == {"http": "p"}
    assert conditions(text, "p")["p"][1] == Condition(
        "Warning",
        True,
        "DeprecatedField",
        "spec.enableProxyProtocol is deprecated, use spec.proxyProtocol instead; "
        "spec.targetRef is deprecated, use spec.targetRefs instead",
    )
