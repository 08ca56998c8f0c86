"""What the options of a listener change about heads and bodies."""

from __future__ import annotations

import pytest

from pyproxy.errors import Fault
from pyproxy.settings import HttpOptions, Underscores
from pyproxy.wire.http1 import RequestReader, ResponseReader, parse_request_head
from pyproxy.wire.messages import RequestHead, ResponseHead

HTTP_10 = HttpOptions(accept_http_10=True)
DEFAULT_HOST = HttpOptions(accept_http_10=True, default_host_for_http_10=b"www.example.com")
TRAILERS = HttpOptions(enable_trailers=True)


def request(*lines: bytes, first: bytes = b"GET / HTTP/1.1", options: HttpOptions) -> RequestHead | Fault:
    return parse_request_head(b"\r\n".join([first, *lines]) + b"\r\n\r\n", options)


def accepted(*lines: bytes, first: bytes = b"GET / HTTP/1.1", options: HttpOptions) -> RequestHead:
    result = request(*lines, first=first, options=options)
    assert isinstance(result, RequestHead), result
    return result


def detail(*lines: bytes, first: bytes = b"GET / HTTP/1.1", options: HttpOptions) -> str:
    result = request(*lines, first=first, options=options)
    assert isinstance(result, Fault)
    return result.detail


# -- underscores, limits ---------------------------------------------------------------------------------------


@pytest.mark.enforces("spec.headers.withUnderscoresAction")
def test_underscores() -> None:
    lines = (b"Host: h", b"X_Y: 1", b"A: 2")
    allowed = accepted(*lines, options=HttpOptions(headers_with_underscores=Underscores.ALLOW))
    assert allowed.headers == [(b"x_y", b"1"), (b"a", b"2")]
    assert accepted(*lines, options=HttpOptions(headers_with_underscores=Underscores.DROP_HEADER)).headers == [
        (b"a", b"2")
    ]
    assert detail(*lines, options=HttpOptions()) == "http1.unexpected_underscore"


def test_a_dropped_header_does_not_count_but_must_be_well_formed() -> None:
    drop = HttpOptions(headers_with_underscores=Underscores.DROP_HEADER, max_headers=2)
    lines = (b"Host: h", b"a_a: 1", b"b_b: 1", b"c: 1")
    assert accepted(*lines, options=drop).headers == [(b"c", b"1")]
    assert detail(*lines, b"d: 1", options=drop) == "http1.too_many_headers"
    assert detail(*lines, b"d_d: \x01", options=drop) == "http1.invalid_characters"


def test_which_mistake_of_a_head_is_named() -> None:
    options = HttpOptions(max_headers=2)
    assert detail(b"x_y: 1", b"a: \x01", options=options) == "http1.invalid_characters"
    assert detail(b"a: 1", b"b: 1", b"x_y: 1", options=options) == "http1.unexpected_underscore"
    assert detail(b"a: 1", b"b: 1", b"c: 1", b"x_y: 1", options=options) == "http1.too_many_headers"
    assert detail(b"x_y: 1", b"Content-Length: 1", b"Content-Length: 1", options=options) == "http1.codec_error"


@pytest.mark.enforces("spec.headers.maxRequestHeaderLimit")
@pytest.mark.parametrize(("extra", "refused"), [(0, False), (1, True)])
def test_the_limit_of_a_head(extra: int, refused: bool) -> None:
    reader = RequestReader(HttpOptions(max_request_headers_bytes=1024))
    start = b"GET / HTTP/1.1\r\nHost: h\r\nx: "
    reader.receive(start + b"y" * (1024 - len(start) - 4 + extra) + b"\r\n\r\n")
    assert isinstance(reader.read_head(), Fault) is refused


# -- HTTP/1.0 --------------------------------------------------------------------------------------------------


