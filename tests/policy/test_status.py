"""Statuses as a table and in full."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest
import yaml

from pyproxy.policy import validate
from pyproxy.policy.status import format_age
from tests.policy.resources import BASE, NOW, loaded, policy


def test_table() -> None:
    text = "---\n".join(
        [
            BASE,
            policy("tcpKeepalive: {}", name="enable-tcp-keepalive-policy"),
            policy("proxyProtocol: {}", name="late", metadata=", creationTimestamp: '2026-11-24T11:00:00Z'"),
        ]
    )
    assert loaded(text).status("table", NOW + timedelta(seconds=5)) == (
        "NAME                          STATUS       AGE\n"
        "enable-tcp-keepalive-policy   Conflicted   5s\n"
        "late                          Accepted     60m\n"
    )


@pytest.mark.parametrize("output", ["json", "yaml"])
def test_in_full(output: str) -> None:
    result = loaded(BASE + "---\n" + policy("tcpKeepalive: {idleTime: 20m}", target="name: eg, sectionName: http"))
    text = result.status(output, NOW)
    listing = json.loads(text) if output == "json" else yaml.safe_load(text)
    assert listing["kind"] == "List"
    assert listing["items"] == [
        {
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "ClientTrafficPolicy",
            "metadata": {"name": "p", "namespace": "default"},
            "spec": {
                "targetRefs": [
                    {"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "eg", "sectionName": "http"}
                ],
                "tcpKeepalive": {"idleTime": "20m"},
            },
            "status": {
                "ancestors": [
                    {
                        "ancestorRef": {
                            "group": "gateway.networking.k8s.io",
                            "kind": "Gateway",
                            "name": "eg",
                            "namespace": "default",
                            "sectionName": "http",
                        },
                        "controllerName": "gateway.envoyproxy.io/gatewayclass-controller",
                        "conditions": [
                            {
                                "type": "Accepted",
                                "status": "True",
                                "reason": "Accepted",
                                "message": "Policy has been accepted.",
                                "observedGeneration": 1,
                                "lastTransitionTime": "2026-11-24T12:00:00Z",
                            }
                        ],
                    }
                ]
            },
        }
    ]


def item(spec: str, metadata: str = "") -> dict[str, Any]:
    """The one policy as JSON."""
    (found,) = json.loads(loaded(BASE, policy(spec, metadata=metadata)).status("json", NOW))["items"]
    assert isinstance(found, dict)
    return found


def test_metadata_that_a_cluster_would_keep() -> None:
    metadata = (
        ", labels: {team: edge}, annotations: {note: x}, generation: 7, creationTimestamp: '2026-11-24T11:00:00Z', "
        "managedFields: [{}], finalizers: [a]"
    )
    found = item("tcpKeepalive: {}", metadata)
    assert list(found["metadata"].items()) == [
        ("annotations", {"note": "x"}),
        ("creationTimestamp", "2026-11-24T11:00:00Z"),
        ("generation", 7),
        ("labels", {"team": "edge"}),
        ("name", "p"),
        ("namespace", "default"),
    ]
    assert found["status"]["ancestors"][0]["conditions"][0]["observedGeneration"] == 7


def test_a_spec_has_the_defaults_that_the_schema_has(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "find_refused", lambda spec: iter(()))
    spec = item("connection: {}\nhttp1: {ignoredUpgradeTypes: [{value: x}]}\ntcpKeepalive: {}")["spec"]
    assert spec["connection"] == {"maxAcceptPerSocketEvent": 1}
    assert spec["http1"] == {"ignoredUpgradeTypes": [{"type": "Exact", "value": "x"}]}
    assert spec["tcpKeepalive"] == {}
    selector = policy("tcpKeepalive: {}").partition("  targetRefs")[0] + "  targetSelectors: [{kind: Gateway}]\n"
    (found,) = json.loads(loaded(BASE, selector).status("json", NOW))["items"]
    assert found["spec"] == {"targetSelectors": [{"group": "gateway.networking.k8s.io", "kind": "Gateway"}]}


def test_a_message_is_as_long_as_a_condition_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "find_refused", lambda spec: iter(()))
    listeners = "".join(f"  - {{name: l{number}, protocol: HTTP, port: {8000 + number}}}\n" for number in range(64))
    text = BASE.replace("  - {name: http, protocol: HTTP, port: 80}\n", listeners)
    names = ", ".join(f"{{name: {letter}{number}, value: 'a  b'}}" for letter in "ab" for number in range(32))
    spec = f"headers: {{earlyRequestHeaders: {{set: [{names}]}}}}"
    result = loaded(text, policy(spec)).status("json", NOW)
    (condition,) = json.loads(result)["items"][0]["status"]["ancestors"][0]["conditions"]
    assert len(condition["message"]) == 32768
    assert condition["message"].endswith(" (message truncated).")


@pytest.mark.parametrize(
    ("seconds", "age"),
    [
        (5, "5s"),
        (119, "119s"),
        (190, "3m10s"),
        (180, "3m"),
        (3600, "60m"),
        (18_120, "5h2m"),
        (18_000, "5h"),
        (86_400, "24h"),
        (273_600, "3d4h"),
        (864_000, "10d"),
    ],
)
def test_age_as_kubectl_has_it(seconds: int, age: str) -> None:
    assert format_age(seconds) == age


def test_a_status_has_room_for_sixteen_ancestors() -> None:
    listeners = "".join(f"  - {{name: l{number}, protocol: HTTP, port: {8000 + number}}}\n" for number in range(17))
    target = "group: gateway.networking.k8s.io, kind: Gateway, name: eg"
    refs = ", ".join(f"{{{target}, sectionName: l{number}}}" for number in range(17))
    text = (
        BASE.replace("  - {name: http, protocol: HTTP, port: 80}\n", listeners) + "---\n" + policy("tcpKeepalive: {}")
    )
    text = re.sub(r"targetRefs: .*", f"targetRefs: [{refs}]", text)
    ancestors = json.loads(loaded(text).status("json", NOW))["items"][0]["status"]["ancestors"]
    assert [len(ancestor["conditions"]) for ancestor in ancestors] == [1] * 15 + [2]
    assert ancestors[-1]["conditions"][-1]["reason"] == "Aggregated"
    assert "Ancestors have been truncated" in ancestors[-1]["conditions"][-1]["message"]


def test_the_full_status_can_be_read_again() -> None:
    result = loaded(BASE + "---\n" + policy("tcpKeepalive: {idleTime: 20m}"))
    again = loaded(BASE, result.status("yaml", NOW))
    assert again.policies[0].spec == result.policies[0].spec
