"""Fields of a connection manager as settings, and back."""

from __future__ import annotations

import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from pyproxy.conformance.corpus import CONFIGS
from pyproxy.conformance.fragment import client_address_options, fields_of
from pyproxy.settings import ClientAddressOptions, CustomHeaderDetection, XffDetection

CORPUS = Path(__file__).parents[1] / "corpus"
XFF = "type.googleapis.com/envoy.extensions.http.original_ip_detection.xff.v3.XffConfig"
CUSTOM = "type.googleapis.com/envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig"


def detecting(**config: Any) -> dict[str, Any]:
    return {"use_remote_address": False, "original_ip_detection_extensions": [{"name": "x", "typed_config": config}]}


def options(detection: XffDetection | CustomHeaderDetection) -> ClientAddressOptions:
    return ClientAddressOptions(use_remote_address=False, detection=detection)


INTERNAL = {"cidr_ranges": [{"address_prefix": "10.0.0.0", "prefix_len": 8}]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({}, ClientAddressOptions()),
        (
            {"use_remote_address": True, "xff_num_trusted_hops": 2, "internal_address_config": INTERNAL},
            ClientAddressOptions(xff_num_trusted_hops=2, internal_networks=(ip_network("10.0.0.0/8"),)),
        ),
        ({"skip_xff_append": True}, ClientAddressOptions(skip_xff_append=True)),
        (
            detecting(**{"@type": XFF, "xff_num_trusted_hops": 1, "skip_xff_append": False}),
            options(XffDetection(xff_num_trusted_hops=1)),
        ),
        # Envoy's default is not to append.
        (detecting(**{"@type": XFF}), options(XffDetection(skip_xff_append=True))),
        (
            detecting(**{"@type": XFF, "xff_trusted_cidrs": {"cidrs": INTERNAL["cidr_ranges"]}}),
            options(XffDetection(trusted_cidrs=(ip_network("10.0.0.0/8"),), skip_xff_append=True)),
        ),
        (
            detecting(**{"@type": CUSTOM, "header_name": "X-Ip", "reject_with_status": {"code": "TooManyRequests"}}),
            options(CustomHeaderDetection(b"x-ip", 429)),
        ),
        (detecting(**{"@type": CUSTOM, "header_name": "x"}), options(CustomHeaderDetection(b"x", None))),
    ],
)
def test_fields_are_settings(fields: dict[str, Any], expected: ClientAddressOptions) -> None:
    assert client_address_options(fields) == expected


def test_a_field_without_a_setting() -> None:
    with pytest.raises(ValueError, match="no setting for via"):
        client_address_options({"via": "x"})


def test_there_and_back() -> None:
    for name, fields in json.loads((CORPUS / CONFIGS).read_text())["configs"].items():
        found = client_address_options(fields)
        assert client_address_options(fields_of(found)) == found, name
