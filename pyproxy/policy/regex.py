"""Regular expressions as Envoy takes them: RE2's, so without look-around and back references."""

from __future__ import annotations

from collections.abc import Callable

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.encoding = re2.Options.Encoding.LATIN1  # a dot is a byte, whatever it is part of (measured)


def check_regex(pattern: str) -> None:
    """Raises ``ValueError`` for a pattern that RE2 does not take, with its reason."""
    try:
        re2.compile(pattern.encode(), _OPTIONS)
    except re2.error as error:
        (reason,) = error.args
        raise ValueError(f"{pattern!r} is not an RE2 expression: {reason.decode()}") from None


def full_match(pattern: str, text: str) -> bool:
    """Whether the whole of ``text`` matches a pattern that ``check_regex`` takes."""
    return re2.compile(pattern.encode(), _OPTIONS).fullmatch(text.encode()) is not None


# Envoy's own 8 MiB let a pattern be so large that one look at all stats takes minutes; with 32 KiB and without what a
# group has taken, the worst that was found takes half a second for 1500 names, and people's patterns a millisecond.
_SEARCH_OPTIONS = re2.Options()
_SEARCH_OPTIONS.log_errors = False
_SEARCH_OPTIONS.never_capture = True
_SEARCH_OPTIONS.max_mem = 32 << 10


def compile_search(pattern: bytes) -> Callable[[bytes], bool]:
    """Whether ``pattern`` is found anywhere in a text, for patterns of strangers: both are UTF-8, as in Envoy's admin.

    Raises ``ValueError`` with RE2's reason for a pattern that it does not take or that is too large.
    """
    try:
        search = re2.compile(pattern, _SEARCH_OPTIONS).search
    except re2.error as error:
        (reason,) = error.args
        raise ValueError(reason.decode("utf-8", "replace")) from None
    return lambda text: search(text) is not None
