"""What an internal client may ask for."""

from __future__ import annotations

import pytest

from pyproxy.proxy.router_options import RouterOptions, RouteTimeout, router_options

TIMEOUT, TRY = b"x-envoy-upstream-rq-timeout-ms", b"x-envoy-upstream-rq-per-try-timeout-ms"
WHOLE, PER_TRY = "response_timeout", "upstream_per_try_timeout"


def test_nothing_is_asked_for() -> None:
    assert router_options([(b"accept", b"*/*")]) is None


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        (b"9000", 9000),
        (b"0", 0),
        (b"+5", 5),
        (b"007", 7),
        (b"9223372036854775807", 2**63 - 1),
        (b"9223372036854775808", None),
        (b"-1", None),
        (b"", None),
        (b"1.5", None),
        (b"1000,2000", None),
        (b"9" * 5000, None),
    ],
)
def test_milliseconds(value: bytes, milliseconds: int | None) -> None:
    assert router_options([(TIMEOUT, value)]) == RouterOptions(timeout=milliseconds)
    assert router_options([(TRY, value)]) == RouterOptions(try_timeout=milliseconds)


@pytest.mark.parametrize(
    ("options", "route", "timeout"),
    [
        (RouterOptions(), 15_000, (15_000, WHOLE)),
        (RouterOptions(), 0, (0, WHOLE)),
        (RouterOptions(timeout=7), 15_000, (7, WHOLE)),
        (RouterOptions(timeout=0), 15_000, (0, WHOLE)),
        (RouterOptions(try_timeout=7), 15_000, (7, PER_TRY)),
        (RouterOptions(try_timeout=15_000), 15_000, (15_000, WHOLE)),
        (RouterOptions(timeout=0, try_timeout=9), 15_000, (9, PER_TRY)),
        (RouterOptions(try_timeout=0), 15_000, (15_000, WHOLE)),
    ],
)
def test_the_shorter_timeout_counts(options: RouterOptions, route: int, timeout: tuple[int, str]) -> None:
    found = options.timeout_of(RouteTimeout(route))
    assert (found.milliseconds, found.details) == timeout


def test_what_the_backend_is_told() -> None:
    assert (RouteTimeout(7).expected, RouteTimeout(7).seconds) == (b"7", 0.007)
    assert RouteTimeout(0).expected is None


def test_a_forced_trace_echoes_the_id() -> None:
    options = router_options([(b"x-envoy-force-trace", b"")])
    assert options is not None
    assert options.echoes_request_id
