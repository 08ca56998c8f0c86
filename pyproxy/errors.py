"""The two kinds of things that go wrong: what a user wrote (PolicyError) and what a peer did (Fault)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True, order=True)
class PolicyError:
    """One mistake in one resource file. Lines and columns count from 1."""

    file: str
    line: int
    column: int
    field: str
    """Path of the field from the document's root, ``spec.tcpKeepalive.probes``; empty for the document itself."""
    message: str
    """What is wrong and, where it is known, what would be right."""
    is_warning: bool = False
    """It is served all the same, but probably not what was meant."""

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}:{self.column}: {'warning: ' if self.is_warning else ''}"
        return where + (f"{self.field}: {self.message}" if self.field else self.message)


class PolicyErrors(Exception):
    """Every mistake of every document that was read, in file and line order."""

    def __init__(self, errors: Sequence[PolicyError]) -> None:
        super().__init__("\n".join(str(error) for error in errors))
        self.errors = tuple(errors)


class Source(Enum):
    """Whose doing a fault is."""

    DOWNSTREAM = "downstream"
    UPSTREAM = "upstream"
    LOCAL = "local"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a request, or a connection, does not go on. It decides the local reply, the log line and the counter."""

    source: Source
    kind: str
    """A short stable word for counters and tests, ``bad_header``."""
    status: int
    """The local reply's status; 0 where the peer gets none (a reset)."""
    flag: str = "-"
    """Envoy's response flag: DPE, NR, UF, UC, UT …"""
    detail: str = ""
    """Envoy's response_code_details: ``http1.codec_error``, ``route_not_found`` …"""
    http_10: bool = False
    """The local reply is in HTTP/1.0, as the request was."""
