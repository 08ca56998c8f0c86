"""x-request-id."""

from __future__ import annotations

from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.proxy.request_id import RequestIds, format_request_ids, keep_request_id
from pyproxy.settings import HttpOptions


@given(st.lists(st.binary(min_size=16, max_size=16)))
def test_every_16_bytes_make_a_version_4_uuid(random: list[bytes]) -> None:
    texts = format_request_ids(b"".join(random)).decode()
    assert len(texts) == 36 * len(random)
    for number, its_bytes in enumerate(random):
        text = texts[36 * number : 36 * (number + 1)]
        uuid = UUID(text)
        assert (uuid.version, uuid.variant) == (4, RFC_4122)
        assert str(uuid) == text
        kept = UUID(bytes=its_bytes)
        assert (uuid.time_low, uuid.time_mid, uuid.node) == (kept.time_low, kept.time_mid, kept.node)


def test_no_id_comes_twice() -> None:
    ids = RequestIds()
    count = 3 * RequestIds.BATCH + 1
    assert len({ids.next() for _ in range(count)}) == count


UUID_OF_A_TRACE = b"77fb2875-4bf3-99dc-9de6-54d4710eb83c"
GENERATE = HttpOptions()
PRESERVE_OR_GENERATE = HttpOptions(preserve_external_request_id=True)
PRESERVE = HttpOptions(generate_request_id=False, preserve_external_request_id=True)
DISABLE = HttpOptions(generate_request_id=False)


@pytest.mark.parametrize("sent", [None, b""])
def test_a_request_without_an_id_gets_one_unless_none_is_made(sent: bytes | None) -> None:
    for edge in (False, True):
        for options in (GENERATE, PRESERVE_OR_GENERATE):
            assert keep_request_id(sent, edge=edge, options=options) is None
        for options in (PRESERVE, DISABLE):
            assert keep_request_id(sent, edge=edge, options=options) == sent


def test_an_id_from_inside_is_kept() -> None:
    for options in (GENERATE, PRESERVE_OR_GENERATE, PRESERVE, DISABLE):
        assert keep_request_id(UUID_OF_A_TRACE, edge=False, options=options) == UUID_OF_A_TRACE


@pytest.mark.enforces("spec.headers.requestID")
@pytest.mark.enforces("spec.headers.preserveXRequestID")
def test_an_id_from_outside() -> None:
    assert keep_request_id(b"mine", edge=True, options=GENERATE) is None
    assert keep_request_id(b"mine", edge=True, options=PRESERVE_OR_GENERATE) == b"mine"
    for options in (PRESERVE, DISABLE):
        assert keep_request_id(UUID_OF_A_TRACE, edge=True, options=options) == UUID_OF_A_TRACE
    kept = keep_request_id(UUID_OF_A_TRACE, edge=True, options=PRESERVE_OR_GENERATE)
    assert kept == UUID_OF_A_TRACE.replace(b"-99dc", b"-49dc")
