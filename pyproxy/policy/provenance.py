"""Where each setting of a listener came from: a line of a policy, or whose default it is.

``DECIDES`` is the way of a field through the house in names: the field, and the settings that it decides. That a policy
has the field is all that needs to be known then; what the value became is in the settings.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from pyproxy.policy.client_traffic_policy import ClientTrafficPolicySpec
from pyproxy.policy.document import Document, Path, format_path
from pyproxy.policy.load import Loaded
from pyproxy.policy.scalars import format_duration
from pyproxy.settings import Listener, Route, VirtualHost

_REQUEST_ID = ("http.generate_request_id", "http.preserve_external_request_id")
_DETECTION = "http.client_address.detection"
_DETECTED = (_DETECTION, "http.client_address.use_remote_address")
_EARLY, _LATE = ("http.early_request_headers",), ("http.late_response_headers",)

DECIDES: dict[str, tuple[str, ...]] = {
    "spec.tcpKeepalive": ("keepalive",),
    "spec.tcpKeepalive.probes": ("keepalive.probes",),
    "spec.tcpKeepalive.idleTime": ("keepalive.idle",),
    "spec.tcpKeepalive.interval": ("keepalive.interval",),
    "spec.enableProxyProtocol": ("proxy_protocol",),
    "spec.proxyProtocol": ("proxy_protocol",),
    "spec.proxyProtocol.optional": ("proxy_protocol.optional",),
    "spec.clientIPDetection.xForwardedFor": _DETECTED,
    "spec.clientIPDetection.xForwardedFor.numTrustedHops": (f"{_DETECTION}.xff_num_trusted_hops",),
    "spec.clientIPDetection.xForwardedFor.trustedCIDRs[]": (f"{_DETECTION}.trusted_cidrs",),
    "spec.clientIPDetection.xForwardedFor.disableXForwardedForAppend": (f"{_DETECTION}.skip_xff_append",),
    "spec.clientIPDetection.customHeader": _DETECTED,
    "spec.clientIPDetection.customHeader.name": (f"{_DETECTION}.header_name",),
    "spec.clientIPDetection.customHeader.failClosed": (f"{_DETECTION}.reject_status",),
    "spec.clientIPDetection.directSourceIP": _DETECTED,
    "spec.path.escapedSlashesAction": ("http.escaped_slashes",),
    "spec.path.disableMergeSlashes": ("http.merge_slashes",),
    "spec.headers.enableEnvoyHeaders": ("http.suppress_envoy_headers",),
    "spec.headers.xForwardedClientCert.mode": ("http.forward_client_cert",),
    "spec.headers.xForwardedClientCert.certDetailsToAdd[]": ("http.client_cert_details",),
    "spec.headers.withUnderscoresAction": ("http.headers_with_underscores",),
    "spec.headers.preserveXRequestID": _REQUEST_ID,
    "spec.headers.requestID": _REQUEST_ID,
    "spec.headers.earlyRequestHeaders.set[].name": _EARLY,
    "spec.headers.earlyRequestHeaders.set[].value": _EARLY,
    "spec.headers.earlyRequestHeaders.add[].name": _EARLY,
    "spec.headers.earlyRequestHeaders.add[].value": _EARLY,
    "spec.headers.earlyRequestHeaders.addIfAbsent[].name": _EARLY,
    "spec.headers.earlyRequestHeaders.addIfAbsent[].value": _EARLY,
    "spec.headers.earlyRequestHeaders.remove[]": _EARLY,
    "spec.headers.earlyRequestHeaders.removeOnMatch[].type": _EARLY,
    "spec.headers.earlyRequestHeaders.removeOnMatch[].value": _EARLY,
    "spec.headers.lateResponseHeaders.set[].name": _LATE,
    "spec.headers.lateResponseHeaders.set[].value": _LATE,
    "spec.headers.lateResponseHeaders.add[].name": _LATE,
    "spec.headers.lateResponseHeaders.add[].value": _LATE,
    "spec.headers.lateResponseHeaders.addIfAbsent[].name": _LATE,
    "spec.headers.lateResponseHeaders.addIfAbsent[].value": _LATE,
    "spec.headers.lateResponseHeaders.remove[]": _LATE,
    "spec.headers.lateResponseHeaders.removeOnMatch[].type": _LATE,
    "spec.headers.lateResponseHeaders.removeOnMatch[].value": _LATE,
    "spec.headers.host.stripTrailingHostDot": ("http.strip_trailing_host_dot",),
    "spec.headers.maxRequestHeaderLimit": ("http.max_request_headers_bytes",),
    "spec.timeout.tcp.connectionInspectionTimeout": ("listener_filters_timeout",),
    "spec.timeout.http.requestReceivedTimeout": ("http.request_timeout",),
    "spec.timeout.http.requestHeadersReceivedTimeout": ("http.request_headers_timeout",),
    "spec.timeout.http.idleTimeout": ("http.idle_timeout",),
    "spec.timeout.http.streamIdleTimeout": ("http.stream_idle_timeout",),
    "spec.connection.connectionLimit.value": ("connection_limit", "connection_limit.max_connections"),
    "spec.connection.connectionLimit.closeDelay": ("connection_limit.delay",),
    "spec.connection.connectionLimit.maxConnectionDuration": (
        "http.max_connection_duration",
        "http.safe_max_connection_duration",
    ),
    "spec.connection.connectionLimit.maxRequestsPerConnection": ("http.max_requests_per_connection",),
    "spec.connection.connectionLimit.maxStreamDuration": ("http.max_stream_duration",),
    "spec.connection.bufferLimit": ("buffer_limit",),
    "spec.connection.maxAcceptPerSocketEvent": ("max_connections_to_accept_per_socket_event",),
    "spec.http1.enableTrailers": ("http.enable_trailers",),
    "spec.http1.preserveHeaderCase": ("http.preserve_header_case",),
    "spec.http1.http10": ("http.accept_http_10",),
    "spec.http1.http10.useDefaultHost": ("http.default_host_for_http_10",),
    "spec.http1.disableSafeMaxConnectionDuration": ("http.safe_max_connection_duration",),
    "spec.http1.ignoredUpgradeTypes[].type": ("http.ignored_upgrade_types",),
    "spec.http1.ignoredUpgradeTypes[].value": ("http.ignored_upgrade_types",),
    "spec.healthCheck.path": ("http.health_check_path",),
    "spec.scheme": ("http.scheme_match_upstream",),
}
"""The settings of a listener that a field decides. Of two fields that a policy has the later one here counts."""

OF_ENVOY_GATEWAY = frozenset(
    (
        "buffer_limit",
        "max_connections_to_accept_per_socket_event",
        "http.client_address.internal_networks",
        "http.client_address.use_remote_address",
        "http.escaped_slashes",
        "http.headers_with_underscores",
        "http.merge_slashes",
        "http.server_name",
        "http.suppress_envoy_headers",
    )
)
"""Settings whose default is Envoy Gateway's; the other defaults are Envoy's own."""

NOT_SETTINGS = ("name", "address", "port", "gateway_port", "virtual_hosts")
"""What says which listener it is, and its routes."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a setting came from."""

    source: str
    """``file:line``, or whose default it is."""
    field: str | None = None
    """The field that decided."""

    def __str__(self) -> str:
        return self.source if self.field is None else f"{self.source}: {self.field}"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a listener."""

    name: str
    """Its path from ``settings.Listener`` on: ``http.idle_timeout``."""
    value: Any
    origin: Origin

    @property
    def text(self) -> str:
        """The value as a person reads it."""
        return _text(self.name, self.value)


def settings_of(loaded: Loaded, listener: Listener) -> list[Setting]:
    """Every setting of a listener but its routes."""
    origins = _origins(loaded, listener)
    found = []
    for name, value in _leaves(listener, ""):
        origin = next((origins[path] for path in _upwards(name) if path in origins), None)
        if origin is None:
            is_envoys = not any(path in OF_ENVOY_GATEWAY for path in _upwards(name))
            origin = Origin("default of Envoy" if is_envoys else f"default of Envoy Gateway {loaded.release.value}")
        found.append(Setting(name, value, origin))
    return found


def _origins(loaded: Loaded, listener: Listener) -> dict[str, Origin]:
    """Where the settings came from that the listener's policy decides."""
    namespace, gateway, name = listener.name.split("/")
    applied = loaded.attachment.applied.get((namespace, gateway, name))
    if applied is None:
        return {}
    document = loaded.documents["ClientTrafficPolicy", *applied.policy.metadata.key]
    found = {}
    for field, settings in DECIDES.items():
        path = tuple(field.partition("[]")[0].split("."))
        if _has(applied.policy.spec, path[1:]):
            found.update(dict.fromkeys(settings, _at(document, path)))
    return found


