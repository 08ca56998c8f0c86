"""What loopback can't show: other hosts' addresses, and peers that vanish. Pyproxy and real Envoy side by side."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.namespaces import Host, client_on, two_hosts
from tests.support.processes import curl, echo, running
from tests.support.scenario import GET
from tests.support.subjects import Subject

pytestmark = pytest.mark.xdist_group("network namespaces")

FRONT = 18081
KEEPALIVE = "tcpKeepalive: {idleTime: 1s, interval: 1s, probes: 2}"


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    """The host with the proxy, and the client's."""
    with two_hosts() as pair:
        yield pair


@pytest.mark.parametrize("name", ["pyproxy", "Envoy"])
@pytest.mark.parametrize("policy", [KEEPALIVE, ""], ids=["policy", "no policy"])
def test_a_client_that_vanishes(hosts: tuple[Host, Host], name: str, policy: str) -> None:
    server, client = hosts
    with echo(prefix=server.prefix) as backend, Subject(name).serve(backend, policy, host=server) as proxy:
        with client_on(client, proxy.address, GET):
            (line,) = server.sockets(proxy.port)
            assert ("timer:(keepalive" in line) is bool(policy)
            client.cut()
            started = time.monotonic()
            while server.sockets(proxy.port) and time.monotonic() - started < 6:
                time.sleep(0.1)
            gone_after = time.monotonic() - started
            if policy:
                assert gone_after < 5
            else:
                assert server.sockets(proxy.port), "without keepalive nobody notices"


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


def front(kind: str, folder: Path, port: int) -> Sequence[str | Path]:
    """The command of a load balancer that adds a PROXY header, on ``FRONT``."""
    config = folder / f"{kind}.conf"
    if kind == "nginx":
        modules = next(
            path
            for path in (Path("/usr/lib/nginx/modules"), Path("/usr/share/nginx/modules"))
            if (path / "ngx_stream_module.so").exists()
        )
        text = NGINX.replace("modules/ngx_stream", f"{modules}/ngx_stream")
        config.write_text(text.format(folder=folder, front=FRONT, port=port))
        return ["nginx", "-c", config, "-p", folder]
    options = {
        "haproxy v1": "send-proxy",
        "haproxy v2": "send-proxy-v2",
        "haproxy v2 with TLVs": f"send-proxy-v2 {TLVS}",
    }[kind]
    config.write_text(HAPROXY.format(front=FRONT, port=port, options=options))
    return ["haproxy", "-db", "-f", config]


@pytest.mark.parametrize("kind", ["haproxy v1", "haproxy v2", "haproxy v2 with TLVs", "nginx"])
def test_the_client_behind_a_balancer_is_seen(hosts: tuple[Host, Host], kind: str, tmp_path: Path) -> None:
    server, client = hosts
    with (
        echo(prefix=server.prefix) as backend,
        Subject("pyproxy").serve(backend, "proxyProtocol: {}", host=server, address="0.0.0.0") as proxy,
        running(front(kind, tmp_path, proxy.port), prefix=server.prefix) as balancer,
    ):
        url = f"http://{server.address}:{FRONT}/"
        found = curl("--retry", "20", "--retry-delay", "1", "--retry-connrefused", url, prefix=client.prefix)
        assert found.returncode == 0, (found.stderr, balancer.said)
        headers = json.loads(found.stdout)["headers"]
        assert headers["X-Forwarded-For"] == [client.address]
        assert headers["X-Envoy-External-Address"] == [client.address]


def test_a_client_of_another_host_without_a_policy(hosts: tuple[Host, Host]) -> None:
    server, client = hosts
    with echo(prefix=server.prefix) as backend:
        for name in ("pyproxy", "Envoy"):
            with Subject(name).serve(backend, host=server) as proxy:
                url = f"http://{server.address}:{proxy.port}/"
                found = curl("--header", "X-Forwarded-For: 9.9.9.9", url, prefix=client.prefix)
                headers = json.loads(found.stdout)["headers"]
                assert headers["X-Forwarded-For"] == [f"9.9.9.9,{client.address}"]
                assert headers["X-Envoy-External-Address"] == [client.address]
