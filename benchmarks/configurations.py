"""The subjects' configuration files: the same work for each.

Every proxy sets x-forwarded-for, x-forwarded-proto and a random x-request-id on a request, keeps connections to the
backend, and writes a line of JSON for each request into a file, all that in one process with one thread of traffic.
"""

from __future__ import annotations

from tests.support.processes import gateway

ROUTES_OF_ONE_RESOURCE = 16
"""Gateway API's limit for an HTTPRoute's rules."""

BACKEND = """\
daemon off;
worker_processes 1;
pid {folder}/backend.pid;
error_log /dev/null;
worker_rlimit_nofile 20000;
events {{ worker_connections 12000; }}
http {{
  access_log off;
  sendfile on;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 0;
  large_client_header_buffers 8 32k;
  server {{
    listen 127.0.0.1:{port} backlog=8192;
    location / {{ return 200 "hello, world"; }}
    location /bodies/ {{ root {folder}; }}
    location /uploads/ {{  # reads the whole body before it answers, which `return` would not
      client_body_buffer_size 101m;
      proxy_pass http://127.0.0.1:{port}/;
      proxy_pass_request_body off;
      proxy_set_header Content-Length "";
    }}
  }}
}}
"""

HAPROXY = """\
global
  no strict-limits
  maxconn 20000
  nbthread 1
  log stdout format raw local0
defaults
  mode http
  log global
  timeout connect 10s
  timeout client 1h
  timeout server 1h
  timeout http-keep-alive 1h
  option forwardfor
  http-reuse always
  log-format '{{"start_time":"%tr","method":"%HM","path":"%HP","response_code":%ST,"response_flags":"%ts",\
"bytes_sent":%B,"duration":%Ta,"upstream_host":"%si:%sp","downstream_remote_address":"%ci:%cp",\
"downstream_local_address":"%fi:%fp","authority":"%[var(txn.host)]","x-request-id":"%ID"}}'
frontend http
  bind 127.0.0.1:{port} backlog 8192 {proxy_protocol}
  unique-id-format %[uuid()]
  unique-id-header x-request-id
  http-request set-var(txn.host) req.hdr(host)
  http-request set-header x-forwarded-proto http
  default_backend backend
backend backend
  server backend 127.0.0.1:{backend_port} pool-max-conn -1 maxconn 20000
"""

NGINX = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log /dev/null;
worker_rlimit_nofile 20000;
events {{ worker_connections 16000; }}
http {{
  log_format json escape=json '{{"start_time":"$time_iso8601","method":"$request_method","path":"$request_uri",'
    '"response_code":$status,"bytes_sent":$body_bytes_sent,"bytes_received":$request_length,'
    '"duration":$request_time,"upstream_host":"$upstream_addr","upstream_service_time":"$upstream_response_time",'
    '"downstream_remote_address":"$remote_addr:$remote_port","authority":"$host","user-agent":"$http_user_agent",'
    '"x-request-id":"$request_id"}}';
  access_log {folder}/nginx.log json buffer=64k flush=1s;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 0;
  large_client_header_buffers 8 32k;
  upstream backend {{ server 127.0.0.1:{backend_port}; keepalive 1024; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=8192 {proxy_protocol};
    location / {{
      proxy_pass http://backend;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_max_temp_file_size 0;
      proxy_set_header Host $http_host;
      proxy_set_header Connection "";
      proxy_set_header x-forwarded-for {client};
      proxy_set_header x-forwarded-proto http;
      proxy_set_header x-request-id $request_id;
    }}
  }}
}}
"""


def backend(folder: str, port: int) -> str:
    """nginx that answers at once, or with a file of bodies/."""
    return BACKEND.format(folder=folder, port=port)


def haproxy(port: int, backend_port: int, *, proxy_protocol: bool) -> str:
    """HAProxy's file."""
    return HAPROXY.format(port=port, backend_port=backend_port, proxy_protocol="accept-proxy" if proxy_protocol else "")


def nginx(folder: str, port: int, backend_port: int, *, proxy_protocol: bool) -> str:
    """The nginx.conf of nginx as a proxy."""
    return NGINX.format(
        folder=folder,
        port=port,
        backend_port=backend_port,
        proxy_protocol="proxy_protocol" if proxy_protocol else "",
        client="$proxy_protocol_addr" if proxy_protocol else "$proxy_add_x_forwarded_for",
    )


def resources(port: int, backend_port: int, *, proxy_protocol: bool, routes: int) -> str:
    """The Gateway and what belongs to it, for pyproxy and Envoy."""
    text = gateway(port, backend_port, "enableProxyProtocol: true" if proxy_protocol else "")
    paths = [route_prefix(number) for number in range(routes)]
    for start in range(0, routes, ROUTES_OF_ONE_RESOURCE):
        text += _http_route(paths[start : start + ROUTES_OF_ONE_RESOURCE])
    return text


def route_prefix(number: int) -> str:
    """The path prefix of one of many routes."""
    return f"/service-{number}"


def _http_route(paths: list[str]) -> str:
    name = paths[0].strip("/")
    backend_ref = "{group: gateway.envoyproxy.io, kind: Backend, name: backend}"
    rules = "".join(
        f"  - {{matches: [{{path: {{type: PathPrefix, value: {path}}}}}], backendRefs: [{backend_ref}]}}\n"
        for path in paths
    )
    return f"""\
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: {name}}}
spec:
  parentRefs: [{{name: eg}}]
  rules:
{rules}"""
