"""The dot behind a host."""

from __future__ import annotations

import pytest

from pyproxy.proxy.host import strip_trailing_dot


@pytest.mark.enforces("spec.headers.host.stripTrailingHostDot")
@pytest.mark.parametrize(
    ("authority", "left"),
    [
        (b"www.example.com.", b"www.example.com"),
        (b"www.example.com..", b"www.example.com."),
        (b"www.example.com.:80", b"www.example.com:80"),
        (b"www.example.com.:", b"www.example.com:"),
        (b"www.example.com", b"www.example.com"),
        (b"www.example.com:80", b"www.example.com:80"),
        (b"[::1].", b"[::1]"),
        (b"[::ffff:1.2.3.4]:80", b"[::ffff:1.2.3.4]:80"),
        (b".", b""),
        (b"", b""),
    ],
)
def test_strip_trailing_dot(authority: bytes, left: bytes) -> None:
    assert strip_trailing_dot(authority) == left
