"""The admin of a running pyproxy: what Envoy's tools read and send, with one process and with several."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import urllib.error
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.admin import ask_now
from tests.support.prefaces import LOAD_BALANCERS
from tests.support.processes import (
    Running,
    curl,
    echo,
    free_port,
    gateway,
    run_pyproxy,
    serving,
    wait_for_port,
    workers_of,
)
from tests.support.rewriting import replace_file

POLICY = "tcpKeepalive: {idleTime: 60s, interval: 10s, probes: 3}\n  proxyProtocol: {optional: true}"


@dataclass
class Served:
    process: Running
    port: int
    admin: int
    log: Path

    def ask(self, path: str, method: str = "GET") -> str:
        return ask_now(self.admin, path, method)

    def stats(self, pattern: str) -> dict[str, int]:
        """The counters and gauges whose name ``pattern`` is found in."""
        lines = self.ask(f"/stats?filter={pattern}&type=Counters").splitlines()
        return {name: int(value) for name, value in (line.split(": ") for line in lines)}

    def get(self, *arguments: str) -> str:
        """The status of a GET."""
        return curl("-o", "/dev/null", "-w", "%{http_code}", *arguments, f"http://127.0.0.1:{self.port}/").stdout


def start(stack: ExitStack, folder: Path, *flags: str | Path) -> Served:
    port, admin, log = free_port(), free_port(), folder / "log"
    file = folder / "gateway.yaml"
    file.write_text(gateway(port, stack.enter_context(echo()), POLICY))
    fixed = ("-f", file, "--release", "v1.9", "--access-log", log, "--admin", f"127.0.0.1:{admin}")
    process = stack.enter_context(serving(*fixed, *flags))
    wait_for_port(admin)
    return Served(process, port, admin, log)


@pytest.fixture(scope="module", params=[(), ("--workers", "2")], ids=["alone", "workers"])
def served(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One for all tests that leave it as it was."""
    with ExitStack() as stack:
        yield start(stack, tmp_path_factory.mktemp("served"), *request.param)


def test_what_it_counts_can_be_scraped_and_reset(served: Served) -> None:
    served.ask("/reset_counters", "POST")
    assert [served.get() for _ in range(5)] == ["200"] * 5
    name = f"http.http-{served.port}.downstream_rq_2xx"
    assert served.stats("downstream_rq_2xx")[name] == 5
    families = {family.name: family for family in text_string_to_metric_families(served.ask("/stats/prometheus"))}
    (sample,) = families["envoy_http_downstream_rq"].samples
    assert (sample.labels, sample.value) == ({"envoy_http_conn_manager_prefix": f"http-{served.port}"}, 5)
    buckets = families["envoy_http_downstream_rq_time"]
    assert buckets.type == "histogram"
    assert {one.name for one in buckets.samples} >= {f"envoy_http_downstream_rq_time_{end}" for end in ("count", "sum")}
    assert served.ask("/reset_counters", "POST") == "OK\n"
    assert served.stats("downstream_rq_2xx")[name] == 0


def test_what_it_shows(served: Served) -> None:
    served.get()
    assert served.ask("/ready") == "LIVE\n"
    assert json.loads(served.ask("/server_info"))["state"] == "LIVE"
    assert served.ask("/listeners") == f"default/eg/http::127.0.0.1:{served.port}\n"
    assert re.search(
        r"^httproute/default/backend/rule/0::127.0.0.1:\d+::rq_success::[1-9]\d*$", served.ask("/clusters"), re.M
    )
    assert int(json.loads(served.ask("/memory"))["allocated"]) > 1_000_000
    assert json.loads(served.ask("/certs")) == {"certificates": []}
    _, settings = json.loads(served.ask("/config_dump"))["configs"]
    decided = settings["listeners"][0]["settings"]
    assert decided["keepalive.idle"]["field"] == "spec.tcpKeepalive.idleTime"
    assert re.search(r"gateway\.yaml:\d+$", decided["keepalive.idle"]["from"])
    with pytest.raises(urllib.error.HTTPError, match="405"):
        served.ask("/quitquitquit")


def test_its_connections(served: Served) -> None:
    served.ask("/connections")  # from now on requests are remembered
    with socket.create_connection(("127.0.0.1", served.port), timeout=10) as sock:
        sock.sendall(LOAD_BALANCERS + b"GET /it HTTP/1.1\r\nHost: www.example.com\r\n\r\n")
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 OK\r\n")
        view = json.loads(served.ask("/connections"))
        shown = run_pyproxy("top", "--once", "--admin", f"127.0.0.1:{served.admin}")
    (connection,) = view["connections"]
    assert connection["client"] == "203.0.113.7:4711"
    assert connection["tcp"]["state"] == "ESTABLISHED"
    keepalive = connection["keepalive"]
    assert (keepalive["idle"], keepalive["interval"], keepalive["probes"]) == (60, 10, 3)
    assert 50 < keepalive["next_probe_in"] <= 60
    assert "vpce-08d2bf15fac5001c9" in connection["proxy_header"][-1]["meaning"]
    assert [request["path"] for request in view["requests"]] == ["/it"]
    decided = {one["setting"]: one["source"] for one in view["listeners"][0]["decisions"]}
    assert any(name.startswith("keepalive") and "gateway.yaml:" in source for name, source in decided.items())
    assert shown.returncode == 0
    assert "203.0.113.7:4711" in shown.stdout


