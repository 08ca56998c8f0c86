"""Cutting a stream into messages, and bringing them into a comparable form."""

from __future__ import annotations

import pytest

from pyproxy.conformance.messages import count_complete, first_difference, messages, normalize, says_close, statuses

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


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


def test_a_backends_own_idea_of_a_date_counts_unless_it_is_not_to() -> None:
    odd = b"HTTP/1.1 200 OK\r\ndate: yesterday\r\n\r\n"
    assert normalize(odd) == odd
    assert normalize(odd, any_date=True) == b"HTTP/1.1 200 OK\r\ndate: <date>\r\n\r\n"


@pytest.mark.parametrize(
    ("value", "normal"),
    [
        (b"192.0.2.2", b"<node address>"),
        (b"9.9.9.9,192.0.2.2", b"9.9.9.9,<node address>"),
        (b"192.0.2.2,9.9.9.9", b"192.0.2.2,9.9.9.9"),
        (b"192.0.2.22", b"192.0.2.22"),
    ],
)
def test_the_proxys_own_address_is_the_last_forwarded_for(value: bytes, normal: bytes) -> None:
    request = b"GET / HTTP/1.1\r\nx-forwarded-for: %b\r\nx: 192.0.2.2\r\n\r\n"
    assert normalize(request % value, node=b"192.0.2.2") == request % normal


@pytest.mark.parametrize(
    ("body", "normal"),
    [
        (b"3\r\nabc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
        (b"1\r\na\r\n2;x\r\nbc\r\n0\r\n\r\n", b"3\r\nabc\r\n0\r\n\r\n"),
        (b"1\r\na\r\n2\r\nbc\r\n", b"3\r\nabc\r\n"),
        (b"3\r\nabc\r\n0\r\nx: y\r\n\r\n", b"3\r\nabc\r\n0\r\nx: y\r\n\r\n"),
        (b"0\r\n\r\n", b"0\r\n\r\n"),
        (b"", b""),
        (b"zz\r\n", b"zz\r\n"),
    ],
)
def test_chunks_are_joined(body: bytes, normal: bytes) -> None:
    assert normalize(HEAD + body) == HEAD + normal
    assert normalize(normalize(HEAD + body)) == HEAD + normal


def test_several_messages() -> None:
    stream = b"HTTP/1.1 100 Continue\r\n\r\n" + OK + HEAD + b"0\r\n\r\n" + b"HTTP/1.1 204 x\r\n\r\n" + OK[:-1]
    found = list(messages(stream))
    assert [one.status for one in found] == statuses(stream) == [100, 200, 200, 204, 200]
    assert [one.complete for one in found] == [True, True, True, True, False]
    assert [one.content for one in found] == [b"", b"ok", b"", b"", b"o"]
    assert b"".join(one.head + one.body for one in found) == stream
    assert count_complete(stream) == 3
    assert count_complete(b"GET / HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n") == 2
    assert count_complete(HEAD + b"3\r\nab") == 0


def test_a_head_that_has_not_ended() -> None:
    (one,) = messages(b"HTTP/1.1 200 OK\r\n")
    assert not one.head_complete
    assert not one.complete


def test_responses_to_head() -> None:
    assert count_complete(HEAD, (True,)) == 1
    assert count_complete(OK[:-2] + OK[:-2], (True, True)) == 2
    # One that was refused before anybody knew that it is a HEAD has its body.
    assert [one.content for one in messages(OK, (True,))] == [b"ok"]


def test_a_response_without_framing_goes_on_unless_another_begins() -> None:
    bare = b"HTTP/1.1 200 OK\r\n\r\n"
    assert [one.content for one in messages(bare + b"to the end")] == [b"to the end"]
    assert statuses(bare + OK) == [200, 200]


def test_says_close() -> None:
    assert says_close(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n")
    assert not says_close(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nHTTP/1.1 200 OK\r\na: b\r\n\r\n")


def test_first_difference() -> None:
    assert first_difference(b"abc", b"abd") == 2
    assert first_difference(b"abc", b"abcd") == 3


def test_only_some_answer_head() -> None:
    first, refused = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n", b"HTTP/1.1 400 No\r\ncontent-length: 3\r\n\r\nBad"
    found = list(messages(b"HTTP/1.1 100 Continue\r\n\r\n" + first + refused, (True, False)))
    assert [(one.body, one.complete) for one in found] == [(b"", True), (b"", True), (b"Bad", True)]
    assert not list(messages(first, (False,)))[0].complete
