"""x-request-id: a version 4 UUID (RFC 9562 section 5.4), as Envoy writes it for requests that are not traced."""

from __future__ import annotations

_VARIANT = "89ab"


def format_request_id(random: bytes) -> bytes:
    """The UUID of 16 random bytes; their version and variant bits are overwritten."""
    digits = random.hex()
    variant = _VARIANT[random[8] & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}".encode()
