"""Which timeout runs out first."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.proxy.timeouts import MAX_DURATION, REQUEST, REQUEST_HEADERS, STREAM_IDLE, StreamTimeouts, Timeout
from pyproxy.settings import HttpOptions


def options(headers: float = 0, request: float = 0, duration: float = 0, idle: float = 0) -> StreamTimeouts:
    return StreamTimeouts(
        HttpOptions(
            request_headers_timeout=headers,
            request_timeout=request,
            max_stream_duration=duration,
            stream_idle_timeout=idle,
        )
    )


def test_without_a_policy_only_five_idle_minutes_count() -> None:
    timeouts = StreamTimeouts(HttpOptions())
    assert timeouts.only_idle
    assert timeouts.idle == 300
    assert timeouts.of_head(7) == (307, STREAM_IDLE)
    assert timeouts.of_stream(7, 310, awaited=True) == (310, STREAM_IDLE)


@pytest.mark.parametrize(
    ("timeouts", "first"),
    [
        (options(headers=1, request=2, duration=3, idle=4), (8, REQUEST_HEADERS)),
        (options(headers=2, request=1, duration=3, idle=4), (8, REQUEST)),
        (options(headers=2, request=3, duration=1, idle=4), (8, MAX_DURATION)),
        (options(headers=2, request=3, duration=4, idle=1), (8, STREAM_IDLE)),
        (options(headers=1, request=1, duration=1, idle=1), (8, REQUEST_HEADERS)),
    ],
)
def test_the_first_to_run_out_while_the_head_is_awaited(timeouts: StreamTimeouts, first: tuple[float, Timeout]) -> None:
    assert timeouts.of_head(7) == first


def test_a_complete_request_or_a_begun_response_is_not_awaited_any_more() -> None:
    timeouts = options(headers=1, request=2, duration=4)
    assert timeouts.of_stream(7, 99, awaited=True) == (9, REQUEST)
    assert timeouts.of_stream(7, 99, awaited=False) == (11, MAX_DURATION)
    assert timeouts.of_stream(7, 8, awaited=True) == (8, STREAM_IDLE)


def test_nought_is_never() -> None:
    timeouts = options()
    assert timeouts.of_head(7)[0] == timeouts.of_stream(7, math.inf, awaited=True)[0] == math.inf


@given(st.tuples(*[st.floats(0, 1e6)] * 4), st.floats(0, 1e6), st.booleans())
def test_nothing_runs_out_before_it_is_due(
    values: tuple[float, float, float, float], now: float, awaited: bool
) -> None:
    timeouts = options(*values)
    given_times = [value for value in values if value]
    when, _ = timeouts.of_head(now)
    assert when == now + min(given_times, default=math.inf)
    assert timeouts.of_stream(now, now + (values[3] or math.inf), awaited=awaited)[0] >= when


def test_what_the_client_is_told() -> None:
    bodies = [timeout.body for timeout in (REQUEST_HEADERS, REQUEST, STREAM_IDLE, MAX_DURATION)]
    assert bodies == [b"request header timeout", b"request timeout", b"stream timeout", b"downstream duration timeout"]
