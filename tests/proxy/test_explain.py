"""The steps to a client's address, held to what is found without words."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.proxy.client_address import identify, locate
from pyproxy.proxy.explain import Step, explain_connection, explain_request
from pyproxy.settings import ClientAddressOptions, CustomHeaderDetection, XffDetection
from pyproxy.wire.proxy_protocol import Accepted

EDGE = ClientAddressOptions()
HOPS = ClientAddressOptions(use_remote_address=False, detection=XffDetection(1))
CIDRS = ClientAddressOptions(
    use_remote_address=False,
    detection=XffDetection(trusted_cidrs=(ip_network("10.0.0.0/8"), ip_network("127.0.0.0/8"))),
)
CUSTOM = ClientAddressOptions(use_remote_address=False, detection=CustomHeaderDetection(b"x-real-ip"))
CLOSED = ClientAddressOptions(use_remote_address=False, detection=CustomHeaderDetection(b"x-real-ip", 403))
OPTIONS = [
    EDGE,
    HOPS,
    CIDRS,
    CUSTOM,
    CLOSED,
    ClientAddressOptions(xff_num_trusted_hops=2),
    ClientAddressOptions(use_remote_address=False),
]


def steps(
    xff: bytes | None, options: ClientAddressOptions, *, peer: str = "10.1.1.1", real_ip: bytes | None = None
) -> list[tuple[str, str, str]]:
    headers = [(b"x-forwarded-for", xff)] if xff is not None else []
    headers += [(b"x-real-ip", real_ip)] if real_ip is not None else []
    client = identify(peer, b"192.0.2.9", options)
    return [(step.source, step.found, step.verdict) for step in explain_request(headers, client, options)]


def test_a_connection() -> None:
    assert explain_connection("127.0.0.1:5", None, expects_header=False) == [
        Step("connection", "127.0.0.1:5", "the peer of the TCP connection")
    ]
    found = {
        accepted: explain_connection("127.0.0.1:5", accepted, expects_header=True)[1]
        for accepted in (
            None,
            Accepted(None, 0),
            Accepted(2, 16),
            Accepted(1, 40, ("203.0.113.7", 4711)),
            Accepted(2, 28, ("2001:db8::7", 4711)),
        )
    }
    assert [(step.source, step.found) for step in found.values()] == [
        ("PROXY header", "not complete yet"),
        ("PROXY header", "none"),
        ("PROXY header v2", "LOCAL or UNKNOWN"),
        ("PROXY header v1", "203.0.113.7:4711"),
        ("PROXY header v2", "[2001:db8::7]:4711"),
    ]


def test_requests() -> None:
    assert steps(b"9.9.9.9", EDGE) == [
        ("x-forwarded-for", "9.9.9.9", "not believed: the connection's client counts"),
        ("client", "10.1.1.1", "external, x-forwarded-for gets 10.1.1.1"),
    ]
    assert steps(b"9.9.9.9, 8.8.8.8", HOPS)[0] == (
        "x-forwarded-for",
        "9.9.9.9, 8.8.8.8",
        "the entry before the last 1 is the client",
    )
    assert "no address" in steps(b"x, 8.8.8.8", HOPS)[0][2]
    assert "has no entry" in steps(b"8.8.8.8", HOPS)[0][2]
    assert [step[1:] for step in steps(b"1.1.1.1,2.2.2.2,10.9.9.9", CIDRS)] == [
        ("10.1.1.1", "trusted: x-forwarded-for counts"),
        ("10.9.9.9", "trusted: further left"),
        ("2.2.2.2", "not trusted"),
        ("2.2.2.2", "external, x-forwarded-for gets 10.1.1.1"),
    ]
    assert steps(b"1.1.1.1", CIDRS, peer="192.0.2.1")[0][2] == "in no trusted network: it is the client"
    assert steps(b"10.2.2.2", CIDRS)[-2][1] == "all trusted"
    assert "20 entries" in steps(b",".join([b"10.2.2.2"] * 30), CIDRS)[1][2]
    assert steps(None, CUSTOM, real_ip=b"9.9.9.9")[0] == ("x-real-ip", "9.9.9.9", "an address: the client")
    assert steps(None, CUSTOM)[0][2] == "no address: the connection's client counts"
    assert steps(None, CLOSED, real_ip=b"")[-1] == ("client", "unknown", "refused with 403")


ADDRESSES = st.sampled_from([b"10.2.2.2", b" 127.0.0.9", b"203.0.113.7", b"2001:db8::7", b"x", b"", b"1.2.3.4:80"])


@pytest.mark.parametrize("options", OPTIONS, ids=repr)
@given(entries=st.lists(ADDRESSES, max_size=23), real_ip=ADDRESSES, peer=st.sampled_from(["10.1.1.1", "192.0.2.1"]))
def test_the_last_step_is_what_is_found(
    options: ClientAddressOptions, entries: list[bytes], real_ip: bytes, peer: str
) -> None:
    headers = [(b"x-real-ip", real_ip)]
    headers += [(b"x-forwarded-for", b",".join(entries))] if entries else []
    client = identify(peer, b"192.0.2.9", options)
    origin = locate(headers, client, options)
    shown = explain_request(headers, client, options)
    assert shown[-1].found == ("unknown" if origin is None else origin.address.decode())
    if origin is not None:
        # The words lead there too: a header was believed if and only if a step says so.
        said = any(step.verdict.endswith(("client", "not trusted")) for step in shown[:-1])
        assert said == origin.from_header or shown[0].verdict.startswith("in no trusted network")
