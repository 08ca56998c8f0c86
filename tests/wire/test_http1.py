"""Heads and bodies out of bytes, whatever the pieces they come in."""

from __future__ import annotations

from dataclasses import astuple

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyproxy.errors import Fault
from pyproxy.settings import HttpOptions
from pyproxy.wire import head
from pyproxy.wire.head import parse_request_line
from pyproxy.wire.http1 import (
    RequestReader,
    ResponseReader,
    parse_request_head,
    parse_response_head,
)
from pyproxy.wire.messages import RequestHead, ResponseHead

OPTIONS = HttpOptions()


def request(*lines: bytes, first: bytes = b"GET / HTTP/1.1", host: bytes | None = b"h") -> RequestHead | Fault:
    hosts = [b"Host: " + host] if host is not None else []
    return parse_request_head(b"\r\n".join([first, *hosts, *lines]) + b"\r\n\r\n", OPTIONS)


def accepted(*lines: bytes, first: bytes = b"GET / HTTP/1.1", host: bytes | None = b"h") -> RequestHead:
    result = request(*lines, first=first, host=host)
    assert isinstance(result, RequestHead), result
    return result


def test_a_plain_request() -> None:
    head = accepted(b"User-Agent: curl", b"ACCEPT: */*", first=b"GET /get?x HTTP/1.1")
    assert (head.method, head.path, head.authority) == (b"GET", b"/get?x", b"h")
    assert head.headers == [(b"user-agent", b"curl"), (b"accept", b"*/*")]
    assert not head.has_body
    assert not head.close


def test_absolute_form_wins_over_host_and_needs_none() -> None:
    assert accepted(first=b"GET http://b:81/x HTTP/1.1").authority == b"b:81"
    head = accepted(first=b"GET http://b:81/x HTTP/1.1", host=None)
    assert (head.authority, head.path) == (b"b:81", b"/x")


def test_no_host_is_left_to_the_connection_manager() -> None:
    assert accepted(host=None).authority is None
    assert accepted(b"Connection: Host").authority is None
    assert accepted(host=b"").authority == b""


@pytest.mark.parametrize(
    ("lines", "close"),
    [
        ((b"Connection: close",), True),
        ((b"Connection: keep-alive", b"Connection: CLOSE"), True),
        ((b"Proxy-Connection: close",), True),
        ((b"Connection: keep-alive",), False),
    ],
)
def test_close(lines: tuple[bytes, ...], close: bool) -> None:
    head = accepted(*lines)
    assert head.close is close
    assert head.headers == []


def test_hop_by_hop_headers_stay_here() -> None:
    head = accepted(b"Connection: X-Gone", b"X-Gone: 1", b"Keep-Alive: 5", b"Upgrade: foo", b"x-stays: 1")
    assert head.headers == [(b"x-stays", b"1")]
    assert head.upgrade is None


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (b"trailers", [(b"te", b"trailers")]),
        (b"gzip, trailers", [(b"te", b"trailers")]),
        (b"gzip", []),
        (b"Trailers", []),
        (b"", [(b"te", b"")]),
    ],
)
def test_te(value: bytes, kept: list[tuple[bytes, bytes]]) -> None:
    assert accepted(b"TE: " + value).headers == kept


def test_expect() -> None:
    head = accepted(b"Expect: 100-Continue", b"Content-Length: 2", first=b"POST / HTTP/1.1")
    assert head.expect_continue
    assert head.headers == [(b"content-length", b"2")]
    other = accepted(b"Expect: something")
    assert not other.expect_continue
    assert accepted(b"Expect: 100-continue", host=None).expect_continue
    assert other.headers == [(b"expect", b"something")]


