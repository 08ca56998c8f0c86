"""The text forms of the API's scalars: Duration, Quantity, CIDR."""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network

DURATION_PATTERN = "^([0-9]{1,5}(h|m|s|ms)){1,4}$"
QUANTITY_PATTERN = "^[1-9]+[0-9]*([EPTGMK]i|[EPTGMk])?$"
"""The CRD's patterns, as its messages quote them."""

_DURATION = re.compile(DURATION_PATTERN[1:-1])
_DURATION_PART = re.compile(r"([0-9]{1,5})(h|ms|m|s)")
_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}

MAX_QUANTITY_LENGTH = 1000
"""Characters; a cluster takes longer ones and refuses what they say."""

_QUANTITY = re.compile("([1-9]+[0-9]*)([EPTGMK]i|[EPTGMk])?")
_DECIMAL = ("", *"kMGTPE")
_BINARY = ("", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei")
_SUFFIXES: dict[str, int] = {suffix: 1000**power for power, suffix in enumerate(_DECIMAL)} | {
    suffix: 1024**power for power, suffix in enumerate(_BINARY)
}


def parse_duration(text: str) -> int:
    """Milliseconds of a Gateway API Duration (GEP-2257): ``1h30m``, ``500ms``. Raises ``ValueError``."""
    if _DURATION.fullmatch(text) is None:
        raise ValueError(
            f"{text!r} is not a duration: write up to four numbers of at most five digits, each with h, m, s or ms, "
            "like 1h30m, 60s or 500ms"
        )
    return sum(int(number) * _MILLISECONDS[unit] for number, unit in _DURATION_PART.findall(text))


def format_duration(milliseconds: int) -> str:
    """The shortest Duration of ``milliseconds``."""
    text = ""
    for unit in ("h", "m", "s", "ms"):
        number, milliseconds = divmod(milliseconds, _MILLISECONDS[unit])
        if number:
            text += f"{number}{unit}"
    return text or "0s"


def parse_quantity(value: str | int) -> int:
    """Bytes of a Kubernetes Quantity as the CRD takes it: ``32Ki``, ``1M``, any integer. Raises ``ValueError``."""
    number, suffix = _split_quantity(value)
    return number * _SUFFIXES[suffix]


def format_quantity(value: str | int) -> str:
    """``value`` as Kubernetes prints it, with the largest suffix of its kind that leaves a whole number.

    Raises ``ValueError``.
    """
    number, suffix = _split_quantity(value)
    base, suffixes = (1024, _BINARY) if suffix in _BINARY[1:] else (1000, _DECIMAL)
    number *= _SUFFIXES[suffix]
    power = 0
    while number and number % base == 0 and power + 1 < len(suffixes):
        number, power = number // base, power + 1
    return f"{number}{suffixes[power]}"


def _split_quantity(value: str | int) -> tuple[int, str]:
    if isinstance(value, int):
        return value, ""  # the CRD's pattern is for text only
    match = _QUANTITY.fullmatch(value)
    if match is None or len(value) > MAX_QUANTITY_LENGTH:
        raise ValueError(f"{value[:40]!r} is not a quantity: write a whole number, perhaps with k, M, G, Ki, Mi or Gi")
    return int(match[1]), match[2] or ""


def parse_cidr(text: str) -> IPv4Network | IPv6Network:
    """``10.0.0.0/8``, ``fd00::/8``; bits behind the prefix are cut off, as Envoy does. Raises ``ValueError``."""
    if "/" in text and "%" not in text:
        address, _, length = text.partition("/")
        if length.isascii() and length.isdigit():
            with suppress(ValueError):
                return ip_network((address, int(length)), strict=False)
    raise ValueError(f"{text!r} is not a CIDR: write an address and a length, like 10.0.0.0/8 or fd00::/8")
