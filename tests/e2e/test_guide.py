"""The guide's transcripts, with its own curl commands."""

from __future__ import annotations

import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from pyproxy.conformance.kernel import keepalive_options
from pyproxy.settings import Keepalive
from tests.support.processes import ROOT, curl, echo, free_port, serving

GUIDE_GATEWAY = (ROOT / "pyproxy/quickstart.yaml").read_text()
POLICIES = ROOT / "config"


@pytest.fixture
def quickstart(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    """The quickstart on free ports: its file, and the listener's port."""
    port = free_port()
    with echo() as backend:
        file = tmp_path / "quickstart.yaml"
        file.write_text(
            GUIDE_GATEWAY.replace("port: 80\n", f"port: {port}\n").replace("port: 3000", f"port: {backend}")
        )
        yield file, port


def test_keepalive(quickstart: tuple[Path, int], loop_name: str) -> None:
    file, port = quickstart
    with serving("-f", file, "-f", POLICIES / "keepalive-policy.yaml", "--loop", loop_name):
        url = f"http://127.0.0.1:{port}/get"
        host = ("--header", "Host: www.example.com")
        found = curl("--verbose", *host, url, "--next", "--verbose", "--silent", *host, url)
        assert found.returncode == 0
        assert found.stderr.count("< HTTP/1.1 200 OK") == 2
        assert "Re-using existing connection" in found.stderr
        received = [line.partition(": ")[0] for line in found.stderr.splitlines() if line.startswith("< ")]
        assert received[1:7] == [
            "< content-type",
            "< x-content-type-options",
            "< date",
            "< content-length",
            "< x-envoy-upstream-service-time",
            "< server",
        ]
        assert "< server: envoy" in found.stderr
        first, second = _bodies(found.stdout)
        for body in (first, second):
            assert (body["path"], body["host"], body["method"], body["proto"]) == (
                "/get",
                "www.example.com",
                "GET",
                "HTTP/1.1",
            )
            headers = body["headers"]
            assert headers["X-Envoy-Expected-Rq-Timeout-Ms"] == ["15000"]
            assert headers["X-Envoy-Internal"] == ["true"]
            assert headers["X-Forwarded-Proto"] == ["http"]
            assert UUID(headers["X-Request-Id"][0]).version == 4
            assert len(headers["X-Forwarded-For"]) == 1
        assert first["headers"]["X-Request-Id"] != second["headers"]["X-Request-Id"]


def _bodies(text: str) -> list[dict[str, Any]]:
    decoder, at, found = json.JSONDecoder(), 0, []
    while at < len(text):
        body, at = decoder.raw_decode(text, at)
        found.append(body)
    return found


def test_keepalive_in_the_kernel(quickstart: tuple[Path, int]) -> None:
    file, port = quickstart
    with serving("-f", file, "-f", POLICIES / "keepalive-policy.yaml") as server:
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            options = keepalive_options(server.pid, port)
            assert options == {"listening": Keepalive(3, 1200, 60), "accepted": Keepalive(3, 1200, 60)}
            shown = subprocess.run(
                ["ss", "-tnoH", "state", "established", f"sport = :{port}"], capture_output=True, text=True, check=True
            ).stdout
            assert re.search(r"timer:\(keepalive,19min,0\)", shown), shown


def test_proxy_protocol(quickstart: tuple[Path, int], loop_name: str) -> None:
    file, port = quickstart
    url, host = f"http://127.0.0.1:{port}/get", ("--header", "Host: www.example.com")
    with serving("-f", file, "-f", POLICIES / "proxy-protocol-policy.yaml", "--loop", loop_name):
        without = curl("--verbose", *host, url)
        assert without.returncode == 56
        assert "curl: (56) Recv failure: Connection reset by peer" in without.stderr
        assert "< " not in without.stderr
        found = curl("--verbose", "--haproxy-protocol", *host, url)
        assert "< HTTP/1.1 200 OK" in found.stderr
        (body,) = _bodies(found.stdout)
        # The header's source is 127.0.0.1, for which Envoy writes its node's own address.
        assert len(body["headers"]["X-Forwarded-For"]) == 1
        assert body["headers"]["X-Envoy-Internal"] == ["true"]
