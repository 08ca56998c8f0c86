"""The inspector's page in a browser, and the picture of it in the documentation. Its own target: make browser."""

from __future__ import annotations

import re
import socket
import struct
import subprocess
from pathlib import Path

import pytest

from tests.support.prefaces import LOAD_BALANCERS
from tests.support.processes import ROOT, echo, free_port, gateway, serving, wait_for_port

PICTURE = ROOT / "docs" / "inspector.png"
WIDTH, HEIGHT = 1280, 1300
WATCHES = 4000
"""Milliseconds for which the page is open before it is looked at."""

POLICY = """tcpKeepalive: {idleTime: 60s, interval: 10s, probes: 3}
  proxyProtocol: {optional: false}
  clientIPDetection: {xForwardedFor: {numTrustedHops: 1}}"""


def browse(url: str, folder: Path, *options: str) -> str:
    """What headless Chromium makes of a page; standard output."""
    command = ["chromium", "--headless", "--disable-gpu", "--hide-scrollbars", f"--user-data-dir={folder / 'profile'}"]
    command += ["--no-sandbox", "--no-first-run", "--disable-background-networking", "--no-proxy-server"]
    command += [f"--window-size={WIDTH},{HEIGHT}", *options, url]
    found = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "Refused to" not in found.stderr, found.stderr
    return found.stdout


@pytest.mark.timeout(300)
def test_the_page_in_a_browser(tmp_path: Path) -> None:
    port, admin = free_port(), free_port()
    file = tmp_path / "gateway.yaml"
    with echo() as backend:
        file.write_text(gateway(port, backend, POLICY))
        flags = ("-f", file.name, "--release", "v1.9", "--access-log", "off", "--admin", f"127.0.0.1:{admin}")
        with (
            serving(*flags, prefix=["env", "-C", str(tmp_path)]),
            socket.create_connection(("127.0.0.1", port), timeout=10) as client,
        ):
            wait_for_port(admin)
            client.sendall(LOAD_BALANCERS)
            url = f"http://127.0.0.1:{admin}/inspector"
            # Only requests after the first look are remembered, and the script is what looks again.
            browse(url, tmp_path, "--dump-dom")
            client.sendall(b"GET /get HTTP/1.1\r\nHost: www.example.com\r\nX-Forwarded-For: 198.51.100.7\r\n\r\n")
            assert client.recv(2000).startswith(b"HTTP/1.1 200 OK\r\n")
            page = browse(url, tmp_path, f"--timeout={WATCHES}", "--virtual-time-budget=3000", "--dump-dom")
            picture = tmp_path / "inspector.png"
            browse(url, tmp_path, f"--timeout={WATCHES}", "--log-level=0", f"--screenshot={picture}")
    for text in ("203.0.113.7:4711", "vpce-08d2bf15fac5001c9", "TLV 0x21 PP2_SUBTYPE_SSL_VERSION", "gateway.yaml:"):
        assert text in page
    countdown = re.search(r"probe in <b>([\d.]+) s</b>", page)
    assert countdown is not None
    assert 0 < float(countdown[1]) < 60
    assert "www.example.com/get" in page
    # The script has run: it shows the switch that needs it.
    assert re.search(r"<label><input type=\"checkbox\" id=\"live\"", page)
    data = picture.read_bytes()
    assert data.startswith(b"\x89PNG")
    assert struct.unpack("!II", data[16:24]) == (WIDTH, HEIGHT)
    PICTURE.write_bytes(data)
