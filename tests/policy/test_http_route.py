"""What of an HTTPRoute is valid, and what is refused, each at its place."""

from __future__ import annotations

import pytest

from tests.policy.resources import BASE, errors, only

BACKEND_REFS = "backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: backend}]"


def with_rule(rule: str, *, backend: bool = True) -> str:
    """BASE with a rule of these lines, and behind them its backend."""
    first, *rest = [*rule.splitlines(), *([BACKEND_REFS] if backend else [])]
    lines = "".join(f"    {line}\n" for line in rest)
    return BASE.replace(f"  - {BACKEND_REFS}\n", f"  - {first}\n{lines}")


def with_filter(fields: str, *, backend: bool = True) -> str:
    return with_rule(f"filters: [{{{fields}}}]", backend=backend)


OF_PATHS = "when type one of ['Exact', 'PathPrefix']"


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ("path: {value: a}", f"path.value: value must be an absolute path and start with '/' {OF_PATHS}"),
        ("path: {type: Exact, value: ''}", f"value must be an absolute path and start with '/' {OF_PATHS}"),
        ("path: {value: /a//b}", f"path.value: must not contain '//' {OF_PATHS}"),
        ("path: {value: /a/./b}", f"must not contain '/./' {OF_PATHS}"),
        ("path: {value: /a/../b}", f"must not contain '/../' {OF_PATHS}"),
        ("path: {value: /a%2Fb}", f"must not contain '%2F' {OF_PATHS}"),
        ("path: {value: '/a#b'}", f"must not contain '#' {OF_PATHS}"),
        ("path: {value: /a/..}", f"must not end with '/..' {OF_PATHS}"),
        ("path: {value: /a/.}", f"must not end with '/.' {OF_PATHS}"),
        ("path: {value: /%zz}", "must only contain valid characters (matching ^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|"),
        ("path: {value: /ä}", "must only contain valid characters"),
        (
            "path: {type: Exakt}",
            'path.type: Unsupported value: "Exakt": supported values: "Exact", "PathPrefix", "RegularExpression"; did',
        ),
        ("path: {type: RegularExpression, value: '('}", "path.value: '(' is not an RE2 expression"),
        ("headers: [{name: a, value: '('}]", "nothing"),
        ("headers: [{type: RegularExpression, name: a, value: '('}]", "headers[0].value: '(' is not an RE2 exp"),
        ("headers: [{name: 'a b', value: x}]", "headers[0].name: 'a b' is not a header's name"),
        ("headers: [{name: a, value: ''}]", "headers[0].value: should be at least 1 chars long"),
        (
            "headers: [{name: a, value: x}, {name: a, value: x}]",
            'headers[1].name: the same as [0] (Duplicate value: {"',
        ),
        ("queryParams: [{name: a, value: x}, {name: a, value: z}]", "queryParams[1].name: the same as [0]"),
        ("method: get", 'method: Unsupported value: "get": supported values: "GET", "HEAD", '),
    ],
)
def test_matches(match: str, message: str) -> None:
    found = [str(error) for error in errors(with_rule(f"matches: [{{{match}}}]"))]
    if message == "nothing":
        assert found == []
    else:
        assert len(found) == 1
        assert message in found[0]


