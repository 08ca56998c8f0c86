"""The options of an HttpConnectionManager that a policy's HTTP fields set, as Envoy Gateway writes them."""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from ipaddress import IPv4Network, IPv6Network
from typing import Any

from pyproxy.settings import (
    ClientAddressOptions,
    Command,
    CustomHeaderDetection,
    ForwardClientCert,
    HeaderAction,
    HeaderMutation,
    HttpOptions,
    StringMatch,
    StringMatchType,
    XffDetection,
)

_TYPE = "type.googleapis.com/envoy.extensions."
_DEFAULTS = HttpOptions()


def typed(extension: str, kind: str, **fields: Any) -> dict[str, Any]:
    """An extension and its configuration, of the type ``envoy.extensions.<kind>``."""
    return {"name": extension, "typed_config": {"@type": _TYPE + kind, **fields}}


def manager(http: HttpOptions) -> dict[str, Any]:
    """The fields of a connection manager."""
    fields = client_address(http.client_address) | _headers(http)
    protocol = upstream_protocol(http)
    if http.ignored_upgrade_types:
        protocol["ignore_http_11_upgrade"] = [string_match(match) for match in http.ignored_upgrade_types]
    if protocol:
        fields["http_protocol_options"] = protocol
    if http.scheme_match_upstream:
        fields["scheme_header_transformation"] = {"match_upstream": True}
    return fields


def upstream_protocol(http: HttpOptions) -> dict[str, Any]:
    """The ``http_protocol_options`` that the clusters of a listener have too."""
    fields: dict[str, Any] = {}
    if http.enable_trailers:
        fields["enable_trailers"] = True
    if http.preserve_header_case:
        kind = "http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig"
        fields["header_key_format"] = {"stateful_formatter": typed("preserve_case", kind)}
    if http.accept_http_10:
        fields["accept_http_10"] = True
    if http.default_host_for_http_10 is not None:
        fields["default_host_for_http_10"] = http.default_host_for_http_10.decode()
    return fields


def late_mutations(http: HttpOptions) -> list[dict[str, Any]]:
    """The filter in front of the router that changes responses, if any."""
    if not http.late_response_headers:
        return []
    mutations = {"response_mutations": [mutation(one) for one in http.late_response_headers]}
    kind = "filters.http.header_mutation.v3.HeaderMutation"
    return [typed("envoy.filters.http.header_mutation", kind, mutations=mutations)]


def mutation(mutation: HeaderMutation) -> dict[str, Any]:
    """One envoy.config.common.mutation_rules.v3.HeaderMutation."""
    if mutation.action is HeaderAction.REMOVE:
        return {"remove": mutation.name.decode()}
    if mutation.action is HeaderAction.REMOVE_ON_MATCH:
        assert mutation.name_match is not None, "a mutation that removes on a match has one"
        return {"remove_on_match": {"key_matcher": string_match(mutation.name_match)}}
    append: dict[str, Any] = {"header": header_value(mutation)}
    if mutation.action is not HeaderAction.APPEND_IF_EXISTS_OR_ADD:
        append["append_action"] = mutation.action.value
    return {"append": append}


def header_value(mutation: HeaderMutation) -> dict[str, str]:
    """The envoy.config.core.v3.HeaderValue of a mutation that writes."""
    value = "".join(map(_value_part, mutation.template or (mutation.value,)))
    return {"key": mutation.name.decode(), "value": value}


def _value_part(part: bytes | Command) -> str:
    if isinstance(part, bytes):
        return part.decode().replace("%", "%%")
    headers = "?".join(name.decode() for name in (part.argument, part.alternative) if name)
    length = "" if part.length is None else f":{part.length}"
    return f"%{part.name}{f'({headers})' if headers else ''}{length}%"


def string_match(match: StringMatch) -> dict[str, Any]:
    """One envoy.type.matcher.v3.StringMatcher."""
    return {match.type.value: {"regex": match.value} if match.type is StringMatchType.REGEX else match.value}


def _headers(http: HttpOptions) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if http.forward_client_cert is not ForwardClientCert.SANITIZE:
        fields["forward_client_cert_details"] = http.forward_client_cert.value
    if http.client_cert_details:
        fields["set_current_client_cert_details"] = dict.fromkeys(http.client_cert_details, True)
    if http.preserve_external_request_id or not http.generate_request_id:
        fields["generate_request_id"] = http.generate_request_id
        fields["preserve_external_request_id"] = http.preserve_external_request_id
    if http.early_request_headers:
        name = "early_header_mutation.header_mutation"
        mutations = [mutation(one) for one in http.early_request_headers]
        kind = f"http.{name}.v3.HeaderMutation"
        fields["early_header_mutation_extensions"] = [typed(f"envoy.http.{name}", kind, mutations=mutations)]
    if http.strip_trailing_host_dot:
        fields["strip_trailing_host_dot"] = True
    if http.max_request_headers_bytes != _DEFAULTS.max_request_headers_bytes:
        fields["max_request_headers_kb"] = http.max_request_headers_bytes // 1024
    return fields


def client_address(options: ClientAddressOptions) -> dict[str, Any]:
    """Of ``clientIPDetection``, and which networks are internal."""
    fields: dict[str, Any] = {"use_remote_address": options.use_remote_address}
    if options.xff_num_trusted_hops:
        fields["xff_num_trusted_hops"] = options.xff_num_trusted_hops
    if options.skip_xff_append:
        fields["skip_xff_append"] = True
    if options.detection is not None:
        fields["original_ip_detection_extensions"] = [_detection(options.detection)]
    if options.internal_networks:
        fields["internal_address_config"] = {"cidr_ranges": _cidrs(options.internal_networks)}
    return fields


def _detection(detection: XffDetection | CustomHeaderDetection) -> dict[str, Any]:
    prefix = "http.original_ip_detection"
    if isinstance(detection, CustomHeaderDetection):
        fields: dict[str, Any] = {"header_name": detection.header_name.decode()}
        fields["allow_extension_to_set_address_as_trusted"] = True
        if detection.reject_status is not None:
            fields["reject_with_status"] = {"code": HTTPStatus(detection.reject_status).phrase}
        kind = f"{prefix}.custom_header.v3.CustomHeaderConfig"
        return typed(f"envoy.extensions.{prefix}.custom_header", kind, **fields)
    fields = {"skip_xff_append": detection.skip_xff_append}
    if detection.trusted_cidrs is not None:
        fields["xff_trusted_cidrs"] = {"cidrs": _cidrs(detection.trusted_cidrs)}
    elif detection.xff_num_trusted_hops:
        fields["xff_num_trusted_hops"] = detection.xff_num_trusted_hops
    return typed(f"envoy.extensions.{prefix}.xff", f"{prefix}.xff.v3.XffConfig", **fields)


def _cidrs(networks: Iterable[IPv4Network | IPv6Network]) -> list[dict[str, Any]]:
    return [{"address_prefix": str(network.network_address), "prefix_len": network.prefixlen} for network in networks]
