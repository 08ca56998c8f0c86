"""Hosts, matches, order and clusters as Envoy Gateway has them."""

from __future__ import annotations

from random import Random

import pytest

from pyproxy.policy import validate
from pyproxy.settings import (
    INVALID_BACKEND,
    Endpoint,
    HeaderAction,
    HeaderMatch,
    HeaderMutation,
    Listener,
    Locality,
    PathMatch,
    PathMatchType,
    QueryParameterMatch,
    Redirect,
    RegexRewrite,
    Route,
    StringMatch,
    StringMatchType,
)
from tests.policy.resources import BASE, loaded, policy

BACKEND = "backendRefs: [{group: gateway.envoyproxy.io, kind: Backend, name: backend}]"


def listener(text: str) -> Listener:
    listeners = loaded(text).settings.listeners
    assert len(listeners) == 1
    return listeners[0]


def hosts(text: str) -> dict[str, list[Route]]:
    return {host.domains[0]: list(host.routes) for host in listener(text).virtual_hosts}


def test_matches_in_the_order_they_are_tried() -> None:
    rules = (
        f"  - matches: [{{path: {{value: /}}}}, {{path: {{value: /long/er/}}}}]\n    {BACKEND}\n"
        f"  - matches: [{{path: {{type: Exact, value: /x}}}}, {{path: {{value: /long}}}}]\n    {BACKEND}\n"
    )
    text = BASE.replace(f"  - {BACKEND}\n", rules)
    routes = hosts(text)["*"]
    assert [route.match for route in routes] == [
        PathMatch(PathMatchType.EXACT, "/x"),
        PathMatch(PathMatchType.PREFIX, "/long/er"),
        PathMatch(PathMatchType.PREFIX, "/long"),
        PathMatch(PathMatchType.PREFIX, "/"),
    ]
    assert routes[0].name == "httproute/default/backend/rule/1/match/0/*"


@pytest.mark.parametrize(
    ("listener_host", "route_hosts", "result"),
    [
        ("", "", {"*"}),
        ("", "[a.example, b.example]", {"a.example", "b.example"}),
        ("a.example", "", {"a.example"}),
        ("a.example", "[a.example, b.example]", {"a.example"}),
        ("'*.example'", "[a.example, x.y.example, other]", {"a.example", "x.y.example"}),
        ("a.b.example", "['*.example']", {"a.b.example"}),
        ("'*.example'", "['*.b.example']", {"*.b.example"}),
    ],
)
def test_hostnames(listener_host: str, route_hosts: str, result: set[str]) -> None:
    text = BASE
    if listener_host:
        text = text.replace("port: 80}", f"port: 80, hostname: {listener_host}}}")
    if route_hosts:
        text = text.replace("parentRefs: [{name: eg}]", f"parentRefs: [{{name: eg}}]\n  hostnames: {route_hosts}")
    assert set(hosts(text)) == result


def test_listeners_of_one_port_are_one_and_keep_their_hosts_apart() -> None:
    text = BASE.replace("port: 80}", "port: 80}\n  - {name: b, protocol: HTTP, port: 80, hostname: b.example}").replace(
        "parentRefs: [{name: eg}]", "parentRefs: [{name: eg}]\n  hostnames: [a.example, b.example]"
    )
    assert {host.name for host in listener(text).virtual_hosts} == {
        "default/eg/http/a_example",
        "default/eg/b/b_example",
    }


def test_a_domain_that_two_listeners_of_a_port_bring_is_there_once() -> None:
    text = BASE.replace(
        "port: 80}", "port: 80}\n  - {name: b, protocol: HTTP, port: 80, hostname: '*.example'}"
    ).replace("parentRefs: [{name: eg}]", "parentRefs: [{name: eg}]\n  hostnames: [a.example, '*.example']")
    one = listener(text)
    assert [(host.name, len(host.routes)) for host in one.virtual_hosts] == [
        ("default/eg/http/a_example", 1),
        ("default/eg/b/*_example", 1),
    ]


