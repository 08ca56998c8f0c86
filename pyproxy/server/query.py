"""What a request's query or form asks of the admin.

Names and values are text of which each character is a byte. Source: Envoy 1.40, measured.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import unquote

from pyproxy.policy.regex import compile_search

Query = dict[str, str]


class BadQuery(ValueError):
    """Its text is the 400's."""


def parse(query: str) -> Query:
    """The parameters; of one that is repeated, the first. A ``+`` is a plus sign."""
    found: Query = {}
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            found.setdefault(unquote(name, "latin-1"), unquote(value, "latin-1"))
    return found


def choice(query: Query, name: str, allowed: tuple[str, ...], usage: str) -> str:
    """One of ``allowed``, whose first is for a parameter that is missing or empty. Raises ``BadQuery``: ``usage``."""
    value = query.get(name) or allowed[0]
    if value not in allowed:
        raise BadQuery(usage)
    return value


def text_filter(query: Query) -> Callable[[bytes], bool] | None:
    """Whether the regular expression ``filter`` is found in a text; ``None`` if there is none. Raises ``BadQuery``."""
    pattern = query.get("filter")
    if not pattern:
        return None
    try:
        return compile_search(pattern.encode("latin-1"))
    except ValueError as error:
        raise BadQuery(f"Invalid re2 regex: {error}") from error


def number(query: Query, name: str, default: int) -> int:
    """A whole number. Raises ``BadQuery``."""
    value = query.get(name)
    if value is None:
        return default
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise BadQuery(f"{name} must be a whole number of at most 9 digits\n")
    return int(value)
