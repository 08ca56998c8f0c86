"""The list of deviations, and the page that is made of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pyproxy.conformance.case import Case, Observation
from pyproxy.conformance.cases import TODAY
from pyproxy.conformance.deviations import Deviation, explain, load_deviations
from pyproxy.conformance.document import FILE, document
from pyproxy.conformance.inputs import GET
from pyproxy.conformance.parts import parts
from pyproxy.conformance.peers import OK_REPLY

ROOT = Path(__file__).parents[2]
FORWARDED = Observation({}, OK_REPLY, (b"GET / HTTP/1.1\r\n\r\n",))
REFUSED = Observation({}, b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\n\r\n", ())

every = pytest.mark.parametrize("deviation", load_deviations(), ids=lambda deviation: deviation.name)


@every
def test_it_explains_its_example_and_only_refusing(deviation: Deviation) -> None:
    case = deviation.example_case()
    assert explain([deviation], case, FORWARDED, REFUSED) == deviation.name
    assert explain([deviation], case, REFUSED, FORWARDED) is None
    assert explain([deviation], case, FORWARDED, FORWARDED) is None


@every
def test_it_explains_nothing_else(deviation: Deviation) -> None:
    assert explain([deviation], Case("c", TODAY, (GET,)), FORWARDED, REFUSED) is None
    others = [one for one in load_deviations() if one is not deviation and one.part != deviation.part]
    assert not any(deviation.matches(other.example_case()) for other in others)


@every
def test_only_its_part_counts(deviation: Deviation) -> None:
    """The same bytes as the body of a request are nothing to explain."""
    case = deviation.example_case()
    body = deviation.example
    request = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(body)
    hidden = replace(case, group=TODAY, steps=(request + body,), script=Case("c", TODAY, ()).script)
    assert {name for name, _ in parts(hidden.sent)} == {"head"}
    assert not deviation.matches(hidden)


def test_names_are_unique_and_the_first_that_matches_explains() -> None:
    names = [deviation.name for deviation in load_deviations()]
    assert len(set(names)) == len(names)


def test_the_page_is_made_of_the_list() -> None:
    assert (ROOT / FILE).read_text() == document(), "run make docs"
