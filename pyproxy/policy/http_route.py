"""HTTPRoute v1, field for field, with the CRD's patterns, enums, defaults and CEL rules, and Envoy Gateway's on top.

Which filters and fields are served is said here too: what is not is refused where it stands. The messages of rules are
the CRD's; those about what a filter may do with a header are Envoy Gateway's.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from pyproxy.policy.command_operators import parse_value
from pyproxy.policy.document import Path
from pyproxy.policy.model import (
    Duration,
    FieldError,
    HeaderName,
    Hostname,
    Name,
    Namespace,
    Port,
    PreciseHostname,
    Resource,
    Rule,
    Strict,
    Unserved,
    matching,
    name_as_json,
    once,
    repeated,
    unless,
    unserved,
)
from pyproxy.policy.regex import check_regex
from pyproxy.policy.scalars import parse_duration

MAX_MATCHES = 128
"""Of all rules of a route together."""

NOT_BY_FILTERS = frozenset(("connection", "content-length", "transfer-encoding", "upgrade"))
"""Headers that say where a message ends. Envoy lets a filter touch them, and sends what then can't be understood."""
OBEYED_BY_ROUTER = (
    "x-envoy-hedge-",
    "x-envoy-max-retries",
    "x-envoy-retriable-",
    "x-envoy-retry-",
    "x-envoy-upstream-",
)
"""Request headers that begin so tell Envoy's router to retry, to time out, and how to count."""


class ParentReference(Strict):
    group: Literal["gateway.networking.k8s.io"] = "gateway.networking.k8s.io"
    kind: Literal["Gateway"] = "Gateway"
    namespace: Namespace | None = None
    name: Name
    section_name: Name | None = None
    port: Port | None = None


# -- matches -----------------------------------------------------------------------------------------------------------

_PATH = re.compile(r"(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+")
_NOT_IN_PATH = ("//", "/./", "/../", "%2f", "%2F", "#")
_NOT_AT_END = ("/..", "/.")
_OF_PATHS = "when type one of ['Exact', 'PathPrefix']"


def _check_path(value: str) -> None:
    if not value.startswith("/"):
        raise ValueError(f"value must be an absolute path and start with '/' {_OF_PATHS}")
    for part in _NOT_IN_PATH:
        if part in value:
            raise ValueError(f"must not contain '{part}' {_OF_PATHS}")
    for part in _NOT_AT_END:
        if value.endswith(part):
            raise ValueError(f"must not end with '{part}' {_OF_PATHS}")
    if _PATH.fullmatch(value) is None:
        wanted = f"(matching ^{_PATH.pattern}$)"
        raise ValueError(f"must only contain valid characters {wanted} for types ['Exact', 'PathPrefix']")


class HTTPPathMatch(Strict):
    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: Annotated[str, Field(max_length=1024)] = "/"

    @model_validator(mode="after")
    def _value_by_type(self) -> HTTPPathMatch:
        try:
            (check_regex if self.type == "RegularExpression" else _check_path)(self.value)
        except ValueError as error:
            raise FieldError(("value",), str(error)) from None
        return self


