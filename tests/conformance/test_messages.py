"""Bringing what was seen into a comparable form."""

from __future__ import annotations

import pytest

from pyproxy.conformance.messages import count_complete, first_difference, normalize, says_close, split_message


def test_volatile_values() -> None:
    seen = (
        b"HTTP/1.1 200 OK\r\ndate: Tue, 24 Nov 2026 11:17:43 GMT\r\nx-envoy-upstream-service-time: 12\r\n"
        b"content-length: 2\r\n\r\nok"
    )
    assert normalize(seen) == (
        b"HTTP/1.1 200 OK\r\ndate: <date>\r\nx-envoy-upstream-service-time: <ms>\r\ncontent-length: 2\r\n\r\nok"
    )
    sent = b"GET / HTTP/1.1\r\nx-request-id: 77fb2875-4bf3-49dc-9de6-54d4710eb83c\r\n\r\n"
    assert normalize(sent) == b"GET / HTTP/1.1\r\nx-request-id: <uuid>\r\n\r\n"
    assert normalize(b"GET / HTTP/1.1\r\nx-request-id: mine\r\n\r\n").endswith(b"mine\r\n\r\n")


HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("body", "normal"),
    [
        (b"3\r\nabc\r\n0\r\n\r\n", b"[chunked]abc[end]"),
        (b"1\r\na\r\n2;x\r\nbc\r\n0\r\n\r\n", b"[chunked]abc[end]"),
        (b"3\r\nabc\r\n", b"[chunked]abc[unfinished]"),
        (b"", b"[chunked][unfinished]"),
        (b"zz\r\n", b"zz\r\n"),
    ],
)
def test_chunks_are_joined(body: bytes, normal: bytes) -> None:
    assert normalize(HEAD + body) == HEAD + normal


def test_several_messages() -> None:
    ok = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    stream = b"HTTP/1.1 100 Continue\r\n\r\n" + ok + HEAD + b"0\r\n\r\n" + b"HTTP/1.1 204 x\r\n\r\n" + ok[:-1]
    assert count_complete(stream) == 3
    assert split_message(ok + b"rest") == (ok[:-2], b"ok", b"rest")
    assert split_message(b"HTTP/1.1 200 OK\r\n") == (b"HTTP/1.1 200 OK\r\n", b"", b"")
    assert count_complete(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n") == 2
    assert count_complete(HEAD + b"3\r\nab") == 0
    assert count_complete(HEAD, bodiless=True) == 1


def test_says_close() -> None:
    assert says_close(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
    assert not says_close(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nHTTP/1.1 200 OK\r\na: b\r\n\r\n")


def test_first_difference() -> None:
    assert first_difference(b"abc", b"abd") == 2
    assert first_difference(b"abc", b"abcd") == 3
