"""What was seen, in the form in which it is compared."""

from __future__ import annotations

from pyproxy.conformance.case import Case
from pyproxy.conformance.cases import TODAY
from pyproxy.conformance.inputs import GET
from pyproxy.conformance.observe import (
    ABSENT,
    BACKEND,
    CONNECTIONS,
    CUT,
    END,
    FIRST_REMOTE,
    LOCAL,
    RECEIVED,
    REMOTE,
    SECONDS,
    STATUS,
    TRUSTED,
    differences,
    node,
    observe,
    observe_as_recorded,
)
from pyproxy.conformance.peers import Seen

REQUEST = b"GET / HTTP/1.1\r\nx-forwarded-for: 9.9.9.9,%b\r\nx-a: 1\r\nx-a: 2\r\n\r\n" % node()
SEEN = Seen(
    b"HTTP/1.1 204 x\r\ndate: never\r\n\r\n",
    end="fin",
    seconds=1.04,
    requests=[REQUEST],
    client="127.0.0.1:4711",
    listener="127.0.0.1:80",
    logged=[("127.0.0.1:4711", "127.0.0.1:80"), ("[2001:db8::1]:7", "192.0.2.1:80")],
)


def test_views() -> None:
    found = observe(Case("c", TODAY, (GET,), addresses=True), SEEN)
    assert found.views == {
        RECEIVED: SEEN.received,
        BACKEND: REQUEST.replace(node(), b"<node address>"),
        END: b"fin",
        CONNECTIONS: b"1",
        SECONDS: b"1.0",
        REMOTE: b"<connection>\n[2001:db8::1]:7",
        LOCAL: b"<listener>\n192.0.2.1:80",
    }
    assert found.streams == (found.views[BACKEND],)


def test_the_end_may_not_count() -> None:
    assert set(observe(Case("c", TODAY, (GET,), compare_end=False), SEEN).views) == {RECEIVED, BACKEND}


def test_what_only_records_ask_for() -> None:
    views = observe_as_recorded(Case("c", TODAY, (GET,), addresses=True), SEEN).views
    assert views[RECEIVED] == b"HTTP/1.1 204 x\r\ndate: <date>\r\n\r\n"
    assert views[STATUS] == b"204"
    assert views["x-forwarded-for"] == b"9.9.9.9,<node address>"
    assert views["x-a"] == b"1\n2"
    assert (views[FIRST_REMOTE], views[TRUSTED]) == (b"<connection>", b"127.0.0.1")


def test_differences() -> None:
    expected = {RECEIVED: b"a", END: b"fin", SECONDS: b"1.0", "x": ABSENT}
    assert differences(expected, {**expected, SECONDS: b"1.5"}) == []
    assert differences(expected, {RECEIVED: b"b", END: b"rst", SECONDS: b"2.0"}) == [RECEIVED, END, SECONDS]
    assert differences(expected, {RECEIVED: b"a", END: b"open"}) == [END]
    assert differences({BACKEND: b"ab" + CUT}, {BACKEND: b"abc"}) == []
    assert differences({BACKEND: b"ab" + CUT}, {BACKEND: b"acb"}) == [BACKEND]