def test_routes_of_one_host_come_by_age_then_name() -> None:
    parts = BASE.split("---\n")
    routes = [
        parts[2].replace("{name: backend}\nspec", f"{{name: {name}}}\nspec")
        for name in ("b", "a", "old, creationTimestamp: '2020-01-01T00:00:00Z'")
    ]
    found = hosts("---\n".join([*parts[:2], *routes, parts[3]]))["*"]
    assert [route.name.split("/")[2] for route in found] == ["old", "a", "b"]


def test_a_route_that_names_another_port_is_not_on_this_one() -> None:
    text = BASE.replace("port: 80}", "port: 80}\n  - {name: b, protocol: HTTP, port: 81}").replace(
        "parentRefs: [{name: eg}]", "parentRefs: [{name: eg, port: 81}]"
    )
    assert [len(one.virtual_hosts) for one in loaded(text).settings.listeners] == [0, 1]


def test_backends_by_name() -> None:
    text = BASE.replace("{ip: {address: 127.0.0.1, port: 3000}}", "{fqdn: {hostname: app.example, port: 80}}")
    assert hosts(text)["*"][0].clusters[0][0].endpoints == (Endpoint("app.example", 80),)


REF = "{group: gateway.envoyproxy.io, kind: Backend, name: %s, weight: %d}"
OTHER = """---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: {name: other}
spec: {endpoints: [%s]}
"""


def with_refs(*refs: str, other: str = "{ip: {address: 127.0.0.2, port: 3000}}") -> Route:
    """The route that has these backendRefs."""
    return hosts(BASE.replace(BACKEND, f"backendRefs: [{', '.join(refs)}]") + OTHER % other)["*"][0]


def test_several_backends_are_localities_of_one_cluster() -> None:
    route = with_refs(REF % ("backend", 1), REF % ("backend", 0), REF % ("other", 3))
    ((cluster, _),) = route.clusters
    assert cluster.name == "httproute/default/backend/rule/0"
    assert cluster.localities == (Locality("backend/0", 1), Locality("backend/2", 3))
    assert cluster.endpoints == (Endpoint("127.0.0.1", 3000, 0), Endpoint("127.0.0.2", 3000, 1))


ADDS = "{type: RequestHeaderModifier, requestHeaderModifier: {add: [{name: a, value: b}]}}"


@pytest.mark.parametrize(
    "other",
    [
        REF.replace("}", f", filters: [{ADDS}]}}") % ("other", 3),
        REF % ("names", 3),
    ],
    ids=["filters", "names beside addresses"],
)
def test_backends_that_differ_have_clusters_of_their_own(other: str) -> None:
    names = OTHER.replace("name: other", "name: names") % "{fqdn: {hostname: app.example, port: 80}}"
    text = BASE.replace(BACKEND, f"backendRefs: [{REF % ('backend', 1)}, {other}]")
    clusters = hosts(text + OTHER % "{ip: {address: 127.0.0.2, port: 3000}}" + names)["*"][0].clusters
    prefix = "httproute/default/backend/rule/0/backend"
    assert [(cluster.name, weight) for cluster, weight in clusters] == [(f"{prefix}/0", 1), (f"{prefix}/1", 3)]


def test_the_share_of_a_backend_that_is_not_there_is_invalid() -> None:
    clusters = with_refs(REF % ("backend", 1), REF % ("gone", 2), REF % ("none", 3)).clusters
    assert [(cluster.name, weight) for cluster, weight in clusters] == [
        ("invalid-backend-cluster", 5),
        ("httproute/default/backend/rule/0/backend/0", 1),
    ]
    assert clusters[0][0] is INVALID_BACKEND
    none_there = with_refs(REF % ("gone", 2))
    assert (none_there.clusters, none_there.direct_response) == ((), 500)


@pytest.mark.parametrize("refs", ["backendRefs: []", BACKEND.replace("backend}", "backend, weight: 0}")])
def test_nothing_to_send_a_request_to_is_a_500(refs: str) -> None:
    route = hosts(BASE.replace(BACKEND, refs))["*"][0]
    assert (route.direct_response, route.clusters) == (500, ())


