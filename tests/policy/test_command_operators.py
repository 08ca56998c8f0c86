"""Values with commands in them."""

from __future__ import annotations

import pytest

from pyproxy.policy.command_operators import parse_value
from pyproxy.settings import COMMANDS, HEADER_COMMANDS, Command, Template


@pytest.mark.parametrize(
    ("text", "template"),
    [
        ("plain", (b"plain",)),
        ("100%%", (b"100%",)),
        ("%%REQ(a)%%", (b"%REQ(a)%",)),
        ("%PROTOCOL%", (Command("PROTOCOL"),)),
        ("a%%%PROTOCOL%b", (b"a%", Command("PROTOCOL"), b"b")),
        ("%REQ(X-A)%%REQ(:path):10%", (Command("REQ", b"x-a"), Command("REQ", b":path", length=10))),
        ("<%RESP(X-A?X-B):0%>", (b"<", Command("RESP", b"x-a", b"x-b", 0), b">")),
    ],
)
def test_parts(text: str, template: Template) -> None:
    assert parse_value(text) == template


@pytest.mark.parametrize("name", sorted(COMMANDS - HEADER_COMMANDS))
def test_every_command(name: str) -> None:
    assert parse_value(f"%{name}%") == (Command(name),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("100%", "which '%' is not; write %% for a %"),
        ("50% off", "which '% off' is not"),
        ("%protocol%", "which '%protocol%' is not"),
        ("%REQ(a%", "is not"),
        ("%NOSUCH%", "does not know the command NOSUCH"),
        ("%DOWNSTREAM_ADDRESS%", "did you mean DOWNSTREAM_"),
        ("%PROTOCOL(a)%", "PROTOCOL takes no argument and no length"),
        ("%RESPONSE_CODE:1%", "RESPONSE_CODE takes no argument and no length"),
        ("%REQ%", "REQ takes a header's name"),
        ("%REQ()%", "REQ takes a header's name"),
        ("%REQ(a b)%", "not 'a b'"),
        ("%REQ(:scheme)%", "not ':scheme'"),
        ("%RESP(a?)%", "not 'a?'"),
    ],
)
def test_what_is_none(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=".") as error:
        parse_value(text)
    assert message in str(error.value)
