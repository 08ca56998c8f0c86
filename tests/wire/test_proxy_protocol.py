"""PROXY headers: the verdict for every shape, and the same one at every split."""

from __future__ import annotations

import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pyproxy.settings import ProxyProtocol
from pyproxy.wire import proxy_protocol
from pyproxy.wire.proxy_protocol import Accepted, Preface, Rejected

REQUIRED, OPTIONAL = ProxyProtocol(), ProxyProtocol(optional=True)
V2 = b"\r\n\r\n\x00\r\nQUIT\n"
REST = b"GET / HTTP/1.1\r\n\r\n"


def read(data: bytes, settings: ProxyProtocol = REQUIRED) -> Accepted | Rejected | None:
    return Preface(settings).receive(data)


def v1(line: bytes) -> bytes:
    return b"PROXY " + line + b"\r\n"


def v2(
    tail: bytes = b"",
    *,
    command: int = 0x21,
    family: int = 0x11,
    source: bytes = b"\xcb\x00\x71\x07",
    destination: bytes = b"\xc0\x00\x02\x01",
) -> bytes:
    block = source + destination + struct.pack("!HH", 4711, 80) + tail
    return V2 + bytes((command, family)) + struct.pack("!H", len(block)) + block


def six(text: str) -> bytes:
    from ipaddress import IPv6Address

    return IPv6Address(text).packed


GOOD: dict[str, tuple[bytes, tuple[str, int] | None]] = {
    "v1 TCP4": (v1(b"TCP4 203.0.113.7 192.0.2.1 4711 80"), ("203.0.113.7", 4711)),
    "v1 port with sign": (v1(b"TCP4 203.0.113.7 192.0.2.1 +4711 80"), ("203.0.113.7", 4711)),
    "v1 port with zeros": (v1(b"TCP4 203.0.113.7 192.0.2.1 004711 80"), ("203.0.113.7", 4711)),
    "v1 port after a tab": (v1(b"TCP4 203.0.113.7 192.0.2.1 \t4711 80"), ("203.0.113.7", 4711)),
    "v1 port 0": (v1(b"TCP4 203.0.113.7 192.0.2.1 0 0"), ("203.0.113.7", 0)),
    "v1 trailing blank": (v1(b"TCP4 203.0.113.7 192.0.2.1 4711 80 "), ("203.0.113.7", 4711)),
    "v1 trailing CR": (v1(b"TCP4 203.0.113.7 192.0.2.1 4711 80\r"), ("203.0.113.7", 4711)),
    "v1 TCP6": (v1(b"TCP6 2001:db8::7 2001:db8::1 4711 80"), ("2001:db8::7", 4711)),
    "v1 mapped": (v1(b"TCP6 ::ffff:203.0.113.7 2001:db8::1 4711 80"), ("::ffff:203.0.113.7", 4711)),
    "v1 compatible": (v1(b"TCP6 ::1.2.3.4 2001:db8::1 4711 80"), ("::1.2.3.4", 4711)),
    "v1 UNKNOWN": (v1(b"UNKNOWN"), None),
    "v1 UNKNOWN and junk": (v1(b"UNKNOWN what ever \xff"), None),
    "v1 108 bytes": (v1(b"UNKNOWN " + b"x" * 92), None),
    "v2 TCP4": (v2(), ("203.0.113.7", 4711)),
    "v2 UDP4": (v2(family=0x12), ("203.0.113.7", 4711)),
    "v2 TCP6": (
        v2(family=0x21, source=six("2001:db8::7"), destination=six("2001:db8::1")),
        ("2001:db8::7", 4711),
    ),
    "v2 TLVs": (v2(b"\x02\x00\x03abc\x04\x00\x00"), ("203.0.113.7", 4711)),
    "v2 wrong checksum": (v2(b"\x03\x00\x04\x00\x00\x00\x00"), ("203.0.113.7", 4711)),
    "v2 60 kB of TLV": (v2(b"\xe0\xea\x60" + b"x" * 60_000), ("203.0.113.7", 4711)),
    "v2 LOCAL": (v2(command=0x20), None),
    "v2 LOCAL, nothing": (V2 + b"\x20\x00\x00\x00", None),
    "v2 LOCAL, junk": (V2 + b"\x20\x7f\x00\x03abc", None),
}