def test_routes_of_another_namespace_only_where_the_listener_lets_them() -> None:
    foreign = BASE.replace("metadata: {name: backend}", "metadata: {name: backend, namespace: other}").replace(
        "parentRefs: [{name: eg}]", "parentRefs: [{name: eg, namespace: default}]"
    )
    allowed = foreign.replace("port: 80}", "port: 80, allowedRoutes: {namespaces: {from: All}}}")
    assert hosts(allowed)["*"][0].name.startswith("httproute/other/backend")


# -- precedence and conditions -----------------------------------------------------------------------------------------


def with_rule(rule: str, *, backend: bool = True, text: str = BASE) -> list[Route]:
    """The routes of a rule of these lines, and behind them its backend."""
    first, *rest = [*rule.splitlines(), *([BACKEND] if backend else [])]
    lines = "".join(f"    {line}\n" for line in rest)
    return hosts(text.replace(f"  - {BACKEND}\n", f"  - {first}\n{lines}"))["*"]


IN_ORDER = [
    "path: {type: Exact, value: /a}, headers: [{name: h, value: x}, {name: i, value: x}]",
    "path: {type: Exact, value: /a}, method: GET, headers: [{name: h, type: RegularExpression, value: x}]",
    "path: {type: Exact, value: /a}, headers: [{name: h, value: x}], queryParams: [{name: p, value: x}]",
    "path: {type: Exact, value: /a}, method: GET",
    "path: {type: Exact, value: /a}, headers: [{name: h, type: RegularExpression, value: x}]",
    "path: {type: Exact, value: /a}, queryParams: [{name: p, value: x}, {name: q, value: x}]",
    "path: {type: Exact, value: /a}, queryParams: [{name: p, value: x}]",
    "path: {type: Exact, value: /a}, queryParams: [{name: p, type: RegularExpression, value: x}]",
    "path: {type: Exact, value: /a}",
    "path: {type: RegularExpression, value: '/a.*'}",
    "path: {type: RegularExpression, value: /a}, headers: [{name: h, value: x}]",
    "path: {type: RegularExpression, value: /a}",
    "path: {value: /abc}",
    "path: {value: /a/}, method: GET",
    "path: {value: /a/}",
    "path: {value: /b}, headers: [{name: h, value: x}]",
    "path: {value: /b}",
    "method: GET",
    "path: {value: /}",
]


@pytest.mark.parametrize("seed", range(5))
def test_precedence(seed: int) -> None:
    shuffled = IN_ORDER.copy()
    Random(seed).shuffle(shuffled)
    routes = with_rule("matches:\n" + "\n".join(f"- {{{match}}}" for match in shuffled))
    order = [shuffled[int(route.name.split("/")[6])] for route in routes]
    assert order == IN_ORDER


def test_conditions() -> None:
    (route,) = with_rule(
        "matches: [{path: {type: RegularExpression, value: '/a+'}, method: PUT, headers: [{name: X-A, value: B}], "
        "queryParams: [{name: Q, type: RegularExpression, value: 'c+'}]}]"
    )
    assert route.match == PathMatch(PathMatchType.REGEX, "/a+")
    assert route.headers == (
        HeaderMatch(b"x-a", StringMatch(StringMatchType.EXACT, "B")),
        HeaderMatch(b":method", StringMatch(StringMatchType.EXACT, "PUT")),
    )
    assert route.query_parameters == (QueryParameterMatch(b"Q", StringMatch(StringMatchType.REGEX, "c+")),)


# -- filters and timeouts ----------------------------------------------------------------------------------------------


