"""The operator's log on standard error: loggers with Envoy's names and levels, as ``/logging`` shows and sets them.

What serving has to tell anybody goes there in any case (server.terminal); these are for who wants to know more.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping

LOGGERS = {
    "admin": "requests to the admin",
    "connection": "client connections: accepted, PROXY header taken or refused, closed",
}
"""Name and what it says at ``debug``."""

LEVELS = {
    "trace": 5,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
    "off": logging.CRITICAL + 10,
}

USAGE = """
usage: /logging?<name>=<level> (change single level)
usage: /logging?paths=name1:level1,name2:level2,... (change multiple levels)
usage: /logging?level=<level> (change all levels)
levels: trace debug info warning error critical off
"""


class LevelError(ValueError):
    """A change of levels that can't be made."""


def set_up() -> None:
    """Write to standard error, warnings and worse until somebody asks for more."""
    root = logging.getLogger("pyproxy")
    root.propagate = False
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        logging.Formatter("[%(asctime)s.%(msecs)03d][%(process)d][%(levelname)s][%(name)s] %(message)s", "%F %T")
    )
    root.handlers = [handler]
    change(dict.fromkeys(LOGGERS, "warning"))


def parse_change(query: Mapping[str, str]) -> dict[str, str]:
    """The levels by logger that a query of ``/logging`` asks for. Raises ``LevelError``."""
    given = {name: value for name, value in query.items() if value}
    if len(given) > 1:
        raise LevelError("invalid number of parameters")
    wanted: dict[str, str] = {}
    for name, value in given.items():
        if name == "level":
            wanted = dict.fromkeys(LOGGERS, value)
        elif name == "paths":
            for part in value.split(","):
                logger, colon, level = part.partition(":")
                if not colon or not logger or not level:
                    raise LevelError("empty logger name or empty logger level")
                wanted[logger] = level
        else:
            wanted[name] = value
    for logger, level in wanted.items():
        if logger not in LOGGERS:
            raise LevelError("unknown logger name")
        if level not in LEVELS:
            raise LevelError("unknown logger level")
    return wanted


def change(levels: Mapping[str, str]) -> None:
    """Set the levels of these loggers, which ``parse_change`` has found to be right."""
    for logger, level in levels.items():
        logging.getLogger(f"pyproxy.{logger}").setLevel(LEVELS[level])


def describe() -> str:
    """What ``/logging`` answers."""
    names = {number: name for name, number in LEVELS.items()}
    lines = [f"  {logger}: {names[logging.getLogger(f'pyproxy.{logger}').level]}\n" for logger in LOGGERS]
    return "active loggers:\n" + "".join(lines) + "\n"
