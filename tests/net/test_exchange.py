"""What a route does to a request and its response, on real sockets, and what the access log then says."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from pyproxy.observe.request_log import RequestLog
from pyproxy.settings import (
    INVALID_BACKEND,
    Cluster,
    Endpoint,
    HeaderAction,
    HeaderMatch,
    HeaderMutation,
    Listener,
    PathMatch,
    PathMatchType,
    Redirect,
    Route,
    StringMatch,
    StringMatchType,
    VirtualHost,
)
from tests.support.scenario import GET, OK, Client, answer_all, backend, proxy, run, settings_for

ROOT = PathMatch(PathMatchType.PREFIX, "/")
ADD_A = HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"a", b"1")


def with_routes(*routes: Route) -> Listener:
    return replace(settings_for(), virtual_hosts=(VirtualHost("all", ("*",), routes),))


def to(endpoint: Endpoint, **fields: Any) -> Route:
    return Route("route", fields.pop("match", ROOT), ((Cluster("cluster", (endpoint,)), 1),), **fields)


async def ask(settings: Listener, request: bytes, end: bytes, **http: Any) -> tuple[bytes, RequestLog]:
    """The response up to ``end``, and what was logged of it."""
    async with proxy(settings, **http) as served:
        async with Client(served.address) as client:
            await client.send(request)
            response = await client.until(end)
        return response, served.log.records[0]


def test_a_rewritten_request_and_a_filtered_response(loop_name: str) -> None:
    async def main() -> None:
        heads: list[bytes] = []

        async def keep(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(OK)
            await reader.read()

        async with backend(keep) as endpoint:
            route = to(
                endpoint,
                match=PathMatch(PathMatchType.PREFIX, "/old"),
                request_headers=(ADD_A,),
                response_headers=(ADD_A,),
                host_rewrite="inside",
                prefix_rewrite="/new",
            )
            request = b"GET /old/x?y HTTP/1.1\r\nHost: outside\r\n\r\n"
            response, record = await ask(with_routes(route), request, b"ok", suppress_envoy_headers=False)
        assert heads[0].startswith(b"GET /new/x?y HTTP/1.1\r\nhost: inside\r\n")
        assert b"\r\na: 1\r\nx-envoy-original-host: outside\r\nx-forwarded-host: outside\r\n" in heads[0]
        assert heads[0].endswith(b"x-envoy-original-path: /old/x?y\r\n\r\n")
        assert b"\r\na: 1\r\n" in response
        assert (record.path, record.authority) == (b"/new/x?y", b"inside")
        lines = [b"%b: %b" % header for header in record.forwarded_headers]
        assert [b"host: inside", *lines] == heads[0].split(b"\r\n")[1:-2]

    run(main, loop_name)


def test_a_redirect(loop_name: str) -> None:
    async def main() -> None:
        route = Route(
            "route", ROOT, redirect=Redirect(301, scheme="https", prefix_rewrite="/s/"), response_headers=(ADD_A,)
        )
        response, record = await ask(with_routes(route), b"GET /x?y HTTP/1.1\r\nHost: h:80\r\n\r\n", b"\r\n\r\n")
        assert response.startswith(b"HTTP/1.1 301 Moved Permanently\r\nlocation: https://h/s/x?y\r\na: 1\r\n")
        assert (record.response_code, record.response_code_details) == (301, "direct_response")
        assert (record.path, record.upstream_cluster) == (b"/s/x?y", None)

    run(main, loop_name)


def test_the_share_of_a_backend_that_is_not_there(loop_name: str) -> None:
    async def main() -> None:
        route = Route("route", ROOT, ((INVALID_BACKEND, 1),), response_headers=(ADD_A,))
        response, record = await ask(with_routes(route), GET, b"\r\n\r\n")
        assert response.startswith(b"HTTP/1.1 500 Internal Server Error\r\na: 1\r\n")
        assert (record.response_flags, record.response_code_details) == ("NC", "cluster_not_found")
        assert (record.upstream_cluster, record.route_name) == (None, "route")

    run(main, loop_name)


def test_conditions_see_the_headers_that_the_proxy_adds(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint:
            exact = StringMatch(StringMatchType.EXACT, "http")
            settings = with_routes(
                to(endpoint, headers=(HeaderMatch(b"x-forwarded-proto", exact),)),
                Route("none", ROOT, direct_response=500),
            )
            lying = GET.replace(b"Host", b"X-Forwarded-Proto: https\r\nHost")
            response, _ = await ask(settings, lying, b"ok")
        assert response.startswith(b"HTTP/1.1 200")

    run(main, loop_name)


UPGRADE = GET.replace(b"Host", b"Connection: Upgrade\r\nUpgrade: websocket\r\nHost")


def test_an_upgrade_is_filtered_and_then_a_tunnel(loop_name: str) -> None:
    async def main() -> None:
        async def switch(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            assert b"\r\na: 1\r\n" in await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            writer.write(await reader.readexactly(4))
            await reader.read()

        async with backend(switch) as endpoint:
            settings = with_routes(to(endpoint, request_headers=(ADD_A,), response_headers=(ADD_A,)))
            async with proxy(settings) as served, Client(served.address) as client:
                await client.send(UPGRADE)
                assert b"\r\na: 1\r\n" in await client.until(b"\r\n\r\n")
                await client.send(b"ping")
                assert await client.until(b"ping") == b"ping"

    run(main, loop_name)


def test_an_upgrade_where_there_is_no_backend(loop_name: str) -> None:
    async def main() -> None:
        for route in (Route("r", ROOT, redirect=Redirect(302)), Route("r", ROOT, direct_response=500)):
            response, record = await ask(with_routes(route), UPGRADE, b"\r\n\r\n")
            assert response.startswith(b"HTTP/1.1 403 Forbidden\r\n")
            assert record.response_code_details == "upgrade_failed"

    run(main, loop_name)


def test_a_routes_filters_are_for_every_reply_once_it_forwards(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint:
            settings = with_routes(to(endpoint, response_headers=(ADD_A,)))
            request = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n"
            response, _ = await ask(settings, request, b"Bad Request")
            assert response.startswith(b"HTTP/1.1 400 Bad Request\r\na: 1\r\n")
            response, _ = await ask(settings, GET, b"\r\n\r\n", health_check_path=b"/")
            assert response.startswith(b"HTTP/1.1 200 OK\r\na: 1\r\n")

    run(main, loop_name)
