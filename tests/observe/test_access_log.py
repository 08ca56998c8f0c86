"""The access log: Envoy's format, and a writer that never holds anybody up."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.envoy.bootstrap import ACCESS_LOG_KEYS
from pyproxy.observe import access_log
from pyproxy.observe.access_log import AccessLog, RequestLog, format_line, format_time


def test_a_line_has_envoy_gateways_keys_sorted_and_no_blank() -> None:
    line = format_line(RequestLog(start_time=1795516535.923))
    assert line.endswith(b"}\n")
    record = json.loads(line)
    assert list(record) == sorted(ACCESS_LOG_KEYS)
    assert line.decode().strip() == json.dumps(record, separators=(",", ":"))
    assert record["start_time"] == "2026-11-24T10:35:35.923Z"


def test_values() -> None:
    line = format_line(
        RequestLog(
            start_time=0,
            method=b"GET",
            path=b"/a",
            response_code=200,
            response_code_details="via_upstream",
            bytes_received=1,
            bytes_sent=2,
            duration=3,
            upstream_service_time=4,
            x_forwarded_for=b"1.2.3.4",
            upstream_host="127.0.0.1:80",
        )
    )
    record = json.loads(line)
    assert record["method"] == "GET"
    assert record["x-envoy-origin-path"] == "/a"
    assert (record["response_code"], record["bytes_received"], record["duration"]) == (200, 1, 3)
    assert record["x-envoy-upstream-service-time"] == "4"
    assert record["user-agent"] is None


@given(st.binary(max_size=40))
def test_no_header_breaks_out_of_its_line(value: bytes) -> None:
    line = format_line(RequestLog(start_time=0, user_agent=value))
    assert line.count(b"\n") == 1
    assert json.loads(line)["user-agent"] == value.decode("utf-8", "replace")


def test_time_is_cut_to_milliseconds() -> None:
    assert format_time(0.9999) == b"1970-01-01T00:00:00.999Z"


def test_lines_are_in_the_file_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "log"
    log = AccessLog(str(target))
    for number in range(1000):
        log.write(RequestLog(start_time=0, response_code=number))
    log.close()
    assert [json.loads(line)["response_code"] for line in target.read_text().splitlines()] == list(range(1000))
    assert log.lost == 0


def test_lines_go_to_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    log = AccessLog("-")
    log.write(RequestLog(start_time=0, response_code=204))
    log.close()
    assert json.loads(capfd.readouterr().out)["response_code"] == 204


def test_a_reader_who_stops_reading_costs_lines_not_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(access_log, "MAX_QUEUED", 5000)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = AccessLog(str(pipe))
    for _ in range(20_000):
        log.write(RequestLog(start_time=0))
    assert log.lost > 0
    drained = threading.Thread(target=_drain, args=(reader,))
    drained.start()
    log.close()
    drained.join()


def _drain(descriptor: int) -> None:
    os.set_blocking(descriptor, True)
    while os.read(descriptor, 65536):
        pass
    os.close(descriptor)


def test_a_full_disk_costs_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    log = AccessLog("/dev/full")
    for _ in range(3):
        log.write(RequestLog(start_time=0))
    log.close()
    assert log.lost == 3


def test_a_place_that_can_not_be_written(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        AccessLog(str(tmp_path / "no" / "log"))
