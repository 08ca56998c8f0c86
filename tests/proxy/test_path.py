"""Paths as Envoy 1.40 normalises them; each pair was measured."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.proxy.path import Redirect, Reject, merge_slashes, normalize
from pyproxy.settings import EscapedSlashes, HttpOptions

DEFAULT = HttpOptions()


@pytest.mark.parametrize(
    ("path", "normal"),
    [
        (b"/", b"/"),
        (b"/get", b"/get"),
        (b"/get/", b"/get/"),
        (b"/a.b/c-d_~!$&'()*+,;=:@", b"/a.b/c-d_~!$&'()*+,;=:@"),
        (b"/a?b=//c/../d%2F", b"/a?b=//c/../d%2F"),
        (b"/a/./b//c/../d", b"/a/b/d"),
        (b"/a/b/..", b"/a/"),
        (b"/a/b/.", b"/a/b/"),
        (b"/..", b"/"),
        (b"/../../etc", b"/etc"),
        (b"/a/b/..?x", b"/a/?x"),
        (b"/a/b/..;/c", b"/a/c"),
        (b"/a/b/..;x=1/c", b"/a/c"),
        (b"/a/b/.;x", b"/a/b/"),
        (b"/..;", b"/"),
        (b"/a/b/...;/c", b"/a/b/...;/c"),
        (b"/a/b/%2e%2e;/c", b"/a/b/..;/c"),
        (b"/a/%2E./b", b"/b"),
        (b"/a\\..\\b", b"/b"),
        (b"/%41%5a%30%2d%5f%7e", b"/AZ0-_~"),
        (b"/%2B%3d%21", b"/%2B%3d%21"),
        (b"/a%20b%0a%7f%80%ff", b"/a%20b%0a%7f%80%ff"),
        (b"/a%zz%", b"/a%zz%"),
        (b"/a%25%32%66", b"/a%252f"),
        (b"/%%36%36", b"/%2566"),
        (b"/%3%36x", b"/%2536x"),
        (b"/%%36", b"/%6"),
        (b"/%%67%36", b"/%g6"),
        (b"/%%25", b"/%%25"),
        (b'/"<>^`{|}', b"/%22%3C%3E%5E%60%7B%7C%7D"),
        (b"/a[b]", b"/a[b]"),
        (b"//", b"//"),
        (b"///", b"//"),
        (b"//a", b"/a"),
        (b"/a///b/", b"/a/b/"),
        (b"/.a/..b/...", b"/.a/..b/..."),
    ],
)
def test_normal(path: bytes, normal: bytes) -> None:
    assert normalize(path, DEFAULT) == normal


@pytest.mark.parametrize("path", [b"/a#b", b"/a?b#c", b"/#", b"/%00", b"/a%00b", b"/a\x00%"])
def test_rejected(path: bytes) -> None:
    assert normalize(path, DEFAULT) == Reject(path)


def test_a_path_that_is_rejected_is_shown_as_far_as_it_is_normal() -> None:
    assert normalize(b"/a%2f%2e%00?q=%2f", DEFAULT) == Reject(b"/a/%2e%00?q=%2f")
    assert normalize(b"/a%5C%2e#%2f", DEFAULT) == Reject(b"/a%5C%2e#%2f")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        (b"/a%2Fb?q=%2F", b"/a/b?q=%2F"),
        (b"/a%2f..%2fb", b"/b"),
        (b"/a%5cb", b"/a/b"),
        (b"/%5c%25", b"/%25"),
        (b"/a/%2F%2f/c", b"/a/c"),
    ],
)
def test_escaped_slashes_redirect(path: bytes, location: bytes) -> None:
    assert normalize(path, DEFAULT) == Redirect(location)


@pytest.mark.enforces("spec.path.escapedSlashesAction")
@pytest.mark.parametrize(
    ("action", "result"),
    [
        (EscapedSlashes.KEEP_UNCHANGED, b"/a%2Fb"),
        (EscapedSlashes.REJECT_REQUEST, Reject(b"/a/b")),
        (EscapedSlashes.UNESCAPE_AND_FORWARD, b"/a/b"),
        (EscapedSlashes.UNESCAPE_AND_REDIRECT, Redirect(b"/a/b")),
    ],
)
def test_escaped_slashes_actions(action: EscapedSlashes, result: object) -> None:
    assert normalize(b"/a%2Fb", HttpOptions(escaped_slashes=action)) == result


@pytest.mark.enforces("spec.path.disableMergeSlashes")
def test_slashes_may_be_kept() -> None:
    assert normalize(b"/a//./b", HttpOptions(merge_slashes=False)) == b"/a//b"


@given(st.text("ab./%2Ff\\;~", max_size=20).map(lambda text: b"/" + text.encode()))
def test_a_normal_path_stays_as_it_is_once_no_escape_is_left(path: bytes) -> None:
    normal = normalize(path, HttpOptions(escaped_slashes=EscapedSlashes.UNESCAPE_AND_FORWARD))
    if isinstance(normal, bytes):
        assert normal.startswith(b"/")
        if b"%" not in normal and b";" not in normal and not normal.startswith(b"//"):
            assert normalize(normal, DEFAULT) == normal


def test_merge_slashes_alone() -> None:
    assert merge_slashes(b"/a//b//") == b"/a/b/"


@pytest.mark.parametrize(
    ("path", "normalized"),
    [
        (b"/a/..;x/b", b"/b"),
        (b"/a\\..;x/b", b"/a/..;x/b"),
        (b"/a/.;x\\y/b", b"/a/b"),
        (b"/a\\..\\b", b"/b"),
    ],
)
def test_parameters_go_with_dots_behind_a_slash_only(path: bytes, normalized: bytes) -> None:
    assert normalize(path, HttpOptions()) == normalized
