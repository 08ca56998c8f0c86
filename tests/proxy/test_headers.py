"""Heads as they leave, line by line."""

from __future__ import annotations

from ipaddress import ip_network
from typing import Any

import pytest

from pyproxy.proxy.client_address import Client, identify
from pyproxy.proxy.headers import CHUNKED, NO_BODY, downstream_response, is_internal, response_framing, upstream_request
from pyproxy.proxy.route import CompiledRoute
from pyproxy.settings import Cluster, Endpoint, HttpOptions, PathMatch, PathMatchType, Route
from pyproxy.wire.messages import Headers, RequestHead, ResponseHead

TODAY = HttpOptions()
GUIDE = HttpOptions(server_name=b"envoy", suppress_envoy_headers=False, internal_networks=(ip_network("10.0.0.0/8"),))
ROUTE = CompiledRoute(
    Route("r", PathMatch(PathMatchType.PREFIX, "/"), ((Cluster("c", (Endpoint("127.0.0.1", 1),)), 1),))
)
EXTERNAL = identify("203.0.113.7", 1, b"192.0.2.9", GUIDE)
INTERNAL = identify("10.1.2.3", 1, b"192.0.2.9", GUIDE)


def written(headers: Headers, client: Client = EXTERNAL, options: HttpOptions = GUIDE, **request: Any) -> list[bytes]:
    head = RequestHead(b"GET", b"/", b"h", headers)
    for name, value in request.items():
        setattr(head, name, value)
    lines = upstream_request(head, b"/p", client, b"ID", ROUTE, options).split(b"\r\n")
    assert lines[-2:] == [b"", b""]
    return lines[:-2]


def test_what_is_added_for_an_external_client() -> None:
    assert written([(b"accept", b"*/*")]) == [
        b"GET /p HTTP/1.1",
        b"host: h",
        b"accept: */*",
        b"x-forwarded-for: 203.0.113.7",
        b"x-forwarded-proto: http",
        b"x-envoy-external-address: 203.0.113.7",
        b"x-request-id: ID",
        b"x-envoy-expected-rq-timeout-ms: 15000",
    ]


def test_what_is_added_for_an_internal_client() -> None:
    assert written([], INTERNAL)[2:] == [
        b"x-forwarded-for: 10.1.2.3",
        b"x-forwarded-proto: http",
        b"x-envoy-internal: true",
        b"x-request-id: ID",
        b"x-envoy-expected-rq-timeout-ms: 15000",
    ]


@pytest.mark.enforces("spec.headers.enableEnvoyHeaders")
def test_today_the_expected_timeout_is_left_out() -> None:
    assert not any(b"expected" in line for line in written([], options=TODAY))
    enabled = HttpOptions(suppress_envoy_headers=False)
    assert b"x-envoy-expected-rq-timeout-ms: 15000" in written([], options=enabled)


def test_an_external_client_can_not_set_what_envoy_sets() -> None:
    sent: Headers = [
        (b"x-envoy-external-address", b"1.1.1.1"),
        (b"x-forwarded-proto", b"https"),
        (b"x-request-id", b"mine"),
        (b"x-envoy-internal", b"true"),
        (b"x-envoy-retry-on", b"5xx"),
        (b"x-envoy-original-path", b"/"),
        (b"x-envoy-expected-rq-timeout-ms", b"1"),
        (b"x-forwarded-client-cert", b"By=me"),
        (b"x-envoy-other", b"stays"),
        (b"x-forwarded-for", b"9.9.9.9"),
    ]
    assert written(sent)[2:] == [
        b"x-envoy-external-address: 203.0.113.7",
        b"x-forwarded-proto: http",
        b"x-request-id: ID",
        b"x-envoy-other: stays",
        b"x-forwarded-for: 9.9.9.9,203.0.113.7",
        b"x-envoy-expected-rq-timeout-ms: 15000",
    ]


def test_an_internal_client_keeps_its_own() -> None:
    sent: Headers = [
        (b"x-request-id", b"mine"),
        (b"x-envoy-original-path", b"/o"),
        (b"x-envoy-external-address", b"1.1.1.1"),
        (b"x-envoy-expected-rq-timeout-ms", b"1"),
        (b"x-envoy-max-retries", b"3"),
    ]
    assert written(sent, INTERNAL)[2:] == [
        b"x-request-id: mine",
        b"x-envoy-original-path: /o",
        b"x-envoy-external-address: 1.1.1.1",
        b"x-envoy-expected-rq-timeout-ms: 15000",
        b"x-forwarded-for: 10.1.2.3",
        b"x-forwarded-proto: http",
        b"x-envoy-internal: true",
    ]


