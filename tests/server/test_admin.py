"""The admin address, on a process that only remembers what it was asked; conformance/test_admin.py is beside Envoy."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from pyproxy.observe.stats import ServerStats, Snapshot, Stats
from pyproxy.server import log_levels
from pyproxy.server.admin import Admin
from pyproxy.server.inspector import inspector_commands
from pyproxy.settings import Endpoint, Settings
from pyproxy.wire.messages import RequestHead
from tests.support.scenario import Client, settings_for


class FakeProcess:
    def __init__(self) -> None:
        self.settings = Settings((settings_for(Endpoint("127.0.0.1", 3000), Endpoint("::1", 3001)),))
        self.live = True
        self.asked: list[Any] = []
        self.stats = Stats()
        self.stats.http("http-0").downstream_rq_total = 2
        self.stats.http("http-0").downstream_rq_time.record(1)
        cluster = self.stats.cluster("cluster")
        cluster.members = frozenset(("127.0.0.1:3000", "[::1]:3001"))
        cluster.endpoint("127.0.0.1:3000").rq_total = 5

    async def snapshot(self) -> Snapshot:
        taken = self.stats.snapshot()
        ServerStats().collect("server.", taken)
        taken.gauges |= {"server.memory_physical_size": 9, "server.memory_allocated": 7, "server.memory_heap_size": 8}
        return taken

    async def connections(self, limit: int) -> Any:
        return {"time": "now", "total": 0, "limit": limit, "listeners": [], "connections": [], "requests": []}

    def server_info(self) -> Any:
        return {"state": "LIVE"}

    def config_dump(self) -> Any:
        return {"configs": []}

    def status(self) -> str:
        return '{"items": []}'

    async def fail_health_check(self, *, failed: bool) -> None:
        self.live = not failed

    async def drain_listeners(self, *, graceful: bool, skip_exit: bool) -> None:
        self.asked.append((graceful, skip_exit))

    async def reopen_logs(self) -> None:
        self.asked.append("reopen")

    async def change_log_levels(self, levels: Mapping[str, str]) -> None:
        log_levels.change(levels)

    def quit(self) -> None:
        self.asked.append("quit")


class Asker:
    """An admin and whoever asks it."""

    def __init__(self) -> None:
        self.process = FakeProcess()
        self.admin = Admin(self.process, inspector_commands(self.process))

    def __call__(
        self,
        path: str,
        method: str = "GET",
        *,
        authority: bytes | None = b"127.0.0.1:19000",
        headers: list[tuple[bytes, bytes]] | None = None,
        body: bytes = b"",
    ) -> tuple[int, str]:
        request = RequestHead(method.encode(), path.encode(), authority, headers or [])
        response = asyncio.run(self.admin.handle(request, body))
        assert ("X-Content-Type-Options", "nosniff") in response.headers or "inspector." in path
        return response.status, response.body.decode()


@pytest.fixture
def ask() -> Iterator[Asker]:
    log_levels.set_up()
    yield Asker()
    log_levels.set_up()


def test_ready_and_the_health_check(ask: Asker) -> None:
    assert ask("/ready") == (200, "LIVE\n")
    assert ask("/healthcheck/fail", "POST") == (200, "OK\n")
    assert ask("/ready") == (503, "DRAINING\n")
    assert ask("/healthcheck/ok", "POST") == (200, "OK\n")
    assert ask("/ready", "PUT") == (200, "LIVE\n")


def test_what_changes_something_wants_post(ask: Asker) -> None:
    for path, command in ask.admin.commands.items():
        if command.post:
            assert ask(path) == (405, "Method GET not allowed, POST required.")
    assert ask("/quitquitquit", "PUT") == (405, "Method PUT not allowed, POST required.")
    assert ask.process.asked == []


def test_help_and_index(ask: Asker) -> None:
    status, text = ask("/help")
    assert status == 200
    assert text.startswith("admin commands are:\n  /: Admin home page\n  /certs: print certs on machine\n")
    assert "  /drain_listeners (POST): drain listeners\n      graceful: " in text
    assert ask("/nope") == (404, "invalid path. " + text)
    assert ask("/ready/")[0] == ask("*", "OPTIONS")[0] == 404
    assert ask("//ready") == ask("/./%72eady") == ask("/ready")
    assert ask("/ready%00")[0] == ask("/ready#x")[0] == 400
    _, index = ask("/")
    assert all(f'action="{path}"' in index for path in ask.admin.commands if path != "/")
    assert '<input name="level">' in index
    assert '<input name="graceful" type=checkbox>' in index


def test_commands(ask: Asker) -> None:
    assert ask("/drain_listeners", "POST") == (200, "OK\n")
    assert ask("/drain_listeners?graceful&skip_exit", "POST") == (200, "OK\n")
    assert ask("/drain_listeners?inboundonly", "POST") == (200, "OK\n")
    assert ask("/reopen_logs", "POST") == (200, "OK\n")
    assert ask("/quitquitquit", "POST") == (200, "OK\n")
    assert ask.process.asked == [(False, False), (True, True), "reopen", "quit"]


def test_dumps(ask: Asker) -> None:
    assert ask("/certs") == (200, '{\n "certificates": []\n}\n')
    assert json.loads(ask("/memory")[1])["allocated"] == "7"
    assert json.loads(ask("/server_info")[1]) == {"state": "LIVE"}
    assert json.loads(ask("/config_dump")[1]) == {"configs": []}
    assert ask("/config_dump?resource=&name_regex=&foo=bar")[0] == 200
    for name in ("resource", "mask", "name_regex"):
        message = f"{name} is Envoy's; here there is only the whole of /config_dump\n"
        assert ask(f"/config_dump?{name}=(") == (400, message)
    assert ask("/status?x") == (200, '{"items": []}')


def test_listeners_and_clusters(ask: Asker) -> None:
    assert ask("/listeners") == (200, "default/eg/http::127.0.0.1:0\n")
    (listener,) = json.loads(ask("/listeners?format=json")[1])["listener_statuses"]
    assert listener["local_address"] == {"socket_address": {"address": "127.0.0.1", "port_value": 0}}
    lines = ask("/clusters")[1].splitlines()
    assert lines[0] == "cluster::observability_name::cluster"
    assert "cluster::127.0.0.1:3000::rq_total::5" in lines
    assert "cluster::[::1]:3001::rq_total::0" in lines
    assert "cluster::[::1]:3001::health_flags::healthy" in lines
    assert ask("/clusters?filter=^x") == (200, "")
    assert ask("/clusters?filter=(")[0] == 400
    (cluster,) = json.loads(ask("/clusters?format=json")[1])["cluster_statuses"]
    assert {"name": "rq_total", "value": "5"} in cluster["host_statuses"][0]["stats"]
    assert {"name": "rq_total"} in cluster["host_statuses"][1]["stats"]


def test_stats(ask: Asker) -> None:
    assert "http.http-0.downstream_rq_total: 2\n" in ask("/stats")[1]
    assert ask("/stats?filter=http-0.downstream_rq_total$") == (200, "http.http-0.downstream_rq_total: 2\n")
    assert "no_route" not in ask("/stats?usedonly")[1]
    assert json.loads(ask("/stats?format=json&filter=rq_total$")[1])["stats"]
    prometheus = ask("/stats/prometheus?filter=http-0.downstream_rq_total")
    assert ask("/stats?format=prometheus&filter=http-0.downstream_rq_total") == prometheus
    assert prometheus[1] == (
        "# TYPE envoy_http_downstream_rq_total counter\n"
        'envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix="http-0"} 2\n'
    )
    assert "live" not in ask("/stats?filter=server&invert_filter&type=Gauges")[1]


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("?format=bogus", "usage: /stats?format=(json|prometheus|text)\n\n"),
        ("?type=counters", "invalid &type= param"),
        ("?histogram_buckets=x", "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary)\n"),
        ("?filter=(", "Invalid re2 regex: missing ): ("),
        ("?filter=%ff", "Invalid re2 regex: invalid UTF-8"),
        ("?filter=(?=a)", "Invalid re2 regex: invalid perl operator: (?="),
        ("?filter=(.?){1000}x", "Invalid re2 regex: pattern too large - compile failed"),
        ("/prometheus?filter=(", "Invalid re2 regex: missing ): ("),
        ("/prometheus?histogram_buckets=detailed", "unsupported prometheus histogram bucket mode"),
        ("/prometheus?histogram_buckets=x", "usage: /stats?histogram_buckets=(cumulative|disjoint|detailed|summary)\n"),
        ("/prometheus?type=x", "invalid &type= param"),
        ("/prometheus?format=x", "usage: /stats?format=(json|prometheus|text)\n\n"),
        ("?format=active-html", "usage: /stats?format=(json|prometheus|text)\n\n"),
    ],
)
def test_mistakes_in_queries(ask: Asker, query: str, message: str) -> None:
    assert ask("/stats" + query) == (400, message)


@pytest.mark.parametrize("pattern", ["(.|[a-z])*%23", "((.?)*(.?)*)*%23", "(([a-z_.]*)*)*%23", "(" * 3000 + ")" * 3000])
def test_no_filter_takes_long(ask: Asker, pattern: str) -> None:
    assert ask(f"/stats?filter={pattern}")[0] in (200, 400)
    assert ask(f"/clusters?filter={pattern}")[0] in (200, 400)


def test_a_number_too_large_in_a_filter_is_text(ask: Asker) -> None:
    assert ask("/stats?filter=a%7B99999999999%7D") == (200, "")
    assert ask("/clusters?filter=%ff") == (400, "Invalid re2 regex")


@pytest.mark.parametrize("name", ["filter", "format", "type", "histogram_buckets"])
def test_parameters_without_a_value_are_none(ask: Asker, name: str) -> None:
    assert ask(f"/stats?{name}=") == ask(f"/stats?{name}") == ask("/stats")
    assert ask(f"/stats/prometheus?{name}=") == ask("/stats/prometheus")


def test_what_prometheus_is_asked_for(ask: Asker) -> None:
    whole = ask("/stats/prometheus")
    assert ask("/stats/prometheus?type=Gauges&format=json") == ask("/stats?format=prometheus&type=Counters") == whole
    assert ask("/stats/prometheus?histogram_buckets=none") == ask("/stats/prometheus?histogram_buckets=summary")
    assert ask("/stats?histogram_buckets=none") == ask("/stats")


def test_how_a_query_is_read(ask: Asker) -> None:
    live = (200, "server.live: 1\n")
    queries = ("f%69lter=server.l%69ve", "filter=server.live&filter=x", "&&filter=serve+r.live", "=x&filter=r.live$")
    for query in queries:
        assert ask(f"/stats?{query}") == live
    assert ask("/stats?filter=server+live") == (200, "")
    assert ask("/stats?filter=&filter=live") == ask("/stats")


def test_counters_are_reset_and_gauges_are_not(ask: Asker) -> None:
    ask.process.stats.http("http-0").downstream_rq_active = 1
    assert ask("/reset_counters", "POST") == (200, "OK\n")
    shown = ask("/stats?usedonly&filter=http-0.downstream_rq")[1]
    assert "http.http-0.downstream_rq_total: 0\n" in shown
    assert "http.http-0.downstream_rq_active: 1\n" in shown
    assert "http.http-0.downstream_rq_time: P0(nan,1.05) " in shown
    ask.process.stats.http("http-0").downstream_rq_total += 1
    assert "downstream_rq_total: 1\n" in ask("/stats?filter=http-0")[1]


def test_log_levels(ask: Asker, caplog: pytest.LogCaptureFixture) -> None:
    assert ask("/logging", "POST") == (200, "active loggers:\n  admin: warning\n  connection: warning\n\n")
    assert "admin: debug" in ask("/logging?level=debug", "POST")[1]
    assert "connection: info" in ask("/logging?paths=connection:info,admin:off", "POST")[1]
    assert "admin: error" in ask("/logging?admin=error", "POST")[1]
    assert logging.getLogger("pyproxy.admin").level == logging.ERROR
    assert "admin: info" in ask("/logging?level=info&paths=", "POST")[1]


FORM = [(b"content-type", b"application/x-www-form-urlencoded")]


def test_a_form_stands_for_a_query(ask: Asker) -> None:
    assert "admin: debug" in ask("/logging", "POST", headers=FORM, body=b"paths=admin%3Adebug&level=")[1]
    assert "admin: debug" in ask("/logging", "POST", headers=[(b"content-type", b"text/plain")], body=b"level=info")[1]
    assert "connection: warning" in ask("/logging?admin=info", "POST", headers=FORM, body=b"level=trace")[1]
    assert ask("/drain_listeners", "POST", headers=FORM, body=b"graceful=on") == (200, "OK\n")
    assert ask.process.asked == [(True, False)]


def test_a_form_comes_over_the_wire(ask: Asker) -> None:
    async def main() -> None:
        server = ask.admin.server()
        await server.start("127.0.0.1", 0)
        head = b"POST /logging HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        async with Client(("127.0.0.1", server.port)) as client:
            await client.send(head + b"Transfer-Encoding: chunked\r\n\r\n6\r\nlevel=\r\n")
            await client.send(b"5\r\nbogus\r\n0\r\n\r\n")
            assert b"error: unknown logger level" in await client.until(b"active loggers", within=True)
        async with Client(("127.0.0.1", server.port)) as client:
            await client.send(head + b"Content-Length: 70000\r\n\r\n" + b"x" * (64 * 1024 + 1))
            assert (await client.to_the_end()).startswith(b"HTTP/1.1 413 ")
        server.close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("nope=debug", "unknown logger name"),
        ("level=bogus", "unknown logger level"),
        ("paths=admin", "empty logger name or empty logger level"),
        ("a=b&c=d", "invalid number of parameters"),
    ],
)
def test_levels_that_can_not_be_set(ask: Asker, query: str, message: str) -> None:
    status, text = ask(f"/logging?{query}", "POST")
    assert status == 400
    assert text.startswith(f"error: {message}\n\nusage: /logging?")
    assert text.endswith("active loggers:\n  admin: warning\n  connection: warning\n\n")


@pytest.mark.parametrize(
    ("authority", "status"),
    [
        (b"127.0.0.1:1", 200),
        (b"localhost:19000", 200),
        (b"LOCALHOST", 200),
        (b"[::1]:1", 200),
        (b"evil.example", 403),
        (b"evil.example:80", 403),
        (b"127.0.0.1.evil.example", 403),
        (b"localhost.evil.example:19000", 403),
        (b"[::1].evil.example", 403),
        (b"", 403),
        (None, 400),
    ],
)
def test_names_that_browsers_could_be_given(ask: Asker, authority: bytes | None, status: int) -> None:
    assert ask("/ready", authority=authority)[0] == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([], 200),
        ([(b"origin", b"http://127.0.0.1:19000")], 200),
        ([(b"origin", b"http://evil.example")], 403),
        ([(b"origin", b"http://127.0.0.1:8080")], 403),
        ([(b"origin", b"null")], 403),
        ([(b"sec-fetch-site", b"cross-site")], 403),
        ([(b"sec-fetch-site", b"same-origin")], 200),
        ([(b"sec-fetch-site", b"none")], 200),
    ],
)
def test_pages_of_other_sites_change_nothing(ask: Asker, headers: list[tuple[bytes, bytes]], status: int) -> None:
    assert ask("/quitquitquit", "POST", headers=headers)[0] == status
    assert (ask.process.asked == ["quit"]) is (status == 200)
    assert ask("/stats", headers=headers)[0] == status


LINK = [(b"sec-fetch-site", b"cross-site"), (b"sec-fetch-mode", b"navigate"), (b"sec-fetch-dest", b"document")]


def test_a_link_from_another_site_may_be_followed(ask: Asker) -> None:
    assert ask("/inspector", headers=LINK)[0] == 200
    assert ask("/reset_counters", "POST", headers=LINK)[0] == 403
    assert ask("/inspector", headers=[*LINK[:2], (b"sec-fetch-dest", b"iframe")])[0] == 403


def test_the_inspectors_paths(ask: Asker) -> None:
    assert json.loads(ask("/connections?limit=5")[1])["limit"] == 5
    assert json.loads(ask("/connections")[1])["limit"] == 100
    for limit in ("", "-1", "abc", "9" * 5000, "%b2"):
        for path in ("/connections", "/inspector"):
            assert ask(f"{path}?limit={limit}") == (400, "limit must be a whole number of at most 9 digits\n")
    assert "<title>pyproxy inspector</title>" in ask("/inspector")[1]
    assert ask("/inspector.js")[0] == ask("/inspector.css")[0] == 200


def test_an_admin_call_is_logged(ask: Asker, capsys: pytest.CaptureFixture[str]) -> None:
    log_levels.set_up()
    ask("/logging?admin=debug", "POST")
    ask("/ready?x")
    assert "][DEBUG][pyproxy.admin] GET /ready?x 200\n" in capsys.readouterr().err
