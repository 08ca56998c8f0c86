"""Envoy's own rules for the lines of an HTTP/1.1 head, around h11's grammar.

A head goes through three steps: ``split_lines`` brings the line ends and folds of RFC 9112 section 5.2 into one form,
``parse_request_line`` / ``parse_status_line`` read the first line as Envoy's parser does, and the ``check_*`` functions
apply what Envoy's codec refuses and h11 lets through. Each returns its result or a ``Fault`` and never raises.
Every rule was measured on Envoy 1.40; where pyproxy is stricter, docs/rationale.md says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from ipaddress import IPv6Address
from typing import Final

from pyproxy.errors import Fault, Source
from pyproxy.settings import HttpOptions, Underscores
from pyproxy.wire.messages import Headers

METHODS: Final = frozenset(
    b"ACL BIND CHECKOUT CONNECT COPY DELETE GET HEAD LINK LOCK MERGE MKACTIVITY MKCALENDAR MKCOL MOVE MSEARCH NOTIFY "
    b"OPTIONS PATCH POST PROPFIND PROPPATCH PURGE PUT QUERY REBIND REPORT SEARCH SOURCE SUBSCRIBE TRACE UNBIND UNLINK "
    b"UNLOCK UNSUBSCRIBE".split()
)
"""The methods Envoy's HTTP/1 codec knows; any other is a 400 (``allow_custom_methods`` is off)."""

# Separators of the request line may be runs of blanks and CRs (RFC 9112 section 3; measured), the target has none.
_REQUEST_LINE: Final = re.compile(rb"([^ \t\r]+)[ \t\r]+([^ \t\r]+)(?:[ \t\r]+([^ \t\r]+))?[ \t\r]*")
_VERSION: Final = re.compile(rb"HTTP/([0-9])\.([0-9])")
_STATUS_LINE: Final = re.compile(rb"HTTP/([0-9]\.[0-9])[ \t\r]+\+?([0-9]{1,20})(?:[ \t\r][\t\r\x20-\x7e\x80-\xff]*)?")

# RFC 3986 schemes and, behind them, the characters Envoy takes in an authority.
_ORIGIN_FORM: Final = re.compile(rb"[/*][!-~]*")
_ABSOLUTE_FORM: Final = re.compile(rb"([A-Za-z][A-Za-z0-9+.\-]*)://([A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~]*)([/?][!-~]*)?")
# Behind user information, which Envoy drops: a name, or an IPv6 address in brackets, and perhaps a port.
_HOST_PORT: Final = re.compile(rb"(?:[A-Za-z0-9.\-]+|\[([0-9A-Fa-f:.]+)\])(?::([0-9]{1,5}))?")
_AUTHORITY_FORM: Final = re.compile(rb"[A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~]*(?:[/?][!-~]*)?")

_BLANK_LINE: Final = re.compile(rb"\n[ \t]\n")
_TOKEN: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110 section 5.6.2
_FIELD_VALUE_BAD: Final = re.compile(rb"[^\t\r\x20-\x7e\x80-\xff]")  # RFC 9110 section 5.5; CR has its own check
_AUTHORITY_BAD: Final = re.compile(rb"[^A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~]")
_DIGITS: Final = re.compile(rb"[0-9]+")
# A control character is as good as a blank to Envoy until the head is complete, but not between status and reason.
_STATUS_LINE_SO_FAR: Final = re.compile(
    rb"HTTP/[0-9]\.[0-9][\x00-\x20]+\+?([0-9]{1,20})(?:[\t\x0b\x0c\r ]+(?:[^\x00-\x20].*)?)?", re.DOTALL
)
_CONTROL: Final = re.compile(rb"[\x00-\x08\x0b\x0c\x0e-\x1f]")

HTTP_09: Final = -2
"""The minor version of a request line of two words."""

NUMBER_LIMIT: Final = 2**64
"""Envoy counts lengths and statuses in 64 bits; measured, 2^63 is taken for a length and 2^64 refused."""

CONTENT_LENGTH_DIGITS: Final = 20
"""h11's limit, of leading zeros too, for which Envoy has none. int() would raise for thousands of digits."""

MAX_TRAILER_BYTES: Final = 61_440
"""Limit of a request's trailer section (60 KiB, measured)."""

CONNECTION_TOKENS_LIMIT: Final = 10
"""A Connection header with ten or more tokens is refused (Envoy, ``MAX_ALLOWED_NOMINATED_HEADERS``)."""

