"""IP addresses as text."""

from __future__ import annotations

from ipaddress import ip_address

import pytest

from pyproxy.wire.address import format_address, format_ip, parse_ip


@pytest.mark.parametrize(
    "text", ["192.0.2.1", "0.0.0.0", "2001:db8::7", "::", "::1", "::ffff:192.0.2.1", "::192.0.2.1"]
)
def test_what_is_an_address_is_written_as_it_was(text: str) -> None:
    ip = parse_ip(text.encode())
    assert ip == ip_address(text)
    assert format_ip(ip) == text


@pytest.mark.parametrize(
    "text",
    [
        b"", b"unknown", b"192.0.2", b"192.0.2.256", b"0192.0.2.1", b"192.0.2.1:80", b"[2001:db8::7]",
        b"2001:db8::7%lo",
        b"\xd9\xa1.2.3.4", b" 1.2.3.4", b"1" * 60_000,
    ],
)  # fmt: skip
def test_what_is_none(text: bytes) -> None:
    assert parse_ip(text) is None


def index(name: str) -> int | None:
    return {"lo": 1, "eth0": 4}.get(name)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (b"fe80::1%lo", "fe80::1%1"),
        (b"FEBF::0001%eth0", "febf::1%4"),
        (b"ff02::1%lo", "ff02::1%1"),
        (b"ff01::1%lo", "ff01::1%1"),
        (b"fe80::1%99", "fe80::1%99"),
        (b"fe80::1%01", "fe80::1%1"),
        (b"fe80::1%0", "fe80::1"),
        (b"2001:db8::1%99", "2001:db8::1%99"),
        (b"::ffff:1.2.3.4%1", "::ffff:1.2.3.4%1"),
        (b"fe80::1%4294967295", "fe80::1%4294967295"),
        (b"fe80::1%4294967296", None),
        (b"fe80::1%" + b"0" * 60_000 + b"1", "fe80::1%1"),
        (b"fe80::1%1" + b"0" * 60_000, None),
        (b"fe80::1%", None),
        (b"fe80::1%nosuch", None),
        (b"fe80::1%lo%lo", None),
        (b"fe80::1%+1", None),
        (b"2001:db8::1%lo", None),
        (b"fec0::1%lo", None),
        (b"ff0e::1%lo", None),
        (b"1.2.3.4%1", None),
    ],
)
def test_scope_ids_as_getaddrinfo_takes_them(text: bytes, written: str | None) -> None:
    ip = parse_ip(text, index)
    assert (None if ip is None else format_ip(ip)) == written
    assert parse_ip(text) is None


def test_capitals_and_zeros_are_written_in_the_short_form() -> None:
    ip = parse_ip(b"2001:0DB8:0:0:0:0:0:7")
    assert ip is not None
    assert format_ip(ip) == "2001:db8::7"


def test_format_address() -> None:
    assert format_address("127.0.0.1", 80) == "127.0.0.1:80"
    assert format_address("::1", 80) == "[::1]:80"
