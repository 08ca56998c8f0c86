"""Hosts, paths and conditions to routes."""

from __future__ import annotations

import re
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.proxy.route import CompiledRoute, HostRoutes, RouteTable, first_parameter, strip_port
from pyproxy.settings import (
    Cluster,
    Endpoint,
    HeaderMatch,
    PathMatch,
    PathMatchType,
    QueryParameterMatch,
    Route,
    StringMatch,
    StringMatchType,
    VirtualHost,
)

CLUSTER = Cluster("c", (Endpoint("127.0.0.1", 1),))


class Request:
    """A request by its headers."""

    def __init__(self, *headers: tuple[bytes, bytes]) -> None:
        self.headers = headers

    def header_values(self, name: bytes) -> list[bytes]:
        return [value for found, value in self.headers if found == name]


def route(name: str, value: str = "/", kind: PathMatchType = PathMatchType.PREFIX) -> Route:
    return Route(name, PathMatch(kind, value), ((CLUSTER, 1),))


TABLE = RouteTable(
    [
        VirtualHost(
            "exact",
            ("www.example.com",),
            (route("is", "/is", PathMatchType.EXACT), route("api", "/api"), route("root")),
        ),
        VirtualHost("wide", ("*.example.com",), (route("wide"),)),
        VirtualHost("wider", ("*.com",), (route("wider"),)),
        VirtualHost("other", ("other.example.org",), (route("other", "/only"),)),
    ]
)


@pytest.mark.parametrize(
    ("authority", "path", "name"),
    [
        (b"www.example.com", b"/", "root"),
        (b"WWW.Example.COM:8080", b"/x", "root"),
        (b"www.example.com", b"/is", "is"),
        (b"www.example.com", b"/is?x", "is"),
        (b"www.example.com", b"/is/", "root"),
        (b"www.example.com", b"/api", "api"),
        (b"www.example.com", b"/api/v1?x", "api"),
        (b"www.example.com", b"/api?x", "api"),
        (b"www.example.com", b"/apis", "root"),
        (b"a.b.example.com", b"/", "wide"),
        (b"example.com", b"/", "wider"),
        (b".example.com", b"/", "wider"),
        (b"www.example.com.", b"/", None),
        (b"example.net", b"/", None),
        (b"other.example.org", b"/", None),
        (b"other.example.org", b"/only/this", "other"),
        (b"", b"/", None),
        (b".".join([b"a"] * 20_000) + b".example.com", b"/", "wide"),
    ],
)
def test_match(authority: bytes, path: bytes, name: str | None) -> None:
    found = TABLE.match(authority, path, Request())
    assert (found.name if found else None) == name


def test_a_table_for_every_host() -> None:
    table = RouteTable([VirtualHost("all", ("*",), (route("all"),))])
    found = table.match(b"anything", b"/", Request())
    assert found is not None
    assert found.name == "all"


@pytest.mark.parametrize(
    ("authority", "host"),
    [(b"a:80", b"a"), (b"a", b"a"), (b"[::1]:80", b"[::1]"), (b"[::1]", b"[::1]"), (b"a:b", b"a"), (b"a:", b"a")],
)
def test_strip_port(authority: bytes, host: bytes) -> None:
    assert strip_port(authority) == host


def test_weights_decide_how_often() -> None:
    clusters = tuple((Cluster(name, (Endpoint("127.0.0.1", 1),)), weight) for name, weight in (("a", 1), ("b", 3)))
    compiled = CompiledRoute(Route("r", PathMatch(PathMatchType.PREFIX, "/"), clusters))
    random = Random(1)
    picked = [compiled.pick(random).cluster.name for _ in range(4000)]
    assert 0.22 < picked.count("a") / len(picked) < 0.28


def test_what_a_route_says_about_its_timeout() -> None:
    assert CompiledRoute(route("r")).timeout.expected == b"15000"
    none = Route("r", PathMatch(PathMatchType.PREFIX, "/"), ((CLUSTER, 1),), timeout=0)
    assert CompiledRoute(none).timeout.expected is None


# -- conditions --------------------------------------------------------------------------------------------------------


def exact(value: str) -> StringMatch:
    return StringMatch(StringMatchType.EXACT, value)


def conditional(
    headers: tuple[HeaderMatch, ...] = (), parameters: tuple[QueryParameterMatch, ...] = ()
) -> CompiledRoute:
    path = PathMatch(PathMatchType.PREFIX, "/")
    return CompiledRoute(Route("r", path, ((CLUSTER, 1),), headers=headers, query_parameters=parameters))


def test_any_line_of_a_header_may_meet_its_condition_and_all_conditions_count() -> None:
    compiled = conditional((HeaderMatch(b"a", exact("1")), HeaderMatch(b"b", StringMatch(StringMatchType.REGEX, "x+"))))
    assert compiled.holds(Request((b"a", b"0"), (b"a", b"1"), (b"b", b"xx")), b"")
    assert not compiled.holds(Request((b"a", b"0,1"), (b"b", b"xx")), b"")
    assert not compiled.holds(Request((b"a", b"1"), (b"b", b"xxy")), b"")
    assert not compiled.holds(Request((b"a", b"1")), b"")


