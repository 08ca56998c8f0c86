"""Damage to messages that exist: at tokens, at lines, at bytes, and by crossing two of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from pyproxy.conformance.fuzz.choose import Chooser

# What delimits, frames or routes, and what is easily taken for it.
PIECES = (
    b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b":", b",", b";", b"0", b"\x7f", b"\xff", b"%2f", b"%00", b"/",
    b"..", b"#", b"?", b"_", b"@", b"[", b"]", b"-", b"+", b"\\",
    b"*", b"\x80", b"\x0b", b"\x0c", b"HTTP/1.1", b"HTTP/1.0", b"GET ", b"POST ", b"0\r\n\r\n", b"3\r\nabc\r\n",
    b"chunked", b"close", b"http://a/", b"https://", b" b\r\n",
    b"Host: x\r\n", b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: close\r\n",
    b"Connection: ", b"Upgrade: websocket\r\n",
    b"Expect: 100-continue\r\n", b"TE: trailers\r\n", b"a: b\r\n", b"X-Forwarded-For: 1.1.1.1\r\n",
    b"Keep-Alive: x\r\n", b"Proxy-Connection: close\r\n", b"Cookie: a\r\n",
    b"\r\n\r\n", b"\xa0", b"\x85", b"\xe2\x80\xa8", b"=", b'"', b"'", b"|", b"\x1b", b"%", b"%25", b"&", b"~",
    b"\r\r", b"\n\n", b"\x00\x00", b"5", b"f", b"x",
)  # fmt: skip

_TOKEN = re.compile(rb"[A-Za-z0-9_-]+|\r\n|[ \t]+|.", re.DOTALL)


def mutate(choose: Chooser, data: bytes, others: Sequence[bytes]) -> bytes:
    """``data`` with one to five changes."""
    for _ in range(choose.one((1, 1, 1, 2, 2, 3, 5))):
        data = choose.one(CHANGES)(choose, data, choose.one(others))
    return data or b"\r\n"


def _insert_piece(choose: Chooser, data: bytes, other: bytes) -> bytes:
    at = choose.number(0, len(data))
    return data[:at] + choose.one(PIECES) + data[at:]


def _delete_bytes(choose: Chooser, data: bytes, other: bytes) -> bytes:
    at = choose.number(0, len(data))
    return data[:at] + data[at + choose.number(1, 4) :]


def _set_byte(choose: Chooser, data: bytes, other: bytes) -> bytes:
    at = choose.number(0, max(0, len(data) - 1))
    return data[:at] + bytes((choose.number(0, 255),)) + data[at + 1 :]


def _flip_bit(choose: Chooser, data: bytes, other: bytes) -> bytes:
    at = choose.number(0, max(0, len(data) - 1))
    return data[:at] + bytes((data[at] ^ 1 << choose.number(0, 7),)) + data[at + 1 :] if data else data


def _double_line(choose: Chooser, data: bytes, other: bytes) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(choose.number(0, len(lines)), choose.one(lines))
    return b"\r\n".join(lines)


def _delete_line(choose: Chooser, data: bytes, other: bytes) -> bytes:
    lines = data.split(b"\r\n")
    del lines[choose.number(0, len(lines) - 1)]
    return b"\r\n".join(lines)


def _swap_lines(choose: Chooser, data: bytes, other: bytes) -> bytes:
    lines = data.split(b"\r\n")
    one, two = choose.number(0, len(lines) - 1), choose.number(0, len(lines) - 1)
    lines[one], lines[two] = lines[two], lines[one]
    return b"\r\n".join(lines)


def _fold_line(choose: Chooser, data: bytes, other: bytes) -> bytes:
    at = data.find(b" ", choose.number(0, len(data)))
    return data if at < 0 else data[:at] + choose.one((b"\r\n ", b"\r\n\t", b"\n ", b"\r ")) + data[at:]


def _insert_of_other(choose: Chooser, data: bytes, other: bytes) -> bytes:
    at, start = choose.number(0, len(data)), choose.number(0, len(other))
    return data[:at] + other[start : start + choose.number(1, 40)] + data[at:]


def _line_of_other(choose: Chooser, data: bytes, other: bytes) -> bytes:
    lines = data.split(b"\r\n")
    lines.insert(choose.number(0, len(lines)), choose.one(other.split(b"\r\n")))
    return b"\r\n".join(lines)


def _cross(choose: Chooser, data: bytes, other: bytes) -> bytes:
    return data[: choose.number(0, len(data))] + other[choose.number(0, len(other)) :]


def _change_token(choose: Chooser, data: bytes, other: bytes) -> bytes:
    tokens = _TOKEN.findall(data)
    if not tokens:
        return data
    at = choose.number(0, len(tokens) - 1)
    token: bytes = tokens[at]
    tokens[at] = choose.one(
        (
            b"",
            token + token,
            token.lower(),
            token.upper(),
            token.swapcase(),
            choose.one(PIECES),
            token[::-1],
            token[:-1],
            token + b" ",
            b" " + token,
        )
    )
    return b"".join(tokens)


def _change_number(choose: Chooser, data: bytes, other: bytes) -> bytes:
    numbers = list(re.finditer(rb"[0-9]+", data))
    if not numbers:
        return data
    found = choose.one(numbers)
    new = choose.one(
        (
            b"0",
            b"1",
            b"%d" % (int(found[0][:9]) + 1),
            b"-1",
            b"99999999999999999999",
            b"0" + found[0],
            b"+" + found[0],
            b"",
            found[0] + b"0",
        )
    )
    return data[: found.start()] + new + data[found.end() :]


def _swap_line_end(choose: Chooser, data: bytes, other: bytes) -> bytes:
    at = data.find(b"\r\n", choose.number(0, len(data)))
    return (
        data
        if at < 0
        else data[:at] + choose.one((b"\n", b"\r", b"\r\r\n", b"\n\r", b"", b"\r\n\r\n", b"\x00\r\n")) + data[at + 2 :]
    )


def _truncate(choose: Chooser, data: bytes, other: bytes) -> bytes:
    return data[: choose.number(0, len(data))]


CHANGES: tuple[Callable[[Chooser, bytes, bytes], bytes], ...] = (
    _insert_piece, _insert_piece, _insert_piece, _delete_bytes, _delete_bytes, _set_byte, _set_byte, _flip_bit,
    _double_line, _delete_line, _swap_lines, _fold_line,
    _insert_of_other, _line_of_other, _cross, _change_token, _change_token, _change_number, _swap_line_end,
    _swap_line_end, _truncate,
)  # fmt: skip
