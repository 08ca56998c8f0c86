"""The text forms of the API's scalars: Duration, Quantity, CIDR."""

from __future__ import annotations

import re
from contextlib import suppress
from ipaddress import IPv4Network, IPv6Network, ip_network

_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")
_DURATION_PART = re.compile(r"([0-9]{1,5})(h|ms|m|s)")
_MILLISECONDS = {"h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}

_QUANTITY = re.compile(r"([1-9]+[0-9]*)([EPTGMK]i|[EPTGMk])?")
_SUFFIXES: dict[str, int] = {
    "": 1,
    **{suffix: 1000**power for power, suffix in enumerate("kMGTPE", 1)},
    **{f"{suffix}i": 1024**power for power, suffix in enumerate("KMGTPE", 1)},
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
    """Bytes of a Kubernetes Quantity as the CRD takes it: ``32Ki``, ``1M``, 4096. Raises ``ValueError``."""
    text = str(value)
    match = _QUANTITY.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a quantity: write a whole number, perhaps with k, M, G, Ki, Mi or Gi")
    return int(match[1]) * _SUFFIXES[match[2] or ""]


def format_quantity(number: int) -> str:
    """The shortest Quantity of ``number``, at least 1."""
    count, suffix = min((number // factor, suffix) for suffix, factor in _SUFFIXES.items() if number % factor == 0)
    return f"{count}{suffix}"


def parse_cidr(text: str) -> IPv4Network | IPv6Network:
    """``10.0.0.0/8``, ``fd00::/8``; bits behind the prefix are cut off, as Envoy does. Raises ``ValueError``."""
    if "/" in text and "%" not in text:
        address, _, length = text.partition("/")
        if length.isascii() and length.isdigit():
            with suppress(ValueError):
                return ip_network((address, int(length)), strict=False)
    raise ValueError(f"{text!r} is not a CIDR: write an address and a length, like 10.0.0.0/8 or fd00::/8")
