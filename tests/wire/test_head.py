"""Envoy's rules for heads, one line at a time."""

from __future__ import annotations

import pytest

from pyproxy.errors import Fault
from pyproxy.settings import HttpOptions, Underscores
from pyproxy.wire import head

OPTIONS = HttpOptions()


def status_of(result: object) -> int:
    assert isinstance(result, Fault)
    return result.status


@pytest.mark.parametrize(
    ("buffer", "end"),
    [
        (b"GET / HTTP/1.1\r\n\r\nrest", 18),
        (b"GET / HTTP/1.1\n\nrest", 16),
        (b"GET / HTTP/1.1\nhost: a\n\r\nrest", 25),
        (b"a: b\n\nc\r\n\r\n", 6),
        (b"GET / HTTP/1.1\r\n", -1),
        (b"", -1),
        (b"\r\n\r", -1),
    ],
)
def test_head_end(buffer: bytes, end: int) -> None:
    assert head.head_end(buffer, 0) == end
    assert head.head_end(bytearray(buffer), 0) == end


def test_split_lines_takes_both_line_ends_and_joins_folds() -> None:
    assert head.split_lines(b"a\r\nb: c\r\n d\n\te\r\nf: g\n\r\n") == [b"a", b"b: c d\te", b"f: g"]


def test_a_fold_right_behind_the_first_line_stays_a_line_of_its_own() -> None:
    assert head.split_lines(b"a\r\n b\r\n\r\n") == [b"a", b" b"]


@pytest.mark.parametrize(
    ("line", "result"),
    [
        (b"GET / HTTP/1.1", (b"GET", b"/", 1)),
        (b"GET  \t/x   HTTP/1.1 \t", (b"GET", b"/x", 1)),
        (b"GET\r/x\rHTTP/1.1\r", (b"GET", b"/x", 1)),
        (b"GET / HTTP/1.0", (b"GET", b"/", 0)),
        (b"GET /", (b"GET", b"/", head.HTTP_09)),
        (b"GET / HTTP/1.2", (b"GET", b"/", -1)),
        (b"GET / HTTP/2.0", (b"GET", b"/", -1)),
        (b"OPTIONS * HTTP/1.1", (b"OPTIONS", b"*", 1)),
        (b"GET http://a/b?c HTTP/1.1", (b"GET", b"http://a/b?c", 1)),
        (b"CONNECT a:443 HTTP/1.1", (b"CONNECT", b"a:443", 1)),
    ],
)
def test_request_line(line: bytes, result: tuple[bytes, bytes, int]) -> None:
    assert head.parse_request_line(line) == result


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"", 400),
        (b"GET", 400),
        (b" GET / HTTP/1.1", 400),
        (b"FOO / HTTP/1.1", 400),
        (b"get / HTTP/1.1", 400),
        (b"GET foo HTTP/1.1", 400),
        (b"GET /caf\xc3\xa9 HTTP/1.1", 400),
        (b"GET / HTTP/1.01", 400),
        (b"GET / http/1.1", 400),
        (b"GET / HTTP/1.1 x", 400),
        (b"GET http://a@@b/ HTTP/1.1", 400),
        (b"CONNECT a b", 400),
        (b"CONNECT \xff:1 HTTP/1.1", 400),
    ],
)
def test_bad_request_line(line: bytes, status: int) -> None:
    assert status_of(head.parse_request_line(line)) == status


@pytest.mark.parametrize(
    ("target", "result"),
    [
        (b"/a?b", (b"/a?b", None)),
        (b"http://a.example", (b"/", b"a.example")),
        (b"http://a.example?q", (b"?q", b"a.example")),
        (b"HTTP://a.example:81/x", (b"/x", b"a.example:81")),
        (b"http://user:pass@a.example:81/", (b"/", b"a.example:81")),
        (b"http://[::1]:80/", (b"/", b"[::1]:80")),
        (b"http://[::1]/", (b"/", b"[::1]")),
    ],
)
def test_target(target: bytes, result: tuple[bytes, bytes | None]) -> None:
    assert head.split_target(b"GET", target) == result


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        (b"GET", b"*", 400),
        (b"GET", b"http://", 400),
        (b"GET", b"http://:80/", 400),
        (b"GET", b"http://a:/", 400),
        (b"GET", b"http://a:99999/", 400),
        (b"GET", b"http://a:80:90/", 400),
        (b"GET", b"http://[::1/", 400),
        (b"GET", b"http://[1::2::3]/", 400),
        (b"GET", b"http://a_b/", 400),
        (b"GET", b"http://u@/", 400),
        (b"GET", b"https://a/", 403),
        (b"GET", b"ftp://a/", 400),
        (b"CONNECT", b"a", 400),
        (b"CONNECT", b"a:", 400),
    ],
)
def test_refused_target(method: bytes, target: bytes, status: int) -> None:
    assert status_of(head.split_target(method, target)) == status


def test_connect_has_an_authority_and_no_path() -> None:
    assert head.split_target(b"CONNECT", b"a:443") == (b"", b"a:443")


@pytest.mark.parametrize(
    ("line", "result"),
    [
        (b"HTTP/1.1 200 OK", (200, 1)),
        (b"HTTP/1.1 200", (200, 1)),
        (b"HTTP/1.0 404 Not Found", (404, 0)),
        (b"HTTP/1.1 200\rOK", (200, 1)),
        (b"HTTP/9.1 7 x", (7, 0)),
        (b"HTTP/1.1 +0200 x", (200, 1)),
        (b"HTTP/1.1 2000 x", (2000, 1)),
        (b"HTTP/1.1 65736 x", (200, 1)),
    ],
)
def test_status_line(line: bytes, result: tuple[int, int]) -> None:
    assert head.parse_status_line(line) == result


