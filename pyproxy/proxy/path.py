"""Request paths as Envoy Gateway has Envoy normalise them: escaped slashes, RFC 3986 normalisation, merged slashes.

Pure functions on the ``:path`` bytes; the query is never touched. ``normalize_path`` is always on.

Source: Envoy, HttpConnectionManager ``normalize_path``, ``merge_slashes`` and ``path_with_escaped_slashes_action``;
the character classes were measured on 1.40.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pyproxy.settings import EscapedSlashes, HttpOptions

# Nothing to do: no escape, no backslash, no dot at the start of a segment, no double slash, only plain characters.
_PLAIN: Final = re.compile(rb"/(?:[A-Za-z0-9\-_~!$&'()*+,;=:@][A-Za-z0-9\-._~!$&'()*+,;=:@]*(?:/|$))*")
_ESCAPED_SLASH: Final = re.compile(rb"%2[Ff]|%5[Cc]")
_MUST_ESCAPE: Final = re.compile(rb"[\x00-\x20\"<>^`{|}\x7f-\xff]")
_DOTS_WITH_PARAMETERS: Final = re.compile(rb"(?<=/)(\.\.?);[^/]*")
_UNRESERVED: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")

# Tables, because a path may have tens of thousands of escapes and a client chooses it.
_ESCAPED: Final = [b"%%%02X" % byte if _MUST_ESCAPE.match(bytes((byte,))) else bytes((byte,)) for byte in range(256)]
_UNESCAPED: Final = {
    code: bytes((value,)) if (value := int(code, 16)) in _UNRESERVED else b"%" + code
    for high in b"0123456789abcdefABCDEF"
    for low in b"0123456789abcdefABCDEF"
    if (code := bytes((high, low)))
}
_BARE_PERCENT: Final = b"\x00"
"""Stands for a percent sign without two hex digits while escapes are resolved. No request target has a NUL."""
_BECOMES_ESCAPE: Final = re.compile(_BARE_PERCENT + rb"(?=[0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Redirect:
    """The client is sent to ``location`` with a 307."""

    location: bytes


@dataclass(frozen=True, slots=True)
class Reject:
    """The request gets a 400."""

    path: bytes
    """As far as it has been normalized by then, which headers and the access log show (measured)."""


def normalize(path: bytes, options: HttpOptions) -> bytes | Redirect | Reject:
    """The path to route and forward, or what the client gets instead. ``path`` starts with ``/``."""
    if _PLAIN.fullmatch(path):
        return path
    # Envoy refuses a fragment wherever it stands (``reject_path_with_fragment``).
    if b"#" in path:
        return Reject(path)
    plain, question, query = path.partition(b"?")
    if question and _PLAIN.fullmatch(plain):
        return path
    redirect = False
    action = options.escaped_slashes
    if action is not EscapedSlashes.KEEP_UNCHANGED and _ESCAPED_SLASH.search(plain):
        redirect = action is EscapedSlashes.UNESCAPE_AND_REDIRECT
        plain = _ESCAPED_SLASH.sub(lambda m: b"/" if m[0][1:2] == b"2" else b"\\", plain)
        if action is EscapedSlashes.REJECT_REQUEST:
            return Reject(plain + question + query)
    canonical = _canonical(plain)
    if canonical is None:
        return Reject(plain + question + query)
    if options.merge_slashes:
        canonical = merge_slashes(canonical)
    result = canonical + question + query
    return Redirect(result) if redirect else result


def merge_slashes(path: bytes) -> bytes:
    """One slash for every run of them; ``//`` alone stays, as Envoy keeps a first and a last one."""
    if b"//" not in path:
        return path
    inner = b"/".join(part for part in path.split(b"/") if part)
    return b"/" + inner + (b"/" if path.endswith(b"/") else b"")


def _canonical(path: bytes) -> bytes | None:
    """RFC 3986 section 6.2.2 as Envoy's URL library does it; ``None`` where it gives up."""
    if b"%00" in path or _BARE_PERCENT in path:
        return None
    # Parameters behind a dot segment go with it, but only where its dots are not escaped, behind a slash (measured).
    path = _DOTS_WITH_PARAMETERS.sub(rb"\1", path)
    path = path.replace(b"\\", b"/")
    path = _unescape(path)
    if _MUST_ESCAPE.search(path):
        path = b"".join(map(_ESCAPED.__getitem__, path))
    return _remove_dot_segments(path)


def _unescape(path: bytes) -> bytes:
    """Unreserved characters without their escape. A percent sign that would become an escape by it is escaped."""
    if b"%" not in path:
        return path
    first, *rest = path.split(b"%")
    pieces = [first]
    for part in rest:
        char = _UNESCAPED.get(part[:2])
        pieces += (_BARE_PERCENT, part) if char is None else (char, part[2:])
    unescaped = _BECOMES_ESCAPE.sub(b"%25", b"".join(pieces))
    return unescaped.replace(_BARE_PERCENT, b"%")


def _remove_dot_segments(path: bytes) -> bytes:
    """RFC 3986 section 5.2.4; an empty segment is a segment."""
    if b"/." not in path:
        return path
    segments = path.split(b"/")[1:]
    kept: list[bytes] = []
    for segment in segments:
        if segment == b"..":
            del kept[-1:]
        elif segment != b".":
            kept.append(segment)
    if segments[-1] in (b".", b".."):
        kept.append(b"")
    return b"/" + b"/".join(kept)
