"""What the HTTP/1.1 readers hand on: heads, with their framing already decided.

Header names are lower-case bytes and in the order they arrived, as Envoy forwards them. A head says how its body is
framed in ``content_length`` and ``chunked``; a request head with neither has no body (RFC 9112 section 6.3).
"""

from __future__ import annotations

from dataclasses import dataclass

Headers = list[tuple[bytes, bytes]]
"""(lower-case name, value) in the order of the wire; a name may come more than once."""


@dataclass(slots=True)
class RequestHead:
    """One request, valid by Envoy's rules."""

    method: bytes
    path: bytes
    """Path and query as sent, before normalisation; of an absolute-form target the part behind the authority."""
    authority: bytes | None
    """The Host header, or an absolute-form target's authority, which wins over it; ``None`` if there is neither."""
    headers: Headers
    """All but ``host``; merged and cleaned as Envoy's codec does it."""
    content_length: int | None = None
    chunked: bool = False
    minor_version: int = 1
    """0 or 1 for HTTP/1.x; -1 for any other major version or none at all."""
    close: bool = False
    """The client asked for the connection to be closed after the response."""
    expect_continue: bool = False
    reframe: bool = False
    """Content-Length was nominated by Connection: the body goes on without it, chunked."""
    upgrade: bytes | None = None
    """The protocol a ``connection: upgrade`` request wants, as sent; ``None`` for other requests."""

    @property
    def has_body(self) -> bool:
        """Whether body bytes follow this head."""
        return self.chunked or bool(self.content_length)


@dataclass(slots=True)
class ResponseHead:
    """One response of a backend, interim (1xx) ones included."""

    status: int
    headers: Headers
    content_length: int | None = None
    chunked: bool = False
    until_close: bool = False
    """The body ends with the backend's connection (RFC 9112 section 6.3, rule 8)."""
    close: bool = False
    """The backend's connection can't be used again."""

    @property
    def has_body(self) -> bool:
        """Whether body bytes follow this head."""
        return self.chunked or self.until_close or bool(self.content_length)
