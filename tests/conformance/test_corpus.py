"""Corpora as cases; and the project's own beside what Envoy was recorded to do."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from pyproxy.conformance.cases import PROXY_OPTIONAL, PROXY_REQUIRED
from pyproxy.conformance.corpus import CONFIGS, MARKED, READERS, CorpusError, read_corpus
from pyproxy.conformance.inputs import GET
from pyproxy.conformance.observe import ABSENT, BACKEND, CONNECTIONS, CUT, END, RECEIVED, STATUS, TRUSTED
from pyproxy.conformance.peers import BETWEEN_WRITES
from pyproxy.conformance.run import Options
from tests.support.conformance import differs_every_time

OWN = Path(__file__).parents[1] / "corpus"


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def write(folder: Path, name: str, *entries: dict[str, Any]) -> Path:
    (folder / name).write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return folder


def test_a_request_and_the_same_with_a_marked_one_behind(tmp_path: Path) -> None:
    entry = {"id": "a", "input_b64": b64(b"GET / HTTP/1.1\r\n\r\n"), "writes": [3, 4]}
    one, marked = read_corpus(write(tmp_path, "http1_requests.jsonl", entry))
    assert one.steps == (b"GET", BETWEEN_WRITES, b" / H", BETWEEN_WRITES, b"TTP/1.1\r\n\r\n")
    assert marked.sent == one.sent + MARKED
    assert (one.responses, marked.responses) == (1, 2)
    assert one.name.endswith("/http1_requests/a")
    assert one.recorded is None


def test_a_recorded_request(tmp_path: Path) -> None:
    upstream = b"GET / HTTP/1.1\r\nx-forwarded-for: 192.0.2.2\r\n\r\n"
    envoy = {
        "end": "fin",
        "upstream": [{"b64": b64(upstream), "len": len(upstream)}],
        "downstream_b64": b64(b"HTTP/1.1 200 OK\r\ndate: <date>\r\n\r\n"),
    }
    entry = {"id": "a", "input_b64": b64(GET), "envoy": envoy}
    write(tmp_path, "http1_requests.jsonl", entry)
    (tmp_path / CONFIGS).write_text(json.dumps({"node_address": "192.0.2.2", "configs": {}}))
    one, marked = read_corpus(tmp_path)
    assert one.recorded is not None
    assert one.recorded.views == {
        RECEIVED: b"HTTP/1.1 200 OK\r\ndate: <date>\r\n\r\n",
        BACKEND: upstream.replace(b"192.0.2.2", b"<node address>"),
        END: b"fin",
        CONNECTIONS: b"1",
    }
    assert marked.recorded is None


def test_what_a_record_cut_off(tmp_path: Path) -> None:
    stream = {"b64": b64(b"GET / HTTP/1.1\r\nx: " + b"y" * 1979 + b"\r\n"), "len": 5000}
    entry = {"id": "a", "input_b64": b64(GET), "envoy": {"end": "open", "upstream": [stream]}}
    one, _ = read_corpus(write(tmp_path, "http1_requests.jsonl", entry))
    assert one.recorded is not None
    assert one.recorded.views[BACKEND].endswith(CUT)


def test_a_response_with_the_connection_kept_and_closed(tmp_path: Path) -> None:
    entry = {"id": "a", "input_b64": b64(b"HTTP/1.1 200 OK\r\n\r\n"), "request_method": "HEAD"}
    kept, closed = read_corpus(write(tmp_path, "http1_responses.jsonl", entry))
    assert kept.sent == closed.sent == GET.replace(b"GET", b"HEAD")
    assert (kept.script.then, closed.script.then) == ("keep", "close")
    assert kept.answers_to_head == (True,)
    assert kept.answers_specially


@pytest.mark.parametrize(
    ("fields", "after"),
    [({}, GET), ({"rest_b64": b64(GET * 2)}, GET * 2), ({"rest_b64": ""}, b""), ({"rest_b64": b64(b"more")}, GET)],
)
def test_a_proxy_header_and_what_follows(tmp_path: Path, fields: dict[str, str], after: bytes) -> None:
    entry = {"id": "a", "input_b64": b64(b"PROXY UNKNOWN\r\n"), **fields}
    required, optional = read_corpus(write(tmp_path, "proxy_protocol.jsonl", entry))
    assert (required.group, optional.group) == (PROXY_REQUIRED, PROXY_OPTIONAL)
    assert required.sent == optional.sent == b"PROXY UNKNOWN\r\n" + after


def test_nothing_follows_a_header_that_envoy_waits_for(tmp_path: Path) -> None:
    seen = {"verdict": "wait", "end": "open"}
    entry = {"id": "a", "input_b64": b64(b"PROXY"), "envoy": {"default": seen, "optional": seen}}
    required, _ = read_corpus(write(tmp_path, "proxy_protocol.jsonl", entry))
    assert required.sent == b"PROXY"
    assert required.recorded is not None
    assert required.recorded.views == {STATUS: b"", END: b"open"}


@pytest.mark.parametrize(
    ("downstream", "line"),
    [
        ("192.0.2.5", b"PROXY TCP4 192.0.2.5 127.0.0.1 4711 80\r\n"),
        ("2001:db8::5", b"PROXY TCP6 2001:db8::5 ::1 4711 80\r\n"),
        (None, b""),
    ],
)
def test_an_address(tmp_path: Path, downstream: str | None, line: bytes) -> None:
    entry: dict[str, Any] = {"id": "a", "config": "c", "downstream": downstream, "input_b64": b64(GET), "headers": []}
    entry["envoy"] = {
        "status": 200, "trusted": "192.0.2.5", "xff": ["a", "b"], "external": None, "internal": None, "xfp": ["http"],
        "kept": {},
    }  # fmt: skip
    write(tmp_path, "client_address.jsonl", entry)
    (tmp_path / CONFIGS).write_text(json.dumps({"configs": {"c": {"xff_num_trusted_hops": 3}}}))
    (one,) = read_corpus(tmp_path)
    assert one.sent == line + GET
    assert one.group.client_address is not None
    assert one.group.client_address.xff_num_trusted_hops == 3
    assert one.recorded is not None
    views = one.recorded.views
    assert (views[TRUSTED], views["x-forwarded-for"], views["x-envoy-internal"]) == (b"192.0.2.5", b"a\nb", ABSENT)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "http1_requests.jsonl:1: "),
        ('{"input_b64":""}', "http1_requests.jsonl:1: no 'id'"),
        ('{"id":"a","input_b64":"?"}', "http1_requests.jsonl:1: input_b64: "),
    ],
)
def test_what_can_not_be_read_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "http1_requests.jsonl").write_text(line)
    with pytest.raises(CorpusError, match=message):
        read_corpus(tmp_path)


def test_a_folder_with_none_of_the_files(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=next(iter(READERS))):
        read_corpus(tmp_path)


@pytest.mark.timeout(120)
def test_the_projects_own_are_as_recorded(capsys: pytest.CaptureFixture[str]) -> None:
    assert all(case.recorded is not None for case in read_corpus(OWN)), "run: pyproxy conformance --record"
    assert not differs_every_time(Options(corpora=(OWN,), recorded=True), capsys)
