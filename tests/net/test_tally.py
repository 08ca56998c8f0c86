"""Limits and names that several processes keep to together."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pyproxy.net.tally import ConnectionIds, Tally


def test_alone() -> None:
    tally = Tally()
    assert [tally.take(2) for _ in range(3)] == [True, True, False]
    tally.release()
    assert (tally.total, tally.take(2)) == (1, True)


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans())), st.integers(0, 4))
def test_together_they_are_never_more_than_the_limit(steps: list[tuple[int, bool]], limit: int) -> None:
    cells = [0, 0, 0]
    tallies = [Tally(cells, own) for own in range(3)]
    held = [0, 0, 0]
    for own, takes in steps:
        if takes:
            admitted = tallies[own].take(limit)
            assert admitted is (sum(held) < limit)
            held[own] += admitted
        elif held[own]:
            tallies[own].release()
            held[own] -= 1
        assert cells == held


def test_ids_alone_count_from_one() -> None:
    ids = ConnectionIds()
    assert [ids.next() for _ in range(3)] == [1, 2, 3]


@given(st.lists(st.integers(0, 2)))
def test_no_two_ids_are_the_same_whoever_gives_them_and_is_replaced(owners: list[int]) -> None:
    cells = [0, 0, 0]
    given_out = [ConnectionIds(cells, own).next() for own in owners]
    assert len(set(given_out)) == len(owners)
    assert all(0 < one <= 3 * len(owners) for one in given_out)
