"""Changes to headers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyproxy.proxy.header_mutation import apply
from pyproxy.settings import HeaderAction, HeaderMutation, StringMatch, StringMatchType
from pyproxy.wire.head import MERGED_REQUEST_HEADERS
from pyproxy.wire.messages import Headers

SENT: Headers = [(b"a", b"1"), (b"via", b"2"), (b"a", b"3"), (b"pre-x", b"4"), (b"empty", b"")]


def after(action: HeaderAction, name: bytes, value: bytes = b"new", sent: Headers = SENT) -> Headers:
    return apply(sent, [HeaderMutation(action, name, value)], MERGED_REQUEST_HEADERS)


def test_add_is_one_more_line() -> None:
    assert after(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"a") == [*SENT, (b"a", b"new")]
    assert after(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"b") == [*SENT, (b"b", b"new")]


def test_add_joins_where_envoy_keeps_one_line() -> None:
    assert after(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"via")[1] == (b"via", b"2,new")
    assert after(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"via", sent=[(b"via", b"")]) == [(b"via", b"new")]
    assert after(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"te", sent=[]) == [(b"te", b"new")]


def test_set_goes_to_the_end() -> None:
    assert after(HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"a") == [
        (b"via", b"2"), (b"pre-x", b"4"), (b"empty", b""), (b"a", b"new"),
    ]  # fmt: skip


def test_add_if_absent() -> None:
    assert after(HeaderAction.ADD_IF_ABSENT, b"empty") == SENT
    assert after(HeaderAction.ADD_IF_ABSENT, b"b") == [*SENT, (b"b", b"new")]


def test_remove() -> None:
    assert after(HeaderAction.REMOVE, b"a") == [(b"via", b"2"), (b"pre-x", b"4"), (b"empty", b"")]
    match = StringMatch(StringMatchType.PREFIX, "pre-")
    mutation = HeaderMutation(HeaderAction.REMOVE_ON_MATCH, name_match=match)
    assert apply(SENT, [mutation], MERGED_REQUEST_HEADERS) == [field for field in SENT if field[0] != b"pre-x"]


def test_they_apply_in_their_order() -> None:
    add = HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"b", b"1")
    replace = HeaderMutation(HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"b", b"2")
    assert apply([], [add, replace], MERGED_REQUEST_HEADERS) == [(b"b", b"2")]
    assert apply([], [replace, add], MERGED_REQUEST_HEADERS) == [(b"b", b"2"), (b"b", b"1")]


names = st.sampled_from([b"a", b"b", b"via", b"te"])
headers = st.lists(st.tuples(names, st.sampled_from([b"", b"1", b"2"])), max_size=6)


@given(headers, st.sampled_from([one for one in HeaderAction if one is not HeaderAction.REMOVE_ON_MATCH]), names)
def test_only_the_one_name_changes(sent: Headers, action: HeaderAction, name: bytes) -> None:
    before = list(sent)
    done = after(action, name, sent=sent)
    assert sent == before
    assert [field for field in done if field[0] != name] == [field for field in sent if field[0] != name]
    assert (name in dict(done)) is (action is not HeaderAction.REMOVE)
