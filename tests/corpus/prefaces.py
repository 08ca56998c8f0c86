"""The project's own PROXY prefaces: version 1 lines and version 2 headers along the specification of HAProxy."""

from __future__ import annotations

import struct
from collections.abc import Iterator

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1 = b"PROXY TCP4 203.0.113.7 198.51.100.1 4711 80\r\n"
V6 = b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n"
IPV4 = bytes((203, 0, 113, 7)) + bytes((198, 51, 100, 1)) + struct.pack("!HH", 4711, 80)
IPV6 = bytes.fromhex("20010db800000000000000000000000720010db8000000000000000000000001") + struct.pack("!HH", 4711, 80)
UNIX = b"/a".ljust(108, b"\0") + b"/b".ljust(108, b"\0")

ADDRESSES_4 = (
    b"0.0.0.0", b"255.255.255.255", b"224.0.0.1", b"239.255.255.255", b"240.0.0.1", b"127.0.0.1", b"127.1.2.3", b"10.0.0.1",
    b"169.254.0.1", b"100.64.0.1", b"1.2.3", b"1.2.3.4.5", b"256.1.1.1", b"1.2.3.-4", b"01.2.3.4", b"1.2.3.4 ", b"1.2.3.4\x00",
    b"0x1.2.3.4", b"a.b.c.d", b"2001:db8::7", b"::ffff:1.2.3.4", b"", b"\xd9\xa1.2.3.4",
)  # fmt: skip
ADDRESSES_6 = (
    b"::", b"::1", b"ff02::1", b"fe80::1", b"fe80::1%lo", b"fe80::1%1", b"::ffff:203.0.113.7", b"::203.0.113.7", b"2001:DB8::7",
    b"2001:0db8:0000:0000:0000:0000:0000:0007", b"2001:db8:::7", b"2001:db8::7::", b"2001:db8::g", b"1:2:3:4:5:6:7:8:9",
    b"12345::", b"[2001:db8::7]", b"203.0.113.7", b"fc00::1", b"64:ff9b::1",
)  # fmt: skip
PORTS = (
    b"0", b"1", b"65535", b"65536", b"-1", b"+80", b"080", b"00000080", b" 80", b"80 ", b"8 0", b"0x50", b"8_0", b"", b"x",
    b"99999999999999999999", b"80\x00", b"80\t",
)  # fmt: skip
LINES = (
    b"PROXY UNKNOWN\r\n", b"PROXY UNKNOWN \r\n", b"PROXY UNKNOWN a b c d\r\n", b"PROXY UNKNOWNX\r\n", b"PROXY unknown\r\n",
    b"PROXY\r\n", b"PROXY \r\n", b"PROXY TCP\r\n", b"PROXY TCP4\r\n", b"PROXY TCP5 1.2.3.4 5.6.7.8 1 2\r\n", b"PROXY UDP4 1.2.3.4 5.6.7.8 1 2\r\n",
    b"PROXY tcp4 1.2.3.4 5.6.7.8 1 2\r\n", b"proxy TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b" PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    b"PROXY  TCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"PROXY\tTCP4 1.2.3.4 5.6.7.8 1 2\r\n", b"PROXY TCP4  1.2.3.4 5.6.7.8 1 2\r\n",
    b"PROXY TCP4 1.2.3.4\t5.6.7.8 1 2\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 3\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1\r\n",
    b"PROXY TCP4 1.2.3.4 5.6.7.8\r\n", b"PROXY TCP4 1.2.3.4\r\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2 \r\n",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\n", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r", b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\r\n",
    b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\x00\r\n", b"PROXY UNKNOWN " + b"x" * 91 + b"\r\n", b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n",
    b"PROXY UNKNOWN " + b"x" * 93 + b"\r\n", b"PROXY UNKNOWN " + b"x" * 400 + b"\r\n", b"PROXY UNKNOWN " + b"x" * 200, V1 + V1, V1 + V6,
    b"P", b"PROX", b"PROXY TCP4 1.2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"PUT / HTTP/1.1\r\n", b"PROXYGET / HTTP/1.1\r\n", b"hello\r\n", b"",
)  # fmt: skip


def header(command: int, family: int, block: bytes, *, length: int | None = None) -> bytes:
    """A version 2 header; ``length`` is what it claims, its block's own where it is left out."""
    claimed = len(block) if length is None else length
    return SIGNATURE + bytes((command, family)) + struct.pack("!H", claimed) + block


