"""PROXY headers of both versions, field by field, right and wrong."""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

from pyproxy.conformance.fuzz.choose import Chooser

V4 = ("203.0.113.7", "10.1.2.3", "127.0.0.1", "1.2.3.4", "255.255.255.254", "192.0.2.1", "0.0.0.1", "223.255.255.255")
BAD_V4 = (
    "0.0.0.0", "224.0.0.1", "255.255.255.255", "256.1.1.1", "1.2.3", "1.2.3.4.5", "01.2.3.4", "1.2.3.04", "1.2.3.4 ",
    "", "a.b.c.d", "1.2.3.-4", "0x1.2.3.4", "1.2.3.4/8",
    "1.2.3.4%1", "1.2.3.4\x00", "16909060", "1..2.3", "1.2.3.4:80", "::1", "+1.2.3.4", "1.2.3.4\t", "239.1.1.1",
    "240.0.0.1", "\u0661.2.3.4",
)  # fmt: skip
V6 = (
    "2001:db8::7",
    "::1",
    "fe80::1",
    "::ffff:203.0.113.7",
    "2001:DB8:0:0:0:0:0:1",
    "fc00::1",
    "1:2:3:4:5:6:7:8",
    "::1.2.3.4",
    "64:ff9b::1",
)
BAD_V6 = (
    "::", "ff02::1", "2001:db8:::7", "2001:db8", "12345::", "::g", "1:2:3:4:5:6:7:8:9", "[::1]", "::1%eth0", "::1%1",
    "fe80::1%lo", "", ":", "1.2.3.4", "::1/64", "::1\x00", "1::2::3",
    "::ffff:1.2.3", "0:0:0:0:0:0:0:0", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "1:2:3:4:5:6:7",
    "1:2:3:4:5:6:1.2.3.4", "::00001", "fe80::1%",
)  # fmt: skip
PORTS = ("4711", "80", "1", "65535", "443", "0")
BAD_PORTS = (
    "65536",
    "-1",
    "+1",
    "",
    "a",
    "080",
    "0x50",
    "8_0",
    "1.0",
    " 80",
    "80 ",
    "99999999999",
    "80\x00",
    "\t80",
    "00000000000080",
    "\u0661",
    "1e1",
    "-0",
)
V1_TRANSPORTS = ("TCP4", "TCP4", "TCP6", "UNKNOWN")
BAD_V1_TRANSPORTS = (
    "TCP",
    "tcp4",
    "UDP4",
    "TCP5",
    "",
    "UNKNOWN2",
    "unknown",
    "TCP4\t",
    "UNIX",
    "TCP46",
    "TCP4 ",
    "UNKNOWN ",
    "TCP\x004",
)
BAD_V1_BLANKS = ("  ", "\t", "", "\x0b", "\x00", "\xa0", " \t")
BAD_V1_ENDS = (
    b"\n",
    b"\r",
    b"",
    b" \r\n",
    b"\r\r\n",
    b"\n\r",
    b"\r\n\r\n",
    b"\x00\r\n",
    b"\t\r\n",
    b"\r \n",
    b" x\r\n",
    b"\rx\n",
)
BAD_V1_STARTS = (
    b"PROXY\t",
    b"proxy ",
    b"PROXY",
    b"PROXY  ",
    b" PROXY ",
    b"PROXZ ",
    b"PRO",
    b"\x00PROXY ",
    b"PROXY\r\n",
    b"PROXYX ",
    b"Proxy ",
    b"\r\nPROXY ",
)

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V4_BYTES = tuple(IPv4Address(one).packed for one in V4)
BAD_V4_BYTES = tuple(IPv4Address(one).packed for one in ("0.0.0.0", "255.255.255.255", "224.0.0.1", "240.0.0.1"))
V6_BYTES = tuple(IPv6Address(one).packed for one in V6)
BAD_V6_BYTES = tuple(IPv6Address(one).packed for one in ("::", "ff02::1", "ffff::ffff"))
TLV_KINDS = (0x01, 0x02, 0x03, 0x04, 0x05, 0x20, 0x30, 0xE0, 0xEA, 0xEE, 0x00, 0xFF)


