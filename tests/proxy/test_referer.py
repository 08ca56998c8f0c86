"""Which Referer goes on: the values were sent through Envoy 1.40."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.proxy.referer import is_valid_referer


@pytest.mark.parametrize(
    "value",
    [
        "", "a", "/", "/x", "*", "?x", ",", "x=1", "a.example", "a.example/x", "//a.example/x", "http//a:1", "/x:y",
        "x/y:z", "http://a.example", "http://a.example/", "HTTP://A.example/", "https://a.example/x?y=z", "http://a.example?x",
        "android-app://com.x/", "h1p+.-://a/", "http://[::1]/", "http://[::ffff:1.2.3.4]:80/", "http://[1.2.3.4]/",
        "http://-a../", "http://@a/",
        "http://a/%zz", 'http://a/"<>\\^`{|}', "http://a/#", "http://a/?#", "http://a??x?", "http://a:0/", "http://a:65535/",
        "http://a:0000000080/",
    ],
)  # fmt: skip
def test_goes_on(value: str) -> None:
    assert is_valid_referer(value.encode())


@pytest.mark.parametrize(
    "value",
    [
        ":", "#", "a:b", "x:y/z", "?a:b", "a.example:80/x", "about:blank", "mailto:a@b", "2001:db8::9", "c, d", "/ x",
        '/"', "/<", "/[", "/\\", "/^", "/`", "/{", "/|", "/#x", "/é", "http:a", "http://", "http:///x", "1http://a/", "h_p://a/",
        "http://?", "http://a_b/", "http://a%20b/", "http://a b/", "http://a/x y", "http://a/x\ty", "http://a/é",
        "http://[1]/", "http://[a:b]/", "http://[1:2:3:4:5:6:7:8:9]/", "http://[:::]/", "http://[::1.2.3.400]/", "http://[::1%1]/",
        "http://a:/", "http://a:80x/", "http://a:65536/", "http://[::1/", "http://[]/", "http://[::1]x/", "http://[fe80::1%25lo]/",
        "http://u@a/", "http://u:p@a/", "http://@@a/", "http://a/#f", "http://a/?x#f", "http://a#f",
    ],
)  # fmt: skip
def test_is_taken_out(value: str) -> None:
    assert not is_valid_referer(value.encode())


@given(st.from_regex(r"\A(https?://[a-z.]{1,9})?/[a-z/?=&%+]{0,9}\Z"))
def test_what_browsers_send_goes_on(value: str) -> None:
    assert is_valid_referer(value.encode())


@pytest.mark.parametrize(
    ("host", "goes_on"),
    [("::1%1", True), ("fe80::1%lo", True), ("fe80::1%251", True), ("::1%lo", False), ("fe80::1%x", False)],
)
def test_an_address_with_a_scope_id(host: str, goes_on: bool) -> None:
    assert is_valid_referer(f"http://[{host}]:80/".encode(), {"lo": 1}.get) is goes_on