NOT_HOST = "filter cannot {} the Host header or headers with a '/' or ':' character in them."


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ("type: RequestMirror, requestMirror: {}", "type: pyproxy does not serve RequestMirror here; it takes Request"),
        ("type: CORS, cors: {}", "pyproxy does not serve CORS here"),
        ("type: ExternalAuth", "pyproxy does not serve ExternalAuth here"),
        ("type: ExtensionRef, extensionRef: {}", "pyproxy does not serve ExtensionRef here"),
        ("type: URLRewrite", "filters[0]: filter.urlRewrite must be specified for URLRewrite filter.type"),
        (
            "type: URLRewrite, urlRewrite: {}, requestHeaderModifier: {}",
            "[0].requestHeaderModifier: filter.requestHeaderModifier must be nil if the filter.type is not Req",
        ),
        (
            "type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: hOst, value: a}]}",
            f'set[0].name: Header: "hOst". The RequestHeaderModifier {NOT_HOST.format("set")} To modify the Host',
        ),
        (
            "type: RequestHeaderModifier, requestHeaderModifier: {remove: [host]}",
            f'remove[0]: Header: "host". The RequestHeaderModifier {NOT_HOST.format("remove")}',
        ),
        (
            "type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: host, value: a}]}",
            f"The ResponseHeaderModifier {NOT_HOST.format('set')}",
        ),
        (
            "type: ResponseHeaderModifier, responseHeaderModifier: {remove: ['']}",
            "remove[0]: ResponseHeaderModifier Filter cannot remove a header with an empty name",
        ),
        (
            "type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: a, value: 'a  b'}]}",
            'set[0].value: Header: "a". RequestHeaderModifier Filter cannot set a header with an invalid value.',
        ),
        (
            "type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: a, value: '%REG(b)%'}]}",
            "add[0].value: pyproxy does not know the command REG; did you mean RE",
        ),
        ("type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: a, value: '50%'}]}", "write %% for a %"),
        ("type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: a, value: '50%% %REQ(b)%'}]}", "nothing"),
        (
            "type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: Content-Length, value: '1'}]}",
            "pyproxy lets no filter add Content-Length, which says where the message ends; take it out",
        ),
        (
            "type: ResponseHeaderModifier, responseHeaderModifier: {remove: [transfer-encoding]}",
            "pyproxy lets no filter remove transfer-encoding",
        ),
        (
            "type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-envoy-max-retries, value: '3'}]}",
            "pyproxy does not serve x-envoy-max-retries, which Envoy's router would obey; take it out",
        ),
        ("type: RequestHeaderModifier, requestHeaderModifier: {remove: [x-envoy-max-retries]}", "nothing"),
        (
            "type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: a, value: x}, {name: a, value: z}]}",
            'add[1].name: the same as [0] (Duplicate value: {"name":"a"})',
        ),
        ("type: RequestHeaderModifier, requestHeaderModifier: {remove: [a, a]}", "remove[1]: the same as [0]"),
        (
            "type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath}}",
            "path: replaceFullPath must be specified when type is set to 'ReplaceFullPath'",
        ),
        (
            "type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: /, replacePrefixMatch: /}}",
            "path.replacePrefixMatch: type must be 'ReplacePrefixMatch' when replacePrefixMatch is set",
        ),
        (
            "type: URLRewrite, urlRewrite: {path: {type: ReplacePrefixMatch, replacePrefixMatch: a}}",
            "path.replacePrefixMatch: write a path that begins with /",
        ),
        (
            "type: URLRewrite, urlRewrite: {path: {type: ReplaceFullPath, replaceFullPath: '/a b'}}",
            "path.replaceFullPath: '/a b' is not a path: write visible ASCII characters",
        ),
        ("type: URLRewrite, urlRewrite: {hostname: '*.a'}", "urlRewrite.hostname: '*.a' is not a hostname"),
    ],
)
def test_filters(fields: str, message: str) -> None:
    found = [str(error) for error in errors(with_filter(fields))]
    if message == "nothing":
        assert found == []
    else:
        assert len(found) == 1, found
        assert message in found[0]


@pytest.mark.parametrize(
    ("redirect", "message"),
    [
        (
            "statusCode: 300",
            "requestRedirect.statusCode: Unsupported value: 300: supported values: 301, 302, 303, 307, 308",
        ),
        ("scheme: ftp", 'requestRedirect.scheme: Unsupported value: "ftp": supported values: "http", "https"'),
        ("port: 0", "requestRedirect.port: should be greater than or equal to 1"),
    ],
)
def test_redirects(redirect: str, message: str) -> None:
    assert message in only(with_filter(f"type: RequestRedirect, requestRedirect: {{{redirect}}}", backend=False))


def test_filters_together() -> None:
    rewrite, redirect = "{type: URLRewrite, urlRewrite: {}}", "{type: RequestRedirect, requestRedirect: {}}"
    assert only(with_rule(f"filters: [{rewrite}, {rewrite}]")).endswith(
        "filters[1]: URLRewrite filter cannot be repeated"
    )
    assert only(with_rule(f"filters: [{rewrite}, {redirect}]", backend=False)).endswith(
        "filters: May specify either httpRouteFilterRequestRedirect or httpRouteFilterRequestRewrite, but not both"
    )
    assert only(with_rule(f"filters: [{redirect}]")).endswith(
        "filters[0]: RequestRedirect filter must not be used together with backendRefs"
    )


