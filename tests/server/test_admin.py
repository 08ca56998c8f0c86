"""The admin address."""

from __future__ import annotations

import pytest

from pyproxy.server.admin import admin_server
from pyproxy.wire.messages import RequestHead


def ask(
    path: bytes, *, method: bytes = b"GET", authority: bytes | None = b"127.0.0.1:19000", live: bool = True
) -> tuple[int, bytes]:
    server = admin_server(lambda: live, lambda: '{"items": []}')
    response = server.handler(RequestHead(method, path, authority, []))
    return response.status, response.body


def test_ready() -> None:
    assert ask(b"/ready") == (200, b"LIVE\n")
    assert ask(b"/ready", live=False) == (503, b"DRAINING\n")


def test_status_and_help() -> None:
    assert ask(b"/status?x") == (200, b'{"items": []}')
    assert ask(b"/")[0] == 200
    assert ask(b"/nope")[0] == 404
    assert ask(b"/ready", method=b"POST")[0] == 405


@pytest.mark.parametrize(
    ("authority", "status"),
    [
        (b"127.0.0.1:1", 200),
        (b"localhost:19000", 200),
        (b"[::1]:1", 200),
        (b"evil.example", 403),
        (b"evil.example:80", 403),
    ],
)
def test_names_that_browsers_could_be_given(authority: bytes, status: int) -> None:
    assert ask(b"/ready", authority=authority)[0] == status
