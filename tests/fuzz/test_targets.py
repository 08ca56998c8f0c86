"""The promises of ``targets`` on the project's own corpora and on what hypothesis makes of them."""

from __future__ import annotations

from base64 import b64decode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.corpus.build import corpora
from tests.fuzz.targets import TARGETS

_ROWS = [row for name, rows in corpora().items() if name != "client_address.jsonl" for row in rows]
INPUTS = [data for row in _ROWS if len(data := b64decode(row["input_b64"])) < 4000]


@pytest.mark.parametrize("name", TARGETS)
def test_every_input_of_the_corpora(name: str) -> None:
    for data in INPUTS:
        TARGETS[name](data, (len(data) // 3, len(data) // 2, len(data) - 1))
        TARGETS[name](data.partition(b"\r\n\r\n")[2], (1, 2, 3))


@pytest.mark.parametrize("name", TARGETS)
def test_every_cut_of_short_inputs(name: str) -> None:
    for data in INPUTS:
        if len(data) < 60:
            TARGETS[name](data, range(len(data)))


@pytest.mark.parametrize("name", TARGETS)
@settings(max_examples=100)
@given(
    data=st.sampled_from(INPUTS),
    at=st.integers(0, 4000),
    damage=st.binary(max_size=6) | st.sampled_from(INPUTS).map(lambda data: data[:40]),
    cut=st.integers(0, 6),
    cuts=st.lists(st.integers(0, 4000), max_size=5),
)
def test_damaged_inputs(name: str, data: bytes, at: int, damage: bytes, cut: int, cuts: list[int]) -> None:
    at %= len(data) + 1
    TARGETS[name](data[:at] + damage + data[at + cut :], cuts)
