"""The PROXY protocol header in front of a connection, versions 1 and 2, with Envoy 1.40's verdicts. Sans-I/O.

``Preface.receive`` is given what the socket gives until it answers: ``None`` means more bytes are needed,
``Accepted`` carries the addresses and the header's length, ``Rejected`` means the connection is to be reset with
nothing written. Detection, exact slicing, limits, LOCAL, families, transports and TLVs are decided here; the
``proxy-protocol`` package only ever sees a complete, length-corrected header without TLVs, for its address block. It
checks CRC32C over TLVs that it has re-ordered, which refuses headers that AWS and HAProxy send, so it never gets
them; Envoy checks none.

As with HTTP heads there is a fast lane: addresses of ordinary IPv4 clients are read here, to the package's very result,
and whatever is the least bit unusual is left to the package. A property test holds the two to each other.

Source: "The PROXY protocol, versions 1 & 2" (haproxy.org) and measured on 1.40 where Envoy differs from it.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from proxyprotocol.result import ProxyResultIPv4, ProxyResultIPv6
from proxyprotocol.v1 import ProxyProtocolV1
from proxyprotocol.v2 import ProxyProtocolV2

from pyproxy.settings import ProxyProtocol
from pyproxy.wire.address import format_ip

V1_SIGNATURE = b"PROXY "
V2_SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1_MAX_LINE = 108
"""Bytes of a version 1 line with its CRLF. The specification says 107; Envoy takes one more (measured)."""

V2_HEADER_LENGTH = 16

# Family and transport of a PROXY command to the length of its addresses. Envoy takes no other, although the
# specification has AF_UNSPEC and AF_UNIX too (measured).
_FAMILY_LENGTHS = {1: 12, 2: 36}
_ADDRESS_LENGTHS = {0x11: 12, 0x12: 12, 0x21: 36, 0x22: 36}

_TLV_HEADER = struct.Struct("!BH")

# What the fast lane takes: unicast addresses but 0.0.0.0/8, and no sign, blank or zero before a port.
_OCTET = rb"(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rb"((?:22[0-3]|2[01][0-9]|1[0-9][0-9]|[1-9][0-9]?)(?:\.%b){3})" % _OCTET
_PORT = rb"(0|[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
_ORDINARY_V1 = re.compile(rb"PROXY TCP4 %b %b %b %b\r\n" % (_IPV4, _IPV4, _PORT, _PORT))
_IPV4_BLOCK = struct.Struct("!4B4BHH")
_IPV4_TEXT = "%d.%d.%d.%d"

Address = tuple[str, int]
"""(IP address as text, port)."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The connection may go on."""

    version: int | None
    """1 or 2; ``None``: the connection began without a header, which ``optional`` allows."""
    length: int
    """Bytes of the header; what is behind them is the client's."""
    source: Address | None = None
    """The client; ``None`` (no header, UNKNOWN, LOCAL): the peer of the connection is."""
    destination: Address | None = None


@dataclass(frozen=True, slots=True)
class Rejected:
    """The connection is to be reset."""

    reason: str
    version: int | None
    """The version that the bytes began like; ``None``: there is no header, and one is required."""


class Preface:
    """Reads the header of one connection."""

    __slots__ = ("_buffer", "_optional")

    def __init__(self, settings: ProxyProtocol) -> None:
        self._buffer = b""
        self._optional = settings.optional

    @property
    def begun(self) -> bool:
        """Whether any byte has come."""
        return bool(self._buffer)

    @property
    def received(self) -> bytes:
        """All bytes so far: the header's and what came behind it."""
        return self._buffer

    def receive(self, data: bytes) -> Accepted | Rejected | None:
        """Take in bytes. After an answer the preface is over and must not be called again."""
        buffer = self._buffer = self._buffer + data if self._buffer else data
        if buffer.startswith(V1_SIGNATURE):
            return _read_v1(buffer)
        if buffer.startswith(V2_SIGNATURE):
            return _read_v2(buffer)
        if V1_SIGNATURE.startswith(buffer) or V2_SIGNATURE.startswith(buffer):
            return None
        if self._optional:
            return Accepted(None, 0)
        if len(buffer) < V2_HEADER_LENGTH and (buffer.startswith(b"\r\n") or b"\r\n" not in buffer):
            return None  # Envoy waits for a line, or for as many bytes as a version 2 header has (measured)
        return Rejected("no PROXY header", None)


