"""Which limit is counted where, over reloads and ends of workers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest

from pyproxy.server.listening import address_of
from pyproxy.server.tallies import Tallies
from pyproxy.settings import ConnectionLimit, Endpoint, Settings
from tests.support.scenario import settings_for

LISTENER = replace(settings_for(Endpoint("127.0.0.1", 1)), port=1)
LIMITED = replace(LISTENER, connection_limit=ConnectionLimit(2))
ADDRESS = address_of(LISTENER)


@pytest.fixture
def tallies() -> Iterator[Tallies]:
    """Those of two workers."""
    with closing(Tallies(2)) as made:
        yield made


def test_workers_count_together(tallies: Tallies) -> None:
    tallies.assign(Settings(()), Settings((LIMITED,)))
    with closing(Tallies(2, descriptor=os.dup(tallies.descriptor))) as elsewhere:
        elsewhere.rows = tallies.rows
        one, other = tallies.of(ADDRESS, 0), elsewhere.of(ADDRESS, 1)
        assert [one.take(2), other.take(2), one.take(2), other.take(2)] == [True, True, False, False]
        everything = elsewhere.of(None, 0)
        assert everything.total == 0
        tallies.clear(0)
        assert (other.total, other.take(2)) == (1, True)


def test_what_has_no_limit_counts_for_itself(tallies: Tallies) -> None:
    tallies.assign(Settings(()), Settings((LISTENER,)))
    tallies.of(ADDRESS, 0).take(9)
    assert tallies.of(ADDRESS, 1).total == 0


def test_a_new_generation_begins_at_zero(tallies: Tallies) -> None:
    settings = Settings((LIMITED,))
    tallies.assign(Settings(()), settings)
    before = tallies.of(ADDRESS, 0)
    before.take(2)
    routes = Settings((replace(LIMITED, virtual_hosts=()),))
    tallies.assign(settings, routes)
    assert tallies.of(ADDRESS, 1).total == 1
    changed = Settings((replace(LIMITED, buffer_limit=1),))
    tallies.assign(routes, changed)
    assert tallies.of(ADDRESS, 1).total == 0
    first = dict(tallies.rows)
    tallies.assign(changed, Settings((LISTENER,)))
    assert tallies.rows == {}
    # The first one's row is not used again while a connection is left on it.
    before.release()
    tallies.assign(Settings(()), settings)
    assert tallies.rows != first


def test_ids_go_on_where_a_worker_that_has_ended_stopped(tallies: Tallies) -> None:
    first, other = tallies.ids(0), tallies.ids(1)
    assert [first.next(), first.next(), other.next()] == [1, 3, 2]
    tallies.clear(0)
    assert [tallies.ids(0).next(), other.next()] == [5, 4]
