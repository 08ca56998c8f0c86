"""The guide's example application: answers every request with what it received, as JSON."""

from __future__ import annotations

import json
import os
import string
from collections.abc import Mapping

from pyproxy.server.plain_http import HttpServer, Response
from pyproxy.wire.messages import RequestHead

_TOKEN = frozenset(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~")


def canonical_name(name: str) -> str:
    """A header's name as Go's ``textproto.CanonicalMIMEHeaderKey`` writes it: ``X-Request-Id``."""
    if not _TOKEN.issuperset(name):
        return name
    return "-".join(part[:1].upper() + part[1:].lower() for part in name.split("-"))


def describe(request: RequestHead, environment: Mapping[str, str]) -> bytes:
    """The body for ``request``; where it runs comes from the environment, as Kubernetes sets it."""
    headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        headers.setdefault(canonical_name(name.decode("latin-1")), []).append(value.decode("utf-8", "replace"))
    text = json.dumps(
        {
            "path": request.path.decode("latin-1"),
            "host": (request.authority or b"").decode("latin-1"),
            "method": request.method.decode(),
            "proto": f"HTTP/1.{request.minor_version}",
            "headers": dict(sorted(headers.items())),
            "namespace": environment.get("NAMESPACE", "default"),
            "ingress": environment.get("INGRESS_NAME", ""),
            "service": environment.get("SERVICE_NAME", ""),
            "pod": environment.get("POD_NAME", "pyproxy-echo"),
        },
        indent=1,
        ensure_ascii=False,
    )
    # Go's encoder writes these three as escapes, for browsers.
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text.encode()


async def start_echo(address: str, port: int) -> HttpServer:
    """Serve the application. Raises ``OSError`` if the address can't be had."""
    headers = [("Content-Type", "application/json"), ("X-Content-Type-Options", "nosniff")]
    server = HttpServer(lambda request, body: Response(200, headers, describe(request, os.environ)))
    await server.start(address, port)
    return server
