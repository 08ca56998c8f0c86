"""Writes into a corpus what Envoy does with its inputs, so that a new release of Envoy is one command."""

from __future__ import annotations

import base64
import json
import os
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pyproxy.conformance.case import Case
from pyproxy.conformance.corpus import CONFIGS, READERS, case_names, read_json, read_lines
from pyproxy.conformance.messages import count_complete, normalize, says_close, statuses
from pyproxy.conformance.observe import addresses_of, node
from pyproxy.conformance.peers import Seen

Observations = Mapping[str, tuple[Case, Seen]]
"""By the case's name."""

LONG = 2000
"""Bytes past which a value is compressed."""

JsonObject = dict[str, Any]


def write_observations(folder: Path, observations: Observations) -> None:
    """Rewrite the files of ``folder``; entries whose cases were not run stay as they are."""
    configs = read_json(folder / CONFIGS) if (folder / CONFIGS).exists() else {}
    for name in READERS:
        file = folder / name
        if not file.exists():
            continue
        lines = []
        for _, entry in read_lines(file):
            names = case_names(entry, f"{folder}/{file.stem}")
            if all(one in observations for one in names.values()):
                seen = {key: RECORDERS[name](*observations[one]) for key, one in names.items()}
                entry = {**entry, "envoy": {**seen.pop("", {}), **seen}}
            lines.append(json.dumps(entry, ensure_ascii=False, separators=(",", ":")))
        _replace(file, "".join(line + "\n" for line in lines))
    if "node_address" in configs:
        # It stands as <node address> now.
        del configs["node_address"]
        _replace(folder / CONFIGS, json.dumps(configs, indent=1) + "\n")


def _replace(file: Path, text: str) -> None:
    new = file.with_name(file.name + ".new")
    new.write_text(text)
    os.replace(new, file)


def _seen(case: Case, seen: Seen) -> JsonObject:
    """What every record has."""
    received = normalize(seen.received, case.answers_to_head)
    recorded: JsonObject = {
        "verdict": "",
        "statuses": statuses(seen.received, case.answers_to_head),
        "end": seen.end,
        "announced_close": says_close(seen.received),
        "upstream": [_stream(stream) for stream in seen.requests],
        **_base64("downstream", received),
    }
    if seen.end != "open":
        recorded["end_after_ms"] = round(seen.seconds * 1000, -2)
    return recorded


def _stream(stream: bytes) -> JsonObject:
    recorded = normalize(stream, node=node())
    return {**_base64("", recorded), "len": len(recorded), "requests": count_complete(recorded)}


def _request(case: Case, seen: Seen) -> JsonObject:
    recorded = _seen(case, seen)
    final = [code for code in recorded["statuses"] if code >= 200 or code == 101]
    answered = sum(stream["requests"] for stream in recorded["upstream"])
    if seen.received and not recorded["statuses"]:
        verdict = "non_http1_reply"
    elif not final:
        verdict = "forward_no_reply" if seen.requests else "wait"
    elif not seen.requests:
        verdict = "redirect" if final[0] // 100 == 3 else "reject"
    else:
        verdict = "forward" if len(final) <= answered else "forward_then_reject"
    return recorded | {"verdict": verdict}


def _response(case: Case, seen: Seen) -> JsonObject:
    recorded = _seen(case, seen)
    final = [code for code in recorded["statuses"] if code >= 200 or code == 101]
    if not recorded["statuses"]:
        verdict = "wait"
    elif not final:
        verdict = "informational_only"
    elif b"\r\n\r\nupstream connect error" in seen.received:
        verdict = f"local_{final[0]}"
    else:
        complete = count_complete(seen.received, case.answers_to_head)
        verdict = "forward" if complete >= len(final) else "forward_then_abort"
    return recorded | {"verdict": verdict}


def _preface(case: Case, seen: Seen) -> JsonObject:
    recorded = _seen(case, seen)
    verdict = "accept" if recorded["statuses"] else "close" if seen.end != "open" else "wait"
    return recorded | {"verdict": verdict} | _addresses(seen)


def _client_address(case: Case, seen: Seen) -> JsonObject:
    return _request(case, seen) | _addresses(seen)


def _addresses(seen: Seen) -> JsonObject:
    addresses = addresses_of(seen)
    return {"remote": [remote.decode() for remote, _ in addresses], "local": [local.decode() for _, local in addresses]}


RECORDERS: dict[str, Callable[[Case, Seen], JsonObject]] = {
    "http1_requests.jsonl": _request,
    "http1_responses.jsonl": _response,
    "proxy_protocol.jsonl": _preface,
    "client_address.jsonl": _client_address,
}


def _base64(name: str, data: bytes) -> JsonObject:
    if len(data) <= LONG:
        return {f"{name}_b64".lstrip("_"): base64.b64encode(data).decode()}
    return {f"{name}_zlib_b64".lstrip("_"): base64.b64encode(zlib.compress(data, 9)).decode()}