def _at(document: Document, path: Path) -> Origin:
    return Origin(f"{document.file}:{document.position(path)[0]}", format_path(path))


def _has(spec: ClientTrafficPolicySpec, path: Path) -> bool:
    """Whether a policy's user has written the field."""
    value: Any = spec
    for part in path:
        names = {field.alias or name: name for name, field in type(value).model_fields.items()}
        if names[str(part)] not in value.model_fields_set or (value := getattr(value, names[str(part)])) is None:
            return False
    return True


def _leaves(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """(path, value) of every attribute that is no dataclass itself."""
    for one in fields(value):
        name = f"{path}.{one.name}" if path else one.name
        inner = getattr(value, one.name)
        if name in NOT_SETTINGS:
            continue
        if is_dataclass(inner):
            yield from _leaves(inner, name)
        else:
            yield name, inner


def _upwards(path: str) -> Iterator[str]:
    """The path and those above it, except for ``http``, which has no origin as a whole."""
    while path and path != "http":
        yield path
        path = path.rpartition(".")[0]


# -- printing --------------------------------------------------------------------------------------------------

MAX_WIDTH = 60
"""Characters of a column; a longer value moves what is behind it, in its line only."""


def format_settings(loaded: Loaded) -> str:
    """What each listener resolved to, as text."""
    blocks = []
    for listener in loaded.settings.listeners:
        lines = [f"listener {listener.name} on {_address(listener)} ({_place(loaded, listener)})"]
        lines += [f"  policy {policy}" for policy in loaded.policies_of(listener)] or ["  no policy"]
        rows = [(one.name, one.text, str(one.origin)) for one in settings_of(loaded, listener)]
        widths = [max(min(len(row[column]), MAX_WIDTH) for row in rows) for column in range(2)]
        lines += [f"  {name:<{widths[0]}}  {value:<{widths[1]}}  {origin}" for name, value, origin in rows]
        for host in listener.virtual_hosts:
            lines += _host_lines(loaded, host)
        blocks.append("\n".join(lines) + "\n")
    return "\n".join(blocks)


def format_json(loaded: Loaded) -> str:
    """The same as JSON."""
    return json.dumps({"listeners": describe(loaded)}, indent=2) + "\n"


def describe(loaded: Loaded) -> list[dict[str, Any]]:
    """The same as data, for each listener."""
    return [
        {
            "name": listener.name,
            "address": listener.address,
            "port": listener.port,
            "gatewayPort": listener.gateway_port,
            "from": _place(loaded, listener),
            "policies": loaded.policies_of(listener),
            "settings": {
                one.name: {
                    "value": _plain(one.value),
                    "from": one.origin.source,
                    **({"field": one.origin.field} if one.origin.field is not None else {}),
                }
                for one in settings_of(loaded, listener)
            },
            "virtualHosts": [
                {
                    "name": host.name,
                    "domains": list(host.domains),
                    "routes": [{**_plain(route), "from": _route_place(loaded, route)} for route in host.routes],
                }
                for host in listener.virtual_hosts
            ],
        }
        for listener in loaded.settings.listeners
    ]


def _host_lines(loaded: Loaded, host: VirtualHost) -> Iterator[str]:
    yield f"  virtual host {', '.join(host.domains)}"
    for route in host.routes:
        yield f"    route {route.name} ({_route_place(loaded, route)})"
        for one in fields(route):
            value = getattr(route, one.name)
            if one.name != "name" and value != one.default:
                yield f"      {one.name}: {_text(one.name, value)}"


def _address(listener: Listener) -> str:
    return f"[{listener.address}]:{listener.port}" if ":" in listener.address else f"{listener.address}:{listener.port}"


def _place(loaded: Loaded, listener: Listener) -> str:
    """Where the Gateway has the listener."""
    namespace, gateway, name = listener.name.split("/")
    document = loaded.documents["Gateway", namespace, gateway]
    names = [one["name"] for one in document.data["spec"]["listeners"]]
    return _at(document, ("spec", "listeners", names.index(name))).source


def _route_place(loaded: Loaded, route: Route) -> str:
    """Where the HTTPRoute has the rule; the name of a route says which one that is."""
    _, namespace, name, _, rule, *_ = route.name.split("/")
    return _at(loaded.documents["HTTPRoute", namespace, name], ("spec", "rules", int(rule))).source


def _text(name: str, value: Any) -> str:
    """A value as a person reads it."""
    if isinstance(value, float) and name.endswith(("timeout", "duration", "delay")):
        return format_duration(round(value * 1000)) if value else "none"
    if value is None or value == ():
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(_text("", one) for one in value)
    if is_dataclass(value):
        changed = [one for one in fields(value) if one.default is MISSING or getattr(value, one.name) != one.default]
        return f"({', '.join(f'{one.name} {_text(one.name, getattr(value, one.name))}' for one in changed)})"
    return str(_plain(value))


def _plain(value: Any) -> Any:
    """A value as JSON has it."""
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.decode("latin-1")
    if isinstance(value, tuple | list | frozenset):
        return [_plain(one) for one in value]
    if is_dataclass(value):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    return value if isinstance(value, str | int | float | bool | None) else str(value)
