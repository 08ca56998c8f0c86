"""Cases to a file and back."""

from __future__ import annotations

from pathlib import Path

import pytest

from pyproxy.conformance.case import Case, Group
from pyproxy.conformance.cases import NO_BACKEND, PROXY_REQUIRED
from pyproxy.conformance.corpus import CorpusError
from pyproxy.conformance.inputs import GET
from pyproxy.conformance.peers import Script
from pyproxy.conformance.replay import read_cases, write_cases
from pyproxy.policy.release import Release
from pyproxy.settings import ClientAddressOptions, Listener, XffDetection

LISTENER = Listener("default/eg/web", "127.0.0.1", 10080, 80, ())
DETECTING = ClientAddressOptions(use_remote_address=False, detection=XffDetection(1))


@pytest.mark.parametrize(
    "case",
    [
        Case("plain", PROXY_REQUIRED, (GET,)),
        Case("pauses", NO_BACKEND, (GET[:3], 0.25, b"", GET[3:], 0.1), responses=2, quiet=3, half_close=True),
        Case("bytes", Group("g", Release.V0_6, "tcpKeepalive: {}", "a.example"), (bytes(range(256)),)),
        Case(
            "script",
            Group("a", client_address=DETECTING),
            (GET,),
            Script((b"\xff", b"x"), at_head=True, cuts=(1,), pauses=(0.5,), then="reset", echo_tunnel=True),
            compare_end=False,
            corpus="fuzz",
            addresses=True,
        ),
        Case(
            "routes",
            Group("r", routes="kind: HTTPRoute", listener_hostnames=("a", "b")),
            (GET,),
            held=2,
            held_send=b"\0x",
        ),
        Case("own", Group("own", listener=LISTENER), (GET,)),
    ],
    ids=lambda case: case.name,
)
def test_there_and_back(case: Case, tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    write_cases(file, [case, case])
    one, other = read_cases(file, {LISTENER.name: LISTENER})
    assert one == other == case
    assert one.group is other.group


def test_a_listener_that_is_not_there(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    write_cases(file, [Case("own", Group("own", listener=LISTENER), (GET,))])
    with pytest.raises(CorpusError, match="default/eg/web: name its resources with -f"):
        read_cases(file, {})


def test_a_line_without_what_it_needs(tmp_path: Path) -> None:
    file = tmp_path / "cases.jsonl"
    file.write_text("{}\n")
    with pytest.raises(CorpusError, match=":1: no 'group'"):
        read_cases(file, {})
