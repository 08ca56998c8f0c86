"""The access log that Envoy Gateway gives every listener: one JSON object a request, its 24 default keys.

A record is formatted where it arises, by hand, and queued; a thread does nothing but write, so that a slow disk or a
reader who has stopped reading never holds up traffic. Past ``MAX_QUEUED`` lines new ones are dropped and counted.
"""

from __future__ import annotations

import json
import os
import re
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from time import gmtime

MAX_QUEUED = 100_000
"""Lines that wait for a slow reader; some 60 MB."""

WRITE_INTERVAL = 0.2
"""Seconds between two writes of what has gathered."""

_NEEDS_ESCAPE = re.compile(rb'[\x00-\x1f"\\\x7f-\xff]')

Text = bytes | str | None


@dataclass(slots=True)
class RequestLog:
    """What one request's line says. Times: ``start_time`` in seconds since the epoch, all others in milliseconds."""

    start_time: float
    method: Text = None
    path: Text = None
    protocol: Text = "HTTP/1.1"
    response_code: int = 0
    response_flags: str = "-"
    response_code_details: Text = None
    connection_termination_details: Text = None
    upstream_transport_failure_reason: Text = None
    bytes_received: int = 0
    bytes_sent: int = 0
    duration: int = 0
    upstream_service_time: int | None = None
    x_forwarded_for: Text = None
    user_agent: Text = None
    request_id: Text = None
    authority: Text = None
    upstream_host: Text = None
    upstream_cluster: Text = None
    upstream_local_address: Text = None
    downstream_local_address: Text = None
    downstream_remote_address: Text = None
    requested_server_name: Text = None
    route_name: Text = None


def format_line(record: RequestLog) -> bytes:
    """``record`` as Envoy 1.40 writes it: keys sorted, no blanks, ``null`` for what there is not."""
    service_time = record.upstream_service_time
    return (
        b'{":authority":%b,"bytes_received":%d,"bytes_sent":%d,"connection_termination_details":%b,'
        b'"downstream_local_address":%b,"downstream_remote_address":%b,"duration":%d,"method":%b,"protocol":%b,'
        b'"requested_server_name":%b,"response_code":%d,"response_code_details":%b,"response_flags":%b,'
        b'"route_name":%b,"start_time":"%b","upstream_cluster":%b,"upstream_host":%b,"upstream_local_address":%b,'
        b'"upstream_transport_failure_reason":%b,"user-agent":%b,"x-envoy-origin-path":%b,'
        b'"x-envoy-upstream-service-time":%b,"x-forwarded-for":%b,"x-request-id":%b}\n'
    ) % (
        _quote(record.authority),
        record.bytes_received,
        record.bytes_sent,
        _quote(record.connection_termination_details),
        _quote(record.downstream_local_address),
        _quote(record.downstream_remote_address),
        record.duration,
        _quote(record.method),
        _quote(record.protocol),
        _quote(record.requested_server_name),
        record.response_code,
        _quote(record.response_code_details),
        _quote(record.response_flags),
        _quote(record.route_name),
        format_time(record.start_time),
        _quote(record.upstream_cluster),
        _quote(record.upstream_host),
        _quote(record.upstream_local_address),
        _quote(record.upstream_transport_failure_reason),
        _quote(record.user_agent),
        _quote(record.path),
        b"null" if service_time is None else b'"%d"' % service_time,
        _quote(record.x_forwarded_for),
        _quote(record.request_id),
    )


def _quote(value: Text) -> bytes:
    if value is None:
        return b"null"
    raw = value if isinstance(value, bytes) else value.encode()
    if _NEEDS_ESCAPE.search(raw) is None:
        return b'"%b"' % raw
    return json.dumps(raw.decode("utf-8", "replace"), ensure_ascii=False).encode()


def format_time(seconds: float) -> bytes:
    """``2026-11-24T10:35:35.923Z``."""
    whole = int(seconds)
    year, month, day, hour, minute, second = gmtime(whole)[:6]
    milliseconds = int((seconds - whole) * 1000)
    return b"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ" % (year, month, day, hour, minute, second, milliseconds)


class AccessLog:
    """Writes lines to a file descriptor from a thread of its own."""

    def __init__(self, target: str) -> None:
        """``target``: a path, or ``-`` for standard output. Raises ``OSError`` if it can't be written."""
        self.lost = 0
        """Lines that could not be written."""
        self._descriptor = os.dup(sys.stdout.fileno()) if target == "-" else _open(Path(target))
        self._lines: list[bytes] = []
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="access log", daemon=True)
        self._thread.start()

    def write(self, record: RequestLog) -> None:
        """Queue one line; never blocks."""
        if len(self._lines) < MAX_QUEUED:
            self._lines.append(format_line(record))
        else:
            self.lost += 1

    def close(self, timeout: float = 5.0) -> None:
        """Write what is queued, for ``timeout`` seconds at most."""
        self._stopped.set()
        self._thread.join(timeout)
        if not self._thread.is_alive():
            os.close(self._descriptor)

    def _run(self) -> None:
        while not self._stopped.wait(WRITE_INTERVAL):
            self._write_queued()
        self._write_queued()

    def _write_queued(self) -> None:
        # The loop's thread goes on appending: what is taken must be cut from the front of the same list.
        count = len(self._lines)
        data = memoryview(b"".join(self._lines[:count]))
        del self._lines[:count]
        while data:
            try:
                written = os.write(self._descriptor, data)
            except OSError:
                self.lost += bytes(data).count(b"\n")
                return
            data = data[written:]


def _open(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
