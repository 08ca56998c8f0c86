"""What an inspector may be given to show."""

from __future__ import annotations

from typing import Any

KEEPALIVE = {"idle": 60, "interval": 10, "probes": 3, "probes_sent": 0, "next_probe_in": 47.1, "gives_up_in": 77.1}
TCP = {
    "state": "ESTABLISHED",
    "rtt_ms": 0.123,
    "rtt_variance_ms": 0.05,
    "retransmits": 0,
    "unacknowledged": 0,
    "congestion_window": 10,
    "mss": 32768,
    "since_data_sent_ms": 12000,
    "since_data_received_ms": 12000,
    "since_ack_received_ms": 12000,
    "bytes_acknowledged": 1233,
    "bytes_received": 455,
    "keepalive_probes_sent": 0,
}


def connection(**fields: Any) -> dict[str, Any]:
    return {
        "id": 1,
        "listener": "default/eg/http",
        "superseded": False,
        "peer": "127.0.0.1:53122",
        "local": "127.0.0.1:10080",
        "client": "203.0.113.7:4711",
        "phase": "IDLE",
        "age": 83.2,
        "quiet": 12.0,
        "requests": 1,
        "buffered": {"read": 0, "write": 0},
        "request": None,
        "proxy_header": [
            {"name": "signature", "bytes": "0d 0a", "meaning": "version 2", "depth": 0},
            {"name": "TLV 0x02 PP2_TYPE_AUTHORITY", "bytes": "61", "meaning": "a", "depth": 0},
        ],
        "tcp": TCP,
        "keepalive": KEEPALIVE,
        "client_address": [
            {"source": "connection", "found": "127.0.0.1:53122", "verdict": "the peer of the TCP connection"}
        ],
        **fields,
    }


def request(**fields: Any) -> dict[str, Any]:
    return {
        "number": 1,
        "connection": 1,
        "listener": "default/eg/http",
        "client": "203.0.113.7:4711",
        "method": "GET",
        "authority": "www.example.com",
        "path": "/get",
        "id": "an-id",
        "status": 200,
        "flags": "-",
        "details": "via_upstream",
        "route": "route",
        "cluster": "cluster",
        "upstream": "127.0.0.1:3000",
        "bytes_received": 0,
        "bytes_sent": 120,
        "timing": {"request complete": 0, "request sent": 1, "response begins": 3, "response complete": 4},
        "client_address": [{"source": "x-forwarded-for", "found": "9.9.9.9", "verdict": "not believed"}],
        **fields,
    }


def view(*connections: dict[str, Any], requests: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    listener = {
        "name": "default/eg/http",
        "address": "127.0.0.1:10080",
        "policies": ["default/policy"],
        "decisions": [{"setting": "keepalive.idle", "value": "60", "source": "policy.yaml:12"}],
    }
    return {
        "time": "2026-11-25 03:00:00 UTC",
        "total": len(connections),
        "listeners": [listener],
        "connections": list(connections),
        "requests": list(requests),
    }