class _ValueMatch(Strict):
    """A condition on a named value."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: Annotated[str, Field(min_length=1, max_length=4096)]

    @model_validator(mode="after")
    def _regex(self) -> _ValueMatch:
        if self.type == "RegularExpression":
            try:
                check_regex(self.value)
            except ValueError as error:
                raise FieldError(("value",), str(error)) from None
        return self


class HTTPHeaderMatch(_ValueMatch):
    pass


class HTTPQueryParamMatch(_ValueMatch):
    value: Annotated[str, Field(min_length=1, max_length=1024)]


Method = Literal["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"]

_ByName = once(name_as_json, ("name",))


class HTTPRouteMatch(Strict):
    path: HTTPPathMatch = HTTPPathMatch()
    headers: Annotated[list[HTTPHeaderMatch], Field(max_length=16), _ByName] = []
    query_params: Annotated[list[HTTPQueryParamMatch], Field(max_length=16), _ByName] = []
    method: Method | None = None


# -- filters -----------------------------------------------------------------------------------------------------------

REQUEST, RESPONSE = "RequestHeaderModifier", "ResponseHeaderModifier"
_HEADER_VALUE = re.compile(r"[!-~]+([\t ]?[!-~]+)*")


class HTTPHeader(Strict):
    name: HeaderName
    value: Annotated[str, Field(min_length=1, max_length=4096)]


def _check_header_name(name: str, filter_type: str, verb: str) -> None:
    if name.lower() == "host" or "/" in name or ":" in name:
        if filter_type == RESPONSE and verb == "add":
            verb = "set"  # Envoy Gateway's own word
        what = "the Host header or headers with a '/' or ':' character in them."
        message = f"The {filter_type} filter cannot {verb} {what}"
        if filter_type == REQUEST and verb != "remove":
            message += " To modify the Host header use the URLRewrite or the HTTPRouteFilter filter."
        raise ValueError(f'Header: "{name}". {message}')
    if name.lower() in NOT_BY_FILTERS:
        raise ValueError(f"pyproxy lets no filter {verb} {name}, which says where the message ends; take it out")
    if filter_type == REQUEST and verb != "remove" and name.lower().startswith(OBEYED_BY_ROUTER):
        raise ValueError(f"pyproxy does not serve {name}, which Envoy's router would obey; take it out")


def _written(filter_type: str, verb: str) -> AfterValidator:
    """For an element of ``add`` and ``set``: what Envoy Gateway's translator refuses."""

    def check(header: HTTPHeader) -> HTTPHeader:
        try:
            _check_header_name(header.name, filter_type, verb)
        except ValueError as error:
            raise FieldError(("name",), str(error)) from None
        if _HEADER_VALUE.fullmatch(header.value) is None:
            message = f"{filter_type} Filter cannot {verb} a header with an invalid value."
            raise FieldError(("value",), f'Header: "{header.name}". {message}')
        try:
            parse_value(header.value)
        except ValueError as error:
            raise FieldError(("value",), str(error)) from None
        return header

    return AfterValidator(check)


def _removed(filter_type: str) -> AfterValidator:
    """For an element of ``remove``."""

    def check(name: str) -> str:
        if not name:
            raise ValueError(f"{filter_type} Filter cannot remove a header with an empty name")
        _check_header_name(name, filter_type, "remove")
        return name

    return AfterValidator(check)


_AtMost16 = Field(max_length=16)
_Once = once(lambda name: f'"{name}"')


class HeaderFilter(Strict):
    set: Sequence[HTTPHeader]
    add: Sequence[HTTPHeader]
    remove: Sequence[str]


class HTTPRequestHeaderFilter(HeaderFilter):
    set: Annotated[list[Annotated[HTTPHeader, _written(REQUEST, "set")]], _AtMost16, _ByName] = []
    add: Annotated[list[Annotated[HTTPHeader, _written(REQUEST, "add")]], _AtMost16, _ByName] = []
    remove: Annotated[list[Annotated[str, _removed(REQUEST)]], _AtMost16, _Once] = []


class HTTPResponseHeaderFilter(HeaderFilter):
    set: Annotated[list[Annotated[HTTPHeader, _written(RESPONSE, "set")]], _AtMost16, _ByName] = []
    add: Annotated[list[Annotated[HTTPHeader, _written(RESPONSE, "add")]], _AtMost16, _ByName] = []
    remove: Annotated[list[Annotated[str, _removed(RESPONSE)]], _AtMost16, _Once] = []


Replacement = Annotated[
    str,
    Field(max_length=1024),
    matching(r"^[!-\[\]-~]*$", "a path: write visible ASCII characters, and no backslash"),
]


class HTTPPathModifier(Strict):
    type: Literal["ReplaceFullPath", "ReplacePrefixMatch"]
    replace_full_path: Replacement | None = None
    replace_prefix_match: Replacement | None = None

    RULES = (
        Rule(
            "replaceFullPath must be specified when type is set to 'ReplaceFullPath'",
            unless(lambda one: one.type != "ReplaceFullPath" or one.replace_full_path is not None),
        ),
        Rule(
            "type must be 'ReplaceFullPath' when replaceFullPath is set",
            unless(lambda one: one.type == "ReplaceFullPath" or one.replace_full_path is None, "replaceFullPath"),
        ),
        Rule(
            "replacePrefixMatch must be specified when type is set to 'ReplacePrefixMatch'",
            unless(lambda one: one.type != "ReplacePrefixMatch" or one.replace_prefix_match is not None),
        ),
        Rule(
            "type must be 'ReplacePrefixMatch' when replacePrefixMatch is set",
            unless(
                lambda one: one.type == "ReplacePrefixMatch" or one.replace_prefix_match is None, "replacePrefixMatch"
            ),
        ),
    )


