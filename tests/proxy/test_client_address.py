"""Who the client is, and what is written about it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from pyproxy.proxy.client_address import identify, in_networks, is_loopback
from pyproxy.settings import HttpOptions

INTERNAL = HttpOptions(internal_networks=(ip_network("10.0.0.0/8"), ip_network("127.0.0.1/32"), ip_network("fd00::/8")))


@pytest.mark.parametrize(
    ("address", "forwarded", "internal"),
    [
        ("203.0.113.7", b"203.0.113.7", False),
        ("10.1.2.3", b"10.1.2.3", True),
        ("127.0.0.1", b"192.0.2.9", True),
        ("127.0.0.2", b"127.0.0.2", False),
        ("::1", b"192.0.2.9", False),
        ("fd00::1", b"fd00::1", True),
        ("2001:db8::7", b"2001:db8::7", False),
        ("::ffff:10.1.2.3", b"::ffff:10.1.2.3", False),
        ("fe80::1%eth0", b"fe80::1%eth0", False),
    ],
)
def test_identify(address: str, forwarded: bytes, internal: bool) -> None:
    client = identify(address, 4711, b"192.0.2.9", INTERNAL)
    assert client.address == address.encode()
    assert client.port == 4711
    assert client.forwarded_for == forwarded
    assert client.internal is internal


def test_nobody_is_internal_by_default() -> None:
    assert not identify("10.1.2.3", 1, b"192.0.2.9", HttpOptions()).internal


def test_loopback_is_one_address_of_each_family() -> None:
    assert is_loopback(ip_address("127.0.0.1"))
    assert is_loopback(ip_address("::1"))
    assert not is_loopback(ip_address("::127.0.0.1"))


def test_networks_of_the_other_family_do_not_count() -> None:
    assert not in_networks(ip_address("::10.0.0.1"), (ip_network("10.0.0.0/8"),))
