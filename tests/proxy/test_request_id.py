"""x-request-id."""

from __future__ import annotations

from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from pyproxy.proxy.request_id import RequestIds, format_request_id


@given(st.binary(min_size=16, max_size=16))
def test_every_16_bytes_make_a_version_4_uuid(random: bytes) -> None:
    text = format_request_id(random).decode()
    uuid = UUID(text)
    assert (uuid.version, uuid.variant) == (4, RFC_4122)
    assert str(uuid) == text


def test_no_id_comes_twice() -> None:
    ids = RequestIds()
    count = 3 * RequestIds.BATCH + 1
    assert len({ids.next() for _ in range(count)}) == count