def test_levels_of_the_log(served: Served) -> None:
    assert "admin: info" in served.ask("/logging?admin=info", "POST")
    assert "admin: warning" in served.ask("/logging?admin=warning", "POST")


def test_no_two_connections_have_the_same_id(served: Served) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(socket.create_connection(("127.0.0.1", served.port), timeout=10))
        while len(connections := json.loads(served.ask("/connections"))["connections"]) < 20:
            pass
    assert len({one["id"] for one in connections}) == 20


def test_reloads_are_counted(tmp_path: Path) -> None:
    with ExitStack() as stack:
        served = start(stack, tmp_path)
        name = "listener_manager.lds.update_"
        file = tmp_path / "gateway.yaml"
        good = file.read_text()
        replace_file(file, "kind: Gatewy\n")
        served.process.wait_for("not reloaded")
        counted = served.stats(r"lds\.update")
        assert counted == {name + "attempt": 2, name + "failure": 0, name + "rejected": 1, name + "success": 1}
        replace_file(file, good)
        while served.stats("lds.update")[name + "success"] < 2:
            pass
        assert "envoy_listener_manager_lds_update_rejected{} 1\n" in served.ask("/stats/prometheus")


def test_a_stuck_worker_holds_nobody_up_who_looks(tmp_path: Path) -> None:
    with ExitStack() as stack:
        served = start(stack, tmp_path, "--workers", "2")
        name = f"http.http-{served.port}.downstream_rq_2xx"
        assert [served.get() for _ in range(10)] == ["200"] * 10
        assert served.stats("downstream_rq_2xx")[name] == 10
        stuck, _ = workers_of(served.process)
        os.kill(stuck, signal.SIGSTOP)
        try:
            assert served.stats("downstream_rq_2xx")[name] == 10
        finally:
            os.kill(stuck, signal.SIGCONT)
        assert served.stats("downstream_rq_2xx")[name] == 10


def test_the_log_is_opened_anew(served: Served) -> None:
    served.ask("/reopen_logs", "POST")
    moved = served.log.rename(served.log.with_suffix(".1"))
    served.process.signal(signal.SIGUSR1)
    wait_for_line(served.log, lines=0)
    served.get()
    wait_for_line(served.log)
    again = served.log.rename(served.log.with_suffix(".2"))
    assert served.ask("/reopen_logs", "POST") == "OK\n"
    wait_for_line(served.log, lines=0)
    assert moved.exists()
    assert again.read_text().count("\n") == 1


def wait_for_line(log: Path, lines: int = 1) -> None:
    """Wait until the log is there and has as many lines."""
    for _ in range(200):
        if log.exists() and log.read_text().count("\n") == lines:
            return
        curl("--connect-timeout", "0.05", "http://127.0.0.1:1/")  # a little while
    raise AssertionError("the log has not come")


def test_a_failed_health_check_ends_connections_and_is_not_ready(served: Served) -> None:
    assert served.ask("/healthcheck/fail", "POST") == "OK\n"
    with pytest.raises(urllib.error.HTTPError, match="503"):
        served.ask("/ready")
    assert "connection: close" in curl("-i", f"http://127.0.0.1:{served.port}/").stdout
    assert served.ask("/healthcheck/ok", "POST") == "OK\n"
    assert served.ask("/ready") == "LIVE\n"


def test_draining_gracefully_accepts_until_the_time_is_over(tmp_path: Path) -> None:
    with ExitStack() as stack:
        served = start(stack, tmp_path, "--drain-time", "1")
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as sock:
            assert served.ask("/drain_listeners?graceful", "POST") == "OK\n"
            assert served.get() == "200"
            sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert b"\r\nconnection: close\r\n" in sock.recv(1000)
        while served.get() == "200":
            pass
        assert served.get() == "000"
        assert served.ask("/ready") == "LIVE\n"


def test_draining_at_once_and_the_end(tmp_path: Path) -> None:
    with ExitStack() as stack:
        served = start(stack, tmp_path, "--workers", "2")
        assert served.ask("/drain_listeners", "POST") == "OK\n"
        assert served.get() == "000"
        assert served.ask("/quitquitquit", "POST") == "OK\n"
        assert served.process.process.wait(10) == 0
