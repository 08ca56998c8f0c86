"""The fast lane declines, or gives exactly what the slow lane gives."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pyproxy.settings import HttpOptions, Underscores
from pyproxy.wire import fast
from pyproxy.wire.http1 import parse_request_head, parse_response_head

OPTIONS = HttpOptions()
EXAMPLES = int(os.environ.get("PYPROXY_FAST_LANE_EXAMPLES", "500"))

CURL = b"GET /get?x=1 HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8.1.2\r\nAccept: */*\r\n\r\n"
NGINX = (
    b"HTTP/1.1 200 OK\r\nServer: nginx\r\nContent-Length: 12\r\nConnection: keep-alive\r\n"
    b"Set-Cookie: a\r\nSet-Cookie: b\r\n\r\n"
)


def test_ordinary_heads_are_taken() -> None:
    assert fast.request_head(CURL, OPTIONS) == parse_request_head(CURL, OPTIONS)
    assert fast.request_head(CURL, OPTIONS) is not None
    assert fast.response_head(NGINX, OPTIONS) == parse_response_head(NGINX, b"GET", OPTIONS)
    assert fast.response_head(NGINX, OPTIONS) is not None


@pytest.mark.parametrize(
    "head",
    [
        CURL.replace(b"GET", b"FOO"),
        CURL.replace(b"Host", b"Hots"),
        CURL.replace(b"Accept: */*", b"Expect: 100-continue"),
        CURL.replace(b"Accept: */*", b"Connection: upgrade"),
        CURL.replace(b"Accept: */*", b"Content-Length: +1"),
        CURL.replace(b"Accept: */*", b"User-Agent: again"),
        CURL.replace(b"www", b"[www"),
        CURL.replace(b"Accept:", b"Acc_ept:"),
        CURL.replace(b"\r\n\r\n", b"\r\n" + b"".join(b"a%d: b\r\n" % n for n in range(100)) + b"\r\n"),
    ],
)
def test_unusual_requests_are_declined(head: bytes) -> None:
    assert fast.request_head(head, OPTIONS) is None


@pytest.mark.parametrize(
    "head",
    [
        NGINX.replace(b"200", b"204"),
        NGINX.replace(b"200", b"101"),
        NGINX.replace(b"keep-alive", b"x"),
        NGINX.replace(b"Server: nginx", b"Transfer-Encoding: chunked"),
        NGINX.replace(b"Server: nginx", b"Transfer-Encoding: gzip"),
        NGINX.replace(b"Server: nginx", b"Content-Length: 12"),
        NGINX.replace(b"Server: nginx", b"Upgrade: x"),
        NGINX.replace(b"12", b"1 2"),
        NGINX.replace(b"\r\n\r\n", b"\r\n" + b"".join(b"a%d: b\r\n" % n for n in range(100)) + b"\r\n"),
    ],
)
def test_unusual_responses_are_declined(head: bytes) -> None:
    assert fast.response_head(head, OPTIONS) is None


NAMES = [
    b"Host", b"host", b"Connection", b"Content-Length", b"Transfer-Encoding", b"TE", b"Expect", b"Upgrade", b"Accept",
    b"Via", b"X-A", b"x-a", b"X_A", b"Cookie", b"Set-Cookie", b"Vary", b"Date", b"Keep-Alive", b"X-Forwarded-For",
    b"Proxy-Connection", b"a b", b"",
]  # fmt: skip
VALUES = [
    b"a", b"www.example.com", b"a:80", b"a b", b"close", b"Close", b"keep-alive", b"upgrade", b"close, x", b"0", b"5",
    b"007", b"5, 5", b"+5", b"99999999999999999999", b"chunked", b"Chunked", b"gzip", b"trailers", b"100-continue",
    b"websocket", b"", b" ", b"\t a \t", b"\xe9", b"\x00", b"a\rb", b"a\x7f", b"a/b", b"a,b", b"[::1]",
]  # fmt: skip
SEPARATORS = [b": ", b":", b": ", b" :", b":\t"]
ENDS = [b"\r\n", b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r\n ", b"\r"]

fields = st.lists(
    st.tuples(*(st.sampled_from(choices) for choices in (NAMES, SEPARATORS, VALUES, ENDS))).map(b"".join), max_size=7
).map(b"".join)
request_lines = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n", b"POST /x?y HTTP/1.1\r\n", b"HEAD /%2f HTTP/1.1\r\n", b"GET  / HTTP/1.1\r\n",
        b"GET / HTTP/1.0\r\n", b"FOO / HTTP/1.1\r\n", b"GET http://a/ HTTP/1.1\r\n", b"OPTIONS * HTTP/1.1\r\n",
        b"GET /\x7f HTTP/1.1\r\n", b"GET / HTTP/1.1\n", b"CONNECT a:1 HTTP/1.1\r\n", b"GET /a#b HTTP/1.1\r\n",
    ]
)  # fmt: skip
status_lines = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 404\r\n", b"HTTP/1.1 204 x\r\n", b"HTTP/1.0 200 OK\r\n",
        b"HTTP/1.1 99 x\r\n",
        b"HTTP/1.1 101 x\r\n", b"HTTP/1.1 200 \x01\r\n", b"HTTP/1.1 200  \r\n", b"HTTP/1.1 599 x\n",
    ]
)  # fmt: skip


all_options = st.builds(
    HttpOptions,
    headers_with_underscores=st.sampled_from(Underscores),
    max_headers=st.sampled_from([2, 100]),
    enable_trailers=st.booleans(),
    preserve_header_case=st.booleans(),
    accept_http_10=st.booleans(),
    default_host_for_http_10=st.sampled_from([None, b"www.example.com"]),
)
ignored = st.sampled_from([None, lambda protocol: protocol == b"websocket"])


@settings(max_examples=EXAMPLES, deadline=None)
@given(request_lines, fields, all_options, ignored)
@example(b"GET / HTTP/1.1\r\n", b"Host: a\r\nConnection: close\r\n", OPTIONS, None)
def test_both_lanes_agree_on_requests(
    line: bytes, block: bytes, options: HttpOptions, ignores: Callable[[bytes], bool] | None
) -> None:
    head = line + block + b"\r\n"
    found = fast.request_head(head, options)
    assert found is None or found == parse_request_head(head, options, ignores)


@settings(max_examples=EXAMPLES, deadline=None)
@given(status_lines, fields, all_options)
@example(b"HTTP/1.1 200 OK\r\n", b"Connection: close\r\nConnection: close\r\n", OPTIONS)
def test_both_lanes_agree_on_responses(line: bytes, block: bytes, options: HttpOptions) -> None:
    head = line + block + b"\r\n"
    found = fast.response_head(head, options)
    assert found is None or found == parse_response_head(head, b"GET", options)


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.binary(max_size=8), st.integers(0, len(CURL)), st.integers(0, 4))
def test_both_lanes_agree_on_damaged_heads(damage: bytes, at: int, cut: int) -> None:
    head = CURL[:at] + damage + CURL[at + cut :]
    found = fast.request_head(head, OPTIONS)
    assert found is None or (head.find(b"\r\n\r\n") == len(head) - 4 and found == parse_request_head(head, OPTIONS))


def test_what_is_remembered_is_the_same_and_nobody_elses() -> None:
    first, again = fast.request_head(CURL, OPTIONS), fast.request_head(CURL, OPTIONS)
    assert first == again == parse_request_head(CURL, OPTIONS)
    assert first is not None
    first.headers.append((b"a", b"b"))
    assert fast.request_head(CURL, OPTIONS) == again
    answer = fast.response_head(NGINX, OPTIONS)
    assert answer is not None
    answer.headers.clear()
    assert fast.response_head(NGINX, OPTIONS) == parse_response_head(NGINX, b"GET", OPTIONS)


@pytest.mark.parametrize("name", [b"Authorization", b"Cookie", b"Proxy-Authorization", b"Set-Cookie"])
def test_credentials_are_not_remembered(name: bytes) -> None:
    secret = b"\r\n%b: a-secret\r\n\r\n" % name
    assert fast.request_head(CURL.replace(b"\r\n\r\n", secret), OPTIONS) is not None
    assert fast.response_head(NGINX.replace(b"\r\n\r\n", secret), OPTIONS) is not None
    for memory in (fast._request_blocks, fast._request_lines, fast._response_heads, fast._response_lines):
        assert memory
        assert not any(b"a-secret" in known for known in memory)


def test_what_is_remembered_is_bounded() -> None:
    for number in range(5_000):
        line = b"\r\nX-Number: %d\r\n\r\n" % number
        assert fast.request_head(CURL.replace(b"\r\n\r\n", line), OPTIONS) is not None
        assert fast.response_head(NGINX.replace(b"\r\n\r\n", line), OPTIONS) is not None
    long = b"\r\nX-Long: %b\r\n\r\n" % (b"x" * 2_000)
    assert fast.request_head(CURL.replace(b"\r\n\r\n", long), OPTIONS) is not None
    assert len(fast._request_blocks) <= 1_000
    assert len(fast._response_heads) <= 1_000
    assert len(fast._request_lines) <= 4_000
    assert len(fast._response_lines) <= 4_000
    assert not any(len(known) > 1_000 for known in fast._request_blocks)
