"""Feeds a wire parser with bytes for some time, guided by coverage: ``python -m tests.fuzz TARGET SECONDS``.

Needs atheris (x86-64 only), which ``make fuzz`` installs. Exits with 77, and writes the input, if a promise is broken.
"""

from __future__ import annotations

import sys
import tempfile
from base64 import b64decode
from pathlib import Path
from typing import Any

from tests.corpus.build import corpora

SEEDS = {
    "requests": "http1_requests.jsonl",
    "responses": "http1_responses.jsonl",
    "chunks": "http1_requests.jsonl",
    "prefaces": "proxy_protocol.jsonl",
    "lanes": "http1_requests.jsonl",
}


def main() -> None:
    """Fuzz until the time is over; libFuzzer ends the process."""
    name, seconds = sys.argv[1], int(sys.argv[2])
    atheris: Any = __import__("atheris")
    with atheris.instrument_imports(include=["pyproxy"]):
        from tests.fuzz.targets import TARGETS

    target = TARGETS[name]

    def test_one_input(data: bytes) -> None:
        # The last three bytes say where to cut, so that inputs stay what they are on the wire.
        target(data[:-3], list(data[-3:]))

    folder = Path(tempfile.mkdtemp(prefix="pyproxy-fuzz-"))
    for number, row in enumerate(corpora()[SEEDS[name]]):
        data = b64decode(row["input_b64"])
        if name == "chunks":
            data = data.partition(b"\r\n\r\n")[2]
        (folder / str(number)).write_bytes(data + bytes((number % 256, 7, 99)))
    flags = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=20", "-print_final_stats=1", "-verbosity=0"]
    flags.append(f"-artifact_prefix={folder}-")
    atheris.Setup([sys.argv[0], *flags, str(folder)], test_one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