BAD: dict[str, bytes] = {
    "v1 fields": v1(b"TCP4 203.0.113.7 192.0.2.1 4711"),
    "v1 two blanks": v1(b"TCP4  203.0.113.7 192.0.2.1 4711 80"),
    "v1 family": v1(b"TCP5 203.0.113.7 192.0.2.1 4711 80"),
    "v1 UNKNOWN glued": v1(b"UNKNOWNX"),
    "v1 port too high": v1(b"TCP4 203.0.113.7 192.0.2.1 65536 80"),
    "v1 port underscore": v1(b"TCP4 203.0.113.7 192.0.2.1 8_0 80"),
    "v1 port negative": v1(b"TCP4 203.0.113.7 192.0.2.1 -1 80"),
    "v1 octet with zero": v1(b"TCP4 203.0.113.07 192.0.2.1 4711 80"),
    "v1 v4 in TCP6": v1(b"TCP6 203.0.113.7 192.0.2.1 4711 80"),
    "v1 v6 in TCP4": v1(b"TCP4 2001:db8::7 2001:db8::1 4711 80"),
    "v1 not ASCII": v1(b"TCP4 203.0.113.\xff 192.0.2.1 4711 80"),
    "v1 scope id": v1(b"TCP6 fe80::1%eth0 2001:db8::1 4711 80"),
    "v1 any": v1(b"TCP4 0.0.0.0 192.0.2.1 4711 80"),
    "v1 to any": v1(b"TCP4 203.0.113.7 0.0.0.0 4711 80"),
    "v1 multicast": v1(b"TCP4 224.0.0.1 192.0.2.1 4711 80"),
    "v1 broadcast": v1(b"TCP4 255.255.255.255 192.0.2.1 4711 80"),
    "v1 v6 multicast": v1(b"TCP6 ff02::1 2001:db8::1 4711 80"),
    "v1 109 bytes": v1(b"UNKNOWN " + b"x" * 93),
    "v1 endless": b"PROXY " + b"x" * 200,
    "v2 version 1": v2(command=0x11),
    "v2 command 2": v2(command=0x22),
    "v2 AF_UNSPEC": v2(family=0x00),
    "v2 AF_UNIX": v2(family=0x31, source=b"a" * 108, destination=b"b" * 108),
    "v2 no transport": v2(family=0x10),
    "v2 short": V2 + b"\x21\x11\x00\x04abcd",
    "v2 any": v2(source=b"\0\0\0\0"),
    "v2 stray byte": v2(b"\x02"),
    "v2 truncated TLV": v2(b"\x02\x00\x09abc"),
}


@pytest.mark.enforces("spec.enableProxyProtocol")
@pytest.mark.parametrize("name", GOOD)
def test_accepted(name: str) -> None:
    header, source = GOOD[name]
    for settings in (REQUIRED, OPTIONAL):
        result = read(header + REST, settings)
        assert isinstance(result, Accepted)
        assert result.length == len(header)
        assert result.source == source
        assert result.version == (1 if name.startswith("v1") else 2)


@pytest.mark.parametrize("name", BAD)
def test_rejected(name: str) -> None:
    for settings in (REQUIRED, OPTIONAL):
        result = read(BAD[name] + REST, settings)
        assert isinstance(result, Rejected)
        assert result.version == (1 if name.startswith("v1") else 2)


@pytest.mark.parametrize("name", [name for name in GOOD if len(GOOD[name][0]) < 300])
def test_every_split_gives_the_same(name: str) -> None:
    data = GOOD[name][0] + REST
    for at in range(1, len(data)):
        preface = Preface(REQUIRED)
        result = preface.receive(data[:at])
        rest = b"" if result is not None else data[at:]
        result = result or preface.receive(rest)
        assert isinstance(result, Accepted)
        assert result.source == GOOD[name][1]


def test_the_destination_too() -> None:
    for header in (v1(b"TCP4 203.0.113.7 192.0.2.1 4711 80"), v2(), v2(family=0x12)):
        result = read(header)
        assert isinstance(result, Accepted)
        assert result.destination == ("192.0.2.1", 80)


NUMBERS = st.one_of(st.integers(0, 256).map(str), st.sampled_from(["", "00", "01", "+1", "1_0", " 1", "223", "224"]))
PORTS = st.one_of(st.integers(0, 70_000).map(str), st.sampled_from(["", "00", "+80", "-0", "8_0", "65535", "65536"]))
ADDRESSES = st.lists(NUMBERS, min_size=3, max_size=5).map(".".join)


