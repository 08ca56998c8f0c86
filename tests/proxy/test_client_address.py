"""Who the client is, and what is written about it."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest

from pyproxy.proxy.client_address import Client, Origin, identify, in_networks, is_loopback, locate
from pyproxy.settings import ClientAddressOptions, CustomHeaderDetection, XffDetection
from pyproxy.wire.messages import Headers

NODE = b"192.0.2.9"
NETWORKS = (ip_network("10.0.0.0/8"), ip_network("127.0.0.1/32"), ip_network("fd00::/8"))
DIRECT = ClientAddressOptions(internal_networks=NETWORKS)
TRUSTED = (ip_network("203.0.113.0/24"), ip_network("10.1.0.0/16"), ip_network("2001:db8::/32"))


def hops(number: int, *, skip: bool = False) -> ClientAddressOptions:
    return ClientAddressOptions(
        use_remote_address=False, detection=XffDetection(number, None, skip), internal_networks=NETWORKS
    )


def cidrs(*, skip: bool = False) -> ClientAddressOptions:
    return ClientAddressOptions(
        use_remote_address=False, detection=XffDetection(0, TRUSTED, skip), internal_networks=NETWORKS
    )


def custom(status: int | None = None) -> ClientAddressOptions:
    return ClientAddressOptions(
        use_remote_address=False, detection=CustomHeaderDetection(b"x-client-ip", status), internal_networks=NETWORKS
    )


def peer(address: str, options: ClientAddressOptions = DIRECT) -> Client:
    return identify(address, NODE, options)


def origin(
    options: ClientAddressOptions, forwarded_for: bytes | None = None, address: str = "203.0.113.7", **headers: bytes
) -> Origin:
    sent: Headers = [(name.replace("_", "-").encode(), value) for name, value in headers.items()]
    if forwarded_for is not None:
        sent.append((b"x-forwarded-for", forwarded_for))
    found = locate(sent, peer(address, options), options)
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("address", "forwarded", "internal"),
    [
        ("203.0.113.7", b"203.0.113.7", False),
        ("10.1.2.3", b"10.1.2.3", True),
        ("127.0.0.1", NODE, True),
        ("127.0.0.2", b"127.0.0.2", False),
        ("::1", NODE, False),
        ("fd00::1", b"fd00::1", True),
        ("2001:db8::7", b"2001:db8::7", False),
        ("::ffff:10.1.2.3", b"::ffff:10.1.2.3", False),
        ("fe80::1%eth0", b"fe80::1%eth0", False),
    ],
)
@pytest.mark.enforces("spec.clientIPDetection.directSourceIP")
def test_the_peer_is_the_client(address: str, forwarded: bytes, internal: bool) -> None:
    client = peer(address)
    assert (client.address, client.forwarded_for) == (address.encode(), forwarded)
    assert origin(DIRECT, address=address) == Origin(address.encode(), False, internal, not internal, forwarded)


def test_a_request_that_was_forwarded_is_not_internal() -> None:
    assert origin(DIRECT, b"", "10.1.2.3") == Origin(b"10.1.2.3", False, False, True, b"10.1.2.3")


def test_nobody_is_internal_by_default() -> None:
    assert not origin(ClientAddressOptions(), address="10.1.2.3").internal


@pytest.mark.parametrize(
    ("skipped", "forwarded_for", "address"),
    [
        (0, b"1.1.1.1, 2.2.2.2", b"2.2.2.2"),
        (1, b"1.1.1.1, 2.2.2.2", b"1.1.1.1"),
        (2, b"1.1.1.1, 2.2.2.2", None),
        (0, b" 1.1.1.1 ", b"1.1.1.1"),
        (0, b"2001:DB8::7", b"2001:db8::7"),
        (0, b"1.1.1.1:80", None),
        (0, b"1.1.1.1, unknown", None),
        (1, b"1.1.1.1, unknown", b"1.1.1.1"),
        (0, b"1.1.1.1,", None),
        (0, b"", None),
        (1, b"", None),
        (0, None, None),
    ],
)
@pytest.mark.enforces("spec.clientIPDetection.xForwardedFor.numTrustedHops")
def test_counting_hops(skipped: int, forwarded_for: bytes | None, address: bytes | None) -> None:
    found = origin(hops(skipped), forwarded_for)
    assert (found.address, found.from_header) == (address or b"203.0.113.7", address is not None)
    assert found.appended == b"203.0.113.7"
    assert not found.edge


@pytest.mark.parametrize(
    ("forwarded_for", "address"),
    [
        (b"1.1.1.1, 2.2.2.2", b"2.2.2.2"),
        (b"1.1.1.1, 10.1.2.3, 203.0.113.9", b"1.1.1.1"),
        (b"10.1.2.3, 203.0.113.9", b"10.1.2.3"),
        (b"unknown, 1.1.1.1", b"1.1.1.1"),
        (b"1.1.1.1, unknown, 203.0.113.9", None),
        (b"1.1.1.1,, 203.0.113.9", None),
        (b"::ffff:203.0.113.9", b"::ffff:203.0.113.9"),
        (b",".join([b"203.0.113.1"] * 20), b"203.0.113.1"),
        (b",".join([b"9.9.9.9"] * 21), None),
        (b"fe80::1%lo", None),
        (None, None),
    ],
)
@pytest.mark.enforces("spec.clientIPDetection.xForwardedFor.trustedCIDRs[]")
def test_trusting_networks(forwarded_for: bytes | None, address: bytes | None) -> None:
    found = origin(cidrs(), forwarded_for)
    assert (found.address, found.from_header) == (address or b"203.0.113.7", address is not None)


def test_a_scope_id_counts_where_interfaces_are_known() -> None:
    options = cidrs()
    client = identify("203.0.113.7", NODE, options, {"lo": 1}.get)
    found = locate([(b"x-forwarded-for", b"fe80::1%lo")], client, options)
    assert found is not None
    assert (found.address, found.from_header) == (b"fe80::1%1", True)


def test_a_peer_outside_of_the_trusted_networks_is_the_client() -> None:
    assert origin(cidrs(skip=True), b"1.1.1.1", "198.51.100.7") == Origin(
        b"198.51.100.7", False, False, False, b"198.51.100.7"
    )


@pytest.mark.enforces("spec.clientIPDetection.xForwardedFor.disableXForwardedForAppend")
def test_not_appending() -> None:
    for options in (hops(0, skip=True), cidrs(skip=True)):
        assert origin(options, b"1.1.1.1").appended is None
    for options in (hops(0), cidrs()):
        assert origin(options, b"1.1.1.1").appended == b"203.0.113.7"
        assert origin(options, b"1.1.1.1", "127.0.0.1").appended == NODE


@pytest.mark.parametrize(
    ("options", "forwarded_for", "internal"),
    [
        (hops(0), b"10.1.2.3", True),
        (hops(0), b"1.1.1.1, 10.1.2.3", False),
        (hops(1), b"10.1.2.3, 1.1.1.1", False),
        (hops(0), None, False),
        (cidrs(), b"10.1.2.3", True),
        (cidrs(), b"10.1.2.3,10.1.2.3", False),
        (cidrs(), b",10.1.2.3", False),
    ],
)
def test_a_single_address_may_be_internal(
    options: ClientAddressOptions, forwarded_for: bytes | None, internal: bool
) -> None:
    assert origin(options, forwarded_for).internal is internal


@pytest.mark.enforces("spec.clientIPDetection.customHeader.name")
def test_a_header_of_its_own() -> None:
    found = origin(custom(), b"9.9.9.9", x_client_ip=b"1.1.1.1")
    assert found == Origin(b"1.1.1.1", True, False, False, None)
    assert origin(custom(), b"9.9.9.9", x_client_ip=b"10.1.1.1").internal
    for useless in (b"", b"1.1.1.1, 2.2.2.2", b"1.1.1.1:80"):
        assert origin(custom(), x_client_ip=useless) == Origin(b"203.0.113.7", False, False, False, None)
    assert not origin(custom(), address="10.1.1.1").internal


@pytest.mark.enforces("spec.clientIPDetection.customHeader.failClosed")
def test_a_header_that_must_be_there() -> None:
    options = custom(403)
    assert origin(options, x_client_ip=b"1.1.1.1").address == b"1.1.1.1"
    for headers in ([], [(b"x-client-ip", b"nonsense")]):
        assert locate(headers, peer("203.0.113.7", options), options) is None


def test_the_connection_manager_s_own_hops() -> None:
    options = ClientAddressOptions(xff_num_trusted_hops=2, internal_networks=NETWORKS)
    assert origin(options, b"10.1.1.1, 1.1.1.1") == Origin(b"10.1.1.1", True, False, True, b"203.0.113.7")
    assert origin(options, b"1.1.1.1").address == b"203.0.113.7"
    assert origin(options, address="10.1.1.1").internal
    without = ClientAddressOptions(use_remote_address=False, xff_num_trusted_hops=1)
    assert origin(without, b"1.1.1.1, 2.2.2.2") == Origin(b"1.1.1.1", True, False, False, None)
    skipping = ClientAddressOptions(skip_xff_append=True)
    assert origin(skipping).appended is None
    assert origin(ClientAddressOptions(xff_num_trusted_hops=1, skip_xff_append=True), b"1.1.1.1").appended is None


def test_loopback_is_one_address_of_each_family() -> None:
    assert is_loopback(ip_address("127.0.0.1"))
    assert is_loopback(ip_address("::1"))
    assert not is_loopback(ip_address("::127.0.0.1"))


def test_networks_of_the_other_family_do_not_count() -> None:
    assert not in_networks(ip_address("::10.0.0.1"), (ip_network("10.0.0.0/8"),))