def tlv(kind: int, value: bytes, *, length: int | None = None) -> bytes:
    """One type-length-value; ``length`` is what it claims."""
    return struct.pack("!BH", kind, len(value) if length is None else length) + value


def prefaces() -> Iterator[tuple[str, str, bytes, list[int]]]:
    """(id, source, bytes, how long each write is) of every preface; no lengths for one write."""
    source = "PROXY protocol section 2.1"
    for number, line in enumerate((V1, V6, *LINES)):
        yield f"own/v1/line-{number:02}", source, line, []
    for number, address in enumerate(ADDRESSES_4):
        yield f"own/v1/source-{number:02}", source, V1.replace(b"203.0.113.7", address), []
        yield f"own/v1/destination-{number:02}", source, V1.replace(b"198.51.100.1", address), []
    for number, address in enumerate(ADDRESSES_6):
        yield f"own/v1/source6-{number:02}", source, V6.replace(b"2001:db8::7", address), []
    for number, port in enumerate(PORTS):
        yield f"own/v1/port-{number:02}", source, V1.replace(b"4711", port), []
        yield f"own/v1/destination-port-{number:02}", source, V1.replace(b" 80\r", b" " + port + b"\r"), []
    source = "PROXY protocol section 2.2"
    for family in range(0x40):
        if family & 0x0F <= 3:
            block = {1: IPV4, 2: IPV6, 3: UNIX}.get(family >> 4, b"")
            yield f"own/v2/family-{family:02x}", source, header(0x21, family, block), []
    for command in (0x00, 0x01, 0x10, 0x11, 0x20, 0x21, 0x22, 0x2F, 0x30, 0x31):
        yield f"own/v2/command-{command:02x}", source, header(command, 0x11, IPV4), []
    for number, block in enumerate(_blocks()):
        yield f"own/v2/block-{number:02}", source, header(0x21, 0x11, block), []
        yield f"own/v2/local-{number:02}", source, header(0x20, 0x00, block), []
    for length in (0, 1, 11, 13, 15, 65535):
        yield f"own/v2/length-{length}", source, header(0x21, 0x11, IPV4, length=length), []
    for number, address in enumerate((bytes(4), b"\xff" * 4, b"\xe0\0\0\1", b"\x7f\0\0\1", b"\x0a\0\0\1")):
        yield f"own/v2/source-{number}", source, header(0x21, 0x11, address + IPV4[4:]), []
        yield f"own/v2/destination-{number}", source, header(0x21, 0x11, IPV4[:4] + address + IPV4[8:]), []
    for number, address in enumerate(
        (bytes(16), bytes(15) + b"\1", b"\xff\2" + bytes(13) + b"\1", bytes(10) + b"\xff\xff" + IPV4[:4])
    ):
        yield f"own/v2/source6-{number}", source, header(0x21, 0x21, address + IPV6[16:]), []
    for at in range(1, len(V1)):
        yield f"own/split/v1-{at:02}", "PROXY protocol section 2.1", V1, [at, len(V1) - at]
    whole = header(0x21, 0x11, IPV4 + tlv(0x02, b"a.example"))
    for at in range(1, len(whole)):
        yield f"own/split/v2-{at:02}", source, whole, [at, len(whole) - at]
    for at in range(0, len(whole), 3):
        yield f"own/cut/v2-{at:02}", source, whole[:at], []


def _blocks() -> Iterator[bytes]:
    for cut in (0, 4, 8, 11):
        yield IPV4[:cut]
    for tail in (
        tlv(0x01, b"h2"), tlv(0x02, b"a.example"), tlv(0x03, bytes(4)), tlv(0x03, b"abc"), tlv(0x04, b""), tlv(0x04, b"\0" * 9),
        tlv(0x05, b"u" * 128), tlv(0x05, b"u" * 129), tlv(0x20, b"\1\0\0\0\0" + tlv(0x21, b"TLSv1.3")), tlv(0x30, b"ns"),
        tlv(0xEA, b"\1vpce-1"), tlv(0xEE, b"x"), tlv(0xFF, b""), tlv(0x02, b"a") + tlv(0x02, b"b"), tlv(0xE0, b"x" * 5000),
        tlv(0x02, b"\xff\xfe"), tlv(0x02, b"abc", length=4), tlv(0x02, b"abc", length=65535), b"\x02", b"\x02\x00", b"\x02\x00\x01",
        tlv(0x02, b"a") + b"\x00", tlv(0x00, b""), tlv(0x20, b""), b"\0\0\0",
    ):  # fmt: skip
        yield IPV4 + tail
