"""Local replies, byte for byte."""

from __future__ import annotations

import pytest

from pyproxy.proxy.replies import local_reply, phrase, status_line
from pyproxy.settings import HeaderAction, HeaderMutation


def test_with_a_body() -> None:
    assert local_reply(426, date=b"D", server=None, body=b"Upgrade Required", close=True) == (
        b"HTTP/1.1 426 Upgrade Required\r\ncontent-length: 16\r\ncontent-type: text/plain\r\ndate: D\r\n"
        b"connection: close\r\n\r\nUpgrade Required"
    )


def test_without_a_body() -> None:
    assert local_reply(404, date=b"D", server=b"envoy") == (
        b"HTTP/1.1 404 Not Found\r\ndate: D\r\nserver: envoy\r\ncontent-length: 0\r\n\r\n"
    )


def test_a_redirect() -> None:
    assert local_reply(307, date=b"D", server=None, headers=[(b"location", b"/a")]) == (
        b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /a\r\ndate: D\r\ncontent-length: 0\r\n\r\n"
    )


def test_for_head() -> None:
    assert local_reply(400, date=b"D", server=None, head=True).endswith(b"transfer-encoding: chunked\r\n\r\n")
    with_body = local_reply(503, date=b"D", server=None, body=b"abc", head=True)
    assert b"content-length: 3\r\n" in with_body
    assert with_body.endswith(b"\r\n\r\n")


def test_for_grpc() -> None:
    assert local_reply(503, date=b"D", server=None, body=b"why", grpc=True) == (
        b"HTTP/1.1 200 OK\r\ncontent-type: application/grpc\r\ngrpc-status: 14\r\ngrpc-message: why\r\ndate: D\r\n"
        b"content-length: 0\r\n\r\n"
    )
    assert b"grpc-status: 2\r\n" in local_reply(500, date=b"D", server=None, grpc=True)


def test_phrases_are_envoys() -> None:
    assert status_line(200) == b"HTTP/1.1 200 OK\r\n"
    assert status_line(418) == b"HTTP/1.1 418 Unknown\r\n"
    assert phrase(413) == b"Payload Too Large"
    assert phrase(999) == b"Unknown"


@pytest.mark.enforces("spec.headers.disableRateLimitHeaders")
def test_no_reply_speaks_of_rate_limits() -> None:
    """There is no rate limit filter that could write them, whether the policy disables them or not."""
    assert b"ratelimit" not in local_reply(429, date=b"D", server=b"envoy", body=b"x").lower()


def late(*mutations: tuple[HeaderAction, bytes, bytes]) -> list[HeaderMutation]:
    return [HeaderMutation(*mutation) for mutation in mutations]


@pytest.mark.enforces("spec.headers.lateResponseHeaders.set[].name")
@pytest.mark.enforces("spec.headers.lateResponseHeaders.set[].value")
@pytest.mark.enforces("spec.headers.lateResponseHeaders.remove[]")
def test_a_local_reply_is_changed_before_date_and_server_are_written() -> None:
    mutations = late(
        (HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"x-late", b"1"),
        (HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"date", b"never"),
        (HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"server", b"mine"),
        (HeaderAction.REMOVE, b"content-type", b""),
    )
    reply = local_reply(503, date=b"D", server=None, body=b"abc", mutations=mutations)
    assert reply == (
        b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 3\r\nx-late: 1\r\ndate: never\r\nserver: mine\r\n\r\nabc"
    )
    assert b"server: envoy\r\n" in local_reply(503, date=b"D", server=b"envoy", mutations=mutations)


def test_in_http_10() -> None:
    assert local_reply(404, date=b"D", server=None, close=True, http_10=True) == (
        b"HTTP/1.0 404 Not Found\r\ndate: D\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
    )
    kept = local_reply(503, date=b"D", server=None, body=b"abc", http_10=True)
    assert kept.endswith(b"connection: keep-alive\r\n\r\nabc")
    assert local_reply(404, date=b"D", server=None, close=True, head=True, http_10=True).endswith(
        b"date: D\r\nconnection: close\r\n\r\n"
    )


def test_nothing_changes_what_an_answer_to_a_health_check_says() -> None:
    name = b"x-envoy-upstream-healthchecked-cluster"
    added = HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, name, b"mine")
    late = HeaderMutation(HeaderAction.APPEND_IF_EXISTS_OR_ADD, b"x-late", b"1")
    removed = HeaderMutation(HeaderAction.REMOVE, name, b"")
    replied = local_reply(200, date=b"D", server=None, mutations=(added, late), health_checked=b"default/eg")
    lines = name + b": default/eg\r\nx-late: 1\r\ndate: D\r\ncontent-length: 0\r\n\r\n"
    assert replied == b"HTTP/1.1 200 OK\r\n" + lines
    replied = local_reply(200, date=b"D", server=None, mutations=(late, removed), health_checked=b"default/eg")
    assert replied.endswith(b"x-late: 1\r\n" + name + b": default/eg\r\ndate: D\r\ncontent-length: 0\r\n\r\n")
