"""The access log's writer: a thread that never holds anybody up."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pyproxy.observe import access_log
from pyproxy.observe.access_log import AccessLog
from pyproxy.observe.log_format import compile_format
from tests.observe.records import record

CODE = compile_format("%RESPONSE_CODE%")


def test_lines_are_in_the_file_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "log"
    log = AccessLog(str(target), CODE)
    for number in range(1000):
        log.write(record(response_code=number))
    log.close()
    assert target.read_text().split() == [str(number) for number in range(1000)]
    assert log.lost == 0


def test_lines_go_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    log = AccessLog("-", CODE)
    log.write(record(response_code=204))
    log.close()
    assert capfd.readouterr().out == "204\n"


@pytest.mark.interpreted
def test_a_reader_who_stops_reading_costs_lines_not_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "MAX_QUEUED", 5000)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(pipe), CODE)
    for _ in range(20_000):
        log.write(record())
    assert log.lost > 0
    drained = threading.Thread(target=_drain, args=(reader,))
    drained.start()
    log.close()
    drained.join()


def test_what_a_reader_has_not_read_in_the_end_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "WRITE_INTERVAL", 60)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(pipe), CODE)
    line = len(CODE(record(response_code=200)))
    for _ in range(20_000):
        log.write(record(response_code=200))
    log._stopped.set()
    for _ in range(500):
        if 0 < len(log._unwritten) < 20_000 * line:
            break
        log._writer.join(0.02)
    # A pipe takes 64 KiB, and a line that is cut in the middle is lost.
    log.close(timeout=0.01)
    lost = log.lost
    drained = threading.Thread(target=_drain, args=(reader,))
    drained.start()
    log._writer.join()
    os.close(log._descriptor)
    drained.join()
    assert lost == 20_000 - 65_536 // line


def _drain(descriptor: int) -> None:
    os.set_blocking(descriptor, True)
    while os.read(descriptor, 65536):
        pass
    os.close(descriptor)


def test_a_full_disk_costs_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    log = AccessLog("/dev/full", CODE)
    for _ in range(3):
        log.write(record())
    log.close()
    assert log.lost == log.stats.lines_failed == 3
    assert log.stats.write_failed >= 1


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        AccessLog(str(tmp_path / "no" / "log"), CODE)


def wait_until(file: Path, content: str) -> None:
    """Wait for the writer's thread to have written ``content``."""
    for _ in range(500):
        if file.exists() and file.read_text() == content:
            return
        threading.Event().wait(0.01)
    raise AssertionError(file.read_text() if file.exists() else "no file")


def test_a_file_that_was_moved_away_is_opened_anew(tmp_path: Path) -> None:
    target = tmp_path / "log"
    log = AccessLog(str(target), CODE)
    log.write(record(response_code=1))
    wait_until(target, "1\n")
    target.rename(tmp_path / "old")
    log.reopen()
    log.write(record(response_code=2))
    log.close()
    assert (tmp_path / "old").read_text() == "1\n"
    assert target.read_text() == "2\n"


def test_a_place_that_has_gone_keeps_the_old_file(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    log = AccessLog(str(folder / "log"), CODE)
    folder.rename(tmp_path / "moved")
    log.reopen()
    log.write(record(response_code=2))
    log.close()
    assert (tmp_path / "moved" / "log").read_text() == "2\n"
    assert log.stats.reopen_failed == 1
    for thread in threading.enumerate():
        if thread.name == "access log trouble":
            thread.join(5)
    told = f"pyproxy: the access log {folder}/log can't be opened anew: No such file or directory; it stays as it was\n"
    assert capfd.readouterr().err == told


def test_standard_output_is_not_opened_anew(capfd: pytest.CaptureFixture[str]) -> None:
    log = AccessLog("-", CODE)
    log.reopen()
    log.write(record(response_code=204))
    log.close()
    assert capfd.readouterr().out == "204\n"