def test_a_client_behind_another_proxy_is_not_internal() -> None:
    lines = written([(b"x-forwarded-for", b"10.9.9.9"), (b"x-request-id", b"mine")], INTERNAL)
    assert lines[2:5] == [
        b"x-forwarded-for: 10.9.9.9,10.1.2.3",
        b"x-request-id: ID",
        b"x-forwarded-proto: http",
    ]
    assert b"x-envoy-external-address: 10.1.2.3" in lines
    assert not is_internal(RequestHead(b"GET", b"/", b"h", [(b"x-forwarded-for", b"")]), INTERNAL)


def test_an_empty_x_forwarded_for_is_filled() -> None:
    assert b"x-forwarded-for: 203.0.113.7" in written([(b"x-forwarded-for", b"")])


def test_loopback_is_written_as_the_node() -> None:
    lines = written([], identify("127.0.0.1", 1, b"192.0.2.9", TODAY), TODAY)
    assert b"x-forwarded-for: 192.0.2.9" in lines
    assert b"x-envoy-external-address: 127.0.0.1" in lines


@pytest.mark.parametrize(
    ("request_", "last"),
    [
        ({"method": b"POST"}, b"content-length: 0"),
        ({"method": b"OPTIONS"}, b"content-length: 0"),
        ({"method": b"DELETE"}, b"x-request-id: ID"),
        ({"method": b"POST", "chunked": True}, b"transfer-encoding: chunked"),
        ({"method": b"GET", "chunked": True}, b"transfer-encoding: chunked"),
        ({"method": b"POST", "content_length": 3, "reframe": True}, b"transfer-encoding: chunked"),
        ({"method": b"POST", "content_length": 3}, b"x-request-id: ID"),
        ({"method": b"POST", "upgrade": b"websocket"}, b"x-request-id: ID"),
    ],
)
def test_framing_of_the_request(request_: dict[str, Any], last: bytes) -> None:
    assert written([], options=TODAY, **request_)[-1] == last


def reply(headers: Headers, options: HttpOptions = GUIDE, *, close: bool = False, framing: bytes = b"") -> list[bytes]:
    head = ResponseHead(200, headers)
    data = downstream_response(head, service_time=7, date=b"NOW", close=close, framing=framing, options=options)
    return data.split(b"\r\n")[:-2]


def test_what_is_added_to_a_response() -> None:
    assert reply([(b"content-length", b"2")]) == [
        b"HTTP/1.1 200 OK",
        b"content-length: 2",
        b"x-envoy-upstream-service-time: 7",
        b"date: NOW",
        b"server: envoy",
    ]
    assert reply([(b"server", b"be")], TODAY, close=True, framing=CHUNKED) == [
        b"HTTP/1.1 200 OK",
        b"server: be",
        b"date: NOW",
        b"connection: close",
        b"transfer-encoding: chunked",
    ]


def test_a_response_to_a_request_that_is_not_complete_has_no_service_time() -> None:
    data = downstream_response(
        ResponseHead(200, []), service_time=None, date=b"NOW", close=True, framing=b"", options=GUIDE
    )
    assert b"service-time" not in data


def test_what_a_response_has_already_is_replaced_in_its_place() -> None:
    sent: Headers = [(b"server", b"be"), (b"date", b"then"), (b"x-envoy-upstream-service-time", b"99"), (b"a", b"b")]
    assert reply(sent)[1:] == [b"server: envoy", b"date: then", b"x-envoy-upstream-service-time: 7", b"a: b"]
    assert reply(sent, TODAY)[1:] == [b"server: be", b"date: then", b"x-envoy-upstream-service-time: 99", b"a: b"]


@pytest.mark.parametrize(
    ("head", "method", "upgrade", "framing"),
    [
        (ResponseHead(200, [], chunked=True), b"GET", False, CHUNKED),
        (ResponseHead(200, [], until_close=True), b"GET", False, CHUNKED),
        (ResponseHead(204, []), b"GET", False, b""),
        (ResponseHead(304, []), b"GET", False, b""),
        (ResponseHead(101, []), b"GET", True, b""),
        (ResponseHead(200, [(b"content-length", b"3")]), b"HEAD", False, b""),
        (ResponseHead(200, []), b"HEAD", False, CHUNKED),
        (ResponseHead(200, []), b"GET", True, NO_BODY),
    ],
)
def test_framing_of_the_response(head: ResponseHead, method: bytes, upgrade: bool, framing: bytes) -> None:
    assert response_framing(head, method, upgrade=upgrade) == framing