@given(ADDRESSES, ADDRESSES, PORTS, PORTS)
@example("203.0.113.7", "192.0.2.1", "4711", "65535")
def test_the_fast_lane_of_version_1_is_the_slow_one(source: str, destination: str, port: str, other: str) -> None:
    line = f"PROXY TCP4 {source} {destination} {port} {other}\r\n".encode()
    assert verdict(proxy_protocol._read_v1(line)) == verdict(proxy_protocol._read_unusual_v1(line))


@given(st.binary(min_size=12, max_size=12), st.sampled_from([0x11, 0x12]))
@example(b"\xcb\x00\x71\x07\xc0\x00\x02\x01\x12\x67\x00\x50", 0x11)
def test_the_fast_lane_of_version_2_is_the_slow_one(block: bytes, family: int) -> None:
    header = V2 + bytes((0x21, family, 0, 12)) + block
    assert verdict(read(header)) == verdict(proxy_protocol._read_unusual_v2(header, 28, 28))


def verdict(result: Accepted | Rejected | None) -> object:
    """Why it is refused says what was looked at first."""
    return Rejected if isinstance(result, Rejected) else result


@pytest.mark.enforces("spec.proxyProtocol.optional")
@pytest.mark.parametrize("data", [b"data\r\n", b"PR\r\n", b"\r\nX" + b"x" * 13, b"GET / HTTP/1.1\r\n", b"PROXYx\r\n"])
def test_no_header(data: bytes) -> None:
    rejected = read(data)
    assert isinstance(rejected, Rejected)
    assert rejected.version is None
    assert read(data, OPTIONAL) == Accepted(None, 0)


@pytest.mark.parametrize(
    "data", [b"P", b"PROXY", b"\r", b"\r\n\r\n\x00\r\nQUIT", V2 + b"\x21\x11\x00", b"PROXY TCP4 1.2"]
)
def test_more_is_needed(data: bytes) -> None:
    assert read(data) is None
    assert read(data, OPTIONAL) is None


@given(
    st.binary(max_size=60), st.sampled_from([b"", b"PROXY ", b"PROXY TCP4 ", V2, V2 + b"\x21\x11", V2 + b"\x21\x21"])
)
def test_any_bytes_have_one_of_three_outcomes(data: bytes, start: bytes) -> None:
    result = read(start + data)
    assert result is None or isinstance(result, Accepted | Rejected)


@pytest.mark.parametrize("start", [b"G", b"GET / HTTP/1.1\r", b"PROXZ", b"\r\nABC\r\n", b"\r\n\r\n\x00\r\nQUIX\r\n"])
def test_what_is_no_header_is_refused_when_it_is_a_line_or_16_bytes(start: bytes) -> None:
    preface = Preface(ProxyProtocol())
    assert preface.receive(start) is None
    assert isinstance(preface.receive(b"\n" + b"x" * (15 - len(start))), Rejected)
    assert isinstance(Preface(ProxyProtocol(optional=True)).receive(start), Accepted)


@pytest.mark.parametrize("port", [b"-0", b"8_0"])
def test_what_int_takes_for_a_port_and_envoy_does_not(port: bytes) -> None:
    line = b"PROXY TCP4 203.0.113.7 192.0.2.1 %b 80\r\n" % port
    assert isinstance(Preface(ProxyProtocol()).receive(line), Rejected)


@pytest.mark.parametrize(
    ("version_command", "family", "addresses"), [(0x22, 0x11, 12), (0x21, 0x20, 36), (0x2F, 0x12, 12)]
)
def test_a_bad_command_or_transport_is_refused_with_the_addresses(
    version_command: int, family: int, addresses: int
) -> None:
    preface = Preface(ProxyProtocol())
    header = b"\r\n\r\n\x00\r\nQUIT\n" + bytes((version_command, family, 0, addresses + 4))
    assert preface.receive(header + bytes(addresses - 1)) is None
    assert isinstance(preface.receive(b"\x00"), Rejected)


def test_a_version_1_line_without_an_end_is_too_long_with_its_109th_byte() -> None:
    preface = Preface(ProxyProtocol())
    assert preface.receive(b"PROXY UNKNOWN " + b"x" * 94) is None  # Envoy waits here too (measured)
    assert isinstance(preface.receive(b"x"), Rejected)
