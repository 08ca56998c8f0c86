"""Corpora: folders of inputs as JSON lines, with what Envoy did with each.

``http1_requests.jsonl`` has what a client sends, ``http1_responses.jsonl`` what a backend answers,
``proxy_protocol.jsonl`` what stands before the first request, and ``client_address.jsonl`` where a request comes from
and what it says about that, under one of the settings in ``client_address_configs.json``. Bytes are Base64.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pyproxy.conformance.case import Case, Group, Observation
from pyproxy.conformance.cases import PROXY_OPTIONAL, PROXY_REQUIRED, TODAY
from pyproxy.conformance.fragment import client_address_options
from pyproxy.conformance.inputs import GET
from pyproxy.conformance.messages import normalize
from pyproxy.conformance.observe import (
    ABSENT,
    BACKEND,
    CONNECTIONS,
    CUT,
    END,
    FIRST_LOCAL,
    FIRST_REMOTE,
    LOCAL,
    RECEIVED,
    REMOTE,
    SECONDS,
    STATUS,
    TRUSTED,
)
from pyproxy.conformance.peers import BETWEEN_WRITES, Script

CONFIGS = "client_address_configs.json"

DELAYED_CLOSE = 1.4
"""Seconds of silence after which a connection that should end without a word has not: Envoy takes one second."""

VARIANTS = {"keep": "keep", "fin": "close"}
"""Whether the backend keeps its connection open behind the response, and ``Script.then`` for it."""

MODES = {"default": "required", "optional": "optional"}
"""Whether connections must start with a PROXY header."""

MARKED = GET.replace(b"\r\n\r\n", b"\r\nX-Mark: behind\r\n\r\n")
"""Sent behind each request once more: no backend may see the mark in a request that Envoy would not have sent."""

RECORDED_BYTES, RECORDED_REPLY_BYTES = 2000, 3000
"""As much of a request and of a response some records keep; ``len`` and ``downstream_len`` say how long they were."""

KEPT_HEADERS = ("x-real-ip", "x-forwarded-host", "x-forwarded-port", "forwarded", "x-client-ip")

Entry = Mapping[str, Any]


class CorpusError(Exception):
    """A file of a corpus that can't be read: which, where and why."""


def read_corpus(folder: Path) -> list[Case]:
    """The cases of ``folder``. Raises ``CorpusError``."""
    configs = read_json(folder / CONFIGS) if (folder / CONFIGS).exists() else {}
    cases: list[Case] = []
    for name, read in READERS.items():
        file = folder / name
        for number, entry in read_lines(file) if file.exists() else ():
            try:
                cases += read(entry, f"{folder}/{file.stem}", configs)
            except (KeyError, TypeError, ValueError, AttributeError) as error:
                what = f"no {error}" if isinstance(error, KeyError) else str(error)
                raise CorpusError(f"{file}:{number}: {what}") from error
    if not cases:
        raise CorpusError(f"{folder}: none of {', '.join(READERS)} is there")
    return cases


def case_names(entry: Entry, corpus: str) -> dict[str, str]:
    """The cases of an entry: where each observation stands in ``envoy`` to the case's name."""
    name = f"{corpus}/{entry['id']}"
    if corpus.endswith("/http1_requests"):
        return {"": name, "marked": f"{name} and a marked request"}
    if corpus.endswith("/http1_responses"):
        return {variant: f"{name}/{variant}" for variant in VARIANTS}
    if corpus.endswith("/proxy_protocol"):
        return {key: f"{name}/{mode}" for key, mode in MODES.items()}
    return {"": name}


def read_json(file: Path) -> Any:
    try:
        return json.loads(file.read_text())
    except (OSError, ValueError) as error:
        raise CorpusError(f"{file}: {error}") from error


def read_lines(file: Path) -> Iterator[tuple[int, Entry]]:
    try:
        lines = file.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise CorpusError(f"{file}: {error}") from error
    for number, line in enumerate(lines, 1):
        try:
            yield number, json.loads(line)
        except ValueError as error:
            raise CorpusError(f"{file}:{number}: {error}") from error


