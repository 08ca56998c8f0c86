"""The chunked coding: what is taken, what is not, and that nobody else reads more into it."""

from __future__ import annotations

import h11
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pyproxy.wire.chunked import LAST_CHUNK, MAX_CHUNK_LINE, BadChunk, ChunkedReader, chunk


def read_all(pieces: list[bytes], *, strict: bool = True) -> tuple[bytes, bytes, bool]:
    """(body, rest, complete) of a body that arrives in ``pieces``."""
    reader, body, buffer = ChunkedReader(strict=strict), b"", b""
    for piece in pieces:
        buffer += piece
        data: bytes | None = None
        while not reader.complete and data != b"":
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


@given(st.lists(st.binary(min_size=1, max_size=3) | st.sampled_from([b"\r\n", b"x" * 255, b"x" * 256]), max_size=40))
def test_many_tiny_chunks_are_read_as_one_by_one(parts: list[bytes]) -> None:
    coded = b"".join(map(chunk, parts)) + LAST_CHUNK + b"1\r\n"
    assert read_all([coded]) == (b"".join(parts), b"1\r\n", True)
    assert read_all([bytes((byte,)) for byte in coded]) == (b"".join(parts), b"1\r\n", True)


@pytest.mark.parametrize("bad", [b"1\r\nab\r\n", b"2\r\na\r\n", b"1\r\na\n", b"g\r\na\r\n", b"\r\na\r\n"])
def test_a_bad_chunk_among_many_tiny_ones(bad: bytes) -> None:
    many = chunk(b"a") * 20
    with pytest.raises(BadChunk):
        read_all([many + bad + many + LAST_CHUNK])


def test_tiny_chunks_beyond_one_window() -> None:
    parts = [b"%d" % (number % 1000) for number in range(20_000)]
    assert read_all([b"".join(map(chunk, parts)) + LAST_CHUNK]) == (b"".join(parts), b"", True)


@given(st.text("0123456789aF;\r\n x:\t", max_size=40).map(str.encode))
def test_whatever_is_taken_means_the_same_to_h11(data: bytes) -> None:
    try:
        mine = read_all([data])
    except BadChunk:
        return
    theirs = read_with_h11(data)
    if mine[2] and theirs is not None and theirs[2]:
        assert mine == theirs


@pytest.mark.parametrize(
    ("coded", "body"),
    [
        (b"5\r\nhello \r\n0\r\n\r\n", b"hello"),
        (b"5\r\nhello\n0\r\n\r\n", b"hello"),
        (b"5\r\nhelloXX2\r\n1\r\na\r\n0\r\n\r\n", b"helloa"),
        (b"5\r\nhello\r\r\n0\r\n\r\n", b"hello"),
    ],
)
def test_junk_behind_a_response_s_chunk_is_skipped_as_envoy_does(coded: bytes, body: bytes) -> None:
    for cut in range(len(coded)):
        assert read_all([coded[:cut], coded[cut:]], strict=False) == (body, b"", True)
    with pytest.raises(BadChunk):
        read_all([coded])


@pytest.mark.parametrize("section", [b"\r\r\n\r\n", b"\r\r\r\n\r\n", b"\rX: 1\r\n\r\n", b"\r\r\nX: 1\r\n\r\n"])
def test_crs_in_front_of_a_responses_trailers_are_passed_over(section: bytes) -> None:
    coded = b"2\r\nok\r\n0\r\n" + section
    for cut in range(len(coded)):
        assert read_all([coded[:cut], coded[cut:]], strict=False) == (b"ok", b"", True)
    with pytest.raises(BadChunk):
        read_all([coded])
    # A line of CRs alone ends nothing.
    assert read_all([b"0\r\n\r\r\n"], strict=False)[2] is False


def test_what_came_before_bad_trailers_is_handed_out_first() -> None:
    reader = ChunkedReader()
    assert reader.read(b"3\r\nabc\r\n0\r\nx\r\n\r\n") == (b"abc", 11)
    with pytest.raises(BadChunk):
        reader.read(b"x\r\n\r\n")


def test_body_in_front_of_a_last_chunk_that_goes_wrong_before_its_line_ends() -> None:
    reader = ChunkedReader(strict=False)
    data, used = reader.read(b"2\r\nxx\r\n0\r\r")
    assert data == b"xx"
    with pytest.raises(BadChunk):
        reader.read(b"2\r\nxx\r\n0\r\r"[used:])
