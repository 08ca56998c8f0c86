"""Which Referer goes on to the backend.

Envoy lets an absolute URL pass that has a host, and neither user nor fragment, and a reference whose first segment has
no colon; anything else it takes out, whoever sent or set it. Its URLs are those of the http_parser library. Measured
value by value on 1.40.

Source: RFC 9110 section 10.1.3, RFC 3986 sections 3 and 4.2.
"""

from __future__ import annotations

import re

_URL = re.compile(
    rb"[A-Za-z][A-Za-z0-9+.\-]*://@?"
    rb"(?:[A-Za-z0-9.\-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]+))?"
    rb"(?:[/?][!-\"$-~]*#*)?"
)
_REFERENCE_CHARACTERS = rb"!$%&'()*+,\-.0-9;=?@A-Z_a-z~"
_REFERENCE = re.compile(rb"[%b]*(?:/[%b:/]*)?" % (_REFERENCE_CHARACTERS, _REFERENCE_CHARACTERS))


def is_valid_referer(value: bytes) -> bool:
    """Whether Envoy lets the header go on."""
    url = _URL.fullmatch(value)
    if url is not None:
        port = (url[1] or b"").lstrip(b"0")
        return len(port) <= 5 and int(port or b"0") <= 65535
    return _REFERENCE.fullmatch(value) is not None
