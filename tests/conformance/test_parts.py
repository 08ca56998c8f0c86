"""Cutting what was sent into the parts that deviations name."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.conformance.parts import CHUNK_END, CHUNK_LINE, HEAD, parts

POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_a_chunked_request_and_one_behind_it() -> None:
    data = b"\r\n" + POST + b"1;x\r\naJUNK\r\n0\r\nt: 1\r\n\r\nGET / HTTP/1.1\n\n"
    assert list(parts(data)) == [
        ("head", POST),
        ("chunk line", b"1;x\r\n"),
        ("chunk end", b"JUNK\r\n"),
        ("chunk line", b"0\r\n"),
        ("trailers", b"t: 1\r\n\r\n"),
        ("head", b"GET / HTTP/1.1\n\n"),
    ]


@pytest.mark.parametrize("body", [b"x\r\n", b"5\r\nab", b"", b"1", b"0\r\nx"])
def test_a_body_that_is_none_or_does_not_end(body: bytes) -> None:
    assert [name for name, _ in parts(POST + body)][:1] == ["head"]


def test_a_length_is_skipped_and_a_response_goes_on_to_the_end() -> None:
    request = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"
    assert list(parts(request + b"a\n\nGET")) == [("head", request), ("head", b"GET")]
    response = b"HTTP/1.1 200 OK\r\n\r\n"
    assert list(parts(response + b"a\r\n\r\nb")) == [("head", response)]
    empty = b"HTTP/1.1 204 No Content\r\n\r\n"
    assert list(parts(empty + response)) == [("head", empty), ("head", response)]


def test_proxy_headers() -> None:
    line, get = b"PROXY UNKNOWN\r\n", b"GET / HTTP/1.1\r\n\r\n"
    assert list(parts(line + get, proxy_protocol=True)) == [("PROXY header", line), ("head", get)]
    assert list(parts(line + get)) == [("head", line + get)]
    binary = b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x02ab"
    assert list(parts(binary + get, proxy_protocol=True)) == [("PROXY header", binary), ("head", get)]
    assert list(parts(get, proxy_protocol=True)) == [("head", get)]


@given(st.lists(st.sampled_from([POST, b"1\r\n", b"\n", b"0\r\n", b"\r\n", b"a", b"PROXY ", b"HTTP/1.1 200 OK\r\n"])))
def test_anything_is_cut_in_order_and_ends(pieces: list[bytes]) -> None:
    data, at = b"".join(pieces), 0
    for _, found in parts(data, proxy_protocol=True):
        at = data.index(found, at) + len(found)


def test_a_folded_transfer_encoding() -> None:
    request = b"POST / HTTP/1.1\r\nTransfer-Encoding:\r\n chunked\r\n\r\n1\r\naX\r\n"
    assert [name for name, _ in parts(request)] == [HEAD, CHUNK_LINE, CHUNK_END]
