"""PROXY v2 headers."""

from __future__ import annotations

import socket
import struct

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def tlv(kind: int, value: bytes) -> bytes:
    """One TLV."""
    return struct.pack("!BH", kind, len(value)) + value


def v2(*tlvs: bytes, source: str = "203.0.113.7", port: int = 4711) -> bytes:
    """A PROXY command over IPv4."""
    addresses = socket.inet_aton(source) + socket.inet_aton("192.0.2.1") + struct.pack("!HH", port, 80)
    block = addresses + b"".join(tlvs)
    return SIGNATURE + b"\x21\x11" + struct.pack("!H", len(block)) + block


LOAD_BALANCERS = v2(
    tlv(0x02, b"www.example.com"),
    tlv(0x20, b"\x01" + bytes(4) + tlv(0x21, b"TLSv1.3") + tlv(0x23, b"TLS_AES_128_GCM_SHA256")),
    tlv(0xEA, b"\x01vpce-08d2bf15fac5001c9"),
)
"""As one that ends TLS might send, from a VPC endpoint."""
