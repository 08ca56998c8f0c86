"""What changes between two settings."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pyproxy.server.changes import Change, What, compare
from pyproxy.settings import Endpoint, Keepalive, Listener, Settings
from tests.support.scenario import settings_for

OLD = replace(settings_for(Endpoint("127.0.0.1", 1)), port=1)
OTHER_ROUTES = replace(settings_for(Endpoint("127.0.0.1", 2)), port=1)


def test_the_same_is_no_change() -> None:
    assert compare(Settings((OLD,)), Settings((replace(OLD),))) == []


@pytest.mark.parametrize(
    ("new", "what"),
    [
        (OTHER_ROUTES, What.ROUTES),
        (replace(OLD, keepalive=Keepalive()), What.CHANGED),
        (replace(OLD, http=replace(OLD.http, server_name=b"x")), What.CHANGED),
        (replace(OTHER_ROUTES, buffer_limit=1), What.CHANGED),
        (replace(OLD, name="default/eg/other"), What.CHANGED),
    ],
)
def test_how_far_a_change_goes(new: Listener, what: What) -> None:
    assert compare(Settings((OLD,)), Settings((new,))) == [Change(what, new)]


def test_another_address_is_another_listener() -> None:
    kept, gone, new = (replace(OLD, port=port) for port in (1, 2, 3))
    assert compare(Settings((kept, gone)), Settings((new, kept))) == [
        Change(What.ADDED, new),
        Change(What.REMOVED, gone),
    ]
