"""Backends' heads and bodies out of bytes."""

from __future__ import annotations

import pytest

from pyproxy.errors import Fault
from pyproxy.settings import HttpOptions
from pyproxy.wire.http1 import MAX_RESPONSE_HEAD_BYTES, ResponseReader, parse_response_head
from pyproxy.wire.messages import ResponseHead

OPTIONS = HttpOptions()


def response(*lines: bytes, first: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET", upgrade: bool = False) -> object:
    return parse_response_head(b"\r\n".join([first, *lines]) + b"\r\n\r\n", method, OPTIONS, upgrade=upgrade)


def answered(
    *lines: bytes, first: bytes = b"HTTP/1.1 200 OK", method: bytes = b"GET", upgrade: bool = False
) -> ResponseHead:
    result = response(*lines, first=first, method=method, upgrade=upgrade)
    assert isinstance(result, ResponseHead), result
    return result


def test_responses() -> None:
    head = answered(b"Content-Length: 2", b"Connection: keep-alive", b"X: y")
    assert head.headers == [(b"content-length", b"2"), (b"x", b"y")]
    assert (head.content_length, head.chunked, head.until_close, head.close) == (2, False, False, False)
    assert answered(b"Transfer-Encoding: chunked").chunked
    assert answered().until_close
    assert answered(b"Connection: close", b"Content-Length: 0").close
    assert answered(b"Content-Length: 0", first=b"HTTP/1.0 200 OK").close
    assert not answered(b"Content-Length: 0", b"Connection: keep-alive", first=b"HTTP/1.0 200 OK").close


@pytest.mark.parametrize(
    ("first", "method"),
    [
        (b"HTTP/1.1 204 x", b"GET"),
        (b"HTTP/1.1 304 x", b"GET"),
        (b"HTTP/1.1 102 x", b"GET"),
        (b"HTTP/1.1 200 x", b"HEAD"),
    ],
)
def test_responses_without_a_body(first: bytes, method: bytes) -> None:
    head = answered(first=first, method=method)
    assert not head.has_body


def test_a_204_drops_its_length_and_must_have_none() -> None:
    assert answered(b"Content-Length: 0", first=b"HTTP/1.1 204 x").headers == []
    assert isinstance(response(b"Content-Length: 3", first=b"HTTP/1.1 204 x"), Fault)
    assert isinstance(response(b"Content-Length: 00", first=b"HTTP/1.1 204 x"), Fault)
    assert isinstance(response(b"Content-Length: 00", first=b"HTTP/1.1 103 x"), Fault)


def test_an_upgrade_and_its_refusal() -> None:
    lines = (b"Upgrade: websocket", b"Connection: Upgrade")
    taken = answered(*lines, first=b"HTTP/1.1 101 x", upgrade=True)
    assert taken.headers == [(b"upgrade", b"websocket"), (b"connection", b"Upgrade")]
    assert answered(*lines, first=b"HTTP/1.1 101 x").headers == []
    assert answered(b"Content-Length: 2", upgrade=True).headers == []
    # Envoy hands on what follows such an interim response as chunks without a head.
    assert isinstance(response(*lines, first=b"HTTP/1.1 103 x", upgrade=True), Fault)


@pytest.mark.parametrize(
    ("lines", "value"),
    [
        ((b"x:\r \r1\t\r",), b"1"),
        ((b"x: a\r b",), b"a b"),
        ((b"x:", b"Content-Length:\r\t2\r"), b""),
        ((b"x:", b"Transfer-Encoding: \rchunked\r \r"), b""),
    ],
)
def test_a_bare_cr_of_a_backend_goes(lines: tuple[bytes, ...], value: bytes) -> None:
    assert answered(*lines).headers[0] == (b"x", value)


def test_a_bare_cr_inside_a_backends_framing() -> None:
    head = answered(b"Transfer-Encoding: chun\rked")
    assert head.until_close
    assert not head.chunked
    for lines in ((b"Transfer-Encoding: gz\rip",), (b"Content-Length: 2\r3",)):
        assert isinstance(response(*lines), Fault)
    assert isinstance(response(b"Content-Length: 2", b"Transfer-Encoding: chun\rked"), Fault)
    assert isinstance(response(b"Transfer-Encoding: chun\rked", first=b"HTTP/1.1 103 x"), Fault)
    both = response(b"Content-Length:", b"Transfer-Encoding: chun\rked", first=b"HTTP/1.1 304 x")
    assert isinstance(both, Fault)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ((b"", b""), b""),
        ((b"", b"x"), b"x"),
        ((b"x", b"y"), b"x,y"),
        ((b"x",), b"x"),
        ((b"", b"1"), None),
        ((b"", b"1x"), None),
        ((b"1", b"1"), None),
    ],
)
def test_lengths_of_a_304_that_say_nothing(values: tuple[bytes, ...], said: bytes | None) -> None:
    head = response(*(b"Content-Length: " + value for value in values), first=b"HTTP/1.1 304 x")
    if said is None:
        assert isinstance(head, Fault)
    else:
        assert isinstance(head, ResponseHead)
        assert head.headers == [(b"content-length", said)]
        assert not head.has_body


