"""Fields of Envoy's HttpConnectionManager about the client's address, as the settings that do the same.

A corpus names them as Envoy's JSON does, also those that no policy can set.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Any

from pyproxy.envoy.http_manager import manager
from pyproxy.settings import ClientAddressOptions, CustomHeaderDetection, HttpOptions, XffDetection

_DIRECT = ("use_remote_address", "xff_num_trusted_hops", "skip_xff_append")
_KNOWN = {*_DIRECT, "original_ip_detection_extensions", "internal_address_config"}


def client_address_options(fields: Mapping[str, Any]) -> ClientAddressOptions:
    """The settings for ``fields`` of a connection manager. Raises ``ValueError`` where there is none."""
    unknown = sorted(set(fields) - _KNOWN)
    if unknown:
        raise ValueError(f"no setting for {', '.join(unknown)}")
    detections = [_detection(one["typed_config"]) for one in fields.get("original_ip_detection_extensions", ())]
    ranges = fields.get("internal_address_config", {}).get("cidr_ranges", ())
    return ClientAddressOptions(
        **{name: fields[name] for name in _DIRECT if name in fields},
        detection=detections[0] if detections else None,
        internal_networks=_networks(ranges),
    )


def fields_of(options: ClientAddressOptions) -> dict[str, Any]:
    """The other way round."""
    return {name: value for name, value in manager(HttpOptions(client_address=options)).items() if name in _KNOWN}


def _detection(config: Mapping[str, Any]) -> XffDetection | CustomHeaderDetection:
    if config["@type"].endswith(".XffConfig"):
        cidrs = config.get("xff_trusted_cidrs")
        return XffDetection(
            config.get("xff_num_trusted_hops", 0),
            _networks(cidrs["cidrs"]) if cidrs is not None else None,
            config.get("skip_xff_append", True),
        )
    status = config.get("reject_with_status", {}).get("code")
    return CustomHeaderDetection(
        config["header_name"].lower().encode(),
        status if isinstance(status, int | None) else HTTPStatus[_upper_snake(status)].value,
    )


def _upper_snake(name: str) -> str:
    """``Forbidden``, ``TooManyRequests`` … of Envoy's StatusCode as Python calls them."""
    return re.sub("(?<=[a-z])(?=[A-Z])", "_", name).upper()


def _networks(ranges: Iterable[Mapping[str, Any]]) -> tuple[IPv4Network | IPv6Network, ...]:
    return tuple(ip_network(f"{one['address_prefix']}/{one['prefix_len']}", strict=False) for one in ranges)