def _read_v1(buffer: bytes) -> Accepted | Rejected | None:
    ordinary = _ORDINARY_V1.match(buffer)
    if ordinary is not None:
        source, destination, source_port, destination_port = ordinary.groups()
        return Accepted(
            1, ordinary.end(), (source.decode(), int(source_port)), (destination.decode(), int(destination_port))
        )
    return _read_unusual_v1(buffer)


def _read_unusual_v1(buffer: bytes) -> Accepted | Rejected | None:
    end = buffer.find(b"\r\n", 0, V1_MAX_LINE)
    if end < 0:
        return Rejected("line too long", 1) if len(buffer) > V1_MAX_LINE else None
    fields = buffer[:end].rstrip(b" \t\r\n\v\f").split(b" ")
    if len(fields) > 1 and fields[1] == b"UNKNOWN":
        return Accepted(1, end + 2)
    if len(fields) != 6:
        return Rejected("wrong number of fields", 1)
    if b"_" in fields[4] + fields[5] or b"-" in fields[4] + fields[5] or b"%" in fields[2] + fields[3]:
        # int() takes 8_0 and -0 for numbers. A scope id means nothing on any other machine than the sender's.
        return Rejected("bad address", 1)
    try:
        result = ProxyProtocolV1().unpack_line(b" ".join(fields) + b"\r\n")
    except ValueError:
        return Rejected("bad address", 1)
    return _addresses(result, 1, end + 2)


def _read_v2(buffer: bytes) -> Accepted | Rejected | None:
    if len(buffer) < V2_HEADER_LENGTH:
        return None
    version_command, family, length = buffer[12], buffer[13], int.from_bytes(buffer[14:16], "big")
    if version_command >> 4 != 2:
        return Rejected("bad version", 2)
    end = V2_HEADER_LENGTH + length
    if version_command == 0x20:
        # LOCAL: the sender talks for itself, and nothing in the block counts.
        return Accepted(2, end) if len(buffer) >= end else None
    if length < _FAMILY_LENGTHS.get(family >> 4, 0):
        return Rejected("bad length", 2)
    address_length = _ADDRESS_LENGTHS.get(family)
    if address_length is None or version_command != 0x21:
        # Envoy looks at the command and the transport only when it has the addresses (measured).
        has_addresses = len(buffer) >= V2_HEADER_LENGTH + _FAMILY_LENGTHS.get(family >> 4, 0)
        return Rejected("bad command, family or transport", 2) if has_addresses else None
    if len(buffer) < end:
        return None
    address_end = V2_HEADER_LENGTH + address_length
    if not _are_tlvs(buffer[address_end:end]):
        return Rejected("bad TLV", 2)
    if address_length == _IPV4_BLOCK.size:
        *octets, source_port, destination_port = _IPV4_BLOCK.unpack_from(buffer, V2_HEADER_LENGTH)
        if 0 < octets[0] < 224 and 0 < octets[4] < 224:
            source, destination = _IPV4_TEXT % tuple(octets[:4]), _IPV4_TEXT % tuple(octets[4:])
            return Accepted(2, end, (source, source_port), (destination, destination_port))
    return _read_unusual_v2(buffer, address_end, end)


def _read_unusual_v2(buffer: bytes, address_end: int, end: int) -> Accepted | Rejected:
    header = buffer[:14] + (address_end - V2_HEADER_LENGTH).to_bytes(2, "big")
    library = ProxyProtocolV2()
    try:
        parsed = library.unpack_header(header)
        result = library.unpack_data(parsed, header, buffer[V2_HEADER_LENGTH:address_end])
    except (ValueError, struct.error):
        return Rejected("bad address", 2)
    return _addresses(result, 2, end)


def _are_tlvs(block: bytes) -> bool:
    """Whether TLVs fill ``block`` exactly."""
    at = 0
    while at + 3 <= len(block):
        _, length = _TLV_HEADER.unpack_from(block, at)
        at += 3 + length
    return at == len(block)


def _addresses(result: object, version: int, length: int) -> Accepted | Rejected:
    if not isinstance(result, ProxyResultIPv4 | ProxyResultIPv6):
        return Rejected("bad family", version)
    (source, source_port), (destination, destination_port) = result.source, result.dest
    if not (_is_unicast(source) and _is_unicast(destination)):
        return Rejected("not a unicast address", version)
    return Accepted(version, length, (format_ip(source), source_port), (format_ip(destination), destination_port))


def _is_unicast(address: IPv4Address | IPv6Address) -> bool:
    return not (address.is_multicast or address.is_unspecified or address == _BROADCAST)


_BROADCAST = IPv4Address(0xFFFFFFFF)
