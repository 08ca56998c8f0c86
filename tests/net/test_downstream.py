"""One client's connection: deadlines, ends, and what a client can and can't make it do."""

from __future__ import annotations

import asyncio
import socket
from dataclasses import replace

import pytest

from pyproxy.net.sockets import read_back_keepalive
from pyproxy.settings import Endpoint, Keepalive, ProxyProtocol
from tests.support.scenario import GET, OK, Client, answer_all, backend, eventually, proxy, run, settings_for

V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n"


def test_a_request_and_its_log(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint, proxy(settings_for(endpoint)) as served:
            async with Client(served.address) as client:
                await client.send(GET)
                assert (await client.until(b"ok")).startswith(b"HTTP/1.1 200 OK\r\n")
            record = served.log.records[0]
            assert (record.response_code, record.response_flags, record.bytes_sent) == (200, "-", 2)
            assert (b"x-forwarded-for", b"192.0.2.9") in record.forwarded_headers
            assert record.upstream_host == f"127.0.0.1:{endpoint.port}"

    run(main, loop_name)


@pytest.mark.enforces("spec.tcpKeepalive.idleTime")
def test_the_accepted_socket_has_the_policys_keepalive(loop_name: str) -> None:
    async def main() -> None:
        keepalive = Keepalive(3, 1200, 60)
        settings = replace(settings_for(Endpoint("127.0.0.1", 1)), keepalive=keepalive)
        async with proxy(settings) as served, Client(served.address):
            await eventually(lambda: bool(served.listener.connections))
            (connection,) = served.listener.connections
            descriptor = connection._sock.fileno()
            with socket.socket(fileno=socket.dup(descriptor)) as accepted:
                assert read_back_keepalive(accepted) == keepalive
                assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)

    run(main, loop_name)


@pytest.mark.enforces("spec.enableProxyProtocol")
def test_a_missing_proxy_header_is_a_reset_and_no_byte(loop_name: str) -> None:
    async def main() -> None:
        settings = replace(settings_for(Endpoint("127.0.0.1", 1)), proxy_protocol=ProxyProtocol())
        async with proxy(settings) as served, Client(served.address) as client:
            await client.send(GET)
            with pytest.raises(ConnectionResetError):
                await client.receive()

    run(main, loop_name)


