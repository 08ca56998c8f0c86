"""What the translator refuses, and what applies all the same. The messages as conditions are in test_statuses."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.policy.client_traffic_policy import ClientTrafficPolicy
from pyproxy.policy.translation_errors import condition_message, find_mistakes, what_applies


def policy(spec: str | dict[str, Any]) -> ClientTrafficPolicy:
    fields = yaml.safe_load(spec) if isinstance(spec, str) else spec
    targets = [{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "eg"}]
    return ClientTrafficPolicy.model_validate(
        {
            "apiVersion": "gateway.envoyproxy.io/v1alpha1",
            "kind": "ClientTrafficPolicy",
            "metadata": {"name": "p"},
            "spec": {"targetRefs": targets, **fields},
        }
    )


def messages(spec: str, hostname: str | None = None, routes: tuple[str, ...] = ("*",)) -> list[str]:
    return [mistake.message for mistake in find_mistakes(policy(spec).spec, hostname, routes)]


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("0", None),
        ("4294967295", None),
        ("4294967296", "BufferLimit value 4294967296 is out of range, must be between 0 and 4294967295"),
        ("4294967296k", "BufferLimit value 4294967296k is out of range, must be between 0 and 4294967295"),
        ("7Ei", "BufferLimit value 7Ei is out of range, must be between 0 and 4294967295"),
        ("9E", "BufferLimit value 9E is out of range, must be between 0 and 4294967295"),
        ("10E", "invalid BufferLimit value 10E"),
        ("1048576Ti", "BufferLimit value 1Ei is out of range, must be between 0 and 4294967295"),
    ],
)
def test_buffer_limits(limit: str, message: str | None) -> None:
    assert messages(f"connection: {{bufferLimit: {limit}}}") == ([message] if message else [])


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("1Ki", None),
        ("1024", None),
        ("8192Ki", None),
        ("8Mi", None),
        ("1023", "MaxRequestHeaderLimit value 1023 must be at least 1Ki"),
        ("0", "MaxRequestHeaderLimit value 0 must be at least 1Ki"),
        ("8388609", "MaxRequestHeaderLimit value 8388609 exceeds the maximum of 8192Ki"),
        ("8193Ki", "MaxRequestHeaderLimit value 8193Ki exceeds the maximum of 8192Ki"),
    ],
)
def test_request_header_limits(limit: str, message: str | None) -> None:
    assert messages(f"headers: {{maxRequestHeaderLimit: {limit}}}") == ([message] if message else [])


@pytest.mark.parametrize("value", ["a", "a b", "a\tb", "%REQ(:path)%", '"', "a" * 4096])
def test_header_values_that_are_right(value: str) -> None:
    spec = yaml.safe_dump({"headers": {"earlyRequestHeaders": {"add": [{"name": "x", "value": value}]}}})
    assert messages(spec) == []


@pytest.mark.parametrize("value", [" a", "a ", "a  b", "a\t\tb", "é", "a\nb", "\x7f", "a" * 4095 + "\x01"])
def test_header_values_that_are_not(value: str) -> None:
    spec = yaml.safe_dump({"headers": {"earlyRequestHeaders": {"add": [{"name": "x", "value": value}]}}})
    assert messages(spec)[0] == "EarlyRequestHeaders cannot add a header with an invalid value. Header: '\"x\"'"


@pytest.mark.parametrize(
    ("hostname", "routes", "how_many"),
    [
        ("a.example", (), 0),
        (None, ("a.example",), 0),
        ("*.example", ("a.example", "*.b.example", "*"), 0),
        (None, (), 1),
        (None, ("*", "*.example"), 1),
        (None, ("a.example", "b.example"), 1),
    ],
)
def test_default_hosts(hostname: str | None, routes: tuple[str, ...], how_many: int) -> None:
    assert len(messages("http1: {http10: {useDefaultHost: true}}", hostname, routes)) == how_many
    assert messages("http1: {http10: {useDefaultHost: false}}", hostname, routes) == []
    assert messages("http1: {http10: {}}", hostname, routes) == []


EVERYTHING = """
tcpKeepalive: {idleTime: 20m}
connection: {bufferLimit: 4Gi, connectionLimit: {value: 5}}
proxyProtocol: {}
enableProxyProtocol: true
timeout: {http: {idleTimeout: 5s}}
path: {disableMergeSlashes: true}
clientIPDetection: {xForwardedFor: {numTrustedHops: 1}}
headers:
  withUnderscoresAction: Allow
  maxRequestHeaderLimit: 512
  earlyRequestHeaders:
    add: [{name: x-bad, value: 'a  b'}, {name: x-good, value: good}]
    remove: ['', x-gone]
    removeOnMatch: [{type: Prefix, value: x-}]
  lateResponseHeaders: {}
http1: {enableTrailers: true, http10: {useDefaultHost: true}}
healthCheck: {path: /ready}
scheme: MatchBackend
"""


def test_what_of_a_policy_with_errors_applies() -> None:
    whole = policy(EVERYTHING)
    applies = what_applies(whole, find_mistakes(whole.spec, None, ()))
    written: Any = applies.spec.model_dump(by_alias=True, exclude_none=True)
    del written["targetRefs"]
    assert written == {
        "path": {"disableMergeSlashes": True},
        "clientIPDetection": {"xForwardedFor": {"numTrustedHops": 1}},
        "headers": {
            "withUnderscoresAction": "Allow",
            "earlyRequestHeaders": {
                "add": [{"name": "x-good", "value": "good"}],
                "remove": ["x-gone"],
                "removeOnMatch": [{"type": "Prefix", "value": "x-"}],
            },
            "lateResponseHeaders": {},
        },
        "http1": {"enableTrailers": True},
        "healthCheck": {"path": "/ready"},
        "scheme": "MatchBackend",
    }
    assert applies.metadata == whole.metadata


def test_what_is_right_beside_an_error_stays() -> None:
    spec = "connection: {bufferLimit: -1}\nheaders: {maxRequestHeaderLimit: 8Ki}\nhttp1: {http10: {}}"
    whole = policy(spec)
    applies = what_applies(whole, find_mistakes(whole.spec, None, ()))
    assert applies.spec.headers is not None
    assert applies.spec.headers.max_request_header_limit == "8Ki"
    assert applies.spec.http1 is not None
    assert applies.spec.http1.http10 is not None


def test_a_condition_starts_with_a_capital_and_ends_with_a_full_stop() -> None:
    found = find_mistakes(policy("http1: {http10: {useDefaultHost: true}}").spec, None, ())
    assert condition_message([found]).startswith("HTTP1: cannot set")
    assert condition_message([found]).endswith("hostnames.")


@given(st.text(st.characters(min_codepoint=1, max_codepoint=0x2FF), min_size=1, max_size=30))
def test_what_applies_has_no_mistake_left(value: str) -> None:
    mutations = {"set": [{"name": "x", "value": value}], "remove": ["", "y"]}
    whole = policy({"headers": {"earlyRequestHeaders": mutations}})
    applies = what_applies(whole, find_mistakes(whole.spec, None, ()))
    assert find_mistakes(applies.spec, None, ()) == []
