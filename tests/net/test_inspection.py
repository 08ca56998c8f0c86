"""What is told of connections and requests, without a kernel behind them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from pyproxy.net.inspection import MAX_REQUESTS, RecentRequests, describe_connection
from pyproxy.settings import Endpoint, ProxyProtocol
from tests.support.prefaces import LOAD_BALANCERS
from tests.support.scenario import GET, settings_for
from tests.support.still import Still

pytestmark = pytest.mark.interpreted

PLAIN = settings_for(Endpoint("198.51.100.1", 80))


def described(still: Still) -> dict[str, Any]:
    view = describe_connection(still.connection)
    assert json.loads(json.dumps(view)) == view
    return view


def test_a_connection_with_a_proxy_header() -> None:
    still = Still(replace(PLAIN, proxy_protocol=ProxyProtocol()))
    assert described(still)["phase"] == "PREFACE"
    view = described(still.receive(LOAD_BALANCERS + GET))
    assert view["peer"] == "192.0.2.7:4711"
    assert view["client"] == "203.0.113.7:4711"
    assert view["phase"] == "EXCHANGE"
    assert view["request"]["backend"] == "198.51.100.1:80"
    names = [field["name"] for field in view["proxy_header"]]
    assert names[:2] == ["signature", "version and command"]
    assert "TLV 0x02 PP2_TYPE_AUTHORITY" in names
    assert [field["depth"] for field in view["proxy_header"] if "SUBTYPE" in field["name"]] == [1, 1]
    assert view["client_address"][-1]["found"] == "203.0.113.7:4711"


def test_a_connection_that_waits() -> None:
    still = Still(PLAIN).receive(GET).answer_ok().pass_until(2)
    view = described(still)
    assert (view["phase"], view["requests"], view["request"], view["quiet"]) == ("IDLE", 1, None, 2)
    assert view["proxy_header"] is None
    # This one's socket is none.
    assert (view["tcp"], view["keepalive"]) == (None, None)


def test_recent_requests() -> None:
    still, recent = Still(PLAIN), RecentRequests()
    still.listener.orders.watcher = recent.record
    for _ in range(MAX_REQUESTS + 1):
        still.receive(GET).answer_ok()
    shown = recent.describe()
    assert json.loads(json.dumps(shown)) == shown
    assert [request["number"] for request in shown] == [*range(MAX_REQUESTS + 1, 1, -1)]
    assert shown[0]["status"] == 200
    assert shown[0]["timing"]["response complete"] == 0
    recent.clear()
    assert recent.describe() == []


def test_what_is_no_request_is_shown_too() -> None:
    still, recent = Still(PLAIN), RecentRequests()
    still.listener.orders.watcher = recent.record
    still.receive(b"FOO\r\n\r\n")
    (request,) = recent.describe()
    assert (request["method"], request["status"], request["client_address"]) == (None, 400, [])