class HTTPRequestRedirectFilter(Strict):
    scheme: Literal["http", "https"] | None = None
    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None
    port: Port | None = None
    status_code: Literal[301, 302, 303, 307, 308] = 302


def _no_leading_slash(rewrite: HTTPURLRewriteFilter) -> Iterator[Path]:
    path = rewrite.path
    if path is not None and path.replace_full_path and path.replace_full_path[0] != "/":
        yield "path", "replaceFullPath"
    if path is not None and path.replace_prefix_match and path.replace_prefix_match[0] != "/":
        yield "path", "replacePrefixMatch"


class HTTPURLRewriteFilter(Strict):
    hostname: PreciseHostname | None = None
    path: HTTPPathModifier | None = None

    RULES = (
        Rule(
            "write a path that begins with /; Envoy would send this one as it is, which is no request",
            lambda one: list(_no_leading_slash(one)),
        ),
    )


_FIELD_OF_FILTER = {
    "RequestHeaderModifier": "requestHeaderModifier",
    "ResponseHeaderModifier": "responseHeaderModifier",
    "RequestMirror": "requestMirror",
    "RequestRedirect": "requestRedirect",
    "URLRewrite": "urlRewrite",
    "CORS": "cors",
    "ExternalAuth": "externalAuth",
    "ExtensionRef": "extensionRef",
}


def _filter_rules(kind: str, field: str) -> tuple[Rule, Rule]:
    def is_set(one: HTTPRouteFilter) -> bool:
        return field in one.fields_set

    return (
        Rule(
            f"filter.{field} must be nil if the filter.type is not {kind}",
            unless(lambda one: one.type == kind or not is_set(one), field),
        ),
        Rule(
            f"filter.{field} must be specified for {kind} filter.type",
            unless(lambda one: one.type != kind or is_set(one)),
        ),
    )


class HTTPRouteFilter(Strict):
    type: Annotated[
        Literal["RequestHeaderModifier", "ResponseHeaderModifier", "RequestRedirect", "URLRewrite"],
        unserved(
            "RequestMirror",
            "CORS",
            "ExternalAuth",
            "ExtensionRef",
            takes="RequestHeaderModifier, ResponseHeaderModifier, RequestRedirect and URLRewrite",
        ),
    ]
    request_header_modifier: HTTPRequestHeaderFilter | None = None
    response_header_modifier: HTTPResponseHeaderFilter | None = None
    request_redirect: HTTPRequestRedirectFilter | None = None
    url_rewrite: HTTPURLRewriteFilter | None = Field(default=None, alias="urlRewrite")
    # Only of types that are refused.
    request_mirror: Any = None
    cors: Any = None
    external_auth: Any = None
    extension_ref: Any = None

    RULES = tuple(rule for kind, field in _FIELD_OF_FILTER.items() for rule in _filter_rules(kind, field))

    @property
    def path_modifier(self) -> HTTPPathModifier | None:
        """What a redirect or rewrite does to the path, if anything."""
        modifier = self.request_redirect or self.url_rewrite
        return modifier.path if modifier is not None else None

    @property
    def fields_set(self) -> set[str]:
        """The names, as the API has them, of the fields that are there."""
        fields = type(self).model_fields
        return {fields[name].alias or name for name in fields if getattr(self, name) is not None}


def _filters(filters: list[HTTPRouteFilter]) -> list[HTTPRouteFilter]:
    types = [one.type for one in filters]
    for index, kind in repeated(types):
        raise FieldError((index,), f"{kind} filter cannot be repeated")
    if "RequestRedirect" in types and "URLRewrite" in types:
        message = "May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both"
        raise ValueError(message)
    return filters


Filters = Annotated[list[HTTPRouteFilter], Field(max_length=16), AfterValidator(_filters)]

# -- rules -------------------------------------------------------------------------------------------------------------


class BackendRef(Strict):
    group: str = ""
    kind: str = "Service"
    name: Name
    namespace: Namespace | None = None
    port: Port | None = None
    weight: Annotated[int, Field(ge=0, le=1_000_000)] = 1
    filters: Filters = []

    RULES = (
        Rule(
            "Must have port for Service reference",
            unless(lambda one: (one.group, one.kind) != ("", "Service") or one.port is not None),
        ),
        Rule(
            f"pyproxy does not serve this filter in a backendRef; it takes {REQUEST} and {RESPONSE}",
            lambda one: [
                ("filters", index, "type")
                for index, of_backend in enumerate(one.filters)
                if of_backend.type not in (REQUEST, RESPONSE)
            ],
        ),
    )


