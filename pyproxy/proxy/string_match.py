"""Conditions on a string, as functions on its bytes. The only module of the data path that knows RE2.

Source: envoy.type.matcher.v3.StringMatcher; a regular expression must match the whole string.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import cache

import re2

from pyproxy.settings import StringMatch, StringMatchType

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.encoding = re2.Options.Encoding.LATIN1  # a dot is a byte, whatever it is part of (measured)


@cache
def compile_match(match: StringMatch) -> Callable[[bytes], bool]:
    """Whether a string meets ``match``. A pattern must be one that RE2 takes, which ``policy.regex`` sees to."""
    value = match.value.encode()
    if match.type is StringMatchType.EXACT:
        return value.__eq__
    if match.type is StringMatchType.PREFIX:
        return lambda text: text.startswith(value)
    if match.type is StringMatchType.SUFFIX:
        return lambda text: text.endswith(value)
    return compile_regex(match.value)


def match_any(matches: Iterable[StringMatch]) -> Callable[[bytes], bool]:
    """Whether a string meets one of ``matches``."""
    compiled = [compile_match(match) for match in matches]
    return lambda text: any(meets(text) for meets in compiled)


def compile_regex(pattern: str) -> Callable[[bytes], bool]:
    """Whether the RE2 ``pattern`` matches the whole of a string. Its time grows with the string, never faster."""
    fullmatch = re2.compile(pattern.encode(), _OPTIONS).fullmatch
    return lambda text: fullmatch(text) is not None


def compile_substitution(pattern: str, substitution: str) -> Callable[[bytes], bytes]:
    """``substitution`` for each match of the RE2 ``pattern`` in a string."""
    sub, replacement = re2.compile(pattern.encode(), _OPTIONS).sub, substitution.encode()
    return lambda text: sub(replacement, text)