# Where Envoy keeps one entry for a name (its "inline" headers), further lines are joined to the first with a comma
# and nothing else; any other name keeps a line each. Measured name by name.
MERGED_REQUEST_HEADERS: Final = frozenset(
    b"accept accept-encoding access-control-request-headers access-control-request-method authorization cache-control "
    b"connection content-encoding content-type expect grpc-accept-encoding grpc-timeout if-match if-modified-since "
    b"if-none-match if-unmodified-since keep-alive origin pragma proxy-connection referer te upgrade user-agent via "
    b"x-client-trace-id x-forwarded-client-cert x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto "
    b"x-request-id x-envoy-attempt-count x-envoy-decorator-operation x-envoy-downstream-service-cluster "
    b"x-envoy-downstream-service-node x-envoy-expected-rq-timeout-ms x-envoy-external-address x-envoy-force-trace "
    b"x-envoy-hedge-on-per-try-timeout x-envoy-internal x-envoy-ip-tags x-envoy-is-timeout-retry x-envoy-max-retries "
    b"x-envoy-original-host x-envoy-original-path x-envoy-retriable-header-names x-envoy-retriable-status-codes "
    b"x-envoy-retry-grpc-on x-envoy-retry-on x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-per-try-timeout-ms "
    b"x-envoy-upstream-rq-timeout-alt-response x-envoy-upstream-rq-timeout-ms "
    b"x-envoy-upstream-stream-duration-ms".split()
)
MERGED_RESPONSE_HEADERS: Final = frozenset(
    b"access-control-allow-credentials access-control-allow-headers access-control-allow-methods "
    b"access-control-allow-origin access-control-expose-headers access-control-max-age age cache-control connection "
    b"content-encoding content-length content-type date etag expires grpc-message grpc-status keep-alive "
    b"last-modified location proxy-connection proxy-status server upgrade vary via x-envoy-attempt-count "
    b"x-envoy-decorator-operation "
    b"x-envoy-degraded x-envoy-immediate-health-check-fail x-envoy-ratelimited x-envoy-upstream-canary "
    b"x-envoy-upstream-healthchecked-cluster x-envoy-upstream-service-time x-request-id".split()
)


def codec_error(detail: str = "http1.codec_error", status: int = 400) -> Fault:
    """A request that Envoy's codec refuses, with its response_code_details."""
    return Fault(Source.DOWNSTREAM, "codec_error", status, "DPE", detail)


PROTOCOL_ERROR: Final = Fault(
    Source.UPSTREAM, "protocol_error", 502, "UPE", "upstream_reset_before_response_started{protocol_error}"
)
"""A response that Envoy's codec refuses; the client gets 502 where its response has not begun."""


def head_end(buffer: bytes | bytearray, start: int) -> int:
    """Offset behind the blank line that ends a head, or -1. CRLF and LF both end a line (RFC 9112 section 2.2)."""
    crlf = buffer.find(b"\n\r\n", start)
    lf = buffer.find(b"\n\n", start, crlf + 2 if crlf >= 0 else len(buffer))
    if lf >= 0:
        return lf + 2
    return crlf + 3 if crlf >= 0 else -1


def split_lines(head: bytes) -> list[bytes]:
    """The lines of a whole head without line ends; a folded line is joined to the one before (RFC 9112 section 5.2).

    Only the line end goes: the blanks of the fold stay as they are (measured).
    """
    lines = [line[:-1] if line[-1:] == b"\r" else line for line in head.split(b"\n")]
    while lines and not lines[-1]:
        lines.pop()
    if any(line[:1] in (b" ", b"\t") for line in lines[2:]):
        groups = [[line] for line in lines[:2]]
        for line in lines[2:]:
            if line[:1] in (b" ", b"\t"):
                groups[-1].append(line)
            else:
                groups.append([line])
        return [b"".join(group) for group in groups]
    return lines


def has_blank_fold(head: bytes) -> bool:
    """Whether a line is one blank: Envoy takes it for the head's end if a segment ended in a CR before (measured)."""
    return _BLANK_LINE.search(head) is not None


def blank_controls(line: bytes) -> bytes:
    """A first line as Envoy sees it before its head is complete: a control character is as good as a blank."""
    return _CONTROL.sub(b" ", line)


def parse_request_line(line: bytes) -> tuple[bytes, bytes, int] | Fault:
    """(method, target, minor version) of a request line; minor version -1 stands for anything but HTTP/1.0 and 1.1.

    The target may still be one that ``split_target`` refuses. ``HTTP_09``: there is no version, and no headers follow.
    """
    match = _REQUEST_LINE.fullmatch(line)
    if match is None:
        return codec_error()
    method, target, version = match.groups()
    if method not in METHODS or not _is_target(method, target):
        return codec_error()
    if version is None:
        return method, target, HTTP_09
    numbers = _VERSION.fullmatch(version)
    if numbers is None:
        return codec_error()
    major, minor = numbers.groups()
    return method, target, int(minor) if major == b"1" and minor in b"01" else -1


