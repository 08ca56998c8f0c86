"""A PROXY header taken apart for people to read: each field with its bytes and what they mean. Pure.

It is given a header that ``wire.proxy_protocol`` has accepted, or the beginning of one; nothing on the data path does.

Source: "The PROXY protocol, versions 1 & 2", section 2; the vendors' own TLVs from AWS's, Azure's and Google's load
balancer documentation.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from ipaddress import ip_address

from pyproxy.wire.address import format_ip
from pyproxy.wire.proxy_protocol import V2_HEADER_LENGTH, V2_SIGNATURE

_V1_NAMES = ("protocol", "source", "destination", "source port", "destination port")

_TLV_NAMES = {
    0x01: "PP2_TYPE_ALPN",
    0x02: "PP2_TYPE_AUTHORITY",
    0x03: "PP2_TYPE_CRC32C",
    0x04: "PP2_TYPE_NOOP",
    0x05: "PP2_TYPE_UNIQUE_ID",
    0x20: "PP2_TYPE_SSL",
    0x21: "PP2_SUBTYPE_SSL_VERSION",
    0x22: "PP2_SUBTYPE_SSL_CN",
    0x23: "PP2_SUBTYPE_SSL_CIPHER",
    0x24: "PP2_SUBTYPE_SSL_SIG_ALG",
    0x25: "PP2_SUBTYPE_SSL_KEY_ALG",
    0x30: "PP2_TYPE_NETNS",
    0xE0: "GCP PSC connection id",
    0xEA: "AWS",
    0xEE: "Azure",
}
_SSL_CLIENT = ((0x01, "over TLS"), (0x02, "certificate on this connection"), (0x04, "certificate in this session"))


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a header."""

    name: str
    raw: bytes
    meaning: str
    depth: int = 0
    """1 for what is inside of another."""


def take_apart(header: bytes) -> list[Field]:
    """The fields of ``header``, up to where it was cut off."""
    if header.startswith(V2_SIGNATURE):
        return _take_apart_v2(header)
    fields = [Field("signature", header[:5], "version 1")]
    words = header[6:].strip(b"\r\n ").split(b" ")
    return fields + [
        Field(name, word, word.decode("ascii", "replace")) for name, word in zip(_V1_NAMES, words, strict=False)
    ]


def _take_apart_v2(header: bytes) -> list[Field]:
    version_command, family = header[12], header[13]
    length = int.from_bytes(header[14:16], "big")
    local = version_command & 0x0F == 0
    command = "LOCAL: the sender's own connection" if local else "PROXY: on behalf of somebody else"
    fields = [
        Field("signature", header[:12], "version 2"),
        Field("version and command", header[12:13], f"version {version_command >> 4}, {command}"),
        Field("family and transport", header[13:14], _family(family)),
        Field("length", header[14:16], f"{length} bytes follow"),
    ]
    block = header[V2_HEADER_LENGTH : V2_HEADER_LENGTH + length]
    size = {0x1: 4, 0x2: 16}.get(family >> 4)
    if local or size is None or len(block) < 2 * size + 4:
        return fields + ([Field("block", block, "does not count")] if block else [])
    ports = struct.unpack_from("!HH", block, 2 * size)
    fields += [
        Field("source", block[:size], format_ip(ip_address(block[:size]))),
        Field("destination", block[size : 2 * size], format_ip(ip_address(block[size : 2 * size]))),
        Field("source port", block[2 * size : 2 * size + 2], str(ports[0])),
        Field("destination port", block[2 * size + 2 : 2 * size + 4], str(ports[1])),
    ]
    return fields + _take_apart_tlvs(block[2 * size + 4 :], 0)


def _family(byte: int) -> str:
    families = {0x0: "AF_UNSPEC", 0x1: "AF_INET", 0x2: "AF_INET6", 0x3: "AF_UNIX"}
    transports = {0x0: "UNSPEC", 0x1: "STREAM", 0x2: "DGRAM"}
    return f"{families.get(byte >> 4, 'unknown')}, {transports.get(byte & 0x0F, 'unknown')}"


def _take_apart_tlvs(data: bytes, depth: int) -> list[Field]:
    fields: list[Field] = []
    while len(data) >= 3:
        kind, length = struct.unpack_from("!BH", data)
        value, data = data[3 : 3 + length], data[3 + length :]
        name = _TLV_NAMES.get(kind, "unassigned" if kind < 0xE0 else "custom" if kind < 0xF0 else "experiment")
        cut = f" (of {length} bytes, {len(value)} are kept)" if len(value) < length else ""
        fields.append(Field(f"TLV 0x{kind:02X} {name}", value, _tlv(kind, value) + cut, depth))
        if kind == 0x20 and len(value) > 5:
            fields += _take_apart_tlvs(value[5:], depth + 1)
    return fields


def _tlv(kind: int, value: bytes) -> str:
    if kind == 0x03:
        return "checksum, which Envoy does not check"
    if kind == 0x20 and len(value) >= 5:
        what = [name for bit, name in _SSL_CLIENT if value[0] & bit]
        verified = "verified" if int.from_bytes(value[1:5], "big") == 0 else "not verified"
        return ", ".join([*what, verified])
    if kind == 0xEA and value[:1] == b"\x01":
        return f"VPC endpoint {_text(value[1:])}"
    if kind == 0xEE and value[:1] == b"\x01" and len(value) == 5:
        return f"private endpoint link id {int.from_bytes(value[1:], 'little')}"
    if kind == 0xE0 and len(value) == 8:
        return str(int.from_bytes(value, "big"))
    return _text(value) if value else "empty"


def _text(value: bytes) -> str:
    """Text where it is some, else nothing: the bytes are shown anyway."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return ""
    return text if text.isprintable() else ""
