"""Every setting knows the line, or the default, that it came from."""

from __future__ import annotations

import json
from dataclasses import fields, is_dataclass
from typing import Any

import pytest

from pyproxy import settings
from pyproxy.policy import provenance, validate
from pyproxy.policy.fields import FIELDS, Refused
from pyproxy.policy.provenance import DECIDES, OF_ENVOY_GATEWAY, format_json, format_settings, settings_of
from pyproxy.policy.release import Release
from tests.policy.resources import BASE, loaded, policy

DECIDE_NOTHING = {
    "spec.headers.disableRateLimitHeaders": "no filter here limits rates",
}


def all_settings() -> set[str]:
    """The path of every attribute of a listener."""
    found: set[str] = set()
    models = [model for model in vars(settings).values() if is_dataclass(model)]

    def walk(model: Any, path: str) -> None:
        for one in fields(model):
            name = f"{path}{one.name}"
            found.add(name)
            for inner in models:
                if getattr(inner, "__name__", "") in str(one.type).split(" | "):
                    walk(inner, f"{name}.")

    walk(settings.Listener, "")
    return found


def test_fields_decide_settings_that_are_there() -> None:
    assert {name for names in DECIDES.values() for name in names} <= all_settings()
    assert all_settings() >= OF_ENVOY_GATEWAY


def test_every_field_of_a_plain_listener_decides_something() -> None:
    leaves = {name for name in DECIDES if any(field == name for field in FIELDS)}
    assert set(DECIDES) - leaves <= {field.rpartition(".")[0] for field in FIELDS}
    silent = {
        field
        for field, row in FIELDS.items()
        if field not in DECIDES
        and not field.startswith("spec.target")
        and (not isinstance(row, Refused) or "not enforce this field yet" in row.reason)
    }
    assert silent <= set(DECIDE_NOTHING)


def origins(spec: str, release: Release = Release.V0_6) -> dict[str, str]:
    result = loaded(BASE, policy(spec), release=release)
    return {one.name: str(one.origin) for one in settings_of(result, result.settings.listeners[0])}


def test_a_setting_comes_from_a_line_or_is_somebodys_default() -> None:
    found = origins("tcpKeepalive:\n  idleTime: 20m\nheaders: {enableEnvoyHeaders: true}")
    assert found["keepalive.idle"] == "b.yaml:7: spec.tcpKeepalive.idleTime"
    assert found["keepalive.probes"] == "b.yaml:6: spec.tcpKeepalive"
    assert found["http.suppress_envoy_headers"] == "b.yaml:8: spec.headers.enableEnvoyHeaders"
    assert found["http.server_name"] == "default of Envoy Gateway v0.6"
    assert found["http.idle_timeout"] == "default of Envoy"
    assert origins("tcpKeepalive: {}", Release.V1_9)["http.merge_slashes"] == "default of Envoy Gateway v1.9"


def test_the_newer_of_two_fields_counts() -> None:
    found = origins("proxyProtocol: {optional: true}\nenableProxyProtocol: false")
    assert found["proxy_protocol.optional"] == "b.yaml:6: spec.proxyProtocol.optional"


def test_a_listener_without_a_policy_has_defaults_only() -> None:
    result = loaded(BASE)
    assert all(one.origin.field is None for one in settings_of(result, result.settings.listeners[0]))


def test_what_does_not_apply_has_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "find_refused", lambda spec: iter(()))
    found = origins("tcpKeepalive: {}\nconnection: {bufferLimit: 4Gi}\nhealthCheck: {path: /ready}")
    assert found["keepalive"] == found["buffer_limit"].replace(" Gateway v0.6", "") == "default of Envoy"
    assert found["http.health_check_path"] == "b.yaml:8: spec.healthCheck.path"


def test_as_text() -> None:
    text = format_settings(loaded(BASE, policy("tcpKeepalive: {idleTime: 20m}")))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[:2] == ["listener default/eg/http on 127.0.0.1:10080 (a.yaml:12)", "policy default/p"]
    assert "keepalive.idle 1200 b.yaml:6: spec.tcpKeepalive.idleTime" in lines
    assert "http.idle_timeout 1h default of Envoy" in lines
    assert "http.request_timeout none default of Envoy" in lines
    assert "http.escaped_slashes UNESCAPE_AND_REDIRECT default of Envoy Gateway v1.9" in lines
    assert lines[-4:-1] == [
        "virtual host *",
        "route httproute/default/backend/rule/0/match/0/* (a.yaml:20)",
        "match: (type PathPrefix, value /)",
    ]
    assert "(host 127.0.0.1, port 3000)" in lines[-1]


def test_as_json() -> None:
    (listener,) = json.loads(format_json(loaded(BASE, policy("tcpKeepalive: {idleTime: 20m}"))))["listeners"]
    assert listener["policies"] == ["default/p"]
    assert listener["from"] == "a.yaml:12"
    assert listener["settings"]["keepalive.idle"] == {
        "value": 1200,
        "from": "b.yaml:6",
        "field": "spec.tcpKeepalive.idleTime",
    }
    assert listener["settings"]["http.merge_slashes"] == {"value": True, "from": "default of Envoy Gateway v1.9"}
    assert listener["settings"]["http.server_name"]["value"] is None
    (route,) = listener["virtualHosts"][0]["routes"]
    assert (route["match"], route["from"]) == ({"type": "PathPrefix", "value": "/"}, "a.yaml:20")


def test_an_address_of_version_6_is_in_brackets() -> None:
    assert format_settings(loaded(BASE, address="::1")).startswith("listener default/eg/http on [::1]:10080 ")
    assert "no policy" in provenance.format_settings(loaded(BASE))
