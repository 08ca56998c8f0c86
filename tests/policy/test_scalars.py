"""Durations and quantities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.policy.scalars import format_duration, format_quantity, parse_cidr, parse_duration, parse_quantity

UNITS = [1000, 10**6, 10**9, 1024, 1024**2, 1024**3]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("20m", 1_200_000), ("60s", 60_000), ("1h30m", 5_400_000), ("500ms", 500), ("0s", 0), ("1h1m1s1ms", 3_661_001)],
)
def test_duration(text: str, milliseconds: int) -> None:
    assert parse_duration(text) == milliseconds


@pytest.mark.parametrize("text", ["", "5", "s", "1.5s", "100000s", "-1s", "1us", "1h1h1h1h1h", "1 s", "1S", "1d"])
def test_no_duration(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        parse_duration(text)


@given(st.integers(0, 99_999 * 3_600_000))
def test_durations_round_trip(milliseconds: int) -> None:
    assert parse_duration(format_duration(milliseconds)) == milliseconds


def test_zero_is_written_with_a_unit() -> None:
    assert format_duration(0) == "0s"


@pytest.mark.parametrize(
    ("value", "number"), [("1", 1), (4096, 4096), ("32Ki", 32768), ("1k", 1000), ("2Mi", 2 * 1024**2), ("1Gi", 1024**3)]
)
def test_quantity(value: str | int, number: int) -> None:
    assert parse_quantity(value) == number


@pytest.mark.parametrize("value", ["", "0", "1m", "1K", "-1", "1.5", "Ki", "1 Ki", -3])
def test_no_quantity(value: str | int) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(value)


@given(
    st.integers(1, 2**63 - 1) | st.builds(lambda count, unit: count * unit, st.integers(1, 999), st.sampled_from(UNITS))
)
def test_quantities_round_trip(number: int) -> None:
    assert parse_quantity(format_quantity(number)) == number


@pytest.mark.parametrize(("number", "text"), [(1, "1"), (1000, "1k"), (1024, "1Ki"), (32768, "32Ki"), (1500, "1500")])
def test_quantities_are_written_short(number: int, text: str) -> None:
    assert format_quantity(number) == text


@pytest.mark.parametrize(
    ("text", "network"),
    [("10.1.2.3/8", "10.0.0.0/8"), ("0.0.0.0/0", "0.0.0.0/0"), ("fd00::1/8", "fd00::/8"), ("::1/128", "::1/128")],
)
def test_cidr(text: str, network: str) -> None:
    assert str(parse_cidr(text)) == network


@pytest.mark.parametrize("text", ["", "10.0.0.0", "10.0.0.0/33", "10.0.0/8", "::/129", "::%1/64", "10.0.0.0/-1", "a/8"])
def test_no_cidr(text: str) -> None:
    with pytest.raises(ValueError, match="is not a CIDR"):
        parse_cidr(text)
