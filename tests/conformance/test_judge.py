"""What a difference means."""

from __future__ import annotations

import pytest

from pyproxy.conformance.case import Observation
from pyproxy.conformance.judge import is_unsafe, refuses
from pyproxy.conformance.observe import END, STATUS

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
REFUSED = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 11\r\nconnection: close\r\n\r\nBad Request"
FAILED = (
    b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 87\r\ncontent-type: text/plain\r\ndate: <date>\r\n\r\n"
    b"upstream connect error or disconnect/reset before headers. reset reason: protocol error"
)
GET = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n"
MARKED = b"GET / HTTP/1.1\r\nhost: a\r\nx-mark: 1\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n"
CHUNKED_OK = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def saw(received: bytes, *streams: bytes) -> Observation:
    return Observation({}, received, streams)


SAFE, UNSAFE = False, True


@pytest.mark.parametrize(
    ("envoy", "pyproxy", "unsafe", "refusing"),
    [
        pytest.param(saw(OK, GET), saw(REFUSED), SAFE, True, id="refuses"),
        pytest.param(saw(REFUSED), saw(OK, GET), UNSAFE, False, id="forwards what Envoy refuses"),
        pytest.param(saw(OK, GET), saw(OK, MARKED), SAFE, False, id="another header"),
        pytest.param(saw(OK, GET), saw(OK + OK, GET + MARKED), UNSAFE, False, id="one request more"),
        pytest.param(saw(OK + OK, GET + MARKED), saw(OK + REFUSED, GET), SAFE, True, id="one request less"),
        pytest.param(saw(OK, POST + b"abc"), saw(OK, POST + b"abd"), UNSAFE, False, id="another body"),
        pytest.param(saw(OK, POST + b"abc"), saw(REFUSED, POST + b"a"), SAFE, True, id="stops in the body"),
        pytest.param(saw(b"", CHUNKED + b"1\r\na\r\n"), saw(REFUSED, CHUNKED), SAFE, True, id="does not wait"),
        pytest.param(saw(OK, CHUNKED + b"0\r\n\r\n"), saw(OK, POST + b"abc"), UNSAFE, False, id="another framing"),
        pytest.param(
            saw(b"", CHUNKED + b"1\r\na\r\n"),
            saw(OK, CHUNKED + b"1\r\na\r\n0\r\n\r\n"),
            UNSAFE,
            False,
            id="ends sooner",
        ),
        pytest.param(
            saw(b"", CHUNKED), saw(OK, CHUNKED + b"0\r\n\r\n" + MARKED), UNSAFE, False, id="body taken for a request"
        ),
        pytest.param(saw(FAILED, GET), saw(OK, GET), UNSAFE, False, id="forwards a response that Envoy refuses"),
        pytest.param(saw(OK, GET), saw(FAILED, GET), SAFE, True, id="refuses a response"),
        pytest.param(
            saw(CHUNKED_OK + b"2\r\nok\r\n0\r\n\r\n", GET), saw(CHUNKED_OK, GET), SAFE, True, id="cuts a response short"
        ),
        pytest.param(
            saw(CHUNKED_OK + b"2\r\nok\r\n", GET),
            saw(CHUNKED_OK + b"2\r\nok\r\n0\r\n\r\n", GET),
            UNSAFE,
            False,
            id="ends a response that Envoy does not",
        ),
        pytest.param(saw(OK, GET), saw(OK + OK, GET), UNSAFE, False, id="one response more"),
        pytest.param(
            saw(b"", GET), saw(FAILED + OK, GET, MARKED), SAFE, True, id="goes on where Envoy waits for the backend"
        ),
        pytest.param(saw(REFUSED.replace(b"400", b"431")), saw(REFUSED), SAFE, True, id="both refuse"),
        pytest.param(
            saw(b"HTTP/1.1 100 Continue\r\n\r\n" + REFUSED), saw(REFUSED), SAFE, True, id="refuses before 100"
        ),
        pytest.param(saw(REFUSED), saw(b"HTTP/1.1 100 Continue\r\n\r\n" + REFUSED), SAFE, False, id="a 100 of its own"),
        pytest.param(saw(OK, GET), saw(OK, GET[:-2]), SAFE, True, id="half a head"),
        pytest.param(saw(b"", GET[:-2]), saw(OK, GET), UNSAFE, False, id="a head that Envoy does not end"),
    ],
)
def test_verdicts(envoy: Observation, pyproxy: Observation, unsafe: bool, refusing: bool) -> None:
    assert is_unsafe(envoy, pyproxy, to_head=()) is unsafe
    assert refuses(envoy, pyproxy, to_head=()) is refusing


def test_a_record_that_has_no_bytes_is_judged_by_its_status() -> None:
    forwards, refuses_it, closes = ({STATUS: b"200"}, {STATUS: b"400"}, {STATUS: b"", END: b"rst"})
    assert is_unsafe(Observation(refuses_it), Observation(forwards), to_head=())
    assert is_unsafe(Observation(closes), Observation(forwards), to_head=())
    assert refuses(Observation(forwards), Observation(closes), to_head=())
    assert not refuses(Observation(forwards), Observation(forwards), to_head=())


def test_to_end_the_connection_where_envoy_waits_is_to_refuse() -> None:
    waits, resets = (Observation({END: end}, b"", ()) for end in (b"open", b"rst"))
    assert refuses(waits, resets, to_head=())
    assert not refuses(resets, waits, to_head=())


def test_to_refuse_sooner_leaves_unread_what_the_client_sends_on() -> None:
    closes, resets = (Observation({END: end}, b"", ()) for end in (b"fin", b"rst"))
    assert refuses(closes, resets, to_head=())
    assert not refuses(resets, closes, to_head=())


def test_to_send_no_body_to_head_is_to_send_less() -> None:
    head = b"HTTP/1.1 426 No\r\nupgrade: websocket\r\nconnection: upgrade\r\ncontent-length: 2\r\n\r\n"
    envoy, pyproxy = Observation({}, head + b"no", ()), Observation({}, head, ())
    assert refuses(envoy, pyproxy, to_head=(True,))
    assert not is_unsafe(envoy, pyproxy, to_head=(True,))


def test_the_same_is_neither() -> None:
    one = saw(OK, GET)
    assert not is_unsafe(one, one, to_head=())
    assert not refuses(one, one, to_head=())
