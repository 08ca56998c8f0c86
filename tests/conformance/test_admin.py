"""The admin beside Envoy's: status, type and, where it is a message, the body of what both are asked."""

from __future__ import annotations

import asyncio
import urllib.error
import urllib.request
from collections.abc import Iterator

import pytest

from pyproxy.conformance.cases import TODAY
from pyproxy.conformance.engine import Side
from pyproxy.conformance.subjects import EnvoySubject, PyproxySubject

# What pyproxy has more: /connections, /inspector, /status and the inspector's files.
SHARED = [
    *("/certs", "/clusters", "/clusters?format=json", "/config_dump", "/drain_listeners", "/healthcheck/fail"),
    *("/healthcheck/ok", "/help", "/listeners", "/listeners?format=json", "/logging", "/memory", "/quitquitquit"),
    *("/ready", "/reopen_logs", "/reset_counters", "/server_info", "/stats", "/stats?format=json"),
    *("/stats?format=bogus", "/stats?type=bogus", "/stats?histogram_buckets=bogus", "/stats/prometheus"),
    *("/stats?format=prometheus", "/no/such/path", "//ready", "/%72eady", "/stats?filter=a%7B99999999999%7D"),
    *("/clusters?filter=(", "/clusters?filter=%ff", "/stats?filter=server.live&filter=x", "/stats?filter=a%2"),
    *("/stats?format=", "/stats?type=", "/stats?histogram_buckets=none", "/stats?format=json&histogram_buckets="),
]
SAME_BODY = [
    *("/stats?filter=(", "/stats?filter=%ff", "/stats?filter=(?=a)", "/stats?type=x&filter=("),
    *("/stats?filter=server.live&filter=x", "/clusters?filter=(", "/stats?type=x&format=x", "/stats/prometheus?type=x"),
    *("/stats/prometheus?histogram_buckets=disjoint", "/stats/prometheus?filter=server.live&type=Counters&format=json"),
]


@pytest.fixture(scope="module")
def ports() -> Iterator[list[int]]:
    """The admins of Envoy and of pyproxy."""
    sides = [Side(EnvoySubject, TODAY, lanes=1), Side(PyproxySubject, TODAY, lanes=1)]
    with asyncio.Runner() as runner:
        for side in sides:
            runner.run(side.start())
        yield [side.subject.admin_port for side in sides]
        for side in sides:
            runner.run(side.stop())


def answer(port: int, path: str, method: str) -> tuple[int, str, str]:
    """Status, content type and body."""
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method)
    try:
        with opener.open(request, timeout=10) as response:
            return response.status, response.headers["content-type"], response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["content-type"], error.read().decode()


@pytest.mark.parametrize("path", SHARED)
def test_it_answers_as_envoy_does(ports: list[int], path: str) -> None:
    envoy, pyproxy = [answer(port, path, "GET") for port in ports]
    assert pyproxy[:2] == envoy[:2]
    if envoy[0] == 405:
        assert pyproxy[2] == envoy[2]


@pytest.mark.parametrize("path", SAME_BODY)
def test_it_says_what_envoy_says(ports: list[int], path: str) -> None:
    envoy, pyproxy = [answer(port, path, "GET") for port in ports]
    assert pyproxy == envoy


@pytest.mark.parametrize("path", ["/healthcheck/fail", "/healthcheck/ok", "/reset_counters", "/reopen_logs"])
def test_what_changes_something(ports: list[int], path: str) -> None:
    envoy, pyproxy = [answer(port, path, "POST") for port in ports]
    assert pyproxy == envoy
    ready = [answer(port, "/ready", "GET") for port in ports]
    assert ready[0] == ready[1]