def test_upgrade_keeps_its_two_headers() -> None:
    head = accepted(b"Connection: Upgrade", b"Upgrade: websocket")
    assert head.upgrade == b"websocket"
    assert head.headers == [(b"connection", b"Upgrade"), (b"upgrade", b"websocket")]
    ignored = accepted(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAA")
    assert ignored.upgrade is None
    assert ignored.headers == []


def test_a_nominated_length_is_taken_away_and_the_body_reframed() -> None:
    head = accepted(b"Connection: content-length", b"Content-Length: 3", first=b"POST / HTTP/1.1")
    assert head.reframe
    assert head.content_length == 3
    assert head.headers == []


@pytest.mark.parametrize(
    ("first", "lines", "status"),
    [
        (b"GET / HTTP/1.0", (), 426),
        (b"GET /", (), 426),
        (b"FOO / HTTP/1.1", (), 400),
        (b"GET * HTTP/1.1", (), 400),
        (b"GET / HTTP/1.1", (b"no colon",), 400),
        (b"GET / HTTP/1.1", (b"Host: h",), 400),
        (b"GET / HTTP/1.1", (b"a_b: 1",), 400),
        (b"GET / HTTP/1.1", (b"Connection: x-forwarded-for",), 400),
        (b"POST / HTTP/1.1", (b"Content-Length: 3", b"Content-Length: 3"), 400),
        (b"POST / HTTP/1.1", (b"Content-Length: 3", b"Transfer-Encoding: chunked"), 400),
        (b"POST / HTTP/1.1", (b"Transfer-Encoding: gzip",), 501),
        (b"CONNECT a:1 HTTP/1.1", (b"Content-Length: 3",), 400),
        (b"CONNECT a:1 HTTP/1.1", (b"Transfer-Encoding: chunked",), 501),
        (b"GET /\x0c HTTP/1.1", (), 400),
        (b"GET / HTTP/1.1", (b"a: b",) * 100, 431),
    ],
)
def test_refused(first: bytes, lines: tuple[bytes, ...], status: int) -> None:
    result = request(*lines, first=first)
    assert isinstance(result, Fault)
    assert result.status == status


def test_what_a_connect_nominates_does_not_matter() -> None:
    for nominated in (b":", b"x-forwarded-for", b"a, b, c, d, e, f, g, h, i, j, k"):
        assert accepted(b"Connection: " + nominated, first=b"CONNECT a:1 HTTP/1.1").method == b"CONNECT"


def test_a_bad_host_is_refused() -> None:
    result = request(host=b"a/b")
    assert isinstance(result, Fault)
    assert result.detail == "http.invalid_authority"


def test_a_bare_cr_is_refused_and_without_a_host_as_envoy_refuses_that() -> None:
    result = request(b"a: b\rc")
    assert isinstance(result, Fault)
    assert result.detail == "http1.invalid_characters"
    assert accepted(b"a: b\rc", host=None).authority is None


def test_an_absolute_form_makes_any_number_of_hosts_irrelevant() -> None:
    head = accepted(b"Host: other", first=b"GET http://b/ HTTP/1.1")
    assert (head.authority, head.headers) == (b"b", [])


def test_an_empty_head_is_refused() -> None:
    assert isinstance(parse_request_head(b"\r\n\r\n", OPTIONS), Fault)
    assert isinstance(parse_response_head(b"\r\n\r\n", b"GET", OPTIONS), Fault)


# -- readers ---------------------------------------------------------------------------------------------------

STREAM = (
    b"\r\nGET /1 HTTP/1.1\r\nHost: a\r\n\r\n"
    b"POST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
    b"POST /3 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nt: 1\r\n\r\n"
    b"GET /4 HTTP/1.1\nHost: a\n\n"
)


def requests_of(pieces: list[bytes]) -> list[object]:
    """(head, body) of every request, and the fault that ended it if any."""
    reader = RequestReader(OPTIONS)
    seen: list[object] = []
    head: RequestHead | None = None
    body = b""
    for piece in pieces:
        reader.receive(piece)
        while True:
            if head is None:
                found = reader.read_head()
                if isinstance(found, Fault):
                    return [*seen, found]
                if found is None:
                    break
                head, body = found, b""
            while not reader.body_complete:
                data = reader.read_body()
                if isinstance(data, Fault):
                    return [*seen, data]
                if not data and not reader.body_complete:
                    break
                body += data
            if not reader.body_complete:
                break
            seen.append((astuple(head), body))
            head = None
    return seen


def test_a_stream_of_requests() -> None:
    found = requests_of([STREAM])
    assert [(item[0][1], item[1]) for item in found if isinstance(item, tuple)] == [
        (b"/1", b""),
        (b"/2", b"hello"),
        (b"/3", b"abc"),
        (b"/4", b""),
    ]


def test_every_split_in_two_gives_the_same() -> None:
    whole = requests_of([STREAM])
    for at in range(len(STREAM) + 1):
        assert requests_of([STREAM[:at], STREAM[at:]]) == whole


def test_byte_by_byte_gives_the_same() -> None:
    assert requests_of([bytes((byte,)) for byte in STREAM]) == requests_of([STREAM])


_PIECES = st.sampled_from(
    [
        b"GET / HTTP/1.1\r\n",
        b"POST /x HTTP/1.1\r\n",
        b"Host: a\r\n",
        b"Content-Length: 3\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"X_Y: 1\r\n",
        b"\r\n",
        b"\n",
        b"abc",
        b"0\r\n\r\n",
        b"3\r\nabc\r\n",
        b" ",
        b"\x00",
        b"\r",
    ]
)


@given(st.lists(_PIECES, max_size=12), st.integers(0, 200))
@example([b"GET / HTTP/1.1\r\n", b"\r\n"], 3)
def test_any_bytes_split_anywhere_give_the_same(pieces: list[bytes], at: int) -> None:
    stream = b"".join(pieces)
    whole = requests_of([stream])
    split = requests_of([stream[:at], stream[at:]])
    assert _verdicts(split) == _verdicts(whole)


def _verdicts(found: list[object]) -> list[object]:
    return [item.status if isinstance(item, Fault) else item for item in found]


@given(st.binary(max_size=200))
def test_no_bytes_make_a_reader_raise(data: bytes) -> None:
    requests_of([data])
    reader = ResponseReader(OPTIONS)
    reader.expect(b"GET", upgrade=False)
    reader.receive(data)
    if isinstance(reader.read_head(), ResponseHead) and not reader.body_complete:
        reader.read_body()


@pytest.mark.parametrize(("start", "refused"), [(b"\x16", True), (b" ", True), (b"x", False), (b"\xff", False)])
def test_the_first_byte_decides_against_controls_and_blanks(start: bytes, refused: bool) -> None:
    reader = RequestReader(OPTIONS)
    reader.receive(start)
    assert isinstance(reader.read_head(), Fault) is refused


@pytest.mark.parametrize("rest", [b"", b"Host: a\r\n\r\n"])
def test_a_request_line_without_a_version(rest: bytes) -> None:
    for line, status in ((b"GET /", 426), (b"GET /HTTP/1.1", None), (b"GET *", 400)):
        reader = RequestReader(OPTIONS)
        reader.receive(line + b"\r\n" + rest)
        found = reader.read_head()
        if status is None:
            assert isinstance(found, RequestHead)
            assert found.authority is None
        else:
            assert isinstance(found, Fault)
            assert found.status == status


def test_nominations_are_checked_before_the_host() -> None:
    result = request(b"Connection: x-forwarded-for", host=None)
    assert isinstance(result, Fault)
    assert result.detail == "http1.connection_header_rejected"


def test_a_request_line_is_judged_as_soon_as_it_is_whole() -> None:
    reader = RequestReader(OPTIONS)
    reader.receive(b"GET /")
    assert reader.read_head() is None
    reader.receive(b"\r\n")
    fault = reader.read_head()
    assert isinstance(fault, Fault)
    assert fault.status == 426


@pytest.mark.interpreted
def test_a_request_line_is_judged_once_however_slowly_the_head_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    judged: list[bytes] = []

    def judge(line: bytes) -> tuple[bytes, bytes, int] | Fault:
        judged.append(line)
        return parse_request_line(line)

    monkeypatch.setattr(head, "parse_request_line", judge)
    reader = RequestReader(OPTIONS)
    for path in (b"/first", b"/second"):
        data = b"GET %b HTTP/1.1\r\nHost: h\r\nX: %b\r\n\r\n" % (path, b"x" * 100)
        for byte in data[:-1]:
            reader.receive(bytes((byte,)))
            assert reader.read_head() is None
        reader.receive(data[-1:])
        assert isinstance(reader.read_head(), RequestHead)
    assert [line.split()[1] for line in judged] == [b"/first", b"/second"]


@pytest.mark.parametrize("extra", [0, 1])
def test_head_limit(extra: int) -> None:
    reader = RequestReader(OPTIONS)
    start = b"GET / HTTP/1.1\r\nHost: h\r\nX: "
    reader.receive(start + b"a" * (61_440 - len(start) - 4 + extra) + b"\r\n\r\n")
    result = reader.read_head()
    assert isinstance(result, Fault if extra else RequestHead)


def test_head_limit_holds_while_the_head_is_incomplete() -> None:
    reader = RequestReader(OPTIONS)
    reader.receive(b"GET / HTTP/1.1\r\nX: " + b"a" * 61_440)
    fault = reader.read_head()
    assert isinstance(fault, Fault)
    assert fault.status == 431


def test_an_upgrade_request_has_an_endless_body() -> None:
    reader = RequestReader(OPTIONS)
    reader.receive(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nGET / HTTP")
    assert isinstance(reader.read_head(), RequestHead)
    assert reader.read_body() == b"GET / HTTP"
    assert not reader.body_complete


@pytest.mark.parametrize(
    ("lines", "kept"),
    [
        ((b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: a"), False),
        ((b"Connection: HTTP2-Settings", b"HTTP2-Settings: a"), True),
        ((b"Connection: Upgrade", b"Upgrade: foo", b"HTTP2-Settings: a"), True),
    ],
)
def test_http2_settings_go_with_the_upgrade_that_they_are_for(lines: tuple[bytes, ...], kept: bool) -> None:
    assert (b"http2-settings" in dict(accepted(*lines).headers)) is kept


def test_an_empty_upgrade_is_one() -> None:
    assert accepted(b"Connection: upgrade", b"Upgrade:").upgrade == b""


def test_a_control_character_in_the_request_line_waits_for_the_head() -> None:
    reader = RequestReader(OPTIONS)
    reader.receive(b"GET /\x02 HTTP/1.1\r\nHost: a\r\n")
    assert reader.read_head() is None
    reader.receive(b"\r\n")
    assert isinstance(reader.read_head(), Fault)


def test_a_control_character_in_a_line_without_a_version_does_not() -> None:
    reader = RequestReader(OPTIONS)
    reader.receive(b"GET /\x02\r\n")
    assert isinstance(reader.read_head(), Fault)


def test_two_ats_are_no_user_information() -> None:
    assert isinstance(request(first=b"GET http://a@b@c/ HTTP/1.1"), Fault)


def test_what_connection_nominates_is_gone_before_it_says_anything() -> None:
    head = accepted(b"Connection: expect, proxy-connection", b"Expect: 100-continue", b"Proxy-Connection: close")
    assert not head.expect_continue
    assert not head.close
    assert head.headers == []
    assert accepted(b"Connection: host", first=b"GET http://b/ HTTP/1.1").authority == b"b"


@pytest.mark.parametrize(("length", "reframed"), [(b"0", False), (b"2", True)])
def test_a_nominated_length(length: bytes, reframed: bool) -> None:
    head = accepted(b"Connection: content-length", b"Content-Length: " + length)
    assert head.reframe is reframed
    assert head.has_body is reframed


@pytest.mark.parametrize(("connection", "kept"), [(b"x", []), (b"x, TE", [(b"te", b"trailers")])])
def test_a_te_in_other_letters_stays_if_it_is_nominated(connection: bytes, kept: list[tuple[bytes, bytes]]) -> None:
    assert accepted(b"Connection: " + connection, b"TE: gzip, Trailers").headers == kept


@pytest.mark.parametrize(("connection", "kept"), [(b"x", [(b"te", b"")]), (b"te", [])])
def test_an_empty_te_stays_unless_it_is_nominated(connection: bytes, kept: list[tuple[bytes, bytes]]) -> None:
    assert accepted(b"Connection: " + connection, b"TE:").headers == kept


def test_a_refused_nomination_comes_before_the_version_but_for_upgrades() -> None:
    for lines, status in (((b"Connection: :",), 400), ((b"Connection: :, upgrade", b"Upgrade: x"), 426)):
        refused = request(*lines, first=b"GET / HTTP/0.9")
        assert isinstance(refused, Fault)
        assert refused.status == status


@pytest.mark.parametrize(
    ("lines", "detail"),
    [
        ((b"Content-Length: x", b"Transfer-Encoding: gzip"), "http1.codec_error"),
        ((b"Content-Length: x", b"Transfer-Encoding: chunked"), "content_length_and_chunked_not_allowed"),
        ((b"Content-Length: 1", b"Content-Length: 1", b"Transfer-Encoding: chunked"), "http1.codec_error"),
        (
            (b"Content-Length: 1", b"Transfer-Encoding: gzip", b"Connection: :"),
            "content_length_and_chunked_not_allowed",
        ),
        ((b"Transfer-Encoding: gzip", b"Connection: :"), "http1.invalid_transfer_encoding"),
        ((b"Connection: :",), "http1.connection_header_rejected"),
        ((), "http1.https_url_on_plaintext_connection"),
    ],
)
def test_of_several_faults_the_one_that_envoy_finds_first(lines: tuple[bytes, ...], detail: str) -> None:
    refused = request(*lines, first=b"GET https://a/ HTTP/1.1")
    assert isinstance(refused, Fault)
    assert refused.detail.endswith(detail)


def test_a_nominated_host_is_not_even_looked_at() -> None:
    head = request(b"Connection: host", host=b"a b")
    assert isinstance(head, RequestHead)
    assert head.authority is None
    options = HttpOptions(accept_http_10=True, default_host_for_http_10=b"d")
    old = parse_request_head(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: host\r\n\r\n", options)
    assert isinstance(old, RequestHead)
    assert old.authority == b"d"


@pytest.mark.parametrize(
    ("method", "known"), [(b"MSEARCH", True), (b"M-SEARCH", False), (b"QUERY", True), (b"get", False)]
)
def test_methods_that_envoy_knows(method: bytes, known: bool) -> None:
    assert isinstance(request(first=method + b" / HTTP/1.1"), RequestHead) is known
