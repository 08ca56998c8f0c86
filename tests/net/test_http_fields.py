"""What a listener's HTTP options do to requests and responses on real sockets."""

from __future__ import annotations

import asyncio
from ipaddress import ip_network

import pytest

from pyproxy.settings import (
    ClientAddressOptions,
    Command,
    CustomHeaderDetection,
    HeaderAction,
    HeaderMutation,
    XffDetection,
)
from tests.support.scenario import Client, Handler, answer_all, backend, proxy, run, settings_for

SET = HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD

XFF = ClientAddressOptions(use_remote_address=False, detection=XffDetection(trusted_cidrs=(ip_network("127.0.0.0/8"),)))
FAIL_CLOSED = ClientAddressOptions(use_remote_address=False, detection=CustomHeaderDetection(b"x-client-ip", 403))


def get(*lines: bytes, path: bytes = b"/") -> bytes:
    return b"\r\n".join([b"GET %b HTTP/1.1" % path, b"Host: h", *lines]) + b"\r\n\r\n"


@pytest.mark.enforces("spec.clientIPDetection.xForwardedFor.trustedCIDRs[]")
def test_the_log_has_the_detected_client(loop_name: str) -> None:
    async def main() -> None:
        async with (
            backend(answer_all) as endpoint,
            proxy(settings_for(endpoint), client_address=XFF) as served,
            Client(served.address) as client,
        ):
            for value in (b"203.0.113.7", b"2001:db8::7", b"nonsense"):
                await client.send(get(b"X-Forwarded-For: " + value))
                await client.until(b"ok")
            first, second, third = served.log.records
            assert first.downstream_remote_address == "203.0.113.7:0"
            assert (b"x-forwarded-for", b"203.0.113.7,192.0.2.9") in first.forwarded_headers
            assert second.downstream_remote_address == "[2001:db8::7]:0"
            assert str(third.downstream_remote_address).startswith("127.0.0.1:")

    run(main, loop_name)


@pytest.mark.enforces("spec.clientIPDetection.customHeader.failClosed")
def test_a_request_without_the_header_is_forbidden(loop_name: str) -> None:
    async def main() -> None:
        async with (
            backend(answer_all) as endpoint,
            proxy(settings_for(endpoint), client_address=FAIL_CLOSED) as served,
            Client(served.address) as client,
        ):
            await client.send(get(b"X-Request-Id: mine"))
            assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 403 Forbidden\r\n")
            await client.send(get(b"X-Client-IP: 203.0.113.7"))
            await client.until(b"ok")
            refused, served_record = served.log.records
            assert refused.response_code_details == "rejecting_because_detection_failed"
            assert refused.request_id == b"mine"
            assert served_record.downstream_remote_address == "203.0.113.7:0"

    run(main, loop_name)


