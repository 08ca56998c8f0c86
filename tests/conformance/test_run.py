"""The verb: what it runs, what it says, and all its cases."""

from __future__ import annotations

import json
import shutil
from base64 import b64encode
from pathlib import Path

import pytest

from pyproxy.conformance.cases import CASES
from pyproxy.conformance.inputs import GET, get
from pyproxy.conformance.run import Options, UsageError, run_conformance
from pyproxy.policy.release import Release
from pyproxy.settings import Listener
from tests.support.conformance import differs_every_time

LISTENER = Listener("default/eg/web", "127.0.0.1", 10080, 80, ())
CORPUS = Path("x")


def test_names_are_unique_and_there_are_enough() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names) >= 60


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (Options(recorded=True), "--recorded and --record are about a corpus"),
        (Options(record=True), "--recorded and --record are about a corpus"),
        (Options(fuzz=1, corpora=(CORPUS,)), "give one of them"),
        (Options(fuzz=1, replay=CORPUS), "give one of them"),
        (Options(policies=True), "--policies is for --fuzz N"),
        (Options(listeners=(LISTENER,)), "-f needs"),
        (Options(listeners=(LISTENER,), corpora=(CORPUS,), recorded=True), "leave out -f"),
        (Options(report=Path("r.txt")), "neither in .html nor in .md"),
        (Options(pattern="no such case"), "no case has 'no such case' in its name"),
        (Options(corpora=(Path("/nonexistent"),)), "none of http1_requests.jsonl"),
    ],
)
def test_options_that_make_no_sense(options: Options, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        run_conformance(options)


def test_list(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_conformance(Options(pattern="keepalive", list_only=True)) == 0
    names = capsys.readouterr().out.splitlines()
    assert "guide/keepalive, both requests" in names
    assert "keepalive/v1.9/socket options" in names


@pytest.mark.timeout(300)
@pytest.mark.parametrize("proxy_protocol", ["off", "required", "optional"])
def test_a_short_fuzz_run_leaves_nothing_unexplained(proxy_protocol: str, capsys: pytest.CaptureFixture[str]) -> None:
    options = Options(fuzz=300, seed=20261124, proxy_protocol=proxy_protocol, release=Release.V1_9)
    assert not differs_every_time(options, capsys)


def test_a_few_generated_policies_leave_nothing_unexplained(capsys: pytest.CaptureFixture[str]) -> None:
    assert not differs_every_time(Options(fuzz=80, seed=20261125, policies=True), capsys)


def test_a_corpus_is_recorded_saved_reported_and_replayed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    entries = [{"id": str(n), "input_b64": b64encode(data).decode()} for n, data in enumerate((GET, get(host=b"")))]
    file = corpus / "http1_requests.jsonl"
    file.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    assert run_conformance(Options(corpora=(corpus,), record=True)) == 0
    assert run_conformance(Options(corpora=(corpus,), recorded=True)) == 0
    assert "4 cases, 4 the same" in capsys.readouterr().out

    # An Envoy that answers otherwise: a difference, which is saved and said, and is none beside the real one.
    file.write_text(
        file.read_text().replace('"statuses":[200]', '"statuses":[200]').replace('"end":"open"', '"end":"rst"')
    )
    saved, report = tmp_path / "saved.jsonl", tmp_path / "report.md"
    assert run_conformance(Options(corpora=(corpus,), recorded=True, save=saved, report=report)) == 1
    assert "different" in report.read_text()
    assert run_conformance(Options(replay=saved)) == 0
    shutil.rmtree(corpus)


def test_where_a_file_can_not_be_written(tmp_path: Path) -> None:
    options = Options(pattern="guide/no route", report=tmp_path / "no" / "r.md")
    with pytest.raises(UsageError, match="No such file"):
        run_conformance(options)


@pytest.mark.timeout(600)
def test_every_case_is_as_envoy_does_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert not differs_every_time(Options(), capsys)
