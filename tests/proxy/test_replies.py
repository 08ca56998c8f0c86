"""Local replies, byte for byte."""

from __future__ import annotations

from pyproxy.proxy.replies import local_reply, phrase, status_line


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
    assert local_reply(307, date=b"D", server=None, location=b"/a") == (
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
