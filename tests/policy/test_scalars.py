"""Durations and quantities."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.policy.scalars import format_duration, format_quantity, parse_cidr, parse_duration, parse_quantity


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
    ("value", "number"),
    [("1", 1), (4096, 4096), ("32Ki", 32768), ("1k", 1000), ("2Mi", 2 * 1024**2), ("1Gi", 1024**3), (0, 0), (-3, -3)],
)
def test_quantity(value: str | int, number: int) -> None:
    assert parse_quantity(value) == number


@pytest.mark.parametrize("value", ["", "0", "1m", "1K", "-1", "1.5", "Ki", "1 Ki", "-3"])
def test_no_quantity(value: str | int) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(value)


QUANTITIES = st.integers(1) | st.builds(
    lambda count, suffix: f"{count}{suffix}",
    st.integers(1, 9999),
    st.sampled_from(["", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"]),
)


@given(QUANTITIES)
def test_a_quantity_is_printed_as_the_number_it_is(value: str | int) -> None:
    assert parse_quantity(format_quantity(value)) == parse_quantity(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1, "1"),
        (0, "0"),
        (-1, "-1"),
        (1000, "1k"),
        ("1024", "1024"),
        ("2048Ki", "2Mi"),
        ("1000Ki", "1000Ki"),
        ("5Gi", "5Gi"),
        (5_000_000_000, "5G"),
        (50_000, "50k"),
        ("1000000k", "1G"),
        ("8Ei", "8Ei"),
        ("1000E", "1000E"),
    ],
)
def test_quantities_are_written_as_kubernetes_writes_them(value: str | int, text: str) -> None:
    assert format_quantity(value) == text


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
