"""What filters make of requests, responses and locations. Every expectation is what Envoy 1.40 was seen to do."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyproxy.proxy.route_filters import CompiledRedirect, RouteFilters, compile_rewrite
from pyproxy.settings import (
    Cluster,
    Endpoint,
    HeaderAction,
    HeaderMutation,
    PathMatch,
    PathMatchType,
    Redirect,
    RegexRewrite,
    Route,
)
from pyproxy.wire.messages import Headers

PREFIX = PathMatch(PathMatchType.PREFIX, "/api")
CLUSTER = Cluster("c", (Endpoint("127.0.0.1", 1),))
PLAIN = Route("r", PREFIX, ((CLUSTER, 1),))


def add(name: bytes, value: bytes) -> HeaderMutation:
    return HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, name, value)


def overwrite(name: bytes, value: bytes) -> HeaderMutation:
    return HeaderMutation(HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, name, value)


def test_no_filter_changes_nothing() -> None:
    filters = RouteFilters(PLAIN, CLUSTER)
    assert not filters.changes_request
    assert not filters.changes_response


def test_a_backends_changes_come_before_its_routes() -> None:
    cluster = replace(CLUSTER, request_headers=(add(b"x", b"backend"),), response_headers=(overwrite(b"y", b"b"),))
    route = replace(PLAIN, request_headers=(add(b"x", b"route"),), response_headers=(overwrite(b"y", b"r"),))
    filters = RouteFilters(route, cluster)
    assert filters.request(b"/", b"h", [], suppress_envoy_headers=True)[2] == [(b"x", b"backend"), (b"x", b"route")]
    assert filters.response([(b"y", b"0")]) == [(b"y", b"r")]


def request(
    route: Route, headers: Headers, *, suppress: bool, path: bytes = b"/api/v1?q"
) -> tuple[bytes, bytes, Headers]:
    return RouteFilters(route).request(path, b"h.example:80", list(headers), suppress_envoy_headers=suppress)


def test_the_host_is_rewritten_before_the_path() -> None:
    route = replace(PLAIN, host_rewrite="other", prefix_rewrite="/v2")
    assert request(route, [(b"a", b"1")], suppress=False) == (
        b"/v2/v1?q",
        b"other",
        [
            (b"a", b"1"),
            (b"x-envoy-original-host", b"h.example:80"),
            (b"x-forwarded-host", b"h.example:80"),
            (b"x-envoy-original-path", b"/api/v1?q"),
        ],
    )
    assert request(route, [], suppress=True)[2] == [(b"x-forwarded-host", b"h.example:80")]


@pytest.mark.parametrize(
    ("sent", "value"),
    [
        (b"a", b"a,h.example:80"),
        (b"h.example:80", b"h.example:80"),
        (b"a,h.example:80", b"a,h.example:80"),
        (b"h.example:80,a", b"h.example:80,a,h.example:80"),
        (b"", b"h.example:80"),
    ],
)
def test_a_forwarded_host_is_appended_once(sent: bytes, value: bytes) -> None:
    route = replace(PLAIN, host_rewrite="other")
    assert request(route, [(b"x-forwarded-host", sent)], suppress=True)[2] == [(b"x-forwarded-host", value)]


def test_headers_are_changed_before_the_host_is() -> None:
    route = replace(PLAIN, host_rewrite="other", request_headers=(overwrite(b"x-forwarded-host", b"mine"),))
    assert request(route, [], suppress=True)[2] == [(b"x-forwarded-host", b"mine,h.example:80")]


@pytest.mark.parametrize(
    ("prefix", "regex", "path", "rewritten"),
    [
        ("/v2", None, b"/api/x?y=/api", b"/v2/x?y=/api"),
        ("", None, b"/api/x", b"/x"),
        (None, RegexRewrite(r"^/api\/*", "/"), b"/api//x?y", b"/x?y"),
        (None, RegexRewrite(r"^/api\/*", "/"), b"/api?/api", b"/?/api"),
        (None, RegexRewrite("^/.*$", "/all"), b"/api/x?y", b"/all?y"),
    ],
)
def test_rewrites(prefix: str | None, regex: RegexRewrite | None, path: bytes, rewritten: bytes) -> None:
    rewrite = compile_rewrite(PREFIX, prefix, regex)
    assert rewrite is not None
    assert rewrite(path) == rewritten


def test_an_empty_substitution_is_none() -> None:
    assert compile_rewrite(PREFIX, None, RegexRewrite("^/.*$", "")) is None


def location(redirect: Redirect, path: bytes = b"/api/x?q=1", authority: bytes = b"h", proto: bytes = b"http") -> bytes:
    return CompiledRedirect(redirect, PREFIX).location(proto, authority, path)


@pytest.mark.parametrize(
    ("redirect", "wanted"),
    [
        (Redirect(302), b"http://h/api/x?q=1"),
        (Redirect(302, scheme="https", host="o.example", port=8443), b"https://o.example:8443/api/x?q=1"),
        (Redirect(302, path="/new"), b"http://h/new?q=1"),
        (Redirect(302, path="/new?own"), b"http://h/new?own"),
        (Redirect(302, path="new"), b"http://h/new?q=1"),
        (Redirect(302, path=""), b"http://h/api/x?q=1"),
        (Redirect(302, prefix_rewrite="/v2"), b"http://h/v2/x?q=1"),
        (Redirect(302, prefix_rewrite="v2/"), b"http://h/v2//x?q=1"),
        (Redirect(302, regex_rewrite=RegexRewrite(r"^/api\/*", "/")), b"http://h/x?q=1"),
    ],
)
def test_locations(redirect: Redirect, wanted: bytes) -> None:
    assert location(redirect) == wanted


@pytest.mark.parametrize(
    ("redirect", "authority", "proto", "origin"),
    [
        (Redirect(302), b"h:80", b"http", b"http://h:80"),
        (Redirect(302), b"h:8080", b"http", b"http://h:8080"),
        (Redirect(302, port=81), b"h:8080", b"http", b"http://h:81"),
        (Redirect(302, port=81), b"[::1]:8080", b"http", b"http://[::1]:81"),
        (Redirect(302), b"[::1]", b"http", b"http://[::1]"),
        (Redirect(302, scheme="https"), b"h:80", b"http", b"https://h"),
        (Redirect(302, scheme="https"), b"h:8080", b"http", b"https://h:8080"),
        (Redirect(302, scheme="https"), b"h:443", b"https", b"https://h:443"),
        (Redirect(302, scheme="http"), b"h:443", b"https", b"http://h"),
        (Redirect(302), b"h", b"https", b"https://h"),
        (Redirect(302), b"h:443", b"HTTPS", b"https://h"),
        (Redirect(302), b"h", b"ftp", b"http://h"),
    ],
)
def test_which_scheme_host_and_port(redirect: Redirect, authority: bytes, proto: bytes, origin: bytes) -> None:
    assert location(redirect, b"/", authority, proto) == origin + b"/"


def test_the_request_keeps_its_path_but_for_a_prefix() -> None:
    assert CompiledRedirect(Redirect(302, path="/new"), PREFIX).rewritten(b"/api?q") == b"/api?q"
    assert CompiledRedirect(Redirect(302, prefix_rewrite="/v2"), PREFIX).rewritten(b"/api?q") == b"/v2?q"
