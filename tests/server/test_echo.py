"""The example application."""

from __future__ import annotations

import asyncio
import json

import pytest

from pyproxy.server.echo import canonical_name, describe, start_echo
from pyproxy.wire.messages import RequestHead
from tests.support.scenario import Client, run


@pytest.mark.parametrize(
    ("name", "canonical"),
    [("x-request-id", "X-Request-Id"), ("ACCEPT", "Accept"), ("a--b", "A--B"), ("no good", "no good"), ("1-a", "1-A")],
)
def test_canonical_name(name: str, canonical: str) -> None:
    assert canonical_name(name) == canonical


def test_what_it_says() -> None:
    head = RequestHead(b"GET", b"/get?x=<1>", b"www.example.com", [(b"b", b"2"), (b"a", b"1"), (b"b", b"3\xff")])
    body = describe(head, {"POD_NAME": "pod-1", "NAMESPACE": "ns"}).decode()
    assert body == (
        '{\n "path": "/get?x=\\u003c1\\u003e",\n "host": "www.example.com",\n "method": "GET",\n "proto": "HTTP/1.1",\n'
        ' "headers": {\n  "A": [\n   "1"\n  ],\n  "B": [\n   "2",\n   "3\ufffd"\n  ]\n },\n "namespace": "ns",\n'
        ' "ingress": "",\n "service": "",\n "pod": "pod-1"\n}'
    )
    assert json.loads(body)["path"] == "/get?x=<1>"


def test_over_http(loop_name: str) -> None:
    async def main() -> None:
        server = await start_echo("127.0.0.1", 0)
        async with Client(("127.0.0.1", server.port)) as client:
            await client.send(
                b"POST /a HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
            )
            assert await client.until(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
            await client.send(b"abc")
            head = await client.until(b"}")
            assert head.startswith(
                b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nDate: "
            )
            await client.send(b"HEAD /b HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
            reply = await client.to_the_end()
            assert reply.endswith(b"\r\nConnection: close\r\n\r\n")
        async with Client(("127.0.0.1", server.port)) as client:
            await client.send(b"nonsense\r\n\r\n")
            assert (await client.to_the_end()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        async with Client(("127.0.0.1", server.port)) as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")
            assert (await client.to_the_end()).startswith(b"HTTP/1.1 400 Bad Request\r\n")
        async with Client(("127.0.0.1", server.port)) as client:
            await client.send(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\n")
            await asyncio.sleep(0.02)
            server.close()
            await asyncio.sleep(0.02)

    run(main, loop_name)
