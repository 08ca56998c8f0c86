"""PROXY headers taken apart."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from pyproxy.settings import ProxyProtocol
from pyproxy.wire.proxy_fields import take_apart
from pyproxy.wire.proxy_protocol import Accepted, Preface

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"


def v2(family: int, addresses: bytes, tail: bytes = b"", command: int = 0x21) -> bytes:
    block = addresses + tail
    return SIGNATURE + bytes((command, family)) + struct.pack("!H", len(block)) + block


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


TCP4 = bytes((203, 0, 113, 7, 192, 0, 2, 1)) + struct.pack("!HH", 4711, 80)
TCP6 = bytes.fromhex("20010db8000000000000000000000007" * 2) + struct.pack("!HH", 1, 2)


def shown(header: bytes) -> dict[str, str]:
    return {"  " * field.depth + field.name: field.meaning for field in take_apart(header)}


def test_version_1() -> None:
    assert shown(b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n") == {
        "signature": "version 1",
        "protocol": "TCP4",
        "source": "203.0.113.7",
        "destination": "192.0.2.1",
        "source port": "4711",
        "destination port": "80",
    }
    assert shown(b"PROXY UNKNOWN\r\n") == {"signature": "version 1", "protocol": "UNKNOWN"}


def test_version_2() -> None:
    assert shown(v2(0x11, TCP4)) == {
        "signature": "version 2",
        "version and command": "version 2, PROXY: on behalf of somebody else",
        "family and transport": "AF_INET, STREAM",
        "length": "12 bytes follow",
        "source": "203.0.113.7",
        "destination": "192.0.2.1",
        "source port": "4711",
        "destination port": "80",
    }
    assert shown(v2(0x22, TCP6))["source"] == "2001:db8::7"
    local = shown(v2(0x11, TCP4, command=0x20))
    assert local["version and command"] == "version 2, LOCAL: the sender's own connection"
    assert local["block"] == "does not count"
    assert "block" not in shown(v2(0x00, b"", command=0x20))


def test_tlvs() -> None:
    ssl = bytes((0x07,)) + struct.pack("!I", 0) + tlv(0x21, b"TLSv1.3") + tlv(0x22, b"client")
    tail = b"".join(
        (
            tlv(0x01, b"h2"),
            tlv(0x02, b"www.example.com"),
            tlv(0x03, b"\x01\x02\x03\x04"),
            tlv(0x04, b""),
            tlv(0x20, ssl),
            tlv(0xE0, struct.pack("!Q", 1234567)),
            tlv(0xEA, b"\x01vpce-0123"),
            tlv(0xEE, b"\x01" + struct.pack("<I", 42)),
            tlv(0xE5, b"\xff\x00"),
            tlv(0xF1, b"x"),
            tlv(0x77, b"y"),
        )
    )
    found = shown(v2(0x11, TCP4, tail))
    assert list(found.items())[8:] == [
        ("TLV 0x01 PP2_TYPE_ALPN", "h2"),
        ("TLV 0x02 PP2_TYPE_AUTHORITY", "www.example.com"),
        ("TLV 0x03 PP2_TYPE_CRC32C", "checksum, which Envoy does not check"),
        ("TLV 0x04 PP2_TYPE_NOOP", "empty"),
        (
            "TLV 0x20 PP2_TYPE_SSL",
            "over TLS, certificate on this connection, certificate in this session, verified",
        ),
        ("  TLV 0x21 PP2_SUBTYPE_SSL_VERSION", "TLSv1.3"),
        ("  TLV 0x22 PP2_SUBTYPE_SSL_CN", "client"),
        ("TLV 0xE0 GCP PSC connection id", "1234567"),
        ("TLV 0xEA AWS", "VPC endpoint vpce-0123"),
        ("TLV 0xEE Azure", "private endpoint link id 42"),
        ("TLV 0xE5 custom", ""),
        ("TLV 0xF1 experiment", "x"),
        ("TLV 0x77 unassigned", "y"),
    ]


def test_a_header_that_was_not_kept_whole() -> None:
    header = v2(0x11, TCP4, tlv(0x02, b"x" * 300))
    assert shown(header[:40])["TLV 0x02 PP2_TYPE_AUTHORITY"] == "xxxxxxxxx (of 300 bytes, 9 are kept)"


@given(st.binary(max_size=80), st.integers(0, 255), st.booleans())
def test_whatever_is_accepted_can_be_shown(tail: bytes, family: int, local: bool) -> None:
    header = v2(family, TCP4, tail, command=0x20 if local else 0x21)
    result = Preface(ProxyProtocol()).receive(header)
    if isinstance(result, Accepted):
        fields = take_apart(header)
        if result.source is not None:
            assert [field.meaning for field in fields if field.name == "source"] == [result.source[0]]
        for end in range(16, len(header)):
            take_apart(header[:end])
