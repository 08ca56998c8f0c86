"""A policy's HTTP fields in Envoy's configuration, as Envoy Gateway writes them."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from pyproxy.envoy.bootstrap import bootstrap, render
from pyproxy.envoy.http_manager import late_mutations, manager, upstream_protocol
from pyproxy.envoy.process import find_envoy
from pyproxy.settings import (
    ClientAddressOptions,
    Command,
    CustomHeaderDetection,
    ForwardClientCert,
    HeaderAction,
    HeaderMutation,
    HttpOptions,
    Settings,
    StringMatch,
    StringMatchType,
    XffDetection,
)
from tests.envoy.test_bootstrap import BASE

TYPE = "type.googleapis.com/envoy.extensions."
XFF = "http.original_ip_detection.xff"
CUSTOM = "http.original_ip_detection.custom_header"

MUTATIONS = (
    HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"added", b"100%"),
    HeaderMutation(HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"set", b"s"),
    HeaderMutation(HeaderAction.ADD_IF_ABSENT, b"absent", b"a"),
    HeaderMutation(
        HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD,
        b"told",
        template=(b"5% ", Command("REQ", b"a", b":path", 9), Command("PROTOCOL")),
    ),
    HeaderMutation(HeaderAction.REMOVE, b"gone"),
    HeaderMutation(HeaderAction.REMOVE_ON_MATCH, name_match=StringMatch(StringMatchType.SUFFIX, "-x")),
    HeaderMutation(HeaderAction.REMOVE_ON_MATCH, name_match=StringMatch(StringMatchType.REGEX, "r.*")),
)
RENDERED = [
    {"append": {"header": {"key": "added", "value": "100%%"}}},
    {"append": {"header": {"key": "set", "value": "s"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}},
    {"append": {"header": {"key": "absent", "value": "a"}, "append_action": "ADD_IF_ABSENT"}},
    {
        "append": {
            "header": {"key": "told", "value": "5%% %REQ(a?:path):9%%PROTOCOL%"},
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }
    },
    {"remove": "gone"},
    {"remove_on_match": {"key_matcher": {"suffix": "-x"}}},
    {"remove_on_match": {"key_matcher": {"safe_regex": {"regex": "r.*"}}}},
]
PRESERVE_CASE = {
    "stateful_formatter": {
        "name": "preserve_case",
        "typed_config": {"@type": TYPE + "http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"},
    }
}


def detecting(detection: XffDetection | CustomHeaderDetection) -> HttpOptions:
    return HttpOptions(client_address=ClientAddressOptions(use_remote_address=False, detection=detection))


def extension(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    detected = {"name": f"envoy.extensions.{name}", "typed_config": {"@type": f"{TYPE}{name}.v3.{kind}", **fields}}
    return {"use_remote_address": False, "original_ip_detection_extensions": [detected]}


CASES: list[tuple[HttpOptions, dict[str, Any]]] = [
    (HttpOptions(), {"use_remote_address": True}),
    (detecting(XffDetection(0)), extension(XFF, "XffConfig", skip_xff_append=False)),
    (
        detecting(XffDetection(2, skip_xff_append=True)),
        extension(XFF, "XffConfig", skip_xff_append=True, xff_num_trusted_hops=2),
    ),
    (
        detecting(XffDetection(trusted_cidrs=(ip_network("10.0.0.0/8"),))),
        extension(
            XFF,
            "XffConfig",
            skip_xff_append=False,
            xff_trusted_cidrs={"cidrs": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]},
        ),
    ),
    (
        detecting(CustomHeaderDetection(b"x-ip", 403)),
        extension(
            CUSTOM,
            "CustomHeaderConfig",
            header_name="x-ip",
            allow_extension_to_set_address_as_trusted=True,
            reject_with_status={"code": "Forbidden"},
        ),
    ),
    (
        HttpOptions(client_address=ClientAddressOptions(xff_num_trusted_hops=2, skip_xff_append=True)),
        {"use_remote_address": True, "xff_num_trusted_hops": 2, "skip_xff_append": True},
    ),
    (
        HttpOptions(forward_client_cert=ForwardClientCert.SANITIZE_SET, client_cert_details=("subject", "uri")),
        {
            "forward_client_cert_details": "SANITIZE_SET",
            "set_current_client_cert_details": {"subject": True, "uri": True},
        },
    ),
    (
        HttpOptions(preserve_external_request_id=True),
        {"generate_request_id": True, "preserve_external_request_id": True},
    ),
    (
        HttpOptions(generate_request_id=False),
        {"generate_request_id": False, "preserve_external_request_id": False},
    ),
    (
        HttpOptions(strip_trailing_host_dot=True, max_request_headers_bytes=98_304),
        {"strip_trailing_host_dot": True, "max_request_headers_kb": 96},
    ),
    (
        HttpOptions(early_request_headers=MUTATIONS),
        {
            "early_header_mutation_extensions": [
                {
                    "name": "envoy.http.early_header_mutation.header_mutation",
                    "typed_config": {
                        "@type": TYPE + "http.early_header_mutation.header_mutation.v3.HeaderMutation",
                        "mutations": RENDERED,
                    },
                }
            ]
        },
    ),
    (
        HttpOptions(
            enable_trailers=True,
            preserve_header_case=True,
            accept_http_10=True,
            default_host_for_http_10=b"www.example.com",
            ignored_upgrade_types=(StringMatch(StringMatchType.PREFIX, "TLS/"),),
        ),
        {
            "http_protocol_options": {
                "enable_trailers": True,
                "header_key_format": PRESERVE_CASE,
                "accept_http_10": True,
                "default_host_for_http_10": "www.example.com",
                "ignore_http_11_upgrade": [{"prefix": "TLS/"}],
            }
        },
    ),
    (HttpOptions(scheme_match_upstream=True), {"scheme_header_transformation": {"match_upstream": True}}),
]


@pytest.mark.parametrize(("http", "expected"), CASES)
def test_fields(http: HttpOptions, expected: dict[str, Any]) -> None:
    assert manager(http) == {"use_remote_address": True, **expected}


def test_clusters_have_what_concerns_both_sides() -> None:
    http = HttpOptions(
        enable_trailers=True, ignored_upgrade_types=(StringMatch(StringMatchType.EXACT, "a"),), accept_http_10=True
    )
    assert upstream_protocol(http) == {"enable_trailers": True, "accept_http_10": True}
    (cluster,) = bootstrap(Settings((replace(BASE, http=http),)))["static_resources"]["clusters"]
    kind = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
    assert cluster["typed_extension_protocol_options"] == {
        kind: {
            "@type": f"type.googleapis.com/{kind}",
            "explicit_http_config": {"http_protocol_options": {"enable_trailers": True, "accept_http_10": True}},
        }
    }
    (plain,) = bootstrap(Settings((BASE,)))["static_resources"]["clusters"]
    assert "typed_extension_protocol_options" not in plain


def test_responses_are_changed_by_a_filter_in_front_of_the_router() -> None:
    http = HttpOptions(late_response_headers=MUTATIONS)
    (filter_,) = late_mutations(http)
    assert filter_["typed_config"]["mutations"] == {"response_mutations": RENDERED}
    listener = bootstrap(Settings((replace(BASE, http=http),)))["static_resources"]["listeners"][0]
    filters = listener["default_filter_chain"]["filters"][0]["typed_config"]["http_filters"]
    assert [one["name"] for one in filters] == ["envoy.filters.http.header_mutation", "envoy.filters.http.router"]
    assert late_mutations(HttpOptions()) == []


@pytest.mark.parametrize("http", [http for http, _ in CASES] + [HttpOptions(late_response_headers=MUTATIONS)])
def test_envoy_takes_it(http: HttpOptions, tmp_path: Path) -> None:
    config = tmp_path / "bootstrap.json"
    config.write_text(render(Settings((replace(BASE, http=http),))))
    found = subprocess.run(
        [find_envoy(), "--mode", "validate", "-c", config], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr[-2000:]