def _is_target(method: bytes, target: bytes) -> bool:
    if _ORIGIN_FORM.fullmatch(target):
        return True
    if method == b"CONNECT":
        return _AUTHORITY_FORM.fullmatch(target) is not None
    match = _ABSOLUTE_FORM.fullmatch(target)
    return match is not None and b"@@" not in match[2]


def parse_status_line(line: bytes) -> tuple[int, int] | Fault:
    """(status, minor version) of a status line; the reason phrase is dropped, as Envoy writes its own.

    Of a status Envoy keeps 16 bits (measured).
    Minor version 0 stands for any version but HTTP/1.1: none of them keeps connections by itself (measured).
    """
    match = _STATUS_LINE.fullmatch(line)
    if match is None or int(match[2]) >= NUMBER_LIMIT:
        return PROTOCOL_ERROR
    return int(match[2]) & 0xFFFF, int(match[1] == b"1.1")


def may_be_status_line(line: bytes) -> bool:
    """Whether Envoy waits for the rest of the head behind this first line, if only to refuse it then (measured)."""
    match = _STATUS_LINE_SO_FAR.fullmatch(line)
    return match is not None and int(match[1]) < NUMBER_LIMIT


def split_target(method: bytes, target: bytes) -> tuple[bytes, bytes | None] | Fault:
    """(path, authority or ``None``) of a valid target, by the rules of Envoy's codec for each form."""
    if method == b"CONNECT":
        # RFC 9112 section 3.2.3: authority-form is host and port.
        return (b"", target) if _host_port(target) else codec_error("http1.invalid_url")
    if target[:1] == b"/" or (target[:1] == b"*" and method == b"OPTIONS"):
        return target, None
    match = _ABSOLUTE_FORM.fullmatch(target)
    if match is None:
        return codec_error("http1.invalid_url")
    scheme, authority, path = match.groups()
    user, _, authority = authority.rpartition(b"@")
    if b"@" in user or _host_port(authority) is None:
        return codec_error("http1.invalid_url")
    scheme = scheme.lower()
    if scheme == b"https":
        return codec_error("http1.https_url_on_plaintext_connection", 403)
    if scheme != b"http":
        return codec_error("http1.invalid_scheme")
    return path or b"/", authority


def _host_port(authority: bytes) -> bool | None:
    """Whether ``host`` or ``host:port`` has a port; ``None`` if it is neither."""
    match = _HOST_PORT.fullmatch(authority)
    if match is None:
        return None
    address, port = match.groups()
    if address is not None:
        try:
            IPv6Address(address.decode())
        except ValueError:
            return None
    if port is not None and int(port) > 65535:
        return None
    return port is not None


def split_fields(lines: Iterable[bytes]) -> Headers | None:
    """Header lines as (lower-case name, value), or ``None`` if one of them is none (RFC 9112 section 5)."""
    headers: Headers = []
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or _TOKEN.fullmatch(name) is None:
            return None
        headers.append((name.lower(), value.strip(b" \t")))
    return headers


def check_request_fields(headers: Headers, options: HttpOptions) -> Headers | Fault:
    """Characters, underscores and count as Envoy's codec checks them; the headers that are left.

    The same checks are for trailers that go on.
    """
    if any(_FIELD_VALUE_BAD.search(value) for _, value in headers):
        return codec_error("http1.invalid_characters")
    action = options.headers_with_underscores
    dropped = 0
    for number, (name, _) in enumerate(headers):
        # Whatever comes first in the head decides; what is dropped does not count.
        if b"_" in name and action is not Underscores.ALLOW:
            if action is Underscores.REJECT_REQUEST:
                return codec_error("http1.unexpected_underscore")
            dropped += 1
        elif number - dropped >= options.max_headers:
            return codec_error("http1.too_many_headers", 431)
    return [field for field in headers if b"_" not in field[0]] if dropped else headers


def spellings(head: bytes) -> dict[bytes, bytes]:
    """How the names of a valid head are spelt, by their lower-case form; of several spellings the first counts."""
    found: dict[bytes, bytes] = {}
    for line in split_lines(head)[1:]:
        name = line.partition(b":")[0]
        found.setdefault(name.lower(), name)
    return found


def check_response_fields(headers: Headers, options: HttpOptions) -> Fault | None:
    """Count and characters as Envoy's codec checks them."""
    return PROTOCOL_ERROR if len(headers) > options.max_headers or has_control_character(headers) else None


def has_control_character(headers: Headers) -> bool:
    """Whether a value has a character that no field value may have (RFC 9110 section 5.5); CR has its own check."""
    return any(_FIELD_VALUE_BAD.search(value) for _, value in headers)


