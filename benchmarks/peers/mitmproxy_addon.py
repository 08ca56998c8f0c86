"""An addon that makes mitmproxy do the same work: the headers, a line in $BENCH_LOG for each request."""

from __future__ import annotations

import json
import os
import uuid
from pathlib import Path

from mitmproxy import http

_log = Path(os.environ["BENCH_LOG"]).open("w", encoding="utf-8")  # noqa: SIM115 (open as long as mitmproxy runs)


def requestheaders(flow: http.HTTPFlow) -> None:
    """Set what a proxy sets, and pass the body on as it comes."""
    headers = flow.request.headers
    address = flow.client_conn.peername
    headers["x-forwarded-for"] = address[0] if address else ""
    headers["x-forwarded-proto"] = "http"
    headers["x-request-id"] = str(uuid.uuid4())
    flow.request.stream = True


def responseheaders(flow: http.HTTPFlow) -> None:
    """Pass the response's body on as it comes."""
    assert flow.response is not None
    flow.response.stream = True


def response(flow: http.HTTPFlow) -> None:
    """Write the access log's line."""
    assert flow.response is not None
    request, answer = flow.request, flow.response
    line = {
        "start_time": request.timestamp_start,
        "method": request.method,
        "path": request.path,
        "response_code": answer.status_code,
        "authority": request.host_header,
        "duration": round(((answer.timestamp_end or 0) - request.timestamp_start) * 1000),
        "x-forwarded-for": request.headers["x-forwarded-for"],
        "x-request-id": request.headers["x-request-id"],
    }
    _log.write(json.dumps(line) + "\n")