@pytest.mark.enforces("spec.http1.http10.useDefaultHost")
@pytest.mark.parametrize(
    ("first", "lines", "authority", "close"),
    [
        (b"GET / HTTP/1.0", (b"Host: h",), b"h", True),
        (b"GET / HTTP/1.0", (), b"www.example.com", True),
        (b"GET / HTTP/1.0", (b"Host:",), b"", True),
        (b"GET / HTTP/1.0", (b"Host: h", b"Connection: Keep-Alive"), b"h", False),
        (b"GET / HTTP/1.0", (b"Host: h", b"Connection: keep-alive, close"), b"h", False),
        (b"GET / HTTP/1.0", (b"Host: h", b"Proxy-Connection: keep-alive"), b"h", True),
        (b"GET / HTTP/1.2", (b"Host: h",), b"h", True),
        (b"GET / HTTP/2.0", (b"Host: h",), b"h", True),
        (b"GET http://b/ HTTP/1.0", (), b"b", True),
        (b"GET /x", (), b"www.example.com", True),
        (b"GET http://b/x", (), b"b", True),
    ],
)
def test_http_10(first: bytes, lines: tuple[bytes, ...], authority: bytes, close: bool) -> None:
    head = accepted(*lines, first=first, options=DEFAULT_HOST)
    assert (head.authority, head.close, head.http_10) == (authority, close, True)
    assert detail(*lines, first=first, options=HttpOptions()) == "low_version"


def test_http_11_gets_no_default_host_and_stays_http_11() -> None:
    head = accepted(options=DEFAULT_HOST)
    assert (head.authority, head.http_10, head.close) == (None, False, False)
    assert accepted(b"Host: h", options=HTTP_10).authority == b"h"


def test_chunks_in_http_10_end_the_connection() -> None:
    """RFC 9112 section 6.1."""
    lines = (b"Host: h", b"Connection: keep-alive", b"Transfer-Encoding: chunked")
    head = accepted(*lines, first=b"POST / HTTP/1.0", options=HTTP_10)
    assert head.chunked
    assert head.close


def test_an_http_09_request_is_its_line() -> None:
    reader = RequestReader(DEFAULT_HOST)
    reader.receive(b"GET /x\r")
    assert reader.read_head() is None
    reader.receive(b"\n")
    head = reader.read_head()
    assert isinstance(head, RequestHead)
    assert (head.path, head.authority, head.close) == (b"/x", b"www.example.com", True)
    assert reader.body_complete
    assert not reader.buffered


# -- upgrades --------------------------------------------------------------------------------------------------


@pytest.mark.enforces("spec.http1.ignoredUpgradeTypes[].type")
@pytest.mark.enforces("spec.http1.ignoredUpgradeTypes[].value")
@pytest.mark.parametrize(
    ("values", "upgrade"),
    [
        ((b"TLS/1.2",), None),
        ((b"TLS/1.2, TLS/1.3",), None),
        ((b"TLS/1.2", b"TLS/1.3"), None),
        ((b", TLS/1.2",), None),
        ((b"TLS/1.2, websocket",), b"websocket"),
        ((b"a", b"TLS/1.2", b"b"), b"a,b"),
        ((b"TLS/1.2, h2c",), b"h2c"),
        ((b"h2c",), None),
        ((b"a, b",), b"a, b"),
    ],
)
def test_ignored_upgrades(values: tuple[bytes, ...], upgrade: bytes | None) -> None:
    lines = b"".join(b"Upgrade: %b\r\n" % value for value in values)
    head = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nA: b\r\n" + lines + b"\r\n"
    result = parse_request_head(head, HttpOptions(), lambda protocol: protocol.startswith(b"TLS/"))
    assert isinstance(result, RequestHead)
    assert result.upgrade == upgrade
    fields = dict(result.headers)
    assert fields.get(b"upgrade") == upgrade
    assert (b"connection" in fields) is (upgrade is not None)


# -- trailers, spelling ----------------------------------------------------------------------------------------


def ending(trailers: bytes, options: HttpOptions = TRAILERS) -> bytes | Fault:
    reader = RequestReader(options)
    head = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
    reader.receive(head + b"1\r\na\r\n0\r\n" + trailers + b"\r\n")
    assert isinstance(reader.read_head(), RequestHead)
    body = b""
    while not reader.body_complete:
        piece = reader.read_body()
        if isinstance(piece, Fault):
            assert body in (b"", b"a")
            return piece
        body += piece
    assert body == b"a"
    return reader.ending


@pytest.mark.enforces("spec.http1.enableTrailers")
def test_trailers_go_on_where_they_may() -> None:
    trailers = b"X-T: 1\r\nvia: a\r\nVia:  b \r\n"
    assert ending(trailers) == b"0\r\nx-t: 1\r\nvia: a\r\nvia: b\r\n\r\n"
    assert ending(b"") == b"0\r\n\r\n"
    assert ending(trailers, HttpOptions()) == b"0\r\n\r\n"
    assert ending(b"X: 1\r\n 2\r\n") == b"0\r\nx: 1 2\r\n\r\n"


