"""Which Referer goes on to the backend.

Envoy lets an absolute URL pass that has a host, and neither user nor fragment, and a reference whose first segment has
no colon; anything else it takes out, whoever sent or set it. Its URLs are those of the http_parser library, and what is
in brackets must be an address. Measured value by value on 1.40.

Source: RFC 9110 section 10.1.3, RFC 3986 sections 3 and 4.2.
"""

from __future__ import annotations

import re

from pyproxy.wire.address import ScopeIndex, parse_ip

_URL = re.compile(
    rb"[A-Za-z][A-Za-z0-9+.\-]*://@?"
    rb"(?:[A-Za-z0-9.\-]+|\[([0-9A-Fa-f:.]+(?:%[A-Za-z0-9%.\-_~]+)?)\])(?::([0-9]+))?"
    rb"(?:[/?][!-\"$-~]*#*)?"
)
_REFERENCE_CHARACTERS = rb"!$%&'()*+,\-.0-9;=?@A-Z_a-z~"
_REFERENCE = re.compile(rb"[%b]*(?:/[%b:/]*)?" % (_REFERENCE_CHARACTERS, _REFERENCE_CHARACTERS))


def is_valid_referer(value: bytes, scope_index: ScopeIndex | None = None) -> bool:
    """Whether Envoy lets the header go on. ``scope_index`` is for scope ids of addresses."""
    url = _URL.fullmatch(value)
    if url is not None:
        if url[1] is not None and parse_ip(url[1], scope_index) is None:
            return False
        port = (url[2] or b"").lstrip(b"0")
        return len(port) <= 5 and int(port or b"0") <= 65535
    return _REFERENCE.fullmatch(value) is not None
