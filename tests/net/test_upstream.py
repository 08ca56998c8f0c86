"""Connections to backends: made, reused, and given up."""

from __future__ import annotations

import asyncio
import socket
import threading
from dataclasses import replace
from typing import Any

import pytest

from pyproxy.net import hosts
from pyproxy.settings import Endpoint, Listener
from tests.support.scenario import (
    GET,
    OK,
    Client,
    Log,
    answer_all,
    backend,
    eventually,
    http_listener,
    proxy,
    run,
    settings_for,
)


def held_look_ups(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Let names be looked up, each with 127.0.0.1 for its address, only once the event is set."""
    answered = threading.Event()
    look_up = socket.getaddrinfo

    def slow(*args: Any, **kwargs: Any) -> Any:
        answered.wait(10)
        return look_up("127.0.0.1", *args[1:], **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", slow)
    return answered


def test_a_connection_is_reused(loop_name: str) -> None:
    async def main() -> None:
        connections = 0

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await answer_all(reader, writer)

        async with backend(count) as endpoint, proxy(settings_for(endpoint)) as served:
            for _ in range(3):
                async with Client(served.address) as client:
                    for _ in range(3):
                        await client.send(GET)
                        await client.until(b"ok")
            assert connections == 1

    run(main, loop_name)


def test_a_backend_that_closes_behind_each_response_unannounced(loop_name: str) -> None:
    async def main() -> None:
        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)

        async with backend(once) as endpoint, proxy(settings_for(endpoint)) as served:
            async with Client(served.address) as client:
                for _ in range(200):
                    await client.send(GET)
                    assert (await client.until(b"ok")).startswith(b"HTTP/1.1 200")

    run(main, loop_name)


def test_nobody_listens(loop_name: str) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        async with proxy(settings_for(Endpoint("127.0.0.1", port))) as served, Client(served.address) as client:
            await client.send(GET)
            reply = await client.until(b"remote connection failure")
            assert reply.startswith(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 98\r\n")
            record = served.log.records[0]
            assert record.response_flags == "UF"
            assert record.upstream_transport_failure_reason == "delayed_connect_error:_Connection_refused"

    run(main, loop_name)


def test_a_connection_that_takes_too_long(loop_name: str) -> None:
    async def main() -> None:
        # A full backlog: the kernel drops further SYNs.
        with socket.socket() as full, socket.socket() as first, socket.socket() as second:
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for filler in (first, second):
                filler.setblocking(False)
                filler.connect_ex(full.getsockname())
            endpoint = Endpoint("127.0.0.1", full.getsockname()[1])
            async with proxy(settings_for(endpoint, connect_timeout=0.1)) as served:
                async with Client(served.address) as client:
                    await client.send(GET)
                    assert (await client.until(b"connection timeout")).startswith(b"HTTP/1.1 503")

    run(main, loop_name)


def test_a_client_that_goes_while_connecting_costs_nothing(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint, proxy(settings_for(endpoint)) as served:
            for _ in range(20):
                async with Client(served.address) as client:
                    await client.send(GET)
            await eventually(lambda: not served.listener.connections)
            async with Client(served.address) as client:
                await client.send(GET)
                await client.until(b"ok")

    run(main, loop_name)


def test_names_are_resolved(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint:
            async with proxy(settings_for(Endpoint("localhost", endpoint.port))) as served:
                async with Client(served.address) as client:
                    await client.send(GET)
                    await client.until(b"ok")

    run(main, loop_name)


def test_a_name_that_is_none(loop_name: str) -> None:
    async def main() -> None:
        async with proxy(settings_for(Endpoint("no-such-name.invalid", 80))) as served:
            async with Client(served.address) as client:
                await client.send(GET)
                reply = await client.until(b"no healthy upstream")
                assert reply.startswith(b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 19\r\n")
                await client.send(GET)  # now without waiting for an answer
                await client.until(b"no healthy upstream")
            record = served.log.records[1]
            assert (record.response_flags, record.response_code_details) == ("UH", "no_healthy_upstream")
            assert (record.upstream_host, record.upstream_cluster) == (None, "cluster")

    run(main, loop_name)


def test_a_client_that_goes_while_its_name_is_looked_up_costs_nothing(
    loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        answered = held_look_ups(monkeypatch)
        async with backend(answer_all) as endpoint:
            async with proxy(settings_for(Endpoint("app.test", endpoint.port))) as served:
                async with Client(served.address) as client:
                    await client.send(GET)
                    await eventually(lambda: bool(served.listener.connections))
                await eventually(lambda: not served.listener.connections)
                async with Client(served.address) as client:
                    await client.send(GET)
                    answered.set()
                    await client.until(b"ok")

    run(main, loop_name)


def test_connections_to_an_address_that_a_name_has_no_more_end(loop_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        open_connections, address = 0, "127.0.0.1"
        go_on = asyncio.Event()

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal open_connections
            open_connections += 1
            try:
                while b"/slow" not in await reader.readuntil(b"\r\n\r\n"):
                    writer.write(OK)
                await go_on.wait()
                writer.write(OK)
                await reader.read()
            finally:
                open_connections -= 1

        look_up = socket.getaddrinfo
        monkeypatch.setattr(socket, "getaddrinfo", lambda name, *more, **most: look_up(address, *more, **most))
        monkeypatch.setattr(hosts, "REFRESH", 0.01)
        async with backend(count) as endpoint:
            async with proxy(settings_for(Endpoint("app.test", endpoint.port))) as served:
                async with Client(served.address) as idle, Client(served.address) as busy:
                    await busy.send(GET.replace(b"/", b"/slow", 1))
                    await eventually(lambda: open_connections == 1)
                    await idle.send(GET)
                    await idle.until(b"ok")
                    assert open_connections == 2
                    address = "127.0.0.2"
                    await eventually(lambda: open_connections == 1)
                    await idle.send(GET)
                    await idle.until(b"reset reason: remote connection failure")
                    go_on.set()
                    await busy.until(b"ok")
                    await eventually(lambda: open_connections == 0)

    run(main, loop_name)


def test_several_endpoints_share_the_work(loop_name: str) -> None:
    async def main() -> None:
        counts = [0, 0]

        def counting(index: int):  # type: ignore[no-untyped-def]  # a handler, as backend() says
            async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
                while True:
                    await reader.readuntil(b"\r\n\r\n")
                    counts[index] += 1
                    writer.write(OK)

            return handle

        async with backend(counting(0)) as one, backend(counting(1)) as other:
            async with proxy(settings_for(one, other)) as served, Client(served.address) as client:
                for _ in range(100):
                    await client.send(GET)
                    await client.until(b"ok")
        assert sum(counts) == 100
        assert min(counts) > 20

    run(main, loop_name)


def test_a_backend_that_talks_unasked_loses_its_connection(loop_name: str) -> None:
    async def main() -> None:
        ended = asyncio.Event()

        async def chatty(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK)
            await asyncio.sleep(0.05)
            writer.write(b"and another thing")
            await reader.read()
            ended.set()

        async with backend(chatty) as endpoint, proxy(settings_for(endpoint)) as served:
            async with Client(served.address) as client:
                await client.send(GET)
                await client.until(b"ok")
                await asyncio.wait_for(ended.wait(), 5)

    run(main, loop_name)


@pytest.mark.parametrize("size", [20_000_000])
def test_a_client_that_does_not_read_stops_the_backend(loop_name: str, size: int) -> None:
    async def main() -> None:
        sent = 0

        async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size)
            block = b"x" * 100_000
            while sent < size:
                writer.write(block)
                await writer.drain()
                sent += len(block)
            await reader.read()

        async with backend(pour) as endpoint, proxy(settings_for(endpoint)) as served:
            async with Client(served.address) as client:
                await client.send(GET)
                before = -1
                while sent != before:
                    before = sent
                    await asyncio.sleep(0.1)
                assert sent < size
                received = len(await client.receive())
                while received < size:
                    received += len(await client.receive(1 << 20))
                assert sent == size

    run(main, loop_name)


def test_a_backend_that_does_not_read_stops_the_client(loop_name: str) -> None:
    async def main() -> None:
        size, go_on = 20_000_000, asyncio.Event()

        async def lazy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await go_on.wait()
            await reader.readexactly(size)
            writer.write(OK)
            await reader.read()

        async with backend(lazy) as endpoint, proxy(settings_for(endpoint)) as served:
            async with Client(served.address) as client:
                sending = asyncio.ensure_future(
                    client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % size + b"x" * size)
                )
                await asyncio.sleep(0.3)
                assert not sending.done()
                go_on.set()
                await sending
                assert (await client.until(b"ok")).startswith(b"HTTP/1.1 200")
                assert served.log.records[0].bytes_received == size

    run(main, loop_name)


def test_a_request_sent_before_its_upstream_is_there(loop_name: str) -> None:
    async def main() -> None:
        body = b"y" * 300_000

        async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            assert await reader.readexactly(len(body)) == body
            writer.write(OK)
            await reader.read()

        async with backend(take) as endpoint, proxy(settings_for(endpoint)) as served:
            async with Client(served.address) as client:
                await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                await client.until(b"ok")

    run(main, loop_name)


# -- circuit breakers ------------------------------------------------------------------------------------------


def limited(listener: Listener, *, max_connections: int, max_pending_requests: int = 1024) -> Listener:
    """``listener`` with other circuit breakers for its cluster."""
    (host,) = listener.virtual_hosts
    (route,) = host.routes
    cluster = replace(route.clusters[0][0], max_connections=max_connections, max_pending_requests=max_pending_requests)
    return replace(listener, virtual_hosts=(replace(host, routes=(replace(route, clusters=((cluster, 1),)),)),))


def test_requests_past_the_connection_limit_wait_their_turn(loop_name: str) -> None:
    async def main() -> None:
        connections = 0
        release = asyncio.Event()

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            await release.wait()
            await answer_all(reader, writer)

        async with backend(count) as endpoint:
            async with proxy(limited(settings_for(endpoint), max_connections=2)) as served:
                clients = [Client(served.address) for _ in range(6)]
                for client in clients:
                    await client.__aenter__()
                    await client.send(GET)
                await eventually(lambda: connections == 2)
                await asyncio.sleep(0.05)
                release.set()
                for client in clients:
                    await client.until(b"ok")
                    client.sock.close()
                assert connections == 2

    run(main, loop_name)


@pytest.mark.parametrize("suppress", [True, False])
def test_requests_past_the_pending_limit_get_503(loop_name: str, suppress: bool) -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with backend(silent) as endpoint:
            settings = limited(settings_for(endpoint), max_connections=1, max_pending_requests=1)
            async with proxy(settings, suppress_envoy_headers=suppress) as served:
                async with Client(served.address) as first, Client(served.address) as second:
                    await first.send(GET)
                    pool = next(iter(served.listener._pools.values()), None)
                    while pool is None or not pool._connections:
                        await asyncio.sleep(0.005)
                        pool = next(iter(served.listener._pools.values()), None)
                    await second.send(GET)
                    await eventually(lambda: pool._pending == 1)
                    async with Client(served.address) as third:
                        await third.send(GET)
                        reply = await third.until(b"reset reason: overflow")
                    assert reply.startswith(b"HTTP/1.1 503 Service Unavailable\r\n")
                    assert (b"x-envoy-overloaded: true\r\n" in reply) == (not suppress)
                    record = served.log.records[0]
                    assert (record.response_flags, record.upstream_host) == ("UO", None)
                    assert record.response_code_details == "upstream_reset_before_response_started{overflow}"
                # Those who waited have gone: their places are free again.
                await eventually(lambda: pool._pending == 0)

    run(main, loop_name)


def test_a_request_that_waits_gets_a_new_connection_where_one_has_ended(loop_name: str) -> None:
    async def main() -> None:
        async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(OK.replace(b"\r\n\r\n", b"\r\nconnection: close\r\n\r\n"))
            await writer.drain()

        async with backend(once) as endpoint:
            async with proxy(limited(settings_for(endpoint), max_connections=1)) as served:
                clients = [Client(served.address) for _ in range(5)]
                for client in clients:
                    await client.__aenter__()
                    await client.send(GET)
                for client in clients:
                    await client.until(b"ok")
                    client.sock.close()

    run(main, loop_name)


def test_all_who_wait_for_an_endpoint_that_refuses_are_told(loop_name: str) -> None:
    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
        async with proxy(limited(settings_for(Endpoint("127.0.0.1", port)), max_connections=1)) as served:
            clients = [Client(served.address) for _ in range(5)]
            for client in clients:
                await client.__aenter__()
                await client.send(GET)
            for client in clients:
                await client.until(b"remote connection failure")
                client.sock.close()
            assert [record.response_flags for record in served.log.records] == ["UF"] * 5

    run(main, loop_name)


def look_ups() -> int:
    """Tasks of this loop that look names up."""
    return sum(task.get_name().startswith("look up") for task in asyncio.all_tasks())


def test_a_cluster_that_no_route_has_any_more(loop_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        answered = held_look_ups(monkeypatch)
        connections = 0

        async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal connections
            connections += 1
            try:
                await answer_all(reader, writer)
            finally:
                connections -= 1

        async with backend(count) as former, backend(answer_all) as latter:
            async with proxy(settings_for(Endpoint("app.test", former.port))) as served:
                async with Client(served.address) as waits, Client(served.address) as comes_later:
                    await waits.send(GET)
                    await eventually(lambda: len(served.listener.connections) == 2)
                    await eventually(lambda: any(one._exchange for one in served.listener.connections))
                    (pool,) = served.listener._pools.values()
                    served.listener.take_routes(http_listener(settings_for(latter), Log()))
                    await comes_later.send(GET)
                    await comes_later.until(b"ok")
                    assert (pool.busy, look_ups()) == (True, 1)
                    answered.set()
                    # Its connection served the request that had waited, and nobody else gets it.
                    await waits.until(b"ok")
                    await eventually(lambda: (pool.busy, look_ups(), connections) == (False, 0, 0))
                    await waits.send(GET)
                    await waits.until(b"ok")
                    assert connections == 0

    run(main, loop_name)
