"""``pyproxy top`` on an admin that is none."""

from __future__ import annotations

import io
import json
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from rich.console import Console

from pyproxy.server import top
from tests.server.views import KEEPALIVE, connection, request, view


def shown(view_: Any, before: tuple[float, dict[str, int]] | None = None) -> str:
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(top.render(view_, {"requests": 30, "5xx": 1}, before))
    return console.export_text()


def test_a_frame() -> None:
    slow = connection(id=2, client="127.0.0.1:53122", proxy_header=None, keepalive=None, tcp=None, phase="EXCHANGE")
    waits = connection(id=3, keepalive={**KEEPALIVE, "next_probe_in": None})
    refused = request(status=400, flags="DPE", method=None, authority=None, path=None, upstream=None)
    text = shown(view(connection(), slow, waits, requests=(request(), refused)))
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert lines[0] == "2026-11-25 03:00:00 UTC 3 connections requests 30 5xx 1"
    assert "#1 127.0.0.1:53122 PROXY v2 203.0.113.7:4711 idle 1 83 s 0.12 ms probe in 47 s" in lines
    assert "#2 127.0.0.1:53122 127.0.0.1:53122 exchange 1 83 s - off" in lines
    assert "#3 127.0.0.1:53122 PROXY v2 203.0.113.7:4711 idle 1 83 s 0.12 ms waits" in lines
    assert "#1 203.0.113.7:4711 GET www.example.com/get 200 4 ms 127.0.0.1:3000" in lines
    assert "#1 203.0.113.7:4711 - 400 DPE 4 ms -" in lines


def test_rates() -> None:
    text = shown(view(), (2.0, {"requests": 10, "5xx": 1}))
    assert "requests 10.0/s" in text
    assert "5xx 0.0/s" in text


@contextmanager
def admin(status: int = 200) -> Iterator[str]:
    answers = {
        "/connections?limit=50": view(connection()),
        "/stats?format=json&type=Counters": {"stats": [{"name": "http.http-1.downstream_rq_total", "value": 7}]},
    }

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(answers[self.path]).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def watch_once(address: str) -> tuple[int, str]:
    console = Console(width=140, record=True, file=io.StringIO())
    code = top.watch(address, once=True, console=console)
    return code, console.export_text()


def test_one_look() -> None:
    with admin() as address:
        code, text = watch_once(address)
    assert code == 0
    assert "requests 7" in text


def test_until_it_is_interrupted(monkeypatch: Any) -> None:
    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("time.sleep", interrupt)
    with admin() as address:
        assert top.watch(address, once=False, console=Console(file=io.StringIO())) == 0


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"SSH-2.0-x\r\n", "it says no JSON to /connections?limit=50"),
        (b"HTTP/1.0 200 OK\r\n\r\n<!DOCTYPE html>", "it says no JSON to /connections?limit=50"),
        (b"HTTP/1.0 200 OK\r\n\r\n\xff\xfe", "it says no JSON to /connections?limit=50"),
        (b'HTTP/1.0 200 OK\r\n\r\n{"path": "/"}', "its JSON for /connections?limit=50 is something else"),
        (b"HTTP/1.0 200 OK\r\n\r\n[]", "its JSON for /connections?limit=50 is something else"),
    ],
)
def test_something_else_answers(said: bytes, reason: str) -> None:
    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            while self.rfile.readline().strip():
                pass
            self.wfile.write(said)

    with socketserver.TCPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        address = f"127.0.0.1:{server.server_address[1]}"
        found = watch_once(address)
        thread.join()
    assert found == (1, f"pyproxy top: what answers at {address} is no pyproxy admin: {reason}\n")


def test_nobody_answers() -> None:
    assert watch_once("127.0.0.1:1") == (3, "pyproxy top: no admin at 127.0.0.1:1: Connection refused\n")
    with admin(403) as address:
        code, text = watch_once(address)
    assert code == 3
    assert f"{address} answers 403 to /connections?limit=50" in text
