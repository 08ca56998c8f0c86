"""Conditions on strings."""

from __future__ import annotations

import pytest

from pyproxy.proxy.string_match import compile_match, compile_regex
from pyproxy.settings import StringMatch, StringMatchType


@pytest.mark.parametrize(
    ("kind", "value", "taken", "left"),
    [
        (StringMatchType.EXACT, "abc", [b"abc"], [b"ab", b"abcd", b"ABC", b""]),
        (StringMatchType.PREFIX, "ab", [b"ab", b"abc"], [b"xab", b"AB"]),
        (StringMatchType.SUFFIX, "bc", [b"bc", b"abc"], [b"bcx"]),
        (StringMatchType.REGEX, "a.c", [b"abc", b"a\xffc"], [b"xabc", b"abcx", b"a\nc"]),
        (StringMatchType.REGEX, "(?i)abc|x+", [b"ABC", b"xx"], [b"abcx"]),
        (StringMatchType.REGEX, "a..c", ["aéc".encode()], ["aééc".encode()]),
    ],
)
def test_match(kind: StringMatchType, value: str, taken: list[bytes], left: list[bytes]) -> None:
    matches = compile_match(StringMatch(kind, value))
    assert all(matches(text) for text in taken)
    assert not any(matches(text) for text in left)


def test_a_pattern_that_would_take_others_for_ever_takes_no_time() -> None:
    assert not compile_regex("(a+)+b")(b"a" * 60_000)