def _requests(entry: Entry, corpus: str, configs: Mapping[str, Any]) -> Iterator[Case]:
    data = _bytes(entry, "input")
    names, seen = case_names(entry, corpus), entry.get("envoy", {})
    for key, steps in (("", _steps(data, entry.get("writes"))), ("marked", (data + MARKED,))):
        record = seen.get(key) if key else seen
        responses = max(1, data.count(b"HTTP/1.") + bool(key))
        case = Case(names[key], TODAY, steps, responses=responses, corpus=corpus)
        yield replace(case, recorded=_bytes_seen(record, configs, case.answers_to_head) if record else None)


def _responses(entry: Entry, corpus: str, configs: Mapping[str, Any]) -> Iterator[Case]:
    reply, method = _bytes(entry, "input"), entry.get("request_method", "GET")
    names = case_names(entry, corpus)
    for variant, then in VARIANTS.items():
        seen = entry["envoy"][variant] if "envoy" in entry else None
        if seen is not None and method == "CONNECT" and "upstream_conns" in seen:
            seen = None  # recorded with a route for CONNECT
        request, script = GET.replace(b"GET", method.encode(), 1), Script((reply,), then=then)
        case = Case(names[variant], TODAY, (request,), script, quiet=DELAYED_CLOSE, corpus=corpus)
        yield replace(case, recorded=None if seen is None else _bytes_seen(seen, configs, case.answers_to_head))


def _prefaces(entry: Entry, corpus: str, configs: Mapping[str, Any]) -> Iterator[Case]:
    names = case_names(entry, corpus)
    for key, group in (("default", PROXY_REQUIRED), ("optional", PROXY_OPTIONAL)):
        seen = entry["envoy"][key] if "envoy" in entry else None
        rest = _bytes(entry, "rest") if "rest_b64" in entry else None
        if rest is None and seen is not None and seen["verdict"] == "wait":
            rest = b""  # it waits for the header's end, which a request would be taken for
        elif rest and b"\r\n\r\n" not in rest:
            rest = None  # what the source's own test sent, which needed no HTTP
        after: tuple[bytes | float, ...] = () if rest == b"" else (BETWEEN_WRITES, GET if rest is None else rest)
        yield Case(
            names[key],
            group,
            (*_steps(_bytes(entry, "input"), entry.get("writes")), *after),
            corpus=corpus,
            addresses=True,
            recorded=None if seen is None else _preface_seen(seen, configs),
        )


def _preface_seen(seen: Entry, configs: Mapping[str, Any]) -> Observation:
    if "end" in seen and "upstream" in seen:
        recorded = _bytes_seen(seen, configs)
        for name, key in ((REMOTE, "remote"), (LOCAL, "local")):
            recorded.views[name] = "\n".join(seen[key]).encode()
        return recorded
    views = {STATUS: b"".join(b"%d" % status for status in seen.get("statuses", ()))}
    if seen["verdict"] != "accept":
        views[END] = seen["end"].encode()
    if seen.get("details") == "via_upstream":
        views |= {FIRST_REMOTE: seen["remote"].encode(), FIRST_LOCAL: seen["local"].encode()}
        views["x-forwarded-for"] = _forwarded_for(seen["xff"].encode(), configs)
    return Observation(views)


def _client_addresses(entry: Entry, corpus: str, configs: Mapping[str, Any]) -> Iterator[Case]:
    name, client = entry["config"], entry["downstream"]
    if client is None:
        line = ""  # from loopback, without a PROXY header
    elif ":" in client:
        line = f"PROXY TCP6 {client} ::1 4711 80\r\n"
    else:
        line = f"PROXY TCP4 {client} 127.0.0.1 4711 80\r\n"
    yield Case(
        f"{corpus}/{entry['id']}",
        Group(
            f"client address {name}",
            spec="proxyProtocol: {optional: true}",
            client_address=client_address_options(configs["configs"][name]),
        ),
        (line.encode() + _bytes(entry, "input"),),
        corpus=corpus,
        addresses=True,
        recorded=_address_seen(entry, configs) if "envoy" in entry else None,
    )


