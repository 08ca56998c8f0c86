"""Connections to backends: made, reused, and given up."""

from __future__ import annotations

import asyncio
import socket

import pytest

from pyproxy.net.upstream import format_address
from pyproxy.settings import Endpoint
from tests.support.scenario import GET, OK, Client, answer_all, backend, eventually, proxy, run, settings_for


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
                assert (await client.until(b"remote connection failure")).startswith(b"HTTP/1.1 503")

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


def test_format_address() -> None:
    assert format_address("127.0.0.1", 80) == "127.0.0.1:80"
    assert format_address("::1", 80) == "[::1]:80"
