"""The inspector's page. In a browser: tests/browser/test_inspector.py."""

from __future__ import annotations

import asyncio
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from pyproxy.server.admin import page
from pyproxy.server.inspector import inspector_commands, render
from tests.server.views import KEEPALIVE, connection, request, view


class Text(HTMLParser):
    """The text of a page, and whether every tag that must be closed is."""

    def __init__(self, markup: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.feed(markup)
        self.close()

    def handle_data(self, data: str) -> None:
        self.text += data

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.tags.append(tag)


def shown(*connections: dict[str, Any], requests: tuple[dict[str, Any], ...] = ()) -> str:
    return re.sub(r"\s+", " ", Text(render(view(*connections, requests=requests))).text)


def test_a_connection() -> None:
    text = shown(connection())
    for part in (
        "#1127.0.0.1:53122 PROXY v2 203.0.113.7:4711idle1 requestopen 83.2 s",
        "probe in 47.1 s",
        "the peer of the TCP connection",
        "TLV 0x02 PP2_TYPE_AUTHORITY61a",
        "probes left3 of 3",
        "given up in77.1 s",
        "round trip0.123 ms ± 0.050",
        "keepalive.idle60policy.yaml:12",
        "Connections 1 open",
        "None since this page was opened.",
    ):
        assert part in text


def test_what_there_may_not_be() -> None:
    text = shown(
        connection(proxy_header=None, keepalive=None, tcp=None, client="127.0.0.1:53122", listener="gone", age=4000)
    )
    assert "Off: the policy has no tcpKeepalive." in text
    assert "The socket is closed." in text
    assert "PROXY" not in text
    assert "open 1h 6m 40s" in text
    assert "No connection is open." in shown()


def test_keepalive_while_data_is_on_its_way_and_after_probes() -> None:
    waits = {**KEEPALIVE, "next_probe_in": None, "gives_up_in": None}
    assert "keepalive waits: data is on its way" in shown(connection(keepalive=waits))
    probed = {**KEEPALIVE, "probes_sent": 2, "next_probe_in": 5.0}
    markup = render(view(connection(keepalive=probed)))
    assert 'value="50.0"' in markup
    assert markup.count('<i class="left">') == 1
    assert markup.count('<i class="sent">') == 2


def test_a_request_under_way_and_one_that_is_over() -> None:
    under_way = connection(request={"method": "GET", "path": "/slow", "backend": None})
    refused = request(number=2, method=None, authority=None, path=None, status=400, flags="DPE", upstream=None)
    text = shown(under_way, requests=(request(), refused))
    assert "Request under waymethodGETpath/slow" in text
    assert "#1203.0.113.7:4711GET www.example.com/get" in text
    assert "response begins3 ms" in text
    assert "2004 ms127.0.0.1:3000" in text
    assert "400 DPE4 ms-" in text


def test_only_some_of_many() -> None:
    made = view(connection())
    made["total"] = 5000
    assert "5000 open, the 1 with the latest traffic are shown" in Text(render(made)).text


NASTY = "<script>alert(1)</script>\"'&<img src=x onerror=alert(1)>"


def test_what_clients_wrote_is_escaped() -> None:
    def poison(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: poison(one) for key, one in value.items()}
        if isinstance(value, list):
            return [poison(one) for one in value]
        return NASTY if isinstance(value, str) else value

    harmless = Text(render(view(connection(), requests=(request(),))))
    nasty_connection = poison(connection(request={"path": "/"}))
    nasty_connection["listener"] = "default/eg/http"
    made = view(nasty_connection, requests=(poison(request()),))
    made["listeners"] = [{**poison(made["listeners"][0]), "name": "default/eg/http"}]
    made["time"] = NASTY
    poisoned = Text(render(made))
    assert poisoned.tags.count("script") == harmless.tags.count("script") == 1
    assert "img" not in poisoned.tags
    assert NASTY in poisoned.text


def test_nothing_may_be_loaded_from_elsewhere() -> None:
    headers = dict(page("").headers)
    policy = headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    markup = render(view(connection()))
    assert re.findall(r'(?:src|href)="([^"]*)"', markup) == [
        "data:,",
        "/inspector.css",
        "/inspector.js",
        "/connections",
        "/stats",
        "/",
    ]
    assert "style=" not in markup
    assert re.search(r"\son\w+=", markup) is None


@pytest.mark.parametrize(("path", "kind"), [("/inspector.css", "text/css"), ("/inspector.js", "text/javascript")])
def test_its_files(path: str, kind: str) -> None:
    process: Any = None
    response = asyncio.run(_answer(inspector_commands(process)[path].handler))
    assert dict(response.headers)["Content-Type"] == f"{kind}; charset=UTF-8"
    assert b"http:" not in response.body


async def _answer(handler: Any) -> Any:
    return await handler({})
