"""The fields that limit a connection in time and number, on a clock that stands still."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pyproxy.settings import ConnectionLimit, Endpoint, ProxyProtocol
from pyproxy.wire.http1 import parse_response_head
from pyproxy.wire.messages import ResponseHead
from tests.support.scenario import GET, settings_for
from tests.support.still import Still

pytestmark = pytest.mark.interpreted

BASE = settings_for(Endpoint("198.51.100.1", 80))
POST = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\n"
UPGRADE = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
SWITCH = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
V1 = b"PROXY TCP4 203.0.113.7 192.0.2.1 4711 80\r\n"


def still(**http: Any) -> Still:
    return Still(BASE, **http)


def last_log(one: Still) -> tuple[int, str, str | bytes | None, int]:
    record = one.log.records[-1]
    return record.response_code, record.response_flags, record.response_code_details, record.duration


# -- PROXY header ----------------------------------------------------------------------------------------------


@pytest.mark.enforces("spec.timeout.tcp.connectionInspectionTimeout")
@pytest.mark.parametrize(("sent", "end"), [(b"", "fin"), (b"P", "rst"), (V1[:20], "rst")])
def test_a_proxy_header_that_does_not_come(sent: bytes, end: str) -> None:
    one = Still(replace(BASE, proxy_protocol=ProxyProtocol(), listener_filters_timeout=4))
    if sent:
        one.receive(sent)
    assert one.pass_until(3.9).end == ""
    assert one.pass_until(4.1).end == end
    assert one.take() == b""


def test_a_proxy_header_may_be_awaited_for_ever() -> None:
    one = Still(replace(BASE, proxy_protocol=ProxyProtocol(), listener_filters_timeout=0))
    assert one.pass_until(1e6).end == ""


def test_the_idle_timeout_begins_behind_the_proxy_header() -> None:
    one = Still(replace(BASE, proxy_protocol=ProxyProtocol()), idle_timeout=3)
    one.pass_until(10).receive(V1)
    assert one.pass_until(12.9).end == ""
    assert one.pass_until(13.1).end == "fin"


# -- idle ------------------------------------------------------------------------------------------------------


@pytest.mark.enforces("spec.timeout.http.idleTimeout")
def test_a_silent_connection_is_closed() -> None:
    one = still(idle_timeout=3)
    assert one.pass_until(2.9).end == ""
    assert one.pass_until(3.1).end == "fin"


@pytest.mark.enforces("spec.timeout.http.idleTimeout")
def test_a_connection_that_has_served_is_drained_first() -> None:
    one = still(idle_timeout=3)
    one.receive(GET).answer_ok()
    assert b"connection: close" not in one.take()
    assert one.pass_until(8.9).end == ""  # idle for 3 s, drained for 5 s, then Envoy's delayed close
    assert one.pass_until(9.1).end == "fin"


def test_every_request_in_a_drain_is_answered_with_close_and_does_not_end_it() -> None:
    one = still(idle_timeout=3)
    one.receive(GET).answer_ok().take()
    for seconds in (4, 6):
        one.pass_until(seconds).receive(GET).answer_ok()
        assert b"connection: close\r\n" in one.take()
    one.pass_until(7).receive(GET[:-2] + b"Connection: close\r\n\r\n").answer_ok()
    assert one.pass_until(8.9).end == ""
    assert one.pass_until(9.1).end == "fin"


def test_a_request_over_the_end_of_a_drain_is_answered() -> None:
    one = still(idle_timeout=3)
    one.receive(GET).answer_ok()
    one.pass_until(7).receive(GET).pass_until(12).answer_ok()
    assert one.take().endswith(b"connection: close\r\n\r\nok")
    assert one.pass_until(12.9).end == ""
    assert one.pass_until(13.1).end == "fin"


def test_a_request_keeps_a_connection_from_being_idle() -> None:
    one = still(idle_timeout=3)
    assert one.receive(b"GET").pass_until(100).end == ""


def test_idle_for_ever() -> None:
    one = still(idle_timeout=0)
    one.receive(GET).answer_ok()
    assert one.pass_until(1e6).end == ""


# -- requests that take too long -------------------------------------------------------------------------------


@pytest.mark.enforces("spec.timeout.http.requestHeadersReceivedTimeout")
@pytest.mark.parametrize("sent", [b"G", b"\r\n", b"GET / HTTP/1.1\r\nHost: h\r\n"])
def test_a_head_that_takes_too_long(sent: bytes) -> None:
    one = still(request_headers_timeout=2)
    one.pass_until(1).receive(sent)
    assert one.pass_until(2.9).take() == b""
    one.pass_until(3.1)
    reply = one.take()
    assert reply.startswith(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 22\r\n")
    assert reply.endswith(b"connection: close\r\n\r\nrequest header timeout")
    assert last_log(one) == (408, "-", "request_header_timeout", 2000)
    assert one.pass_until(4.1).end == "fin"


def test_what_comes_behind_the_last_answer_is_forgotten_and_resets() -> None:
    one = still(request_headers_timeout=2)
    one.receive(b"G").pass_until(2.1).take()
    one.receive(b"ET / HTTP/1.1")
    assert not one.transport.is_reading()
    assert one.pass_until(3.2).end == "rst"
    assert one.take() == b""


def test_a_head_that_drips_gets_no_longer() -> None:
    one = still(stream_idle_timeout=2)
    for index, byte in enumerate(GET[:20]):
        one.pass_until(index * 0.09).receive(bytes((byte,)))
    assert one.pass_until(1.9).take() == b""
    assert one.pass_until(2.1).take().endswith(b"\r\n\r\nstream timeout")


@pytest.mark.enforces("spec.timeout.http.requestReceivedTimeout")
def test_a_request_that_takes_too_long() -> None:
    one = still(request_timeout=3, request_headers_timeout=2)
    one.receive(POST[:9]).pass_until(1).receive(POST[9:] + b"ab").pass_until(2.5).receive(b"c")
    assert one.pass_until(2.9).take() == b""
    assert one.pass_until(3.1).take().endswith(b"connection: close\r\n\r\nrequest timeout")
    assert last_log(one) == (408, "-", "request_overall_timeout", 3000)
    assert one.listener.upstream.reset_by_proxy


def test_a_complete_request_has_been_received() -> None:
    one = still(request_timeout=3, request_headers_timeout=2)
    one.receive(GET).pass_until(10).answer_ok()
    assert one.take().endswith(b"ok")


def test_a_response_that_begins_is_the_end_of_waiting_for_the_request() -> None:
    one = still(request_timeout=3)
    one.receive(POST).answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"abc", end=False)
    assert one.pass_until(10).end == ""
    assert one.take().endswith(b"connection: close\r\n\r\nabc")


@pytest.mark.enforces("spec.timeout.http.streamIdleTimeout")
@pytest.mark.parametrize(("sent", "status"), [(GET, 504), (POST, 408), (POST + b"ab", 408), (UPGRADE, 408)])
def test_a_request_without_progress(sent: bytes, status: int) -> None:
    one = still(stream_idle_timeout=2)
    one.receive(sent)
    assert one.pass_until(1.9).take() == b""
    reply = one.pass_until(2.1).take()
    assert reply.startswith(b"HTTP/1.1 %d " % status)
    assert reply.endswith(b"\r\n\r\nstream timeout")
    assert (b"connection: close" in reply) == (status == 408)
    assert last_log(one)[:3] == (status, "SI", "stream_idle_timeout")


def test_progress_is_bytes_of_either_body() -> None:
    one = still(stream_idle_timeout=2)
    one.receive(POST).pass_until(1.5).receive(b"ab").pass_until(3).receive(b"cde")
    one.pass_until(4.5).answer(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n", b"abc", end=False)
    one.pass_until(6)
    one.listener.requester.on_response_body(b"def", end=False)
    assert one.pass_until(7.9).end == ""
    assert one.take().endswith(b"abcdef")
    one.pass_until(9.1)  # cut off in the middle, after the delayed close
    assert (one.end, one.take()) == ("fin", b"")
    assert last_log(one)[:3] == (200, "SI", "stream_idle_timeout")


def test_bytes_that_are_not_the_requests_are_no_progress() -> None:
    one = still(stream_idle_timeout=2)
    one.receive(GET).pass_until(1.5).receive(GET[:3])
    assert b"504 Gateway Timeout" in one.pass_until(2.1).take()


def test_a_route_may_have_an_idle_timeout_of_its_own() -> None:
    (host,) = BASE.virtual_hosts
    route = replace(host.routes[0], idle_timeout=100, timeout=0)
    one = Still(replace(BASE, virtual_hosts=(replace(host, routes=(route,)),)), stream_idle_timeout=2)
    assert one.receive(GET).pass_until(99).take() == b""
    assert one.pass_until(100.1).take().endswith(b"stream timeout")
    one.receive(b"GET")
    assert one.pass_until(102.3).take().endswith(b"stream timeout")


@pytest.mark.enforces("spec.connection.connectionLimit.maxStreamDuration")
@pytest.mark.parametrize(("sent", "status"), [(b"GET", 408), (GET, 504), (POST, 408)])
def test_a_stream_has_an_end(sent: bytes, status: int) -> None:
    one = still(max_stream_duration=2)
    one.receive(sent)
    assert one.pass_until(1.9).take() == b""
    reply = one.pass_until(2.1).take()
    assert reply.startswith(b"HTTP/1.1 %d " % status)
    assert reply.endswith(b"\r\n\r\ndownstream duration timeout")
    assert last_log(one) == (status, "-", "max_duration_timeout", 2000)


def test_a_stream_has_an_end_in_grpc_words() -> None:
    one = still(max_stream_duration=2)
    one.receive(GET[:-2] + b"Content-Type: application/grpc\r\n\r\n").pass_until(2.1)
    assert b"\r\ngrpc-status: 4\r\ngrpc-message: downstream duration timeout\r\n" in one.take()


def test_a_tunnel_has_an_end_though_it_moves() -> None:
    one = still(max_stream_duration=2, stream_idle_timeout=1)
    one.receive(UPGRADE).answer(SWITCH, end=False).take()
    for tenth in range(1, 20):
        one.pass_until(tenth / 10).receive(b"x")
    assert one.pass_until(1.95).end == ""
    assert one.pass_until(3.1).end == "fin"
    assert one.listener.upstream.sent.endswith(b"x" * 19)


# -- connections that last too long, or ask too much -----------------------------------------------------------


@pytest.mark.enforces("spec.connection.connectionLimit.maxConnectionDuration")
@pytest.mark.parametrize("safe", [True, False])
def test_a_connection_that_has_not_spoken_ends_when_it_has_lasted(safe: bool) -> None:
    one = still(max_connection_duration=10, safe_max_connection_duration=safe)
    assert one.pass_until(9.9).end == ""
    assert one.pass_until(10.1).end == "fin"


def test_a_duration_of_nought_is_over_at_once() -> None:
    assert still(max_connection_duration=0).pass_until(0).end == "fin"


@pytest.mark.enforces("spec.connection.connectionLimit.maxConnectionDuration")
def test_a_safe_connection_ends_with_the_first_request_after_its_time() -> None:
    one = still(max_connection_duration=10, safe_max_connection_duration=True)
    one.pass_until(9).receive(GET).pass_until(11).answer_ok()
    assert b"connection: close" not in one.take()
    one.pass_until(100).receive(GET).answer_ok()
    assert b"connection: close\r\n" in one.take()
    assert one.end == "fin"


@pytest.mark.enforces("spec.http1.disableSafeMaxConnectionDuration")
def test_an_unsafe_connection_is_drained_when_its_time_is_over() -> None:
    one = still(max_connection_duration=10)
    one.pass_until(9).receive(GET).pass_until(11).answer_ok()
    assert b"connection: close\r\n" in one.take()
    assert one.pass_until(15.9).end == ""  # 10 s, then 5 s of drain and the delayed close
    assert one.pass_until(16.1).end == "fin"


def test_one_drain_is_enough() -> None:
    one = still(max_connection_duration=5, idle_timeout=3)
    one.receive(GET).answer_ok()
    assert one.pass_until(8.9).end == ""
    assert one.pass_until(9.1).end == "fin"


@pytest.mark.enforces("spec.connection.connectionLimit.maxRequestsPerConnection")
def test_the_last_request_that_a_connection_may_have() -> None:
    one = still(max_requests_per_connection=2)
    one.receive(GET).answer_ok()
    assert b"connection: close" not in one.take()
    one.receive(GET + GET).answer_ok()
    assert one.take().count(b"connection: close\r\n") == 1
    assert one.end == "fin"


def test_a_local_reply_as_the_last_one_leaves_the_client_time_to_read_it() -> None:
    one = still(max_requests_per_connection=1)
    one.receive(b"GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n")
    assert b"307 Temporary Redirect" in one.take()
    assert one.end == ""
    assert one.pass_until(1.1).end == "fin"


def test_three_answers_in_one_go_are_too_many() -> None:
    one = still()
    one.receive(b"GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n" * 3)
    assert one.take().count(b"307 Temporary Redirect") == 2
    assert last_log(one)[:3] == (0, "DPE", "codec_error:Too_many_responses_queued.")
    assert one.pass_until(1.1).end == "fin"


@pytest.mark.parametrize("chunked", [True, False])
def test_a_body_that_waits_for_the_next_write_counts_and_chunks_do_not(chunked: bool) -> None:
    one = still()
    framing = b"transfer-encoding: chunked" if chunked else b"content-length: 2"
    one.receive(GET).answer(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n", b"ok").take()
    one.receive(b"GET /a%2fb HTTP/1.1\r\nHost: h\r\n\r\n" + GET)
    assert one.take().count(b"307 Temporary Redirect") == 1
    assert one.pass_until(1.1).end == ("" if chunked else "fin")


def test_an_upgrade_that_the_backend_refuses_is_answered_in_lower_case() -> None:
    one = still(preserve_header_case=True)
    reply = b"HTTP/1.1 200 OK\r\nX-CaSe: 1\r\nContent-Length: 0\r\n\r\n"
    spelt = parse_response_head(reply, b"GET", one.listener.settings.http, upgrade=True)
    assert isinstance(spelt, ResponseHead)
    spelt.spellings = {b"x-case": b"X-CaSe"}
    one.receive(UPGRADE).listener.requester.on_response(spelt, b"", end=True)
    assert b"\r\nx-case: 1\r\n" in one.take()


# -- how many --------------------------------------------------------------------------------------------------

LIMITED = replace(BASE, connection_limit=ConnectionLimit(1, 2.0))


@pytest.mark.enforces("spec.connection.connectionLimit.value")
def test_a_connection_past_the_limit_gets_no_answer_and_its_place_is_given_again() -> None:
    first = Still(LIMITED)
    second = Still(LIMITED, beside=first)
    assert second.receive(GET).take() == b""
    second.pass_until(2.1)
    assert (second.end, second.take()) == ("fin", b"")
    second.lose()
    first.receive(GET).answer_ok()
    assert first.take().endswith(b"ok")
    first.lose()
    third = Still(LIMITED, beside=first)
    assert third.receive(GET).answer_ok().take().endswith(b"ok")


@pytest.mark.enforces("spec.connection.connectionLimit.closeDelay")
def test_the_delay_of_a_connection_past_the_limit() -> None:
    first = Still(LIMITED)
    second = Still(LIMITED, beside=first)
    assert second.pass_until(1.9).end == ""
    assert second.pass_until(2.1).end == "fin"
    at_once = replace(LIMITED, connection_limit=ConnectionLimit(1))
    assert Still(at_once, beside=Still(at_once)).end == "fin"


def test_a_connection_past_the_limit_that_sends_more_than_the_buffer_is_reset() -> None:
    second = Still(LIMITED, beside=Still(LIMITED))
    second.receive(b"x" * 32_768)
    assert second.transport.is_reading()
    second.receive(b"x")
    assert not second.transport.is_reading()
    assert second.pass_until(2.1).end == "rst"


def test_a_connection_that_owes_its_proxy_header_does_not_count_yet() -> None:
    settings = replace(LIMITED, proxy_protocol=ProxyProtocol())
    first = Still(settings)
    second = Still(settings, beside=first)
    assert second.receive(V1 + GET).answer_ok().take().endswith(b"ok")
    del first.listener.upstream
    assert first.receive(V1 + GET).take() == b""
    assert not hasattr(first.listener, "upstream")


@pytest.mark.enforces("spec.connection.bufferLimit")
@pytest.mark.parametrize(
    ("limit", "watermarks"),
    [(1024, (1024, 512)), (1, (1, 0)), (0, (2**31 - 1, 2**30 - 1)), (2**32 - 1, (2**31 - 1, 2**30 - 1))],
)
def test_the_buffer_limit_is_the_watermark(limit: int, watermarks: tuple[int, int]) -> None:
    one = Still(replace(BASE, buffer_limit=limit))
    assert one.transport.watermarks == watermarks


@pytest.mark.enforces("spec.connection.bufferLimit")
def test_what_a_client_sends_ahead_stays_within_the_buffer_limit() -> None:
    one = Still(replace(BASE, buffer_limit=100))
    one.receive(GET + GET + b"x" * (100 - len(GET)))
    assert one.transport.is_reading()
    one.receive(b"x")
    assert not one.transport.is_reading()
    one.answer_ok()
    assert one.transport.is_reading()


# -- health check ----------------------------------------------------------------------------------------------


@pytest.mark.enforces("spec.healthCheck.path")
@pytest.mark.parametrize("path", [b"/ready", b"/a/..//%72eady"])
@pytest.mark.parametrize("method", [b"GET", b"OPTIONS", b"POST"])
def test_a_health_check_is_answered_here(method: bytes, path: bytes) -> None:
    one = still(health_check_path=b"/ready")
    reply = one.receive(method + b" " + path + b" HTTP/1.1\r\nHost: anywhere\r\n\r\n").take()
    assert reply.startswith(b"HTTP/1.1 200 OK\r\nx-envoy-upstream-healthchecked-cluster: default/eg\r\ndate: ")
    assert reply.endswith(b"\r\ncontent-length: 0\r\n\r\n")
    assert last_log(one)[:3] == (200, "-", "health_check_ok")
    assert one.log.records[-1].upstream_host is None
    assert one.end == ""


@pytest.mark.parametrize("path", [b"/ready?x", b"/Ready", b"/ready/"])
def test_any_other_path_is_routed(path: bytes) -> None:
    one = still(health_check_path=b"/ready")
    assert one.receive(b"GET " + path + b" HTTP/1.1\r\nHost: h\r\n\r\n").take() == b""
    assert one.listener.upstream.sent.startswith(b"GET " + path)


def test_a_health_check_with_an_upgrade_is_refused_by_its_route_or_waits_for_the_end() -> None:
    request = UPGRADE.replace(b" / ", b" /ready ").replace(b"websocket", b"foo")
    assert still(health_check_path=b"/ready").receive(request).take().startswith(b"HTTP/1.1 403 Forbidden\r\n")
    for waiting in (request, request.replace(b"foo", b"websocket")):
        one = Still(replace(BASE, virtual_hosts=()), health_check_path=b"/ready")
        assert (one.receive(waiting).take(), one.end) == (b"", "")
        # Without a route there is nobody who lets it be an upgrade.
        assert one.listener.stats.downstream_cx_upgrades_total == 0


def test_a_health_check_is_answered_when_its_body_is_there() -> None:
    one = still(health_check_path=b"/ready", request_timeout=3)
    one.receive(POST.replace(b" / ", b" /ready ") + b"ab")
    assert one.take() == b""
    assert one.receive(b"cde" + GET).take().startswith(b"HTTP/1.1 200 OK\r\nx-envoy-upstream-healthchecked")
    assert one.log.records[-1].bytes_received == 5
    one.answer_ok().take()
    one.receive(POST.replace(b" / ", b" /ready ")).pass_until(3.1)
    assert b"\r\ncontent-type: text/plain\r\nx-envoy-upstream-healthchecked-cluster: default/eg\r\n" in one.take()


# -- ends that are not the proxy's -----------------------------------------------------------------------------


@pytest.mark.parametrize("sent", [b"GET / HT", b"\r\n"])
def test_a_client_that_goes_in_the_middle_of_a_head_is_logged(sent: bytes) -> None:
    one = still()
    one.receive(sent).pass_until(2)
    one.connection.eof_received()
    one.lose()
    assert [last_log(one)] == [(0, "DC", "downstream_remote_disconnect", 2000)]
    assert len(one.log.records) == 1
    assert one.loop.armed == []
