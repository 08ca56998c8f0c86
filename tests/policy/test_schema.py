"""The schema in words."""

from __future__ import annotations

import pytest

from pyproxy.policy.fields import FIELDS
from pyproxy.policy.schema import describe, leaves, rules


def test_leaves_are_named_as_the_table_of_fields_names_them() -> None:
    assert set(leaves()) == set(FIELDS)
    assert leaves()[0] == "spec.targetRef.group"


@pytest.mark.parametrize(
    ("field", "sentences"),
    [
        ("spec.scheme", ["Preserve or MatchBackend"]),
        ("spec.enableProxyProtocol", ["true or false"]),
        ("spec.http3", ["a mapping"]),
        ("spec.tcpKeepalive.probes", ["a whole number from 1 to 127"]),
        ("spec.tcpKeepalive.idleTime", ["text that matches ^([0-9]{1,5}(h|m|s|ms)){1,4}$, 1s to 32767s"]),
        ("spec.healthCheck.path", ["text of 1 to 1024 characters", "must be there"]),
        ("spec.targetSelectors[].matchLabels", ["a mapping of text to text"]),
        (
            "spec.connection.bufferLimit",
            ["text that matches ^[1-9]+[0-9]*([EPTGMK]i|[EPTGMk])?$ or a whole number"],
        ),
        (
            "spec.connection.connectionLimit.value",
            ["a whole number from 1 to 9223372036854775807", "closeDelay can only be configured when value is set"],
        ),
        (
            "spec.clientIPDetection.xForwardedFor.trustedCIDRs[]",
            [
                "text, a CIDR",
                "trustedCIDRs: at least 1 entries",
                "exactly one of xForwardedFor, customHeader, or directSourceIP must be set",
                "only one of numTrustedHops or trustedCIDRs must be set",
            ],
        ),
        ("spec.headers.lateResponseHeaders.remove[]", ["text", "remove: 1 to 64 entries"]),
    ],
)
def test_what_a_field_may_be(field: str, sentences: list[str]) -> None:
    assert describe(field) == sentences


def test_a_rule_about_one_field_of_an_object_is_not_about_its_others() -> None:
    message = "this policy can only have a targetRefs[*].kind of Gateway or ListenerSet"
    assert message in rules("spec.targetRefs[].kind")
    assert message not in rules("spec.targetRefs[].group")
    assert message not in rules("spec.targetRef.kind")


@pytest.mark.parametrize("field", FIELDS)
def test_every_field_can_be_described(field: str) -> None:
    assert all(describe(field))
