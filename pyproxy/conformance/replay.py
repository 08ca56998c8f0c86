"""Cases as lines of JSON, so that what failed can be run again, sent to somebody, or kept."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.corpus import CorpusError, read_lines
from pyproxy.conformance.fragment import client_address_options, fields_of
from pyproxy.conformance.peers import Script
from pyproxy.policy.release import Release
from pyproxy.settings import Listener

# What JSON does not have as it is, or a replay does not need.
_GROUP_SPECIAL = ("release", "client_address", "listener")
_CASE_SPECIAL = ("name", "group", "steps", "script", "fields", "recorded")
_SCRIPT_SPECIAL = ("replies",)


def write_cases(file: Path, cases: Iterable[Case]) -> None:
    """Write ``cases``. Raises ``OSError``."""
    lines = [json.dumps(_entry(case), separators=(",", ":")) for case in cases]
    file.write_text("".join(line + "\n" for line in lines))


def read_cases(file: Path, listeners: Mapping[str, Listener]) -> list[Case]:
    """The cases of ``file``; ``listeners``, by name, are those that some may want. Raises ``CorpusError``."""
    cases = []
    groups: dict[Group, Group] = {}
    for number, entry in read_lines(file):
        try:
            group = _group(entry["group"], listeners)
            cases.append(_case(entry, groups.setdefault(group, group)))
        except (KeyError, TypeError, ValueError) as error:
            what = f"no {error}" if isinstance(error, KeyError) else str(error)
            raise CorpusError(f"{file}:{number}: {what}") from error
    return cases


def _entry(case: Case) -> dict[str, Any]:
    group = _plain(case.group, _GROUP_SPECIAL) | {"release": case.group.release.value}
    if case.group.listener is not None:
        group["listener"] = case.group.listener.name
    if case.group.client_address is not None:
        group["connection_manager"] = fields_of(case.group.client_address)
    replies = [_base64(reply) for reply in case.script.replies]
    return {
        "id": case.name,
        "group": group,
        "input_b64": _base64(case.sent),
        "steps": [len(step) if isinstance(step, bytes) else {"pause": step} for step in case.steps],
        **_plain(case, _CASE_SPECIAL),
        "script": {"replies_b64": replies, **_plain(case.script, _SCRIPT_SPECIAL)},
    }


def _group(entry: Mapping[str, Any], listeners: Mapping[str, Listener]) -> Group:
    listener = None
    if "listener" in entry:
        listener = listeners.get(entry["listener"])
        if listener is None:
            raise ValueError(f"it needs listener {entry['listener']}: name its resources with -f")
    options = client_address_options(entry["connection_manager"]) if "connection_manager" in entry else None
    plain = _read_plain(Group, entry, _GROUP_SPECIAL)
    return Group(**plain, release=Release(entry["release"]), listener=listener, client_address=options)


def _case(entry: Mapping[str, Any], group: Group) -> Case:
    data, steps = base64.b64decode(entry["input_b64"]), list[bytes | float]()
    for step in entry["steps"]:
        if isinstance(step, int):
            steps.append(data[:step])
            data = data[step:]
        else:
            steps.append(step["pause"])
    replies = tuple(base64.b64decode(reply) for reply in entry["script"]["replies_b64"])
    script = Script(replies, **_read_plain(Script, entry["script"], _SCRIPT_SPECIAL))
    return Case(entry["id"], group, tuple(steps), script, **_read_plain(Case, entry, _CASE_SPECIAL))


def _plain(instance: Group | Case | Script, special: Sequence[str]) -> dict[str, Any]:
    """The fields of ``instance`` but for the special ones; JSON turns their tuples into lists, bytes are ``*_b64``."""
    plain = {field.name: getattr(instance, field.name) for field in fields(instance) if field.name not in special}
    return dict(
        (f"{name}_b64", _base64(value)) if isinstance(value, bytes) else (name, value) for name, value in plain.items()
    )


def _read_plain(kind: type[Group | Case | Script], entry: Mapping[str, Any], special: Sequence[str]) -> dict[str, Any]:
    names = [field.name for field in fields(kind) if field.name not in special]
    plain = {
        name: tuple(entry[name]) if isinstance(entry[name], list) else entry[name] for name in names if name in entry
    }
    encoded = {name: base64.b64decode(entry[f"{name}_b64"]) for name in names if f"{name}_b64" in entry}
    return plain | encoded


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