@pytest.mark.parametrize(
    "matches",
    ["[{path: {type: Exact}}]", "[{path: {value: /a}}, {path: {value: /b}}]", "[]"],
)
@pytest.mark.parametrize("kind", ["RequestRedirect", "URLRewrite"])
def test_a_prefix_is_replaced_only_where_there_is_one(kind: str, matches: str) -> None:
    field = kind[0].lower() + kind[1:] if kind == "RequestRedirect" else "urlRewrite"
    path = "{type: ReplacePrefixMatch, replacePrefixMatch: /b}"
    filters = f"filters: [{{type: {kind}, {field}: {{path: {path}}}}}]"
    message = f"When using {kind} filter with path.replacePrefixMatch, exactly one PathPrefix match must be specified"
    text = with_rule(f"matches: {matches}\n{filters}", backend=kind == "URLRewrite")
    assert only(text).endswith(f"filters[0].{field}.path: {message}")
    assert errors(with_rule(filters, backend=kind == "URLRewrite")) == []


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (
            "timeouts: {request: 1s, backendRequest: 2s}",
            "timeouts.backendRequest: backendRequest timeout cannot be lon",
        ),
        ("timeouts: {request: 0s, backendRequest: 2s}", "nothing"),
        ("timeouts: {request: 5}", "timeouts.request: must be text with a unit, like 5s or 5ms, not 5"),
        ("retry: {}", "spec.rules[0].retry: pyproxy does not serve this field; take it out"),
        ("sessionPersistence: {}", "sessionPersistence: pyproxy does not serve this field"),
        (f"matches: [{', '.join(['{}'] * 65)}]", "matches: must have at most 64 items"),
    ],
)
def test_rules(rule: str, message: str) -> None:
    found = [str(error) for error in errors(with_rule(rule))]
    if message == "nothing":
        assert found == []
    else:
        assert len(found) == 1
        assert message in found[0]


def test_filters_of_a_backend() -> None:
    text = BASE.replace("kind: Backend, name", "kind: Backend, filters: [{type: URLRewrite, urlRewrite: {}}], name")
    assert only(text).endswith(
        "backendRefs[0].filters[0].type: pyproxy does not serve this filter in a backendRef; it takes "
        "RequestHeaderModifier and ResponseHeaderModifier"
    )


def test_names_and_number_of_rules() -> None:
    rules = f"  - name: a\n    {BACKEND_REFS}\n" * 2
    text = BASE.replace(f"  - {BACKEND_REFS}\n", rules)
    assert only(text).endswith("rules[1].name: Rule name must be unique within the route")
    matches = f"  - matches: [{', '.join(['{}'] * 43)}]\n    {BACKEND_REFS}\n"
    assert "the total number of matches across all rules in a route must be less than 128" in only(
        BASE.replace(f"  - {BACKEND_REFS}\n", matches * 3)
    )
    assert "spec.rules: should have at least 1 items" in only(
        BASE.replace(f"rules:\n  - {BACKEND_REFS}\n", "rules: []\n")
    )


@pytest.mark.parametrize(
    ("refs", "message"),
    [
        ("{name: eg, sectionName: http}, {name: eg}", "parentRefs[1]: sectionName or port must be specified when"),
        ("{name: eg, sectionName: http}, {name: eg, port: 80}", "parentRefs[1]: sectionName or port must be specified"),
        (
            "{name: eg, port: 80}, {name: eg, port: 80}",
            "parentRefs[1]: sectionName or port must be unique when parentR",
        ),
        ("{name: eg}, {name: eg}", "parentRefs[1]: sectionName or port must be unique when parentRefs includes 2 or"),
    ],
)
def test_parents_differ(refs: str, message: str) -> None:
    assert message in only(BASE.replace("parentRefs: [{name: eg}]", f"parentRefs: [{refs}]"))