@pytest.mark.parametrize(
    ("trailers", "status", "reason"),
    [
        (b"x_y: 1\r\n", 400, "http1.unexpected_underscore"),
        (b"x: a\rb\r\n", 400, "http1.invalid_characters"),
        (b"x y: 1\r\n", 400, "http1.codec_error"),
        (b"x: 1\r\n" * 101, 431, "http1.too_many_headers"),
        (b"x: " + b"y" * 61_434 + b"\r\n", 431, "http1.headers_too_large"),
    ],
)
def test_trailers_that_do_not(trailers: bytes, status: int, reason: str) -> None:
    fault = ending(trailers)
    assert isinstance(fault, Fault)
    assert (fault.status, fault.detail) == (status, reason)


def test_the_next_message_has_trailers_of_its_own() -> None:
    reader = RequestReader(TRAILERS)
    post = b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n"
    reader.receive(post + b"X: 1\r\n\r\n" + post + b"\r\n")
    endings = []
    for _ in range(2):
        assert isinstance(reader.read_head(), RequestHead)
        assert reader.read_body() == b""
        endings.append(reader.ending)
    assert endings == [b"0\r\nx: 1\r\n\r\n", b"0\r\n\r\n"]


@pytest.mark.enforces("spec.http1.enableTrailers")
def test_a_backend_s_trailers() -> None:
    reader = ResponseReader(TRAILERS)
    reader.expect(b"GET", upgrade=False)
    start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
    reader.receive(start + b"X_T: a\rb\r\n\r\n")
    assert isinstance(reader.read_head(), ResponseHead)
    assert reader.read_body() == b"a"
    assert reader.ending == b"0\r\nx_t: ab\r\n\r\n"
    reader = ResponseReader(TRAILERS)
    reader.expect(b"GET", upgrade=False)
    reader.receive(start + b"X: 1\r\n" * 101 + b"\r\n")
    assert isinstance(reader.read_head(), ResponseHead)
    assert reader.read_body() == b"a"
    assert isinstance(reader.read_body(), Fault)


@pytest.mark.enforces("spec.http1.preserveHeaderCase")
def test_spellings() -> None:
    options = HttpOptions(preserve_header_case=True)
    requests = RequestReader(options)
    requests.receive(b"GET / HTTP/1.1\nHOST: h\nX-Dup: 1\r\nx-DUP: 2\r\nX-Folded: a\r\n b\r\n\r\n")
    head = requests.read_head()
    assert isinstance(head, RequestHead)
    assert head.spellings == {b"host": b"HOST", b"x-dup": b"X-Dup", b"x-folded": b"X-Folded"}
    responses = ResponseReader(options)
    responses.receive(b"HTTP/1.1 200 OK\r\nServer: b\r\nContent-Length: 0\r\n\r\n")
    answer = responses.read_head()
    assert isinstance(answer, ResponseHead)
    assert answer.spellings == {b"server": b"Server", b"content-length": b"Content-Length"}
    plain = RequestReader(HttpOptions())
    plain.receive(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
    head = plain.read_head()
    assert isinstance(head, RequestHead)
    assert head.spellings is None


def test_a_simple_request_has_no_names_to_spell() -> None:
    reader = RequestReader(HttpOptions(preserve_header_case=True, accept_http_10=True, default_host_for_http_10=b"h"))
    reader.receive(b"GET /\r\nHOST: a\r\n\r\n")
    head = reader.read_head()
    assert isinstance(head, RequestHead)
    assert (head.authority, head.spellings) == (b"h", {})


@pytest.mark.parametrize(
    ("head", "http_10"),
    [
        (b"GET * HTTP/1.0\r\n\r\n", True),
        (b"GET *\r\n\r\n", True),
        (b"GET * HTTP/1.1\r\n\r\n", False),
        (b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n", True),
        (b"GET / HTTP/1.0\r\nb d: x\r\n\r\n", False),
    ],
)
def test_what_is_refused_in_http_10(head: bytes, http_10: bool) -> None:
    reader = RequestReader(HttpOptions(accept_http_10=True))
    reader.receive(head)
    fault = reader.read_head()
    assert isinstance(fault, Fault)
    assert (fault.status, fault.http_10) == (400, http_10)
