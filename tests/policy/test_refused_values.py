"""What a policy may not do to headers and keepalive, with its line."""

from __future__ import annotations

from typing import Any

import pytest

from pyproxy.policy.refused_values import find_refused_values
from tests.policy.resources import BASE, errors, policy


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("tcpKeepalive: {probes: 128}", "spec.tcpKeepalive.probes: the kernel takes 1 to 127, not 128"),
        ("tcpKeepalive: {idleTime: 10h}", "idleTime: the kernel takes 1s to 32767s, in whole seconds, not 10h"),
        (
            "headers: {earlyRequestHeaders: {set: [{name: Host, value: a}]}}",
            "spec.headers.earlyRequestHeaders.set[0].name: Host is not the policy's to write",
        ),
        ("headers: {lateResponseHeaders: {add: [{name: content-length, value: '5'}]}}", "add[0].name: content-length"),
        ("headers: {earlyRequestHeaders: {addIfAbsent: [{name: TE, value: gzip}]}}", "addIfAbsent[0].name: TE is not"),
        (
            "headers: {earlyRequestHeaders: {set: [{name: a, value: '%REQUEST(b)%'}]}}",
            "set[0].value: pyproxy does not know the command REQUEST",
        ),
        ("headers: {lateResponseHeaders: {add: [{name: a, value: 100%}]}}", "write %% for a %"),
        ("headers: {earlyRequestHeaders: {remove: [a, ':path']}}", "remove[1]: no message would be left whole"),
        ("headers: {earlyRequestHeaders: {remove: [Host]}}", "without Host; take it out"),
        (
            "headers: {lateResponseHeaders: {removeOnMatch: [{type: Prefix, value: con}]}}",
            "removeOnMatch[0].value: it matches connection too",
        ),
        ("headers: {earlyRequestHeaders: {removeOnMatch: [{type: Suffix, value: th}]}}", "it matches :path too"),
        (
            "headers: {lateResponseHeaders: {removeOnMatch: [{type: RegularExpression, value: .*}]}}",
            "it matches :status too",
        ),
        ("headers: {earlyRequestHeaders: {removeOnMatch: [{value: upgrade}]}}", "it matches upgrade too"),
        (
            "headers: {earlyRequestHeaders: {removeOnMatch: [{type: RegularExpression, value: '('}]}}",
            "removeOnMatch[0].value: '(' is not an RE2 expression",
        ),
        (
            "http1: {ignoredUpgradeTypes: [{type: RegularExpression, value: (?=a)}]}",
            "spec.http1.ignoredUpgradeTypes[0].value: '(?=a)' is not an RE2 expression",
        ),
    ],
)
def test_refused(spec: str, message: str) -> None:
    (error,) = errors(BASE, policy(spec))
    assert message in str(error)
    assert str(error).startswith("b.yaml:6:")


@pytest.mark.parametrize(
    "spec",
    [
        "headers: {earlyRequestHeaders: {set: [{name: a, value: 100%% sure}], remove: [te, keep-alive]}}",
        "headers: {lateResponseHeaders: {set: [{name: a, value: '%REQ(x-request-id)%'}]}}",
        "headers: {lateResponseHeaders: {remove: [server, content-type]}}",
        "headers: {lateResponseHeaders: {removeOnMatch: [{type: Prefix, value: x-}]}}",
        "http1: {ignoredUpgradeTypes: [{type: RegularExpression, value: 'TLS/.*'}]}",
    ],
)
def test_taken(spec: str) -> None:
    assert errors(BASE, policy(spec)) == []


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"headers": 5, "http1": []},
        {"headers": {"earlyRequestHeaders": [], "lateResponseHeaders": {"set": 5, "add": [5, {"name": 5}]}}},
        {"headers": {"earlyRequestHeaders": {"remove": [5], "removeOnMatch": [5, {"value": 5}, {"type": "x"}]}}},
        {"http1": {"ignoredUpgradeTypes": [5, {"type": "RegularExpression"}]}},
    ],
)
def test_a_spec_of_any_shape_is_looked_at(spec: dict[str, Any]) -> None:
    assert list(find_refused_values(spec)) == []