@pytest.mark.parametrize(
    ("line", "waits"),
    [
        (b"HTTP/1.1 200 OK", True),
        (b"HTTP/1.1 200 O\x00K", True),
        (b"HTTP/1.1\x00\x0120\x0b OK", True),
        (b"HTTP/1.1 20\x0c0", True),
        (b"HTTP/1.1 200\x00", False),
        (b"HTTP/1.1 200 \x1fOK", False),
        (b"HTTP\x00", False),
        (b"HTT\x01/1.1 200 OK", False),
        (b"HTTP/1.1 18446744073709551616", False),
    ],
)
def test_a_control_character_in_the_status_line(line: bytes, waits: bool) -> None:
    reader = ResponseReader(OPTIONS)
    reader.expect(b"GET", upgrade=False)
    reader.receive(line + b"\r\n")
    assert (reader.read_head() is None) is waits
    if waits and any(byte < 0x20 for byte in line):
        reader.receive(b"\r\n")
        assert isinstance(reader.read_head(), Fault)


@pytest.mark.parametrize(
    ("first", "lines"),
    [
        (b"nonsense", ()),
        (b"HTTP/1.1 200 \x02OK", ()),
        (b"HTTP/1.1 101 OK", (b"Content-Length: 4",)),
        (b"HTTP/1.1 101 OK", (b"Transfer-Encoding: chunked",)),
        (b"HTTP/1.1 200 OK", (b"no colon",)),
        (b"HTTP/1.1 200 OK", (b"a: b",) * 101),
        (b"HTTP/1.1 200 OK", (b"a: \x01",)),
        (b"HTTP/1.1 200 OK", (b"Content-Length: 3", b"Content-Length: 3")),
        (b"HTTP/1.1 200 OK", (b"Content-Length: 3", b"Transfer-Encoding: chunked")),
    ],
)
def test_refused_responses(first: bytes, lines: tuple[bytes, ...]) -> None:
    result = response(*lines, first=first)
    assert isinstance(result, Fault)
    assert result.status == 502


@pytest.mark.parametrize("start", [b"%", b"\r", b"HTTP1\n", b"HTTP/1 200\r\n", b"HTTP/1.1 2x0 OK\r\nA: b\r\n"])
def test_a_response_is_judged_by_its_first_byte_and_its_first_line(start: bytes) -> None:
    reader = ResponseReader(OPTIONS)
    reader.receive(b"HTT")
    assert reader.read_head() is None
    other = ResponseReader(OPTIONS)
    other.receive(start)
    assert isinstance(other.read_head(), Fault)


def test_response_head_limit() -> None:
    reader = ResponseReader(OPTIONS)
    reader.receive(b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_RESPONSE_HEAD_BYTES)
    assert isinstance(reader.read_head(), Fault)


def test_a_body_until_close_ends_with_the_connection() -> None:
    reader = ResponseReader(OPTIONS)
    assert reader.read_head() is None
    reader.receive(b"HTTP/1.1 200 OK\r\n\r")
    assert reader.read_head() is None
    reader.receive(b"\nabc")
    assert isinstance(reader.read_head(), ResponseHead)
    assert reader.read_body() == b"abc"
    assert not reader.body_complete
    assert reader.end()
    assert reader.body_complete


def test_a_short_body_is_not_ended_by_the_connection() -> None:
    reader = ResponseReader(OPTIONS)
    reader.receive(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc")
    assert isinstance(reader.read_head(), ResponseHead)
    assert reader.read_body() == b"abc"
    assert not reader.end()


def test_a_bad_chunk_of_a_backend() -> None:
    reader = ResponseReader(OPTIONS)
    reader.receive(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n")
    assert isinstance(reader.read_head(), ResponseHead)
    fault = reader.read_body()
    assert isinstance(fault, Fault)
    assert fault.status == 502


def test_what_follows_a_101_is_handed_on() -> None:
    reader = ResponseReader(OPTIONS)
    reader.expect(b"GET", upgrade=True)
    reader.receive(b"HTTP/1.1 101 x\r\nUpgrade: websocket\r\n\r\nraw")
    assert isinstance(reader.read_head(), ResponseHead)
    assert reader.buffered == 3
    assert reader.take_rest() == b"raw"
    assert reader.buffered == 0


@pytest.mark.parametrize("status", [101, 200, 302, 404, 500])
@pytest.mark.parametrize("lines", [(b"Connection: Upgrade", b"Upgrade: websocket"), (b"Connection: upgrade",), ()])
def test_an_upgrade_s_answer_keeps_what_speaks_of_it(status: int, lines: tuple[bytes, ...]) -> None:
    head = answered(*lines, b"Proxy-Connection: x", first=b"HTTP/1.1 %d x" % status, upgrade=True)
    assert head.upgrade is (len(lines) == 2)
    assert [name for name, _ in head.headers] == ([b"connection", b"upgrade"] if head.upgrade else [])
    assert not answered(*lines, first=b"HTTP/1.1 %d x" % status).upgrade


@pytest.mark.parametrize(("status", "left"), [(200, [b"keep-alive"]), (404, [b"content-type", b"content-length"])])
def test_an_upgrade_refused_without_an_error_has_no_content(status: int, left: list[bytes]) -> None:
    lines = (b"Content-Type: a", b"Keep-Alive: 1", b"Content-Length: 2")
    head = answered(*lines, first=b"HTTP/1.1 %d x" % status, upgrade=True)
    assert [name for name, _ in head.headers] == left


@pytest.mark.parametrize("value", [b"chunked\r", b"\rchunked", b"\r chunked", b"chunked \r"])
def test_a_cr_around_a_response_s_coding_is_a_blank(value: bytes) -> None:
    assert answered(b"Transfer-Encoding:" + value).chunked
