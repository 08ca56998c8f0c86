"""What counts as a regular expression."""

from __future__ import annotations

import pytest

from pyproxy.policy.regex import check_regex, compile_search


def test_re2_is_taken() -> None:
    check_regex(r"^/v\d+/(?P<name>[a-z]+)$")


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [("(?=a)", "invalid perl operator"), ("(", "missing"), (r"(a)\1", "escape"), ("a**", "bad rep")],
)
def test_what_re2_does_not_take(pattern: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        check_regex(pattern)


def test_a_search_is_for_anything_in_the_text() -> None:
    search = compile_search("l.ve|é$".encode())
    assert search(b"server.live")
    assert search("é".encode())
    assert not search(b"server.uptime")


@pytest.mark.parametrize("pattern", [b"(", b"\xff", b"(?=a)", b"(.?){1000}#", b"(.|(.?){900}#){9}"])
def test_what_strangers_may_not_search_for(pattern: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        compile_search(pattern)
