"""Cases that nobody thought of: good and bad requests and PROXY headers, damaged at the places where parsers differ.

The same seed gives the same cases. Each runs through both proxies like any other; what counts is that pyproxy never
forwards what Envoy refuses, and never frames a message differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.cases import CASES, TODAY, V1_LINE, get, tlv, v2

MAX_SEED_BYTES = 3000

# What delimits, frames or routes, and what is easily taken for it.
PIECES = (
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b":", b",", b";", b"0", b"\x7f", b"\xff", b"%2f", b"%00", b"/", b"..",
    b"#", b"?", b"_", b"@", b"[", b"]", b"-", b"+", b"\\", b"*", b"\x80", b"\x0b", b"\x0c", b"HTTP/1.1", b"HTTP/1.0",
    b"GET ", b"POST ", b"0\r\n\r\n", b"3\r\nabc\r\n", b"chunked", b"close", b"http://a/", b"https://", b" b\r\n",
    b"Host: x\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Connection: ", b"Upgrade: websocket\r\n", b"Expect: 100-continue\r\n", b"TE: trailers\r\n", b"a: b\r\n",
    b"X-Forwarded-For: 1.1.1.1\r\n", b"Keep-Alive: x\r\n", b"Proxy-Connection: close\r\n", b"Cookie: a\r\n",
)  # fmt: skip
PREFACES = (
    V1_LINE,
    b"PROXY UNKNOWN\r\n",
    b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 80\r\n",
    v2(),
    v2(command=0),
    v2(tail=tlv(0x02, b"a.example") + tlv(0x04, b"")),
)


def generate(group: Group, count: int, seed: int) -> Iterator[Case]:
    """``count`` cases for ``group``; those of a group that reads PROXY headers are about these."""
    random = Random(seed)
    host = group.hostname.encode() or b"h.example"
    clean = get(b"X-Clean: 1", host=host)
    seeds = [
        data for case in CASES if case.group is TODAY and not case.is_slow if len(data := case.sent) < MAX_SEED_BYTES
    ]
    for number in range(count):
        if "roxyProtocol" in group.spec:
            preface = random.choice(PREFACES)
            data = (mutate(preface, PREFACES, random) if random.random() < 0.8 else preface) + clean
        else:
            data = mutate(random.choice(seeds), seeds, random)
        if random.random() < 0.3:
            # A clean request behind a bad one must not be read as part of it, nor the bad one as part of the clean.
            data += clean
        cut = random.randrange(len(data) + 1) if random.random() < 0.3 else 0
        steps: tuple[bytes | float, ...] = (data[:cut], 0.01, data[cut:]) if 0 < cut < len(data) else (data,)
        responses = max(1, data.count(b"HTTP/1."))
        yield Case(f"fuzz/{seed}/{number}", group, steps, responses=responses, quiet=0.25, compare_end=False)


def mutate(data: bytes, others: list[bytes] | tuple[bytes, ...], random: Random) -> bytes:
    """``data`` with one to five pieces put in, taken out, doubled or moved."""
    for _ in range(random.choice((1, 1, 1, 2, 2, 3, 5))):
        at = random.randrange(len(data) + 1)
        lines = data.split(b"\r\n")
        choice = random.randrange(7)
        if choice < 3:
            data = data[:at] + random.choice(PIECES) + data[at:]
        elif choice == 3:
            data = data[:at] + data[at + random.randrange(1, 4) :]
        elif choice == 4:
            lines.insert(random.randrange(len(lines) + 1), random.choice(lines))
            data = b"\r\n".join(lines)
        elif choice == 5:
            del lines[random.randrange(len(lines))]
            data = b"\r\n".join(lines)
        else:
            other = random.choice(others)
            start = random.randrange(len(other) + 1)
            data = data[:at] + other[start : start + random.randrange(1, 40)] + data[at:]
    return data or b"\r\n"