def preface(choose: Chooser) -> bytes:
    """One PROXY header."""
    header = v1(choose) if choose.chance(0.5) else v2(choose)
    if choose.fault():
        kind = choose.number(0, 3)
        if kind == 0:
            return header[: choose.number(0, len(header))]
        if kind == 1:
            return header + choose.one((header, b"PROXY UNKNOWN\r\n", b"\x00", b"\r\n", b" "))
        at = choose.number(0, max(0, len(header) - 1))
        if kind == 2:
            return header[:at] + bytes((choose.number(0, 255),)) + header[at + 1 :]
        return header[:at] + choose.one((b"\x00", b" ", b"\r", b"\n", b"\r\n", b"%", b"x", b"\xff")) + header[at:]
    return header


def v1(choose: Chooser) -> bytes:
    """A header of version 1."""
    transport = choose.good(V1_TRANSPORTS, BAD_V1_TRANSPORTS)
    if transport.startswith("UNKNOWN") and choose.chance(0.6):
        fields = [
            transport,
            *([choose.one(("x", "x" * 90, "x" * 95, "1.2.3.4", "\xe9", "\x00"))] if choose.chance(0.5) else []),
        ]
    else:
        good, bad = (V6, BAD_V6) if "6" in transport else (V4, BAD_V4)
        fields = [
            transport,
            *(choose.good(good, bad) for _ in range(2)),
            *(choose.good(PORTS, BAD_PORTS) for _ in range(2)),
        ]
    if choose.fault():
        at = choose.number(0, len(fields) - 1)
        fields = choose.one((fields[:at] + fields[at + 1 :], [*fields[: at + 1], *fields[at:]], [*fields, "x"]))
    text = "".join(field + choose.good((" ",), BAD_V1_BLANKS) for field in fields[:-1]) + "".join(fields[-1:])
    start = choose.good((b"PROXY ",), BAD_V1_STARTS)
    return start + text.encode("utf-8") + choose.good((b"\r\n",), BAD_V1_ENDS)


def v2(choose: Chooser) -> bytes:
    """A header of version 2."""
    family = choose.good(
        (0x11, 0x11, 0x21, 0x12, 0x22),
        (0x00, 0x10, 0x01, 0x13, 0x20, 0x23, 0x31, 0x32, 0x30, 0x41, 0xFF, 0x1F, 0xF1, 0x02),
    )
    command = choose.good((0x21, 0x21, 0x21, 0x20), (0x22, 0x2F, 0x11, 0x31, 0x01, 0x00, 0xF1, 0x12, 0x10))
    block = _addresses(choose, family) + b"".join(_tlv(choose) for _ in range(choose.one((0, 0, 0, 1, 2, 3))))
    if choose.fault():
        block = choose.one(
            (
                b"",
                block[:-1],
                block[: len(block) // 2],
                block + b"\x00",
                block + b"\x01\x00",
                block + b"\x04\x00\x05ab",
                block[:12],
                block[:11],
                block[:36],
            )
        )
    length = len(block)
    if choose.fault():
        length = max(0, choose.one((length + 1, length - 1, 0, 12, 36, 216, length + 300, 65535, 11)))
    signature = choose.good(
        (SIGNATURE,),
        (
            SIGNATURE[:-1] + b"\r",
            SIGNATURE.lower(),
            SIGNATURE[:11],
            b"\r\n" + SIGNATURE,
            SIGNATURE[:5] + b"\x01" + SIGNATURE[6:],
        ),
    )
    return signature + bytes((command, family)) + struct.pack("!H", length) + block


def _addresses(choose: Chooser, family: int) -> bytes:
    kind = family >> 4
    if kind == 3:
        return choose.one((b"/tmp/a".ljust(108, b"\x00") * 2, b"\x00" * 216, b"a" * 216, b"a" * 100))
    good, bad = (V6_BYTES, BAD_V6_BYTES) if kind == 2 else (V4_BYTES, BAD_V4_BYTES)
    ports = struct.pack("!HH", choose.one((4711, 0, 65535, 80)), 80)
    return b"".join(choose.good(good, bad) for _ in range(2)) + ports


def _tlv(choose: Chooser) -> bytes:
    value = choose.one(
        (
            b"",
            b"www.example.com",
            b"\x00\x00\x00\x00",
            b"\xff\xfe",
            b"x" * 300,
            b"\x01\x00\x00\x00\x00\x21\x00\x03TLS",
            b"\r\n",
            b"h2",
        )
    )
    length = len(value) if not choose.fault() else choose.one((len(value) + 1, max(0, len(value) - 1), 65535, 0))
    return struct.pack("!BH", choose.one(TLV_KINDS), length) + value