def _address_seen(entry: Entry, configs: Mapping[str, Any]) -> Observation:
    seen = entry["envoy"]
    if "end" in seen and "upstream" in seen:
        return _preface_seen(seen, configs)
    views = {STATUS: str(seen["status"]).encode()}
    if seen["status"] != 200:
        return Observation(views)
    views[TRUSTED] = seen["trusted"].encode()
    headers = {
        "x-forwarded-for": seen["xff"],
        "x-envoy-external-address": seen["external"],
        "x-envoy-internal": seen["internal"],
        "x-forwarded-proto": seen["xfp"],
        **{name: seen["kept"].get(name) for name in KEPT_HEADERS},
    }
    for name, lines in headers.items():
        value = ABSENT if lines is None else "\n".join(lines).encode("latin-1")
        views[name] = _forwarded_for(value, configs) if name == "x-forwarded-for" else value
    if "request_id_kept" in seen:
        sent = {name.lower(): value for name, value in entry["headers"]}["x-request-id"]
        views["x-request-id"] = sent.encode() if seen["request_id_kept"] else b"<uuid>"
    return Observation(views)


READERS: dict[str, Callable[[Entry, str, Mapping[str, Any]], Iterator[Case]]] = {
    "http1_requests.jsonl": _requests,
    "http1_responses.jsonl": _responses,
    "proxy_protocol.jsonl": _prefaces,
    "client_address.jsonl": _client_addresses,
}


def _bytes(entry: Entry, name: str) -> bytes:
    """``<name>_b64`` or, for what is long, ``<name>_zlib_b64``; nothing where there is neither."""
    key = f"{name}_b64".lstrip("_")
    try:
        if (text := entry.get(f"{name}_zlib_b64".lstrip("_"))) is not None:
            return zlib.decompress(base64.b64decode(text, validate=True))
        return base64.b64decode(entry.get(key, ""), validate=True)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"{key}: {error}") from error


def _steps(data: bytes, writes: list[int] | None) -> tuple[bytes | float, ...]:
    """``data`` in one write, or in writes of the given sizes with a pause between."""
    steps: list[bytes | float] = [data[: writes[0]] if writes else data]
    at = len(data) if not writes else writes[0]
    for size in (*(writes or ())[1:], len(data)):
        if at < len(data):
            steps += [BETWEEN_WRITES, data[at : at + size]]
            at += size
    return tuple(steps)


def _bytes_seen(seen: Entry, configs: Mapping[str, Any], to_head: Sequence[bool] = ()) -> Observation:
    """The views that a record with bytes has."""
    node = configs.get("node_address", "").encode()
    whole, length = _bytes(seen, "downstream"), seen.get("downstream_len", 0)
    received = normalize(whole, to_head, any_date=True) + (CUT if len(whole) == RECORDED_REPLY_BYTES < length else b"")
    views = {RECEIVED: received, END: seen["end"].encode()}
    if seen.get("end_after_ms") is not None:
        views[SECONDS] = b"%.1f" % (seen["end_after_ms"] / 1000)
    streams = None
    if "upstream_conns" in seen:  # without their bytes
        views[CONNECTIONS] = b"%d" % seen["upstream_conns"]
    else:
        streams = tuple(_stream(stream, node) for stream in seen.get("upstream", ()))
        views |= {CONNECTIONS: b"%d" % len(streams), BACKEND: b"".join(streams)}
    return Observation(views, received, streams)


def _stream(stream: Entry, node: bytes) -> bytes:
    data = _bytes(stream, "")
    return normalize(data, node=node) + (CUT if len(data) == RECORDED_BYTES < stream["len"] else b"")


def _forwarded_for(value: bytes, configs: Mapping[str, Any]) -> bytes:
    """``value`` with the address of the machine that it was recorded on as this one's would stand."""
    node = configs.get("node_address", "").encode()
    before, comma, last = value.rpartition(b",")
    return before + comma + b"<node address>" if node and last == node else value