def test_the_first_query_parameter_of_a_name_counts() -> None:
    compiled = conditional(parameters=(QueryParameterMatch(b"q", exact("1")),))
    assert compiled.holds(Request(), b"p=2&q=1&q=2")
    assert not compiled.holds(Request(), b"q=2&q=1")
    assert not compiled.holds(Request(), b"")


@pytest.mark.parametrize(
    ("query", "value"),
    [
        (b"a=1", b"1"),
        (b"a", b""),
        (b"a=", b""),
        (b"a=%31+", b"%31+"),
        (b"a=1=2", b"1=2"),
        (b"b&&a=1", b"1"),
        (b"%61=1", None),
        (b"", None),
    ],
)
def test_first_parameter(query: bytes, value: bytes | None) -> None:
    assert first_parameter(query, b"a") == value


# -- the tables find what a scan finds ---------------------------------------------------------------------------------

SEGMENTS = st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3)
PATHS = SEGMENTS.map(lambda segments: "/" + "/".join(segments))
PATTERNS = st.sampled_from(["/", "/a", "/a.*", ".*b", "/[ab]+/a(/.*)?", "/(a|b)/?", ".*"])
MATCHES = st.one_of(
    PATHS.map(lambda path: PathMatch(PathMatchType.EXACT, path)),
    (PATHS | st.just("/")).map(lambda path: PathMatch(PathMatchType.PREFIX, path)),
    PATTERNS.map(lambda pattern: PathMatch(PathMatchType.REGEX, pattern)),
)
VALUES = st.sampled_from(["0", "1"])


@st.composite
def any_routes(draw: st.DrawFn) -> list[Route]:
    """Routes in any order, not only in that which Envoy Gateway writes."""
    routes = []
    for index, match in enumerate(draw(st.lists(MATCHES, max_size=12))):
        names = draw(st.sets(st.sampled_from(["h", "i"]), max_size=2)) if draw(st.booleans()) else ()
        parameters = draw(st.sets(st.sampled_from(["p", "q"]), max_size=1)) if draw(st.booleans()) else ()
        routes.append(
            Route(
                str(index),
                match,
                ((CLUSTER, 1),),
                headers=tuple(HeaderMatch(name.encode(), exact(draw(VALUES))) for name in sorted(names)),
                query_parameters=tuple(
                    QueryParameterMatch(name.encode(), exact(draw(VALUES))) for name in sorted(parameters)
                ),
            )
        )
    return routes


def takes(match: PathMatch, path: str) -> bool:
    if match.type is PathMatchType.EXACT:
        return path == match.value
    if match.type is PathMatchType.PREFIX:
        return path == match.value or path.startswith(match.value.removesuffix("/") + "/")
    return re.fullmatch(match.value, path) is not None


def scan(routes: list[Route], path: str, query: dict[str, str], headers: dict[str, str]) -> str | None:
    """The first route, from the first to the last, whose conditions all hold."""
    for one in routes:
        if (
            takes(one.match, path)
            and all(headers.get(match.name.decode()) == match.value.value for match in one.headers)
            and all(query.get(match.name.decode()) == match.value.value for match in one.query_parameters)
        ):
            return one.name
    return None


@given(
    any_routes(),
    PATHS | st.sampled_from(["/a/", "/a/b/", "//", "/abc", "/a/b/ab/b/a"]),
    st.dictionaries(st.sampled_from(["p", "q"]), VALUES, max_size=2),
    st.dictionaries(st.sampled_from(["h", "i"]), VALUES, max_size=2),
)
def test_the_tables_find_the_route_that_a_scan_finds(
    routes: list[Route], path: str, query: dict[str, str], headers: dict[str, str]
) -> None:
    host = HostRoutes(routes)
    request = Request(*((name.encode(), value.encode()) for name, value in headers.items()))
    text = path + ("?" + "&".join(f"{name}={value}" for name, value in query.items()) if query else "")
    found = host.only or host.match(text.encode(), request)
    assert (found.name if found is not None else None) == scan(routes, path, query, headers)


LABELS = st.lists(st.sampled_from(["a", "b", "ab"]), min_size=1, max_size=4).map(".".join)


@given(st.sets(LABELS | LABELS.map(lambda host: f"*.{host}") | st.just("*")), LABELS)
def test_the_table_of_hosts_finds_what_fits_best(domains: set[str], host: str) -> None:
    table = RouteTable([VirtualHost(domain, (domain,), (route(domain),)) for domain in sorted(domains)])
    fitting = [domain for domain in domains if domain == host or (domain[0] == "*" and host.endswith(domain[1:]))]
    found = table.match(host.encode(), b"/", Request())
    best = max(fitting, key=lambda domain: (domain == host, len(domain)), default=None)
    assert (found.name if found is not None else None) == best
