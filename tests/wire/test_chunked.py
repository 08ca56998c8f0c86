"""The chunked coding: what is taken, what is not, and that nobody else reads more into it."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.wire.chunked import LAST_CHUNK, MAX_CHUNK_LINE, BadChunk, ChunkedReader, chunk


def read_all(pieces: list[bytes]) -> tuple[bytes, bytes, bool]:
    """(body, rest, complete) of a body that arrives in ``pieces``."""
    reader, body, buffer = ChunkedReader(), b"", b""
    for piece in pieces:
        buffer += piece
        if not reader.complete:
            data, used = reader.read(buffer)
            body += data
            buffer = buffer[used:]
    return body, buffer, reader.complete


def read_with_h11(data: bytes) -> tuple[bytes, bytes, bool] | None:
    connection = h11.Connection(h11.SERVER)
    connection.receive_data(b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n" + data)
    connection.next_event()
    body = b""
    try:
        while isinstance(event := connection.next_event(), h11.Data):
            body += event.data
    except h11.RemoteProtocolError:
        return None
    return body, connection.trailing_data[0], isinstance(event, h11.EndOfMessage)


@pytest.mark.parametrize(
    ("data", "result"),
    [
        (b"3\r\nabc\r\n0\r\n\r\nrest", (b"abc", b"rest", True)),
        (b"0\r\n\r\n", (b"", b"", True)),
        (b"A\r\n0123456789\r\n000\r\n\r\n", (b"0123456789", b"", True)),
        (b"3;a=b;c\r\nabc\r\n0;x\r\n\r\n", (b"abc", b"", True)),
        (b"3 \t\r\nabc\r\n0\r\n\r\n", (b"abc", b"", True)),
        (b"3 what ever\r\nabc\r\n0\r\n\r\n", (b"abc", b"", True)),
        (b"0\r\nx: 1\r\ny: 2\r\n\r\nrest", (b"", b"rest", True)),
        (b"0\r\n\nrest", (b"", b"rest", True)),
        (b"3\r\nab", (b"ab", b"", False)),
        (b"3\r\nabc\r", (b"abc", b"", False)),
        (b"0\r\nx: 1\r\n", (b"", b"x: 1\r\n", False)),
    ],
)
def test_good(data: bytes, result: tuple[bytes, bytes, bool]) -> None:
    assert read_all([data]) == result
    assert read_all([bytes((byte,)) for byte in data]) == result


@pytest.mark.parametrize(
    "data",
    [
        b"xyz\r\n",
        b"\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b" 1\r\na\r\n",
        b"0x1\r\n",
        b"1_0\r\n",
        b"3\nabc\r\n",
        b"3\r\nabcd\r\n",
        b"3\r\nabc\n0\r\n\r\n",
        b"3\r\nabc\rX",
        b"3;a\rb\r\nabc\r\n",
        b"3;\x00\r\nabc\r\n",
        b"3junk\r\nabc\r\n",
        b"11111111111111111\r\n",
        b"z",
        b"3;" + b"a" * MAX_CHUNK_LINE + b"\r\n",
        b"3;" + b"a" * MAX_CHUNK_LINE,
        b"0\r\nbad trailer\r\n\r\n",
        b"0\r\nx: " + b"a" * 70_000,
    ],
)
def test_bad(data: bytes) -> None:
    with pytest.raises(BadChunk):
        read_all([data])
    with pytest.raises(BadChunk):
        read_all([bytes((byte,)) for byte in data])


def cuts(data: bytes) -> st.SearchStrategy[list[bytes]]:
    """``data`` cut up in any way."""
    return st.lists(st.integers(0, len(data)), max_size=6).map(
        lambda at: [data[a:b] for a, b in zip([0, *sorted(at)], [*sorted(at), len(data)], strict=True)]
    )


@given(st.lists(st.binary(min_size=1, max_size=40), max_size=5), st.data())
def test_any_split_gives_what_was_written(parts: list[bytes], data: st.DataObject) -> None:
    coded = b"".join(map(chunk, parts)) + LAST_CHUNK
    assert read_all(data.draw(cuts(coded))) == (b"".join(parts), b"", True)


@given(st.text("0123456789aF;\r\n x:\t", max_size=40).map(str.encode))
def test_whatever_is_taken_means_the_same_to_h11(data: bytes) -> None:
    try:
        mine = read_all([data])
    except BadChunk:
        return
    theirs = read_with_h11(data)
    if mine[2] and theirs is not None and theirs[2]:
        assert mine == theirs