def _within(timeouts: HTTPRouteTimeouts) -> bool:
    if timeouts.request is None or timeouts.backend_request is None:
        return True
    request = parse_duration(timeouts.request)
    return request == 0 or request >= parse_duration(timeouts.backend_request)


class HTTPRouteTimeouts(Strict):
    request: Duration | None = None
    backend_request: Duration | None = None

    RULES = (
        Rule(
            "backendRequest timeout cannot be longer than request timeout",
            unless(_within, "backendRequest"),
        ),
    )


def _prefix_rule(kind: str, field: str) -> Rule:
    def broken_at(rule: HTTPRouteRule) -> list[Path]:
        if len(rule.matches) == 1 and rule.matches[0].path.type == "PathPrefix":
            return []
        paths = [(index, one.path_modifier) for index, one in enumerate(rule.filters) if one.type == kind]
        return [
            ("filters", index, field, "path")
            for index, path in paths
            if path is not None and path.type == "ReplacePrefixMatch"
        ]

    return Rule(
        f"When using {kind} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified",
        broken_at,
    )


class HTTPRouteRule(Strict):
    name: Name | None = None
    matches: Annotated[list[HTTPRouteMatch], Field(max_length=64)] = [HTTPRouteMatch()]
    filters: Filters = []
    backend_refs: Annotated[list[BackendRef], Field(max_length=16)] = []
    timeouts: HTTPRouteTimeouts | None = None
    retry: Unserved = None
    session_persistence: Unserved = None

    RULES = (
        Rule(
            "RequestRedirect filter must not be used together with backendRefs",
            lambda one: [
                ("filters", index)
                for index, of_rule in enumerate(one.filters)
                if of_rule.request_redirect is not None and one.backend_refs
            ],
        ),
        _prefix_rule("RequestRedirect", "requestRedirect"),
        _prefix_rule("URLRewrite", "urlRewrite"),
    )


def _same_parent(refs: Sequence[ParentReference]) -> Iterator[tuple[int, ParentReference, ParentReference]]:
    for (_, one), (index, other) in combinations(enumerate(refs), 2):
        if (one.namespace, one.name) == (other.namespace, other.name):
            yield index, one, other


def _is_half_said(one: ParentReference, other: ParentReference) -> bool:
    return (one.section_name is None, one.port is None) != (other.section_name is None, other.port is None)


_OF_SAME_PARENT = "when parentRefs includes 2 or more references to the same parent"


class HTTPRouteSpec(Strict):
    parent_refs: Annotated[list[ParentReference], Field(min_length=1, max_length=32)]
    hostnames: Annotated[list[Hostname], Field(max_length=16)] = []
    rules: Annotated[list[HTTPRouteRule], Field(min_length=1, max_length=16)] = [HTTPRouteRule()]
    use_default_gateways: Unserved = None

    RULES = (
        Rule(
            f"sectionName or port must be specified {_OF_SAME_PARENT}",
            lambda spec: [
                ("parentRefs", index)
                for index, one, other in _same_parent(spec.parent_refs)
                if _is_half_said(one, other)
            ],
        ),
        Rule(
            f"sectionName or port must be unique {_OF_SAME_PARENT}",
            lambda spec: [
                ("parentRefs", index)
                for index, one, other in _same_parent(spec.parent_refs)
                if (one.section_name, one.port) == (other.section_name, other.port)
            ],
        ),
        Rule(
            "Rule name must be unique within the route",
            lambda spec: [
                ("rules", index, "name") for index, name in repeated([rule.name for rule in spec.rules]) if name
            ],
        ),
        Rule(
            "While 16 rules and 64 matches per rule are allowed, the total number of matches across all rules in a "
            "route must be less than 128",
            unless(lambda spec: sum(len(rule.matches) for rule in spec.rules) <= MAX_MATCHES, "rules"),
        ),
    )


class HTTPRoute(Resource):
    """gateway.networking.k8s.io/v1 HTTPRoute."""

    spec: HTTPRouteSpec
