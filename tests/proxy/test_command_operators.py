"""What commands in values stand for."""

from __future__ import annotations

import pytest

from pyproxy.proxy.command_operators import Facts
from pyproxy.proxy.header_mutation import apply
from pyproxy.settings import COMMANDS, HEADER_COMMANDS, Command, HeaderAction, HeaderMutation
from pyproxy.wire.messages import Headers

PSEUDO: Headers = [(b":method", b"GET"), (b":path", b"/p?q"), (b":authority", b"h"), (b"host", b"h")]
SENT: Headers = [(b"x-a", b"one"), (b"x-a", b"two"), (b"x-empty", b"")]


def facts(**more: object) -> Facts:
    found = Facts(("2001:db8::7", 4711), ("127.0.0.1", 5), ("192.0.2.1", 80), PSEUDO)
    for name, value in more.items():
        setattr(found, name, value)
    return found


@pytest.mark.parametrize(
    ("command", "early", "late"),
    [
        (Command("REQ", b"x-a"), b"one", b"one"),
        (Command("REQ", b"x-a", length=2), b"on", b"on"),
        (Command("REQ", b"x-a", length=9), b"one", b"one"),
        (Command("REQ", b"nosuch", b"x-a"), b"one", b"one"),
        (Command("REQ", b"x-empty", b"x-a"), b"", b""),
        (Command("REQ", b":path"), b"/p?q", b"/p?q"),
        (Command("REQ", b"host"), b"h", b"h"),
        (Command("RESP", b"x-r"), b"", b"answer"),
        (Command("RESP", b":status"), b"", b"201"),
        (Command("PROTOCOL"), b"HTTP/1.1", b"HTTP/1.1"),
        (Command("RESPONSE_CODE"), b"0", b"201"),
        (Command("RESPONSE_CODE_DETAILS"), b"", b"via_upstream"),
        (Command("RESPONSE_FLAGS"), b"-", b"-"),
        (Command("UPSTREAM_HOST"), b"", b"127.0.0.1:3000"),
        (Command("DOWNSTREAM_REMOTE_ADDRESS"), b"[2001:db8::7]:4711", b"[2001:db8::7]:4711"),
        (Command("DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT"), b"2001:db8::7", b"2001:db8::7"),
        (Command("DOWNSTREAM_REMOTE_PORT"), b"4711", b"4711"),
        (Command("DOWNSTREAM_DIRECT_REMOTE_ADDRESS"), b"127.0.0.1:5", b"127.0.0.1:5"),
        (Command("DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT"), b"192.0.2.1", b"192.0.2.1"),
        (Command("DOWNSTREAM_LOCAL_PORT"), b"80", b"80"),
    ],
)
def test_commands(command: Command, early: bytes, late: bytes) -> None:
    assert facts().expand((b"<", command, b">"), SENT) == b"<" + early + b">"
    after = facts(request=SENT, code=201, details=b"via_upstream", upstream_host=b"127.0.0.1:3000")
    assert after.expand((command, b"."), [(b"x-r", b"answer")]) == late + b"."


@pytest.mark.parametrize("name", sorted(COMMANDS - HEADER_COMMANDS))
def test_every_command_says_something_of_a_response(name: str) -> None:
    after = facts(request=SENT, code=201, details=b"via_upstream", upstream_host=b"127.0.0.1:3000")
    assert after.expand((Command(name),), [])


def test_a_value_that_is_empty_changes_nothing() -> None:
    actions = [action for action in HeaderAction if not action.value.startswith("remove")]
    for action in actions:
        mutation = HeaderMutation(action, b"x-a", template=(Command("REQ", b"nosuch"),))
        assert apply(SENT, [mutation], frozenset(), facts().expand) == SENT


def test_a_command_sees_what_was_changed_before_it() -> None:
    mutations = [
        HeaderMutation(HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"x-a", b"new"),
        HeaderMutation(HeaderAction.OVERWRITE_IF_EXISTS_OR_ADD, b"x-b", template=(b"<", Command("REQ", b"x-a"), b">")),
    ]
    assert apply(SENT, mutations, frozenset(), facts().expand)[-1] == (b"x-b", b"<new>")