def test_an_empty_scheme_has_no_route(loop_name: str) -> None:
    async def main() -> None:
        async with (
            backend(answer_all) as endpoint,
            proxy(settings_for(endpoint), client_address=XFF) as served,
            Client(served.address) as client,
        ):
            await client.send(get(b"X-Forwarded-Proto:"))
            assert (await client.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 404 Not Found\r\n")

    run(main, loop_name)


Head = list[bytes]


def scripted(reply: bytes, heard: Head) -> Handler:
    """A backend that keeps what it hears of each request's head and answers ``reply``."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heard.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(reply)

    return handle


@pytest.mark.enforces("spec.http1.enableTrailers")
def test_trailers_pass_both_ways(loop_name: str) -> None:
    async def main() -> None:
        heard: Head = []

        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            heard.append(await reader.readuntil(b"x-t: 1\r\n\r\n"))
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-R: 2\r\n\r\n")

        async with (
            backend(handle) as endpoint,
            proxy(settings_for(endpoint), enable_trailers=True) as served,
            Client(served.address) as client,
        ):
            head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
            await client.send(head + b"3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")
            assert (await client.until(b"x-r: 2\r\n\r\n")).endswith(b"\r\n\r\n2\r\nok\r\n0\r\nx-r: 2\r\n\r\n")
            assert heard[0].endswith(b"\r\n\r\n3\r\nabc\r\n0\r\nx-t: 1\r\n\r\n")

    run(main, loop_name)


@pytest.mark.enforces("spec.http1.http10.useDefaultHost")
def test_http_10_is_answered_without_chunks_and_closed(loop_name: str) -> None:
    async def main() -> None:
        heard: Head = []
        reply = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"
        options = {"accept_http_10": True, "default_host_for_http_10": b"www.example.com"}
        async with backend(scripted(reply, heard)) as endpoint, proxy(settings_for(endpoint), **options) as served:
            async with Client(served.address) as client:
                await client.send(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
                answer = await client.to_the_end()
            assert answer.startswith(b"HTTP/1.0 200 OK\r\n")
            assert answer.endswith(b"\r\nconnection: close\r\n\r\nok")
            assert heard[0].startswith(b"GET / HTTP/1.1\r\nhost: www.example.com\r\n")
            assert served.log.records[0].protocol == b"HTTP/1.0"

    run(main, loop_name)


def test_http_10_is_kept_alive_where_both_sides_say_so(loop_name: str) -> None:
    async def main() -> None:
        async with (
            backend(answer_all) as endpoint,
            proxy(settings_for(endpoint), accept_http_10=True) as served,
            Client(served.address) as client,
        ):
            for _ in range(2):
                await client.send(b"GET / HTTP/1.0\r\nHost: h\r\nConnection: keep-alive\r\n\r\n")
                assert b"\r\nconnection: keep-alive\r\n" in await client.until(b"ok")
            await client.send(b"GET / HTTP/1.0\r\nHost: h\r\n\r\n")
            assert b"\r\nconnection: close\r\n" in await client.to_the_end()

    run(main, loop_name)


@pytest.mark.enforces("spec.http1.preserveHeaderCase")
def test_names_keep_their_case_in_both_directions(loop_name: str) -> None:
    async def main() -> None:
        heard: Head = []
        reply = b"HTTP/1.1 200 OK\r\nX-Answer: 1\r\nContent-Length: 2\r\n\r\nok"
        async with (
            backend(scripted(reply, heard)) as endpoint,
            proxy(settings_for(endpoint), preserve_header_case=True) as served,
            Client(served.address) as client,
        ):
            await client.send(get(b"X-Some-HEADER: 1"))
            assert b"\r\nX-Answer: 1\r\nContent-Length: 2\r\ndate: " in await client.until(b"ok")
            assert heard[0].startswith(b"GET / HTTP/1.1\r\nHost: h\r\nX-Some-HEADER: 1\r\nx-forwarded-for: ")

    run(main, loop_name)


@pytest.mark.enforces("spec.headers.earlyRequestHeaders.set[].name")
@pytest.mark.enforces("spec.headers.lateResponseHeaders.set[].name")
def test_headers_change_before_the_client_is_looked_for_and_in_every_reply(loop_name: str) -> None:
    async def main() -> None:
        heard: Head = []
        options = {
            "client_address": XFF,
            "early_request_headers": (HeaderMutation(SET, b"x-forwarded-for", b"203.0.113.7"),),
            "late_response_headers": (HeaderMutation(SET, b"x-late", b"1"),),
        }
        reply = b"HTTP/1.1 200 OK\r\nX-Late: 0\r\nContent-Length: 2\r\n\r\nok"
        async with (
            backend(scripted(reply, heard)) as endpoint,
            proxy(settings_for(endpoint), **options) as served,
            Client(served.address) as client,
        ):
            await client.send(get(b"X-Forwarded-For: 9.9.9.9"))
            assert b"\r\nx-late: 1\r\n" in await client.until(b"ok")
            await client.send(get(path=b"/a%2fb"))
            assert b"\r\nx-late: 1\r\n" in await client.until(b"\r\n\r\n")
            await client.send(b"nonsense\r\n\r\n")
            assert b"\r\nx-late: 1\r\n" in await client.until(b"\r\n\r\nBad Request")
            assert served.log.records[0].downstream_remote_address == "203.0.113.7:0"
            assert b"\r\nx-forwarded-for: 203.0.113.7,192.0.2.9\r\n" in heard[0]

    run(main, loop_name)


def test_who_expects_the_end_gets_it_at_once(loop_name: str) -> None:
    """The delayed close is for clients that may still be sending."""

    async def main() -> None:
        async with (
            backend(scripted(b"garbage\r\n\r\n", [])) as endpoint,
            proxy(settings_for(endpoint), delayed_close_timeout=60.0) as served,
            Client(served.address) as client,
        ):
            await client.send(get(b"Connection: close"))
            assert (await client.to_the_end()).startswith(b"HTTP/1.1 502 ")

    run(main, loop_name)


def test_commands_tell_of_the_request_and_its_answer(loop_name: str) -> None:
    async def main() -> None:
        heard: Head = []
        client_command = Command("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT")
        options = {
            "client_address": XFF,
            "early_request_headers": (
                HeaderMutation(SET, b"x-path", template=(Command("REQ", b":path"),)),
                HeaderMutation(SET, b"x-code", template=(Command("RESPONSE_CODE"),)),
            ),
            "late_response_headers": (
                HeaderMutation(SET, b"x-client", template=(client_command,)),
                HeaderMutation(SET, b"x-request-id", template=(Command("REQ", b"x-request-id"),)),
            ),
        }
        reply = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
        async with (
            backend(scripted(reply, heard)) as endpoint,
            proxy(settings_for(endpoint), **options) as served,
            Client(served.address) as client,
        ):
            await client.send(get(b"X-Forwarded-For: 203.0.113.7", b"X-Request-Id: mine", path=b"/a?b"))
            assert b"\r\nx-client: 203.0.113.7\r\nx-request-id: mine\r\n" in await client.until(b"ok")
            assert b"\r\nx-path: /a?b\r\n" in heard[0]
            await client.send(get(b"Expect: 100-continue", b"Content-Length: 0", path=b"/"))
            await client.until(b"ok")
            assert (b"\r\nx-code: 0\r\n" in heard[0], b"\r\nx-code: 100\r\n" in heard[1]) == (True, True)
            await client.send(b"nonsense\r\n\r\n")
            refused = await client.until(b"\r\n\r\nBad Request")
            assert b"\r\nx-client: 127.0.0.1\r\n" in refused
            assert b"x-request-id" not in refused

    run(main, loop_name)