@pytest.mark.parametrize(
    "line",
    [b"", b"HTTP/1.1", b"HTTP/1.1 2x0 OK", b"HTTP/1.1 18446744073709551616 x", b"HTTP/1.1 -200 OK", b"ICY 200 OK"],
)
def test_bad_status_line(line: bytes) -> None:
    assert status_of(head.parse_status_line(line)) == 502


def test_fields() -> None:
    assert head.split_fields([b"A-b:  c d \t", b"e:", b"f:g:h"]) == [(b"a-b", b"c d"), (b"e", b""), (b"f", b"g:h")]


@pytest.mark.parametrize("line", [b"a", b": a", b"a : b", b" a: b", b"a\x00: b", b"caf\xe9: b"])
def test_no_field(line: bytes) -> None:
    assert head.split_fields([b"ok: 1", line]) is None


def test_underscores_and_what_is_left_of_them() -> None:
    fields = [(b"a_b", b"1"), (b"c", b"2")]
    assert status_of(head.check_request_fields(fields, OPTIONS)) == 400
    assert head.check_request_fields(fields, HttpOptions(headers_with_underscores=Underscores.ALLOW)) == fields
    drop = HttpOptions(headers_with_underscores=Underscores.DROP_HEADER)
    assert head.check_request_fields(fields, drop) == [(b"c", b"2")]


@pytest.mark.parametrize("value", [b"\x00", b"a\x01b", b"\x7f", b"a\nb"])
def test_a_control_character_in_a_value(value: bytes) -> None:
    assert status_of(head.check_request_fields([(b"a", value)], OPTIONS)) == 400
    assert head.check_response_fields([(b"a", value)], OPTIONS) == head.PROTOCOL_ERROR


def test_a_bare_cr_in_a_value() -> None:
    assert head.has_bare_cr([(b"a", b"b\r")])
    assert not head.has_bare_cr([(b"a", b"b")])
    assert head.check_response_fields([(b"a", b"b\rc")], OPTIONS) is None


def test_a_hundred_headers_and_one_more() -> None:
    fields = [(b"a", b"b")] * 100
    assert head.check_request_fields(fields, OPTIONS) == fields
    assert head.check_response_fields(fields, OPTIONS) is None
    assert status_of(head.check_request_fields([*fields, (b"a", b"b")], OPTIONS)) == 431
    assert head.check_response_fields([*fields, (b"a", b"b")], OPTIONS) == head.PROTOCOL_ERROR


def test_merge_joins_only_what_envoy_keeps_as_one() -> None:
    names = frozenset((b"via",))
    fields = [(b"via", b"1"), (b"x", b"1"), (b"via", b"2"), (b"x", b"2"), (b"via", b"")]
    assert head.merge(fields, names) == [(b"via", b"1,2"), (b"x", b"1"), (b"x", b"2")]
    assert head.merge([(b"via", b""), (b"via", b"2")], names) == [(b"via", b"2")]
    untouched = [(b"via", b"1"), (b"x", b"1")]
    assert head.merge(untouched, names) is untouched


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ([], (None, False)),
        ([(b"content-length", b"0")], (0, False)),
        ([(b"content-length", b"0003")], (3, False)),
        ([(b"transfer-encoding", b"Chunked")], (None, True)),
        ([(b"content-length", b"3"), (b"transfer-encoding", b"chunked")], "both"),
        ([(b"content-length", b"3"), (b"transfer-encoding", b"identity")], "both"),
        ([(b"transfer-encoding", b"gzip")], "transfer_encoding"),
        ([(b"transfer-encoding", b"")], "transfer_encoding"),
        ([(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], "transfer_encoding"),
        ([(b"content-length", b"3"), (b"content-length", b"3")], "content_length"),
        ([(b"content-length", b"3, 3")], "content_length"),
        ([(b"content-length", b"+3")], "content_length"),
        ([(b"content-length", b"")], "content_length"),
        ([(b"content-length", b"1_0")], "content_length"),
        ([(b"content-length", b"9223372036854775808")], (2**63, False)),
        ([(b"content-length", b"18446744073709551616")], "content_length"),
        ([(b"content-length", b"0" * 19 + b"3")], (3, False)),
        ([(b"content-length", b"0" * 20 + b"3")], "content_length"),
        ([(b"content-length", b"9" * 5000)], "content_length"),
    ],
)
def test_framing(fields: list[tuple[bytes, bytes]], result: object) -> None:
    assert head.framing(fields) == result


def test_nominated_headers() -> None:
    assert head.nominated_headers(b"close, X-A , ,te, Upgrade") == frozenset((b"x-a",))
    assert head.nominated_headers(b"X-Forwarded-For") is None
    assert head.nominated_headers(b":path") is None
    assert head.nominated_headers(b",".join(b"a%d" % n for n in range(9))) is not None
    assert head.nominated_headers(b",".join(b"a%d" % n for n in range(10))) is None


def test_authority() -> None:
    assert head.authority_is_valid(b"a,b")
    assert head.authority_is_valid(b"[::1]:80")
    assert not head.authority_is_valid(b"a/b")
    assert not head.authority_is_valid(b"a b")


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (b"G\r\nA: 1\n \n\n", True),
        (b"G\nA: 1\n\t\nB: 2\n\n", True),
        (b"G\nA: 1\n  \n\n", False),
        (b"G\nA: \n b\n\n", False),
    ],
)
def test_a_line_of_one_blank(lines: bytes, expected: bool) -> None:
    assert head.has_blank_fold(lines) is expected
