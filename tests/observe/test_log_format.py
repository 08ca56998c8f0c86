"""Access log formats. What Envoy writes for the same traffic is compared in tests/conformance/test_log_format.py."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.observe.log_format import FormatError, compile_format, compile_json, format_time
from tests.observe.records import forwarded, record


def text(format_: str, **fields: Any) -> str:
    line = compile_format(format_)(record(**fields) if fields else forwarded())
    assert line.endswith(b"\n")
    return line[:-1].decode()


def test_envoys_default() -> None:
    assert text("default") == (
        '[2026-11-24T10:35:35.923Z] "GET /a?b HTTP/1.1" 200 - 1 2 3 - "203.0.113.7" "test" "an-id" "h.example" '
        '"127.0.0.1:3000"'
    )
    assert text("default", response_code=400, response_flags="DPE", bytes_sent=11) == (
        '[2026-11-24T10:35:35.923Z] "- - HTTP/1.1" 400 DPE 0 11 0 - "-" "-" "-" "-" "-"'
    )


def test_envoy_gateways_default() -> None:
    line = compile_format("json")(forwarded())
    shown = json.loads(line)
    assert list(shown) == sorted(shown)
    assert len(shown) == 24
    assert line.decode() == json.dumps(shown, separators=(",", ":")) + "\n"
    assert shown["start_time"] == "2026-11-24T10:35:35.923Z"
    assert (shown["method"], shown["x-envoy-origin-path"], shown["response_code"]) == ("GET", "/a?b", 200)
    assert (shown["x-forwarded-for"], shown["x-envoy-upstream-service-time"]) == ("203.0.113.7", None)
    assert shown["downstream_remote_address"] == "203.0.113.7:4711"


@pytest.mark.parametrize(
    ("operator", "value"),
    [
        ("%PROTOCOL% 100%%", "HTTP/1.1 100%"),
        ("%PROTOCOL%%RESPONSE_CODE%", "HTTP/1.1200"),
        ("%RESPONSE_FLAGS_LONG%", "-"),
        ("%REQ(:METHOD):1%", "G"),
        ("%REQ(:METHOD):0%", ""),
        ("%REQ(USER-AGENT):2%", "te"),
        ("%REQ(x-A)%", "1"),
        ("%REQ(X-NOPE)%", "-"),
        ("%REQ(X-NOPE?:AUTHORITY)%", "h.example"),
        ("%REQ(X-NOPE?X-NO)%", "-"),
        ("%REQ(HOST)% %REQ(:SCHEME)%", "h.example http"),
        ("%RESP(X-BACKEND)% %RESP(:STATUS)% %RESP(CONTENT-LENGTH)%", "1 200 2"),
        ("%RESP(TRANSFER-ENCODING)%%TRAILER(x)%", "--"),
        ("%DOWNSTREAM_REMOTE_ADDRESS% %DOWNSTREAM_REMOTE_PORT%", "203.0.113.7:4711 4711"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%", "203.0.113.7"),
        ("%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%", "203.0.113.0/24"),
        ("%DOWNSTREAM_DIRECT_REMOTE_ADDRESS%", "127.0.0.1:45678"),
        ("%DOWNSTREAM_DIRECT_LOCAL_ADDRESS% %DOWNSTREAM_DIRECT_LOCAL_ADDRESS_WITHOUT_PORT%", "[::1]:10080 ::1"),
        ("%UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT% %UPSTREAM_REMOTE_PORT%", "127.0.0.1 3000"),
        ("%UPSTREAM_REQUEST_ATTEMPT_COUNT% %UPSTREAM_PROTOCOL%", "1 HTTP/1.1"),
        ("%DURATION% %REQUEST_DURATION% %RESPONSE_DURATION% %RESPONSE_TX_DURATION%", "3 0 2 1"),
        ("%CONNECTION_ID% %STREAM_ID%", "7 an-id"),
        ("%DYNAMIC_METADATA(envoy.filters.listener.proxy_protocol:KEY):9%", "-"),
        ("%DOWNSTREAM_TLS_VERSION% %REQUESTED_SERVER_NAME%", "- -"),
        ("%START_TIME()%", "2026-11-24T10:35:35.923Z"),
        ("%START_TIME(%Y/%m/%d)%", "2026/11/24"),
        ("%START_TIME(%s.%3f)%", "1795516535.923"),
        ("%START_TIME(%f %6f %1f)%", "923456000 923456 9"),
        ("%START_TIME(%H:%M:%E*S %E3S %E0S)%", "10:35:35.923456 35.923 35"),
        ("%START_TIME(%Y-%m-%dT%H:%M:%E3S%z)%", "2026-11-24T10:35:35.923+0000"),
        ("%START_TIME(%% at)%", "% at"),
    ],
)
def test_operators(operator: str, value: str) -> None:
    assert text(operator) == value


def test_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC-2")
    time.tzset()
    try:
        assert text("%START_TIME_LOCAL%") == "2026-11-24T12:35:35.923+0200"
        assert text("%START_TIME_LOCAL(%H)%") == "12"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_environment_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPROXY_TEST", "value")
    compiled = compile_format("%ENVIRONMENT(PYPROXY_TEST):3% %ENVIRONMENT(PYPROXY_NONE)%")
    monkeypatch.setenv("PYPROXY_TEST", "other")
    assert compiled(record()) == b"val -\n"


def test_a_local_reply() -> None:
    head = b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"
    assert text("%RESP(CONTENT-LENGTH)%", response_head=head, adds_length=True) == "-"
    assert text("%RESP(CONTENT-LENGTH)%", response_head=head) == "0"
    assert text("%RESP(:STATUS)%%UPSTREAM_REMOTE_PORT%", response_code=0) == "--"
    assert text("%RESPONSE_FLAGS_LONG%", response_flags="DC") == "DownstreamConnectionTermination"
    assert text("%DOWNSTREAM_REMOTE_ADDRESS%%UPSTREAM_LOCAL_ADDRESS_WITHOUT_PORT%", path=b"/") == "203.0.113.7:4711-"


def test_json_keeps_types_and_shapes() -> None:
    document = """{
        "z": "%RESPONSE_CODE%", "a": "%PROTOCOL% %REQ(X-NOPE)%", "none": "%REQ(X-NOPE)%", "const": "100%%",
        "n": 5, "t": true, "nothing": null, "nested": {"list": ["%DURATION%", "x", {}], "empty": []}
    }"""
    assert text(document) == (
        '{"a":"HTTP/1.1 -","const":"100%","n":5,"nested":{"empty":[],"list":[3,"x",{}]},"none":null,"nothing":null,'
        '"t":true,"z":200}'
    )


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (b'a"b', rb'"a\"b"'),
        (b"a\\b", rb'"a\\b"'),
        (b"a<b>&'/", b'"a<b>&\'/"'),
        ("café 😀".encode(), '"café 😀"'.encode()),
        (b"tab\there", rb'"tab\there"'),
        # No UTF-8: as in Envoy, each special byte by itself.
        (b"\xe9", rb'"\u00e9"'),
        (b'\xc3\xa9\xe9"', rb'"\u00c3\u00a9\u00e9\u0022"'),
        (b"\xed\xa0\x80", rb'"\u00ed\u00a0\u0080"'),
    ],
)
def test_strings_in_json(value: bytes, shown: bytes) -> None:
    compiled = compile_json({"a": "%REQ(:PATH)%"}, "")
    assert compiled(record(path=value)) == b'{"a":%b}\n' % shown


@given(st.binary(max_size=40))
def test_no_value_breaks_out_of_its_json_line(value: bytes) -> None:
    line = compile_format("json")(record(path=value, authority=value))
    assert line.count(b"\n") == 1
    shown = json.loads(line)
    assert shown[":authority"] == shown["x-envoy-origin-path"]
    try:
        assert shown[":authority"] == value.decode()
    except UnicodeDecodeError:
        assert shown[":authority"] == value.decode("latin-1")


@pytest.mark.parametrize(
    ("format_", "line", "column", "message"),
    [
        ("%FOO%", 1, 1, "there is no operator %FOO%"),
        ("a %UPSTREAM_HOTS% b", 1, 3, "there is no operator %UPSTREAM_HOTS%; did you mean %UPSTREAM_HOST%?"),
        ("a\n b %", 2, 4, "no operator begins at this %; a percent sign itself is %%"),
        ("%foo%", 1, 1, "no operator begins at this %; a percent sign itself is %%"),
        ("%REQ%", 1, 1, "a header operator needs the header's name: %REQ(USER-AGENT)%"),
        ("%REQ(a?b?c)%", 1, 1, "a header can have one alternative, not 2: a?b?c"),
        ("%REQ(x y)%", 1, 1, "'x y' can't be a header's name"),
        ("%REQ(a):x%", 1, 1, "no operator begins at this %; a percent sign itself is %%"),
        ("%PROTOCOL:3%", 1, 1, "%PROTOCOL% takes neither a parameter nor a length"),
        ("%DURATION(x)%", 1, 1, "%DURATION% takes neither a parameter nor a length"),
        ("%START_TIME:4%", 1, 1, "%START_TIME% can't be cut with :4"),
        ("%DYNAMIC_METADATA%", 1, 1, "the operator needs a parameter"),
        ("%ENVIRONMENT%", 1, 1, "%ENVIRONMENT% needs the variable's name"),
        (
            "%DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT(x)%",
            1,
            1,
            "the prefix length must be a number of at most 128, not 'x'",
        ),
        ('{\n "a": "%PROTOCOL% %NOPE%"}', 2, 19, "there is no operator %NOPE%"),
        ('{\n "a": }', 2, 7, "not JSON: Expecting value"),
        ('{"a": "%PROTOCOL%",\n "a": "%DURATION%"}', 2, 2, "the key a is there twice"),
        ("jsn", 1, 1, "there is no %OPERATOR% in it; did you mean json?"),
        ("", 1, 1, "there is no %OPERATOR% in it"),
        ("{}", 1, 1, "there is no %OPERATOR% in it"),
        ("[1, 2]", 1, 1, "there is no %OPERATOR% in it"),
    ],
)
def test_mistakes_have_a_place(format_: str, line: int, column: int, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        compile_format(format_)
    assert (caught.value.line, caught.value.column, str(caught.value)) == (line, column, message)


def test_text_that_begins_like_json() -> None:
    assert text("{%PROTOCOL%}") == "{HTTP/1.1}"


def test_time_is_cut_to_milliseconds() -> None:
    assert format_time(0.9999) == b"1970-01-01T00:00:00.999Z"
