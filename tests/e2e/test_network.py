"""What loopback can't show: other hosts' addresses, and peers that vanish. Pyproxy and real Envoy side by side."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from pyproxy.envoy.process import find_envoy
from tests.support.namespaces import Host, two_hosts
from tests.support.processes import curl, echo, gateway, run_pyproxy, running, serving

pytestmark = pytest.mark.xdist_group("network namespaces")

PORT, FRONT = 18080, 18081
KEEPALIVE = "tcpKeepalive: {idleTime: 1s, interval: 1s, probes: 2}"


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """The host with the proxy, and the client's."""
    with two_hosts() as pair:
        yield pair


@contextmanager
def proxy(name: str, file: Path, host: Host) -> Iterator[None]:
    """Pyproxy or Envoy serving ``file`` on all addresses of ``host``."""
    if name == "pyproxy":
        with serving("-f", file, "--address", "0.0.0.0", "--release", "v1.9", prefix=host.prefix):
            yield
    else:
        config = file.with_suffix(".json")
        config.write_text(run_pyproxy("translate", "-f", file, "--address", "0.0.0.0", "--release", "v1.9").stdout)
        with running([find_envoy(), "-c", config, "--use-dynamic-base-id", "--concurrency", "1"], prefix=host.prefix):
            wait_until_listening(host)
            yield


def wait_until_listening(host: Host) -> None:
    deadline = time.monotonic() + 15
    while not connections(host, "listening"):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def connections(host: Host, state: str) -> list[str]:
    command = [*host.prefix, "ss", "-tnoH", "state", state, f"sport = :{PORT}"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


@contextmanager
def idle_client(host: Host, target: Host) -> Iterator[None]:
    """A client on ``host`` that has sent one request and stays."""
    program = (
        "import socket,sys,time\n"
        f"s=socket.create_connection(({target.address!r},{PORT}))\n"
        "s.sendall(b'GET / HTTP/1.1\\r\\nHost: h\\r\\n\\r\\n')\n"
        "s.recv(65536)\nprint('answered',flush=True)\ntime.sleep(60)\n"
    )
    with running([sys.executable, "-c", program], prefix=host.prefix) as client:
        client.wait_for("answered")
        yield


@pytest.mark.parametrize("name", ["pyproxy", "Envoy"])
@pytest.mark.parametrize("policy", [KEEPALIVE, ""], ids=["policy", "no policy"])
def test_a_client_that_vanishes(hosts: tuple[Host, Host], name: str, policy: str, tmp_path: Path) -> None:
    server, client = hosts
    file = tmp_path / "gateway.yaml"
    with echo(prefix=server.prefix) as backend:
        file.write_text(gateway(PORT, backend, policy))
        with proxy(name, file, server), idle_client(client, server):
            (line,) = connections(server, "established")
            assert ("timer:(keepalive" in line) is bool(policy)
            client.cut()
            started = time.monotonic()
            while connections(server, "established") and time.monotonic() - started < 6:
                time.sleep(0.1)
            gone_after = time.monotonic() - started
            if policy:
                assert gone_after < 5
            else:
                assert connections(server, "established"), "without keepalive nobody notices"


HAPROXY = """\
defaults
  mode tcp
  timeout connect 5s
  timeout client 30s
  timeout server 30s
frontend front
  bind 0.0.0.0:{front}
  default_backend proxy
backend proxy
  server s 127.0.0.1:{port} {options}
"""

TLVS = "proxy-v2-options ssl,cert-cn,ssl-cipher,cert-sig,cert-key,authority,crc32c,unique-id"

NGINX = """\
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
load_module modules/ngx_stream_module.so;
events {{ }}
stream {{
  server {{
    listen 0.0.0.0:{front};
    proxy_pass 127.0.0.1:{port};
    proxy_protocol on;
  }}
}}
"""


def front(kind: str, folder: Path) -> Sequence[str | Path]:
    """The command of a load balancer that adds a PROXY header, on ``FRONT``."""
    config = folder / f"{kind}.conf"
    if kind == "nginx":
        modules = next(
            path
            for path in (Path("/usr/lib/nginx/modules"), Path("/usr/share/nginx/modules"))
            if (path / "ngx_stream_module.so").exists()
        )
        text = NGINX.replace("modules/ngx_stream", f"{modules}/ngx_stream")
        config.write_text(text.format(folder=folder, front=FRONT, port=PORT))
        return ["nginx", "-c", config, "-p", folder]
    options = {
        "haproxy v1": "send-proxy",
        "haproxy v2": "send-proxy-v2",
        "haproxy v2 with TLVs": f"send-proxy-v2 {TLVS}",
    }[kind]
    config.write_text(HAPROXY.format(front=FRONT, port=PORT, options=options))
    return ["haproxy", "-db", "-f", config]


@pytest.mark.parametrize("kind", ["haproxy v1", "haproxy v2", "haproxy v2 with TLVs", "nginx"])
def test_the_client_behind_a_balancer_is_seen(hosts: tuple[Host, Host], kind: str, tmp_path: Path) -> None:
    server, client = hosts
    file = tmp_path / "gateway.yaml"
    with echo(prefix=server.prefix) as backend:
        file.write_text(gateway(PORT, backend, "proxyProtocol: {}"))
        with proxy("pyproxy", file, server), running(front(kind, tmp_path), prefix=server.prefix) as balancer:
            url = f"http://{server.address}:{FRONT}/"
            found = curl("--retry", "20", "--retry-delay", "1", "--retry-connrefused", url, prefix=client.prefix)
            assert found.returncode == 0, (found.stderr, balancer.said)
            headers = json.loads(found.stdout)["headers"]
            assert headers["X-Forwarded-For"] == [client.address]
            assert headers["X-Envoy-External-Address"] == [client.address]


def test_a_client_of_another_host_without_a_policy(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    server, client = hosts
    file = tmp_path / "gateway.yaml"
    with echo(prefix=server.prefix) as backend:
        file.write_text(gateway(PORT, backend))
        for name in ("pyproxy", "Envoy"):
            with proxy(name, file, server):
                found = curl(
                    "--header", "X-Forwarded-For: 9.9.9.9", f"http://{server.address}:{PORT}/", prefix=client.prefix
                )
                headers = json.loads(found.stdout)["headers"]
                assert headers["X-Forwarded-For"] == [f"9.9.9.9,{client.address}"]
                assert headers["X-Envoy-External-Address"] == [client.address]
