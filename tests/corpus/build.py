"""Writes the inputs of the project's own corpora beside this file: ``python -m tests.corpus.build``.

What Envoy does with them is then recorded by ``pyproxy conformance --corpus tests/corpus --record``. A test holds the
files' inputs to what this module makes.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.corpus.addresses import CONFIGS, addresses
from tests.corpus.prefaces import prefaces
from tests.corpus.requests import requests
from tests.corpus.responses import responses

FOLDER = Path(__file__).parent
Row = dict[str, Any]


def corpora() -> dict[str, list[Row]]:
    """The rows of each file, without observations."""
    return {
        "http1_requests.jsonl": [_row(*case) for case in requests()],
        "http1_responses.jsonl": [
            {"id": name, "source": source, "request_method": method, "input_b64": _text(data)}
            for name, source, method, data in responses()
        ],
        "proxy_protocol.jsonl": [_row(*case) for case in prefaces()],
        "client_address.jsonl": [_address(*case) for case in addresses()],
    }


def _row(name: str, source: str, data: bytes, writes: list[int]) -> Row:
    row: Row = {"id": name, "source": source, "input_b64": _text(data)}
    return {**row, "writes": writes} if writes else row


def _address(name: str, config: str, peer: str, headers: list[list[str]]) -> Row:
    lines = "".join(f"{header}: {value}\r\n" for header, value in headers)
    request = f"GET /xff HTTP/1.1\r\nHost: h\r\n{lines}\r\n"
    source = "Envoy, HTTP connection manager, HTTP header manipulation"
    return {
        "id": name, "source": source, "config": config, "downstream": peer, "headers": headers,
        "input_b64": _text(request.encode()),
    }  # fmt: skip


def _text(data: bytes) -> str:
    return b64encode(data).decode()


def inputs(rows: Iterable[Row]) -> list[Row]:
    """``rows`` without what was observed."""
    return [{key: value for key, value in row.items() if key != "envoy"} for row in rows]


def main() -> None:
    """Write every file; observations of inputs that have not changed are kept."""
    for name, rows in corpora().items():
        path = FOLDER / name
        known = {}
        if path.exists():
            for line in path.read_text().splitlines():
                row = json.loads(line)
                known[json.dumps(inputs([row])[0], sort_keys=True)] = row
        kept = [known.get(json.dumps(row, sort_keys=True), row) for row in rows]
        path.write_text("".join(json.dumps(row, separators=(",", ":")) + "\n" for row in kept))
    (FOLDER / "client_address_configs.json").write_text(json.dumps({"configs": CONFIGS}, indent=1) + "\n")


if __name__ == "__main__":
    main()
