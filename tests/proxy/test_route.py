"""Hosts and paths to routes."""

from __future__ import annotations

from random import Random

import pytest

from pyproxy.proxy.route import CompiledRoute, RouteTable, strip_port
from pyproxy.settings import Cluster, Endpoint, PathMatch, PathMatchType, Route, VirtualHost

CLUSTER = Cluster("c", (Endpoint("127.0.0.1", 1),))


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
    ],
)
def test_match(authority: bytes, path: bytes, name: str | None) -> None:
    found = TABLE.match(authority, path)
    assert (found.name if found else None) == name


def test_a_table_for_every_host() -> None:
    table = RouteTable([VirtualHost("all", ("*",), (route("all"),))])
    found = table.match(b"anything", b"/")
    assert found is not None
    assert found.name == "all"


@pytest.mark.parametrize(
    ("authority", "host"),
    [(b"a:80", b"a"), (b"a", b"a"), (b"[::1]:80", b"[::1]"), (b"[::1]", b"[::1]"), (b"a:b", b"a:b"), (b"a:", b"a:")],
)
def test_strip_port(authority: bytes, host: bytes) -> None:
    assert strip_port(authority) == host


def test_weights_decide_how_often() -> None:
    clusters = tuple((Cluster(name, (Endpoint("127.0.0.1", 1),)), weight) for name, weight in (("a", 1), ("b", 3)))
    compiled = CompiledRoute(Route("r", PathMatch(PathMatchType.PREFIX, "/"), clusters))
    random = Random(1)
    picked = [compiled.pick(random).name for _ in range(4000)]
    assert 0.22 < picked.count("a") / len(picked) < 0.28


def test_what_a_route_says_about_its_timeout() -> None:
    assert CompiledRoute(route("r")).expected_timeout == b"15000"
    none = Route("r", PathMatch(PathMatchType.PREFIX, "/"), ((CLUSTER, 1),), timeout=0)
    assert CompiledRoute(none).expected_timeout is None
