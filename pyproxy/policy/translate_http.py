"""What a ClientTrafficPolicy says about HTTP to the options of one listener's connection manager.

One function per part of the spec, with Envoy Gateway's own translation of it. Nothing here can fail.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import ip_network
from typing import Any

from pyproxy.policy.client_traffic_policy import (
    HTTP1,
    ClientIPDetection,
    ClientTrafficPolicySpec,
    Headers,
    HTTPHeaderFilter,
    PathSettings,
)
from pyproxy.policy.client_traffic_policy import StringMatch as PolicyStringMatch
from pyproxy.policy.command_operators import writes
from pyproxy.policy.release import DEFAULTS, Release
from pyproxy.policy.scalars import parse_quantity
from pyproxy.settings import (
    ClientAddressOptions,
    CustomHeaderDetection,
    EscapedSlashes,
    ForwardClientCert,
    HeaderAction,
    HeaderMutation,
    HttpOptions,
    StringMatch,
    StringMatchType,
    Underscores,
    XffDetection,
)

FORBIDDEN = 403

_MATCHES = {
    "Exact": StringMatchType.EXACT,
    "Prefix": StringMatchType.PREFIX,
    "Suffix": StringMatchType.SUFFIX,
    "RegularExpression": StringMatchType.REGEX,
}
_UNDERSCORES = {
    "Allow": Underscores.ALLOW,
    "RejectRequest": Underscores.REJECT_REQUEST,
    "DropHeader": Underscores.DROP_HEADER,
}
_ESCAPED_SLASHES = {
    "KeepUnchanged": EscapedSlashes.KEEP_UNCHANGED,
    "RejectRequest": EscapedSlashes.REJECT_REQUEST,
    "UnescapeAndForward": EscapedSlashes.UNESCAPE_AND_FORWARD,
    "UnescapeAndRedirect": EscapedSlashes.UNESCAPE_AND_REDIRECT,
}
_CLIENT_CERT = {
    "Sanitize": ForwardClientCert.SANITIZE,
    "ForwardOnly": ForwardClientCert.FORWARD_ONLY,
    "AppendForward": ForwardClientCert.APPEND_FORWARD,
    "SanitizeSet": ForwardClientCert.SANITIZE_SET,
    "AlwaysForwardOnly": ForwardClientCert.ALWAYS_FORWARD_ONLY,
}
# (generate_request_id, preserve_external_request_id)
_REQUEST_IDS = {
    "PreserveOrGenerate": (True, True),
    "Preserve": (False, True),
    "Generate": (True, False),
    "Disable": (False, False),
}


def http_options(
    spec: ClientTrafficPolicySpec | None, release: Release, hostname: str | None, route_hostnames: Sequence[str]
) -> HttpOptions:
    """The options of a listener with the policy ``spec``, or with none.

    ``hostname`` is the listener's; ``route_hostnames`` has one for each of its routes.
    """
    defaults = DEFAULTS[release]
    if spec is None:
        spec = ClientTrafficPolicySpec.model_construct()
    detection = _detection(spec.client_ip_detection)
    headers = spec.headers or Headers.model_construct()
    suppress = defaults.suppress_envoy_headers
    if headers.enable_envoy_headers is not None:
        suppress = not headers.enable_envoy_headers
    return HttpOptions(
        server_name=defaults.server_name,
        suppress_envoy_headers=suppress,
        client_address=ClientAddressOptions(
            use_remote_address=detection is None, detection=detection, internal_networks=defaults.internal_networks
        ),
        scheme_match_upstream=spec.scheme == "MatchBackend",
        **_headers(headers),
        **_path(spec.path or PathSettings.model_construct()),
        **_http1(spec.http1 or HTTP1.model_construct(), hostname, route_hostnames),
    )


def _detection(detection: ClientIPDetection | None) -> XffDetection | CustomHeaderDetection | None:
    if detection is None:
        return None
    if detection.custom_header is not None:
        status = FORBIDDEN if detection.custom_header.fail_closed else None
        return CustomHeaderDetection(detection.custom_header.name.lower().encode(), status)
    forwarded_for = detection.x_forwarded_for
    if forwarded_for is None:
        return None
    skip = bool(forwarded_for.disable_x_forwarded_for_append)
    if forwarded_for.trusted_cidrs is not None:
        cidrs = tuple(ip_network(cidr, strict=False) for cidr in forwarded_for.trusted_cidrs)
        return XffDetection(trusted_cidrs=cidrs, skip_xff_append=skip)
    # Envoy counts from the address in front of its peer, Envoy Gateway from the peer.
    return XffDetection(max((forwarded_for.num_trusted_hops or 0) - 1, 0), skip_xff_append=skip)


def _path(path: PathSettings) -> dict[str, Any]:
    return {
        "escaped_slashes": _ESCAPED_SLASHES[path.escaped_slashes_action or "UnescapeAndRedirect"],
        "merge_slashes": not path.disable_merge_slashes,
    }


def _headers(headers: Headers) -> dict[str, Any]:
    request_id = headers.request_id or ("PreserveOrGenerate" if headers.preserve_x_request_id else "Generate")
    generate, preserve = _REQUEST_IDS[request_id]
    options: dict[str, Any] = {
        "generate_request_id": generate,
        "preserve_external_request_id": preserve,
        "headers_with_underscores": _UNDERSCORES[headers.with_underscores_action or "RejectRequest"],
        "early_request_headers": _mutations(headers.early_request_headers),
        "late_response_headers": _mutations(headers.late_response_headers),
        "strip_trailing_host_dot": bool(headers.host and headers.host.strip_trailing_host_dot),
    }
    cert = headers.x_forwarded_client_cert
    if cert is not None:
        options["forward_client_cert"] = _CLIENT_CERT[cert.mode or "Sanitize"]
        options["client_cert_details"] = tuple(detail.lower() for detail in cert.cert_details_to_add or [])
    if headers.max_request_header_limit is not None:
        kilobytes = -(-parse_quantity(headers.max_request_header_limit) // 1024)
        options["max_request_headers_bytes"] = kilobytes * 1024
    return options


def _mutations(mutations: HTTPHeaderFilter | None) -> tuple[HeaderMutation, ...]:
    """In Envoy Gateway's order. Of the headers that are written, the first of a name counts."""
    if mutations is None:
        return ()
    written: dict[bytes, HeaderMutation] = {}
    for action, headers in (
        (HeaderAction.APPEND_IF_EXISTS_OR_ADD, mutations.add),
        (HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, mutations.set),
        (HeaderAction.ADD_IF_ABSENT, mutations.add_if_absent),
    ):
        for header in headers or []:
            mutation = writes(action, header.name, header.value)
            written.setdefault(mutation.name, mutation)
    removed = dict.fromkeys(name.lower().encode() for name in mutations.remove or [])
    return (
        *written.values(),
        *(HeaderMutation(HeaderAction.REMOVE, name) for name in removed),
        *(
            HeaderMutation(HeaderAction.REMOVE_ON_MATCH, name_match=match)
            for match in string_matches(mutations.remove_on_match or [])
        ),
    )


def string_matches(matches: Iterable[PolicyStringMatch]) -> tuple[StringMatch, ...]:
    """A policy's StringMatches as the data path has them."""
    return tuple(StringMatch(_MATCHES[match.type], match.value) for match in matches)


def _http1(http1: HTTP1, hostname: str | None, route_hostnames: Sequence[str]) -> dict[str, Any]:
    default_host = None
    if http1.http10 is not None and http1.http10.use_default_host:
        default_host = _default_host(hostname, route_hostnames)
    return {
        "enable_trailers": bool(http1.enable_trailers),
        "preserve_header_case": bool(http1.preserve_header_case),
        "accept_http_10": http1.http10 is not None,
        "default_host_for_http_10": default_host,
        "ignored_upgrade_types": string_matches(http1.ignored_upgrade_types or []),
    }


def _default_host(hostname: str | None, route_hostnames: Sequence[str]) -> bytes | None:
    """The listener's hostname, else that of its only route with one that is no wildcard."""
    if hostname is not None and "*" not in hostname:
        return hostname.encode()
    names = [name for name in route_hostnames if "*" not in name]
    return names[0].encode() if len(names) == 1 else None
