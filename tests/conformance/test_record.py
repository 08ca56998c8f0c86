"""What Envoy does, written into a corpus in the form in which it is read again."""

from __future__ import annotations

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from pyproxy.conformance.case import Case
from pyproxy.conformance.corpus import CONFIGS, read_corpus
from pyproxy.conformance.inputs import GET
from pyproxy.conformance.observe import SECONDS, differences, observe, observe_as_recorded
from pyproxy.conformance.peers import Seen
from pyproxy.conformance.record import write_observations

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\ndate: Tue, 24 Nov 2026 11:17:43 GMT\r\n\r\nok"
BAD = b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n"
INPUT = {"id": "a", "input_b64": b64encode(GET).decode()}
FILES: dict[str, dict[str, Any]] = {
    "http1_requests.jsonl": INPUT,
    "http1_responses.jsonl": INPUT,
    "proxy_protocol.jsonl": INPUT,
    "client_address.jsonl": {**INPUT, "config": "c", "downstream": None, "headers": []},
}


def recorded(folder: Path, name: str, seen: Seen) -> tuple[list[Case], dict[str, Any]]:
    """A corpus of one entry after it was recorded, and what stands there as Envoy's."""
    (folder / name).write_text(json.dumps(FILES[name]) + "\n")
    (folder / CONFIGS).write_text('{"configs":{"c":{}},"node_address":"192.0.2.2"}')
    write_observations(folder, {case.name: (case, seen) for case in read_corpus(folder)})
    assert json.loads((folder / CONFIGS).read_text()) == {"configs": {"c": {}}}
    return read_corpus(folder), json.loads((folder / name).read_text())["envoy"]


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize(
    "seen",
    [
        Seen(OK, requests=[GET]),
        Seen(OK, end="fin", seconds=1.02, requests=[CHUNKED + b"1\r\na\r\n1\r\nb\r\n0\r\n\r\n", GET]),
        Seen(BAD, end="rst", requests=[]),
        Seen(b"", requests=[CHUNKED + b"1\r\na\r\n"]),
        Seen(OK + OK, requests=[b"GET / HTTP/1.1\r\nx: " + b"y" * 5000 + b"\r\n\r\n" + GET]),
        Seen(b"\x00\x01", requests=[]),
    ],
)
def test_a_record_is_what_was_compared(tmp_path: Path, name: str, seen: Seen) -> None:
    cases, _ = recorded(tmp_path, name, seen)
    for case in cases:
        assert case.recorded is not None
        assert set(observe(case, seen).views) <= {*case.recorded.views, SECONDS}
        assert differences(case.recorded.views, observe_as_recorded(case, seen).views) == []
        assert case.recorded.streams == observe(case, seen).streams


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (Seen(OK, requests=[GET]), "forward"),
        (Seen(OK + BAD, requests=[GET]), "forward_then_reject"),
        (Seen(BAD), "reject"),
        (Seen(b"HTTP/1.1 307 x\r\n\r\n"), "redirect"),
        (Seen(b""), "wait"),
        (Seen(b"", requests=[CHUNKED]), "forward_no_reply"),
        (Seen(b"\x00\x00"), "non_http1_reply"),
    ],
)
def test_verdicts_on_requests(tmp_path: Path, seen: Seen, verdict: str) -> None:
    _, envoy = recorded(tmp_path, "http1_requests.jsonl", seen)
    assert envoy["verdict"] == envoy["marked"]["verdict"] == verdict


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (Seen(OK, requests=[GET]), "forward"),
        (Seen(OK[:-1], requests=[GET]), "forward_then_abort"),
        (Seen(b"HTTP/1.1 502 x\r\n\r\nupstream connect error", requests=[GET]), "local_502"),
        (Seen(b"", requests=[GET]), "wait"),
        (Seen(b"HTTP/1.1 103 x\r\n\r\n", requests=[GET]), "informational_only"),
    ],
)
def test_verdicts_on_responses(tmp_path: Path, seen: Seen, verdict: str) -> None:
    _, envoy = recorded(tmp_path, "http1_responses.jsonl", seen)
    assert [envoy[variant]["verdict"] for variant in ("keep", "fin")] == [verdict, verdict]


@pytest.mark.parametrize(
    ("seen", "verdict"), [(Seen(OK, requests=[GET]), "accept"), (Seen(b"", end="rst"), "close"), (Seen(b""), "wait")]
)
def test_verdicts_on_proxy_headers(tmp_path: Path, seen: Seen, verdict: str) -> None:
    _, envoy = recorded(tmp_path, "proxy_protocol.jsonl", seen)
    assert [envoy[key]["verdict"] for key in ("default", "optional")] == [verdict, verdict]


def test_entries_that_were_not_run_stay(tmp_path: Path) -> None:
    line = json.dumps({**INPUT, "envoy": {"verdict": "old", "end": "open"}}, separators=(",", ":")) + "\n"
    (tmp_path / "http1_requests.jsonl").write_text(line)
    write_observations(tmp_path, {})
    assert (tmp_path / "http1_requests.jsonl").read_text() == line
