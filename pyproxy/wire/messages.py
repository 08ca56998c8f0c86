"""What the HTTP/1.1 readers hand on: heads, with their framing already decided.

Header names are lower-case bytes and in the order they arrived, as Envoy forwards them. A head says how its body is
framed in ``content_length`` and ``chunked``; a request head with neither has no body (RFC 9112 section 6.3).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Headers = list[tuple[bytes, bytes]]
"""(lower-case name, value) in the order of the wire; a name may come more than once."""


def first_value(headers: Headers, name: bytes) -> bytes | None:
    """The value of the first header called ``name``."""
    for found, value in headers:
        if found == name:
            return value
    return None


@dataclass(slots=True, init=False)  # a written-out __init__ is compiled, a generated one is not
class RequestHead:
    """One request, valid by Envoy's rules."""

    method: bytes
    path: bytes
    """Path and query as sent, before normalisation; of an absolute-form target the part behind the authority."""
    authority: bytes | None
    """The Host header, or an absolute-form target's authority, which wins over it; ``None`` if there is neither."""
    headers: Headers
    """All but ``host``; merged and cleaned as Envoy's codec does it."""
    content_length: int | None
    chunked: bool
    minor_version: int
    """0 or 1 for HTTP/1.x; another number for any other major version or none at all."""
    close: bool
    """The client asked for the connection to be closed after the response."""
    expect_continue: bool
    reframe: bool
    """Content-Length was nominated by Connection: the body goes on without it, chunked."""
    upgrade: bytes | None
    """The protocol a ``connection: upgrade`` request wants, as sent; ``None`` for other requests."""
    dropped_headers: int
    """Those that were left out for an underscore in their names."""
    spellings: Mapping[bytes, bytes] | None
    """How the names were spelt, by their lower-case form, where ``preserve_header_case`` is on."""

    def __init__(
        self,
        method: bytes,
        path: bytes,
        authority: bytes | None,
        headers: Headers,
        content_length: int | None = None,
        *,
        chunked: bool = False,
        minor_version: int = 1,
        close: bool = False,
        expect_continue: bool = False,
        reframe: bool = False,
        upgrade: bytes | None = None,
        dropped_headers: int = 0,
        spellings: Mapping[bytes, bytes] | None = None,
    ) -> None:
        self.method = method
        self.path = path
        self.authority = authority
        self.headers = headers
        self.content_length = content_length
        self.chunked = chunked
        self.minor_version = minor_version
        self.close = close
        self.expect_continue = expect_continue
        self.reframe = reframe
        self.upgrade = upgrade
        self.dropped_headers = dropped_headers
        self.spellings = spellings

    @property
    def http_10(self) -> bool:
        """The client is answered in HTTP/1.0, which knows no chunks and closes unless both sides say otherwise."""
        return self.minor_version != 1

    @property
    def has_body(self) -> bool:
        """Whether body bytes follow this head."""
        return self.chunked or bool(self.content_length)


@dataclass(slots=True, init=False)
class ResponseHead:
    """One response of a backend, interim (1xx) ones included."""

    status: int
    headers: Headers
    content_length: int | None
    chunked: bool
    until_close: bool
    """The body ends with the backend's connection (RFC 9112 section 6.3, rule 8)."""
    close: bool
    """The backend's connection can't be used again."""
    upgrade: bool
    """The request asked for an upgrade, and Connection and Upgrade speak of one here too, whatever the status."""
    spellings: Mapping[bytes, bytes] | None
    """As a request's."""

    def __init__(
        self,
        status: int,
        headers: Headers,
        content_length: int | None = None,
        *,
        chunked: bool = False,
        until_close: bool = False,
        close: bool = False,
        upgrade: bool = False,
        spellings: Mapping[bytes, bytes] | None = None,
    ) -> None:
        self.status = status
        self.headers = headers
        self.content_length = content_length
        self.chunked = chunked
        self.until_close = until_close
        self.close = close
        self.upgrade = upgrade
        self.spellings = spellings

    @property
    def has_body(self) -> bool:
        """Whether body bytes follow this head."""
        return self.chunked or self.until_close or bool(self.content_length)
