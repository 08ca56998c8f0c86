"""The project's own client-address cases: every way to find a client, with headers that may mislead it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

_XFF = "envoy.extensions.http.original_ip_detection.xff"
_CUSTOM = "envoy.extensions.http.original_ip_detection.custom_header"
_TYPE = "type.googleapis.com/"


def _xff(**config: Any) -> dict[str, Any]:
    extension = {"name": _XFF, "typed_config": {"@type": f"{_TYPE}{_XFF}.v3.XffConfig", **config}}
    return {"use_remote_address": False, "original_ip_detection_extensions": [extension]}


def _custom(**config: Any) -> dict[str, Any]:
    fields = {"header_name": "x-real-client", "allow_extension_to_set_address_as_trusted": True, **config}
    extension = {"name": _CUSTOM, "typed_config": {"@type": f"{_TYPE}{_CUSTOM}.v3.CustomHeaderConfig", **fields}}
    return {"use_remote_address": False, "original_ip_detection_extensions": [extension]}


def _cidrs(*networks: str) -> dict[str, Any]:
    pairs = [network.split("/") for network in networks]
    return {"cidrs": [{"address_prefix": prefix, "prefix_len": int(length)} for prefix, length in pairs]}


CONFIGS: dict[str, dict[str, Any]] = {
    "default": {},
    "hops-1": _xff(xff_num_trusted_hops=0, skip_xff_append=False),
    "hops-2": _xff(xff_num_trusted_hops=1, skip_xff_append=False),
    "hops-3-no-append": _xff(xff_num_trusted_hops=2, skip_xff_append=True),
    "cidrs": _xff(xff_trusted_cidrs=_cidrs("198.51.100.0/24", "2001:db8:1::/48"), skip_xff_append=False),
    "cidrs-no-append": _xff(xff_trusted_cidrs=_cidrs("198.51.100.0/24", "10.0.0.0/8"), skip_xff_append=True),
    "custom": _custom(),
    "custom-fail-closed": _custom(reject_with_status={"code": "Forbidden"}),
}

PEERS = ("198.51.100.9", "10.1.2.3", "2001:db8:1::9")

_FORWARDED = (
    "203.0.113.1", "203.0.113.1, 198.51.100.2", "203.0.113.1,198.51.100.2,198.51.100.3", "198.51.100.2", "", " ", ",",
    "203.0.113.1,", ",203.0.113.1", "203.0.113.1 , 198.51.100.2", "unknown", "203.0.113.1, unknown", "unknown, 203.0.113.1",
    "203.0.113.1:80", "[2001:db8::7]", "2001:db8::7", "2001:db8:1::2, 2001:db8:1::3", "::ffff:203.0.113.1", "10.0.0.1",
    "127.0.0.1", "203.0.113.1; 203.0.113.2", "203.0.113.300", "0203.0.113.1", "fe80::1%lo",
    ", ".join(f"203.0.113.{number}" for number in range(1, 23)),
)  # fmt: skip
_CLAIMS: tuple[tuple[tuple[str, str], ...], ...] = (
    (),
    (("X-Forwarded-Proto", "https"),),
    (("X-Forwarded-Proto", "ftp"),),
    (("X-Request-Id", "mine"),),
    (("X-Request-Id", ""),),
    (("X-Envoy-External-Address", "203.0.113.66"),),
    (("X-Envoy-Internal", "true"),),
    (("X-Forwarded-For", "203.0.113.1"), ("X-Forwarded-For", "198.51.100.2")),
    (("X-Forwarded-Host", "b.example"), ("X-Forwarded-Port", "8443")),
    (("X-Real-Client", "203.0.113.5"),),
    (("X-Real-Client", "203.0.113.5, 203.0.113.6"),),
    (("X-Real-Client", "nobody"),),
    (("X-Real-Client", ""),),
    (("X-Real-Client", "2001:db8::5"), ("X-Forwarded-For", "203.0.113.1")),
    (("X-Real-Client", "203.0.113.5"), ("X-Real-Client", "203.0.113.6")),
)


def addresses() -> Iterator[tuple[str, str, str, list[list[str]]]]:
    """(id, config, the connection's peer, headers) of every case."""
    for config in CONFIGS:
        for number, value in enumerate(_FORWARDED):
            if not config.startswith("custom"):
                yield f"own/{config}/forwarded-{number:02}", config, PEERS[0], [["X-Forwarded-For", value]]
        for number, claims in enumerate(_CLAIMS):
            yield f"own/{config}/claim-{number:02}", config, PEERS[0], [list(claim) for claim in claims]
        for peer in PEERS[1:]:
            for number, value in enumerate(_FORWARDED[:3]):
                yield f"own/{config}/from-{peer}-{number}", config, peer, [["X-Forwarded-For", value]]