def has_bare_cr(headers: Headers) -> bool:
    """Whether a value has a CR in it (RFC 9112 section 2.2). Envoy deletes it; pyproxy refuses such a request."""
    return any(b"\r" in value for _, value in headers)


def without_bare_cr(headers: Headers) -> Headers:
    """``headers`` of a backend as Envoy hands them on: a CR is a blank around a value, and nothing in it (measured)."""
    return [(name, value.strip(b" \t\r").replace(b"\r", b"")) for name, value in headers]


def merge(headers: Headers, names: frozenset[bytes]) -> Headers:
    """Join repeated lines of ``names`` to the first with a comma; all others stay as they are."""
    seen = [name for name, _ in headers if name in names]
    if len(seen) == len(set(seen)):
        return headers
    merged: Headers = []
    place: dict[bytes, int] = {}
    for name, value in headers:
        if name in place:
            at = place[name]
            first = merged[at][1]
            merged[at] = name, first + b"," + value if first and value else first or value
            continue
        if name in names:
            place[name] = len(merged)
        merged.append((name, value))
    return merged


def framing(headers: Headers) -> tuple[int | None, bool] | str:
    """(content length, chunked) by RFC 9112 section 6.3, or which rule is broken.

    Two Content-Length lines are refused even if they are equal, and so is Content-Length beside Transfer-Encoding: both
    are how requests are smuggled. ``"transfer_encoding"`` stands for a coding other than ``chunked`` alone.
    """
    lengths = [value for name, value in headers if name == b"content-length"]
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if lengths and codings:
        return "both"
    if codings:
        return (None, True) if len(codings) == 1 and codings[0].lower() == b"chunked" else "transfer_encoding"
    if not lengths:
        return None, False
    return (int(lengths[0]), False) if _is_length(lengths) else "content_length"


def is_bad_beside_coding(headers: Headers) -> bool:
    """Whether Envoy's parser refuses a Content-Length already before its codec refuses the Transfer-Encoding beside it.

    It does not look at the value where the coding is ``chunked``, but never takes two (measured).
    """
    lengths = [value for name, value in headers if name == b"content-length"]
    is_chunked = any(name == b"transfer-encoding" and value.lower() == b"chunked" for name, value in headers)
    return len(lengths) > 1 if is_chunked else not _is_length(lengths)


def says_no_length(headers: Headers) -> bool:
    """Whether Envoy lets a 304's Content-Length pass unread: a single line, or several without a digit in front."""
    lengths = [value for name, value in headers if name == b"content-length"]
    return len(lengths) == 1 or not any(value[:1].isdigit() for value in lengths)


def _is_length(values: Sequence[bytes]) -> bool:
    if len(values) != 1 or len(values[0]) > CONTENT_LENGTH_DIGITS or _DIGITS.fullmatch(values[0]) is None:
        return False
    return int(values[0]) < NUMBER_LIMIT


def tokens(value: bytes) -> list[bytes]:
    """The lower-case elements of a comma list, empty ones left out."""
    return [token for part in value.lower().split(b",") if (token := part.strip(b" \t"))]


def closes(headers: Mapping[bytes, bytes], *, http_10: bool) -> bool:
    """Whether a message with these (merged) headers is the last one of its connection, as Envoy reads them.

    HTTP/1.0 knows keep-alive only, HTTP/1.1 close only, and Proxy-Connection closes either.
    """
    wishes = tokens(headers.get(b"connection", b""))
    if b"keep-alive" not in wishes if http_10 else b"close" in wishes:
        return True
    return b"close" in tokens(headers.get(b"proxy-connection", b""))


def nominated_headers(connection: bytes) -> frozenset[bytes] | None:
    """Headers that a request's Connection header takes away (RFC 9110 section 7.6.1), or ``None`` if it is refused.

    Envoy refuses ten tokens and more, and taking away where a request came from.
    """
    if len([part for part in connection.split(b",") if part]) >= CONNECTION_TOKENS_LIMIT:
        return None
    names = tokens(connection)
    if any(name in _NEVER_NOMINATED or name.startswith(b":") for name in names):
        return None
    return frozenset(names) - _NOT_NOMINATIONS


_NEVER_NOMINATED: Final = frozenset((b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto"))
_NOT_NOMINATIONS: Final = frozenset((b"close", b"keep-alive", b"upgrade", b"http2-settings", b"connection", b"te"))


def authority_is_valid(authority: bytes) -> bool:
    """Whether Envoy takes these bytes for a host (its ``authorityIsValid``)."""
    return _AUTHORITY_BAD.search(authority) is None