def test_headers_are_removed_then_set_then_added_and_a_name_is_written_once() -> None:
    (route,) = with_rule(
        "filters: [{type: ResponseHeaderModifier, responseHeaderModifier: {add: [{name: A, value: 50%%}, {name: a, "
        "value: late}], set: [{name: b, value: x}, {name: a, value: other}], remove: [C, c, b]}}]"
    )
    assert route.response_headers == (
        HeaderMutation(HeaderAction.REMOVE, b"c"),
        HeaderMutation(HeaderAction.REMOVE, b"b"),
        HeaderMutation(HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"b", b"x"),
        HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"a", b"50%"),
    )
    assert route.request_headers == ()


@pytest.mark.parametrize(
    ("path", "prefix", "regex"),
    [
        ("type: ReplaceFullPath, replaceFullPath: /x", None, RegexRewrite("^/.*$", "/x")),
        ("type: ReplacePrefixMatch, replacePrefixMatch: /x", "/x", None),
        ("type: ReplacePrefixMatch, replacePrefixMatch: /x/", "/x", None),
        ("type: ReplacePrefixMatch, replacePrefixMatch: /", None, RegexRewrite(r"^/a\/*", "/")),
        ("type: ReplacePrefixMatch, replacePrefixMatch: ''", None, RegexRewrite(r"^/a\/*", "/")),
    ],
)
def test_rewrites(path: str, prefix: str | None, regex: RegexRewrite | None) -> None:
    rewrite = f"{{type: URLRewrite, urlRewrite: {{hostname: h, path: {{{path}}}}}}}"
    (route,) = with_rule(f"matches: [{{path: {{value: /a}}}}]\nfilters: [{rewrite}]")
    assert (route.host_rewrite, route.prefix_rewrite, route.regex_rewrite) == ("h", prefix, regex)


@pytest.mark.parametrize(
    ("port", "fields", "redirect"),
    [
        (80, "", Redirect(302)),
        (80, "scheme: https, statusCode: 301", Redirect(301, scheme="https")),
        (80, "port: 8080, hostname: o", Redirect(302, port=8080, host="o")),
        (8080, "", Redirect(302, port=8080)),
        (8080, "port: 80", Redirect(302)),
        (8080, "scheme: https", Redirect(302, scheme="https")),
        (8080, "path: {type: ReplaceFullPath, replaceFullPath: /x}", Redirect(302, port=8080, path="/x")),
        (
            80,
            "path: {type: ReplacePrefixMatch, replacePrefixMatch: /x/}",
            Redirect(302, prefix_rewrite="/x/"),
        ),
        (
            80,
            "path: {type: ReplacePrefixMatch, replacePrefixMatch: /}",
            Redirect(302, regex_rewrite=RegexRewrite(r"^/a\/*", "/")),
        ),
    ],
)
def test_redirects(port: int, fields: str, redirect: Redirect) -> None:
    (route,) = with_rule(
        f"matches: [{{path: {{value: /a}}}}]\nfilters: [{{type: RequestRedirect, requestRedirect: {{{fields}}}}}]",
        backend=False,
        text=BASE.replace("port: 80}", f"port: {port}}}"),
    )
    assert (route.redirect, route.clusters, route.direct_response) == (redirect, (), None)


@pytest.mark.parametrize(
    ("timeouts", "timeout", "idle_timeout"),
    [
        ("{}", 15, None),
        ("{request: 5s}", 5, 3600),
        ("{request: 5s, backendRequest: 1500ms}", 1.5, 3600),
        ("{request: 2h}", 7200, 7200),
        ("{request: 0s}", 0, 0),
    ],
)
def test_timeouts(timeouts: str, timeout: float, idle_timeout: float | None) -> None:
    (route,) = with_rule(f"timeouts: {timeouts}")
    assert (route.timeout, route.idle_timeout) == (timeout, idle_timeout)


def test_the_policys_stream_idle_timeout_goes_before_a_routes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validate, "find_refused", lambda spec: iter(()))
    text = BASE + "---\n" + policy("timeout: {http: {streamIdleTimeout: 1m}}")
    (route,) = with_rule("timeouts: {request: 5s}", text=text)
    assert (route.timeout, route.idle_timeout) == (5, None)