@pytest.mark.enforces("spec.proxyProtocol.optional")
@pytest.mark.parametrize("at", [1, 10, len(V1), len(V1) + 5])
def test_a_proxy_header_split_anywhere(loop_name: str, at: int) -> None:
    async def main() -> None:
        seen: list[bytes] = []

        async def record(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(OK)
            await reader.read()

        async with backend(record) as endpoint:
            settings = replace(settings_for(endpoint), proxy_protocol=ProxyProtocol(optional=True))
            async with proxy(settings) as served, Client(served.address) as client:
                data = V1 + GET
                await client.send(data[:at])
                await asyncio.sleep(0.02)
                await client.send(data[at:])
                await client.until(b"ok")
                assert b"x-forwarded-for: 203.0.113.7\r\n" in seen[0]
                assert served.log.records[0].downstream_remote_address == "203.0.113.7:4711"
                assert served.log.records[0].connection.local_address == "192.0.2.1:80"

    run(main, loop_name)


def test_a_late_backend_gets_504_and_is_dropped(loop_name: str) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            gone.set()

        async with backend(silent) as endpoint, proxy(settings_for(endpoint, timeout=0.1)) as served:
            async with Client(served.address) as client:
                await client.send(GET)
                reply = await client.until(b"upstream request timeout")
                assert reply.startswith(b"HTTP/1.1 504 Gateway Timeout\r\ncontent-length: 24\r\n")
                await asyncio.wait_for(gone.wait(), 5)
                assert served.log.records[0].response_flags == "UT"

    run(main, loop_name)


def test_a_response_that_stops_is_cut_off(loop_name: str) -> None:
    async def main() -> None:
        async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc")
            await reader.read()

        times = {"delayed_close_timeout": 0.02}
        async with backend(half) as endpoint, proxy(settings_for(endpoint, timeout=0.1), **times) as served:
            async with Client(served.address) as client:
                await client.send(GET)
                assert (await client.to_the_end()).endswith(b"\r\n\r\nabc")

    run(main, loop_name)


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_client_that_goes_takes_the_upstream_request_with_it(loop_name: str, how: str) -> None:
    async def main() -> None:
        gone = asyncio.Event()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await reader.read()
            gone.set()

        async with backend(silent) as endpoint, proxy(settings_for(endpoint)) as served:
            async with Client(served.address) as client:
                await client.send(GET)
                await asyncio.sleep(0.05)
                if how == "rst":
                    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            await asyncio.wait_for(gone.wait(), 5)
            await eventually(lambda: not served.listener.connections)
            assert [(r.response_code, r.response_flags) for r in served.log.records] == [(0, "DC")]

    run(main, loop_name)


def test_pipelined_requests_past_the_buffer_limit(loop_name: str) -> None:
    async def main() -> None:
        async with backend(answer_all) as endpoint, proxy(settings_for(endpoint)) as served:
            async with Client(served.address) as client:
                sending = asyncio.ensure_future(client.send(GET * 3000))
                data = b""
                while data.count(b"\r\n\r\nok") < 3000:
                    data += await client.receive()
                await sending

    run(main, loop_name)


@pytest.mark.parametrize(("size", "count"), [(1_000_000, 200), (2000, 12_000)])
def test_a_client_that_asks_ahead_and_does_not_read_is_not_answered_ahead(
    loop_name: str, size: int, count: int
) -> None:
    async def main() -> None:
        answered = 0

        async def big(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal answered
            while True:
                await reader.readuntil(b"\r\n\r\n")
                answered += 1
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size)

        async with backend(big) as endpoint, proxy(settings_for(endpoint)) as served:
            async with Client(served.address) as client:
                sending = asyncio.ensure_future(client.send(GET * count))
                before = -1
                while answered != before:
                    before = answered
                    await asyncio.sleep(0.3)
                assert answered * size < 20_000_000  # what the kernel's buffers take
                received = 0
                while answered < count or received < size * count:
                    received += len(await client.receive(1 << 20))
                await sending
                assert answered == count

    run(main, loop_name)


def test_a_bad_body_after_the_head_has_gone(loop_name: str) -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with backend(silent) as endpoint, proxy(settings_for(endpoint), delayed_close_timeout=0.02) as served:
            async with Client(served.address) as client:
                await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
                await asyncio.sleep(0.05)
                await client.send(b"xyz\r\n")
                reply = await client.to_the_end()
                assert reply.startswith(b"HTTP/1.1 400 Bad Request\r\n")

    run(main, loop_name)


def test_repr_tells_what_it_is_doing(loop_name: str) -> None:
    async def main() -> None:
        async with proxy(settings_for(Endpoint("127.0.0.1", 1))) as served, Client(served.address):
            await eventually(lambda: bool(served.listener.connections))
            (connection,) = served.listener.connections
            assert "IDLE requests=0" in repr(connection)

    run(main, loop_name)


# -- draining --------------------------------------------------------------------------------------------------


def test_drain_ends_idle_connections_and_lets_busy_ones_finish(loop_name: str) -> None:
    async def main() -> None:
        release = asyncio.Event()

        async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            await release.wait()
            writer.write(OK)
            await reader.read()

        async with backend(slow) as endpoint, proxy(settings_for(endpoint)) as served:
            async with Client(served.address) as idle, Client(served.address) as busy:
                await busy.send(GET)
                await eventually(lambda: len(served.listener.connections) == 2)
                await asyncio.sleep(0.05)
                drain = asyncio.ensure_future(served.listener.drain(10))
                assert await idle.to_the_end() == b""
                release.set()
                assert b"connection: close\r\n" in await busy.to_the_end()
                assert await drain

    run(main, loop_name)


def test_drain_gives_up(loop_name: str) -> None:
    async def main() -> None:
        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        async with backend(silent) as endpoint, proxy(settings_for(endpoint)) as served:
            async with Client(served.address) as client:
                await client.send(GET)
                await asyncio.sleep(0.05)
                assert not await served.listener.drain(0.1)

    run(main, loop_name)


def test_what_is_pipelined_behind_two_immediate_replies_is_not_answered(loop_name: str) -> None:
    async def main() -> None:
        redirected = b"GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n"
        async with backend(answer_all) as endpoint:
            async with proxy(settings_for(endpoint), delayed_close_timeout=0.05) as served:
                async with Client(served.address) as client:
                    await client.send(redirected * 2 + GET)
                    assert (await client.to_the_end()).count(b"HTTP/1.1 307 ") == 2
                async with Client(served.address) as client:
                    await client.send(redirected * 2)
                    await client.until(b"content-length: 0\r\n\r\n")
                    await client.send(GET)
                    await client.until(b"ok")
                    # A body counts until the next write, however late that is.
                    await client.send(redirected + GET)
                    assert (await client.to_the_end()).count(b"HTTP/1.1 ") == 1

    run(main, loop_name)


def test_a_refused_head_is_not_kept_while_the_connection_lingers(loop_name: str) -> None:
    async def main() -> None:
        async with proxy(settings_for(Endpoint("127.0.0.1", 1))) as served, Client(served.address) as client:
            await client.send(b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 61_440)
            await client.until(b"Request Header Fields Too Large")
            (connection,) = served.listener.connections
            assert connection._reader.buffered == 0

    run(main, loop_name)
