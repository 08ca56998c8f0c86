"""The PROXY protocol header in front of a connection, versions 1 and 2, with Envoy 1.40's verdicts. Sans-I/O.

``Preface.receive`` is given what the socket gives until it answers: ``None`` means more bytes are needed,
``Accepted`` carries the addresses and the bytes behind the header, ``Rejected`` means the connection is to be reset
with nothing written. Detection, exact slicing, limits, LOCAL, families, transports and TLVs are decided here; the
``proxy-protocol`` package only ever sees a complete, length-corrected header without TLVs, for its address block. It
checks CRC32C over TLVs that it has re-ordered, which refuses headers that AWS and HAProxy send, so it never gets
them; Envoy checks none.

Source: "The PROXY protocol, versions 1 & 2" (haproxy.org) and measured on 1.40 where Envoy differs from it.
"""

from __future__ import annotations

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

Address = tuple[str, int]
"""(IP address as text, port)."""


@dataclass(frozen=True, slots=True)
class Accepted:
    """The connection may go on."""

    rest: bytes
    """The bytes behind the header, untouched."""
    version: int | None
    """1 or 2; ``None``: the connection began without a header, which ``optional`` allows."""
    source: Address | None = None
    """The client; ``None`` (no header, UNKNOWN, LOCAL): the peer of the connection is."""
    destination: Address | None = None
    tlvs: tuple[tuple[int, bytes], ...] = ()
    """(type, value) of each TLV of a version 2 header, in order."""


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

    def header(self, accepted: Accepted) -> bytes:
        """The bytes of the header that has been accepted."""
        return self._buffer[: len(self._buffer) - len(accepted.rest)]

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
            return Accepted(buffer, None)
        if len(buffer) < V2_HEADER_LENGTH and (buffer.startswith(b"\r\n") or b"\r\n" not in buffer):
            return None  # Envoy waits for a line, or for as many bytes as a version 2 header has (measured)
        return Rejected("no PROXY header", None)


def _read_v1(buffer: bytes) -> Accepted | Rejected | None:
    end = buffer.find(b"\r\n", 0, V1_MAX_LINE)
    if end < 0:
        return Rejected("line too long", 1) if len(buffer) >= V1_MAX_LINE else None
    rest = buffer[end + 2 :]
    fields = buffer[:end].rstrip(b" \t\r\n\v\f").split(b" ")
    if len(fields) > 1 and fields[1] == b"UNKNOWN":
        return Accepted(rest, 1)
    if len(fields) != 6:
        return Rejected("wrong number of fields", 1)
    if b"_" in fields[4] + fields[5] or b"-" in fields[4] + fields[5] or b"%" in fields[2] + fields[3]:
        # int() takes 8_0 and -0 for numbers. A scope id means nothing on any other machine than the sender's.
        return Rejected("bad address", 1)
    try:
        result = ProxyProtocolV1().unpack_line(b" ".join(fields) + b"\r\n")
    except ValueError:
        return Rejected("bad address", 1)
    return _addresses(result, rest, 1, ())


def _read_v2(buffer: bytes) -> Accepted | Rejected | None:
    if len(buffer) < V2_HEADER_LENGTH:
        return None
    version_command, family, length = buffer[12], buffer[13], int.from_bytes(buffer[14:16], "big")
    if version_command >> 4 != 2:
        return Rejected("bad version", 2)
    end = V2_HEADER_LENGTH + length
    if version_command == 0x20:
        # LOCAL: the sender talks for itself, and nothing in the block counts.
        return Accepted(buffer[end:], 2) if len(buffer) >= end else None
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
    tlvs = _read_tlvs(buffer[address_end:end])
    if tlvs is None:
        return Rejected("bad TLV", 2)
    header = buffer[:14] + address_length.to_bytes(2, "big")
    library = ProxyProtocolV2()
    try:
        parsed = library.unpack_header(header)
        result = library.unpack_data(parsed, header, buffer[V2_HEADER_LENGTH:address_end])
    except (ValueError, struct.error):
        return Rejected("bad address", 2)
    return _addresses(result, buffer[end:], 2, tlvs)


def _read_tlvs(block: bytes) -> tuple[tuple[int, bytes], ...] | None:
    """The TLVs that fill ``block`` exactly, or ``None``."""
    tlvs: list[tuple[int, bytes]] = []
    at = 0
    while at < len(block):
        if at + 3 > len(block):
            return None
        kind, length = _TLV_HEADER.unpack_from(block, at)
        at += 3 + length
        if at > len(block):
            return None
        tlvs.append((kind, block[at - length : at]))
    return tuple(tlvs)


def _addresses(result: object, rest: bytes, version: int, tlvs: tuple[tuple[int, bytes], ...]) -> Accepted | Rejected:
    if not isinstance(result, ProxyResultIPv4 | ProxyResultIPv6):
        return Rejected("bad family", version)
    (source, source_port), (destination, destination_port) = result.source, result.dest
    if not (_is_unicast(source) and _is_unicast(destination)):
        return Rejected("not a unicast address", version)
    return Accepted(rest, version, (format_ip(source), source_port), (format_ip(destination), destination_port), tlvs)


def _is_unicast(address: IPv4Address | IPv6Address) -> bool:
    return not (address.is_multicast or address.is_unspecified or address == _BROADCAST)


_BROADCAST = IPv4Address(0xFFFFFFFF)
