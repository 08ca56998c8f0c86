"""The host of a request, as the connection manager leaves it for the routes."""

from __future__ import annotations


def strip_trailing_dot(authority: bytes) -> bytes:
    """``authority`` without the dot that ends a fully qualified name, also in front of a port."""
    at = authority.rfind(b".")
    if at >= 0 and authority[at + 1 : at + 2] in (b"", b":"):
        return authority[:at] + authority[at + 1 :]
    return authority
