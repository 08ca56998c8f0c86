"""Heads as they leave, line by line."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from pyproxy.proxy.client_address import Client, Origin, identify, locate
from pyproxy.proxy.headers import (
    HeaderRules,
    downstream_response,
    filtered_response,
    forwarded_headers,
    refused_upgrade,
    response_framing,
    upstream_request,
    values_at_router,
)
from pyproxy.proxy.replies import CHUNKED, NO_BODY
from pyproxy.proxy.route_filters import RouteFilters
from pyproxy.settings import (
    ClientAddressOptions,
    ForwardClientCert,
    HeaderAction,
    HeaderMutation,
    HttpOptions,
    PathMatch,
    PathMatchType,
    Route,
    StringMatch,
    StringMatchType,
)
from pyproxy.wire.messages import Headers, RequestHead, ResponseHead

TODAY = HttpOptions()
GUIDE = HttpOptions(
    server_name=b"envoy",
    suppress_envoy_headers=False,
    client_address=ClientAddressOptions(internal_networks=(ip_network("10.0.0.0/8"),)),
)
EXTERNAL = identify("203.0.113.7", b"192.0.2.9", GUIDE.client_address)
INTERNAL = identify("10.1.2.3", b"192.0.2.9", GUIDE.client_address)


def forwarded(head: RequestHead, origin: Origin, request_id: bytes | None, options: HttpOptions) -> list[bytes]:
    rules = HeaderRules(options)
    headers = forwarded_headers(head, origin, request_id, None if rules.suppress else b"15000", rules)
    return upstream_request(head, b"/p", b"h", headers).split(b"\r\n")


def written(headers: Headers, client: Client = EXTERNAL, options: HttpOptions = GUIDE, **request: Any) -> list[bytes]:
    head = RequestHead(b"GET", b"/", b"h", headers)
    for name, value in request.items():
        setattr(head, name, value)
    origin = locate(headers, client, options.client_address)
    assert origin is not None
    kept = dict(headers).get(b"x-request-id") if origin.internal else None
    lines = forwarded(head, origin, kept or b"ID", options)
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


def behind(
    origin: Origin, headers: Headers, options: HttpOptions = GUIDE, request_id: bytes | None = b"ID"
) -> list[bytes]:
    head = RequestHead(b"GET", b"/", b"h", headers)
    return forwarded(head, origin, request_id, options)[2:-2]


def test_a_trusted_proxy_says_who_the_client_is() -> None:
    trusting = replace(GUIDE, client_address=ClientAddressOptions(use_remote_address=False))
    origin = Origin(b"1.1.1.1", True, False, False, b"203.0.113.7")
    sent: Headers = [
        (b"x-forwarded-for", b"1.1.1.1"),
        (b"x-forwarded-proto", b"https"),
        (b"x-envoy-external-address", b"6.6.6.6"),
        (b"x-envoy-original-path", b"/o"),
        (b"x-envoy-force-trace", b"1"),
        (b"x-request-id", b"mine"),
    ]
    assert behind(origin, sent, trusting, b"mine") == [
        b"x-forwarded-for: 1.1.1.1,203.0.113.7",
        b"x-forwarded-proto: https",
        b"x-envoy-external-address: 6.6.6.6",
        b"x-envoy-original-path: /o",
        b"x-request-id: mine",
        b"x-envoy-expected-rq-timeout-ms: 15000",
    ]
    assert behind(origin, [], trusting) == [
        b"x-forwarded-for: 203.0.113.7",
        b"x-forwarded-proto: http",
        b"x-request-id: ID",
        b"x-envoy-expected-rq-timeout-ms: 15000",
    ]


def test_nothing_is_appended_where_nothing_is_to_be() -> None:
    origin = Origin(b"1.1.1.1", True, False, False, None)
    assert behind(origin, [(b"x-forwarded-for", b"9.9.9.9")], TODAY, None) == [
        b"x-forwarded-for: 9.9.9.9",
        b"x-forwarded-proto: http",
    ]
    assert behind(origin, [], TODAY, None) == [b"x-forwarded-proto: http"]


def test_an_empty_x_forwarded_for_is_filled() -> None:
    assert b"x-forwarded-for: 203.0.113.7" in written([(b"x-forwarded-for", b"")])


def test_loopback_is_written_as_the_node() -> None:
    lines = written([], identify("127.0.0.1", b"192.0.2.9", TODAY.client_address), TODAY)
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
    data = downstream_response(
        head, service_time=7, date=b"NOW", close=close, framing=framing, rules=HeaderRules(options)
    )
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
        ResponseHead(200, []), service_time=None, date=b"NOW", close=True, framing=b"", rules=HeaderRules(GUIDE)
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
        (ResponseHead(204, [], upgrade=True), b"GET", True, NO_BODY),
        (ResponseHead(304, [], upgrade=True, content_length=0), b"GET", True, NO_BODY),
        (ResponseHead(304, [], upgrade=True), b"GET", True, b""),
        (ResponseHead(200, [], upgrade=True), b"HEAD", True, CHUNKED),
        (ResponseHead(426, [], upgrade=True, content_length=0), b"HEAD", True, NO_BODY),
        (ResponseHead(426, [(b"content-length", b"0")], upgrade=True, content_length=0), b"HEAD", True, b""),
    ],
)
def test_framing_of_the_response(head: ResponseHead, method: bytes, upgrade: bool, framing: bytes) -> None:
    assert response_framing(head, method, upgrade=upgrade) == framing


def test_an_answer_in_http_10() -> None:
    head = ResponseHead(200, [(b"content-length", b"2")])
    options: dict[str, Any] = {"service_time": None, "date": b"D", "framing": b"", "rules": HeaderRules(TODAY)}
    assert downstream_response(head, **options, close=False, http_10=True) == (
        b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\ndate: D\r\nconnection: keep-alive\r\n\r\n"
    )
    assert b"\r\nconnection: close\r\n" in downstream_response(head, **options, close=True, http_10=True)
    switching = ResponseHead(101, [(b"connection", b"Upgrade")])
    assert b"keep-alive" not in downstream_response(switching, **options, close=False, http_10=True)


@pytest.mark.parametrize(
    ("head", "method", "framing"),
    [
        (ResponseHead(200, [], chunked=True), b"GET", b""),
        (ResponseHead(200, [], until_close=True), b"GET", b""),
        (ResponseHead(200, []), b"HEAD", b""),
    ],
)
def test_no_chunks_in_http_10(head: ResponseHead, method: bytes, framing: bytes) -> None:
    assert response_framing(head, method, upgrade=False, http_10=True) == framing


@pytest.mark.enforces("spec.http1.preserveHeaderCase")
def test_names_as_they_were_spelt() -> None:
    spellings = {b"host": b"HOST", b"x-a": b"X-A", b"x-forwarded-for": b"X-Forwarded-FOR"}
    sent: Headers = [(b"x-a", b"1"), (b"x-forwarded-for", b"9.9.9.9"), (b"x-a", b"x-a: 2")]
    assert written(sent, options=TODAY, spellings=spellings)[1:] == [
        b"HOST: h",
        b"X-A: 1",
        b"X-Forwarded-FOR: 9.9.9.9,203.0.113.7",
        b"X-A: x-a: 2",
        b"x-forwarded-proto: http",
        b"x-envoy-external-address: 203.0.113.7",
        b"x-request-id: ID",
    ]
    head = ResponseHead(200, [(b"server", b"be")], spellings={b"server": b"Server"})
    answer = downstream_response(
        head, service_time=None, date=b"D", close=False, framing=CHUNKED, rules=HeaderRules(GUIDE)
    )
    assert answer == b"HTTP/1.1 200 OK\r\nServer: envoy\r\ndate: D\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.enforces("spec.headers.xForwardedClientCert.mode")
@pytest.mark.enforces("spec.headers.xForwardedClientCert.certDetailsToAdd[]")
@pytest.mark.parametrize("mode", ForwardClientCert)
def test_a_plain_listener_has_no_client_certificate(mode: ForwardClientCert) -> None:
    options = HttpOptions(forward_client_cert=mode, client_cert_details=("subject",))
    kept = b"x-forwarded-client-cert: By=me" in written([(b"x-forwarded-client-cert", b"By=me")], options=options)
    assert kept is (mode is ForwardClientCert.ALWAYS_FORWARD_ONLY)


@pytest.mark.enforces("spec.headers.lateResponseHeaders.add[].name")
@pytest.mark.enforces("spec.headers.lateResponseHeaders.add[].value")
@pytest.mark.enforces("spec.headers.lateResponseHeaders.addIfAbsent[].name")
@pytest.mark.enforces("spec.headers.lateResponseHeaders.addIfAbsent[].value")
@pytest.mark.enforces("spec.headers.lateResponseHeaders.removeOnMatch[].type")
@pytest.mark.enforces("spec.headers.lateResponseHeaders.removeOnMatch[].value")
def test_a_response_is_changed_behind_the_router_and_before_date_and_server() -> None:
    prefix = StringMatch(StringMatchType.PREFIX, "x-pre-")
    options = replace(
        GUIDE,
        late_response_headers=(
            HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"vary", b"b"),
            HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"server", b"late"),
            HeaderMutation(HeaderAction.ADD_IF_ABSENT, b"x-absent", b"1"),
            HeaderMutation(HeaderAction.REMOVE_ON_MATCH, name_match=prefix),
        ),
    )
    sent: Headers = [(b"vary", b"a"), (b"x-pre-1", b"1"), (b"x-envoy-upstream-service-time", b"99")]
    assert reply(sent, options)[1:] == [
        b"vary: a,b",
        b"x-envoy-upstream-service-time: 7",
        b"server: envoy",
        b"x-absent: 1",
        b"date: NOW",
    ]
    without = HeaderMutation(HeaderAction.REMOVE, b"x-envoy-upstream-service-time")
    assert reply([], replace(GUIDE, late_response_headers=(without,)))[1:] == [b"date: NOW", b"server: envoy"]


@pytest.mark.parametrize(
    ("name", "values"),
    [
        (b":method", (b"GET",)),
        (b"host", (b"h",)),
        (b"a", [b"1", b"2"]),
        (b"x-forwarded-for", [b"9.9.9.9,203.0.113.7"]),
        (b"x-forwarded-proto", [b"http"]),
        (b"x-request-id", [b"ID"]),
        (b"x-envoy-external-address", [b"203.0.113.7"]),
        (b"x-envoy-original-path", []),
        (b"x-envoy-max-retries", []),
        (b"none", []),
    ],
)
def test_a_routes_conditions_see_headers_as_they_go_on(name: bytes, values: list[bytes]) -> None:
    sent: Headers = [
        (b"a", b"1"),
        (b"a", b"2"),
        (b"x-forwarded-for", b"9.9.9.9"),
        (b"x-request-id", b"mine"),
        (b"x-envoy-original-path", b"/o"),
        (b"x-envoy-max-retries", b"3"),
    ]
    origin = locate(sent, EXTERNAL, GUIDE.client_address)
    assert origin is not None
    assert values_at_router(name, RequestHead(b"GET", b"/", b"h", sent), origin, b"ID", HeaderRules(GUIDE)) == values


def test_a_routes_conditions_see_what_an_internal_client_tells_the_router() -> None:
    sent: Headers = [(b"x-envoy-max-retries", b"3")]
    origin = locate(sent, INTERNAL, GUIDE.client_address)
    assert origin is not None
    request = RequestHead(b"GET", b"/", b"h", sent)
    assert values_at_router(b"x-envoy-max-retries", request, origin, b"ID", HeaderRules(GUIDE)) == [b"3"]


FILTERS = RouteFilters(
    Route(
        "r",
        PathMatch(PathMatchType.PREFIX, "/"),
        (),
        response_headers=(
            HeaderMutation(HeaderAction.REMOVE, b"gone"),
            HeaderMutation(HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"x-envoy-upstream-service-time", b"0"),
            HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"new", b"1"),
        ),
    )
)


def test_filters_see_a_response_with_its_service_time() -> None:
    head = ResponseHead(200, [(b"a", b"b"), (b"gone", b"x")])
    assert filtered_response(head, FILTERS, 7).headers == [
        (b"a", b"b"),
        (b"x-envoy-upstream-service-time", b"0"),
        (b"new", b"1"),
    ]
    assert head.headers == [(b"a", b"b"), (b"gone", b"x")]


def test_a_refused_upgrade_has_the_filters_headers_first() -> None:
    head = ResponseHead(200, [(b"a", b"b"), (b"gone", b"x"), (b"content-type", b"text/plain")])
    assert refused_upgrade(head, FILTERS).headers == [
        (b"x-envoy-upstream-service-time", b"0"),
        (b"new", b"1"),
        (b"a", b"b"),
        (b"gone", b"x"),
    ]


@pytest.mark.parametrize("client", [EXTERNAL, INTERNAL])
def test_a_referer_that_is_none_is_taken_out(client: Client) -> None:
    good, bad = (b"referer", b"http://a.example/x"), (b"referer", b"a:b")
    assert b"referer: http://a.example/x" in written([good], client)
    assert not [line for line in written([bad], client) if line.startswith(b"referer")]
