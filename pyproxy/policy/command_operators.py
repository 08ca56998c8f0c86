"""A header's value as Envoy reads it: text, with commands between percent signs and ``%%`` for one of these."""

from __future__ import annotations

import difflib
import re

from pyproxy.settings import COMMANDS, HEADER_COMMANDS, Command, HeaderAction, HeaderMutation, Template

_PART = re.compile(r"%%|%([A-Z_]+)(?:\(([^)%]*)\))?(?::(\d+))?%")
_HEADER = re.compile(r":(?:method|path|authority|status)|[A-Za-z0-9!#$&'*+\-.^_`|~]+")


def parse_value(text: str) -> Template:
    """The parts of ``text``. Raises ``ValueError`` for what Envoy would not take, or pyproxy does not know."""
    parts: list[bytes | Command] = []
    literal, at = "", 0
    while (percent := text.find("%", at)) >= 0:
        match = _PART.match(text, percent)
        if match is None:
            raise ValueError(f"% begins a command like %REQ(x-a)%, which {text[percent:]!r} is not; write %% for a %")
        literal += text[at:percent]
        if match[1] is None:
            literal += "%"
        else:
            parts += [literal.encode(), _command(match)] if literal else [_command(match)]
            literal = ""
        at = match.end()
    literal += text[at:]
    return (*parts, literal.encode()) if literal else tuple(parts)


def writes(action: HeaderAction, name: str, value: str) -> HeaderMutation:
    """The mutation that writes ``value``. Raises ``ValueError`` as ``parse_value`` does."""
    template, key = parse_value(value), name.lower().encode()
    if any(isinstance(part, Command) for part in template):
        return HeaderMutation(action, key, template=template)
    return HeaderMutation(action, key, b"".join(part for part in template if isinstance(part, bytes)))


def _command(match: re.Match[str]) -> Command:
    name, argument, length = match.groups()
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, sorted(COMMANDS), 1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise ValueError(f"pyproxy does not know the command {name}{hint}")
    if name not in HEADER_COMMANDS:
        if argument is not None or length is not None:
            raise ValueError(f"{name} takes no argument and no length")
        return Command(name)
    header, question, alternative = (argument or "").partition("?")
    for one in (header, alternative) if question else (header,):
        if _HEADER.fullmatch(one) is None:
            raise ValueError(f"{name} takes a header's name, and after a ? another one, not {argument!r}")
    size = int(length) if length is not None else None
    return Command(name, header.lower().encode(), alternative.lower().encode(), size)
