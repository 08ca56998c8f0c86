"""Which host a request goes to, and what becomes of names."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections import Counter
from typing import Any

import pytest

from pyproxy.net import hosts
from pyproxy.net.hosts import Host, Hosts, look_up, parse_address
from pyproxy.settings import Cluster, Endpoint, Locality
from tests.support.scenario import eventually, run

WEIGHTED = Cluster(
    "c",
    (Endpoint("127.0.0.1", 1, 0), Endpoint("127.0.0.2", 1, 1), Endpoint("127.0.0.3", 1, 1)),
    localities=(Locality("backend/0", 1), Locality("backend/1", 9)),
)
NAMED = Cluster("c", (Endpoint("app.test", 80),))


def ignore(removed: list[Host]) -> None:
    pass


def choices(of: Hosts[Host], number: int) -> Counter[str]:
    return Counter(host.name for _ in range(number) if (host := of.choose()) is not None)


def test_localities_share_by_weight_and_evenly(loop_name: str) -> None:
    async def main() -> None:
        both: Hosts[Host] = Hosts(WEIGHTED, asyncio.get_running_loop(), Host, ignore)
        assert [choices(both, 10)["127.0.0.1:1"] for _ in range(20)] == [1] * 20

    run(main, loop_name)


def test_the_less_busy_of_two(loop_name: str) -> None:
    async def main() -> None:
        cluster = Cluster("c", tuple(Endpoint("127.0.0.1", port) for port in range(1, 5)))
        four: Hosts[Host] = Hosts(cluster, asyncio.get_running_loop(), Host, ignore)
        for host in four:
            host.active = host.address[1][1]
        names = choices(four, 4000)
        shares = [names[f"127.0.0.1:{port}"] / 4000 for port in range(1, 5)]
        assert shares == pytest.approx([7 / 16, 5 / 16, 3 / 16, 1 / 16], abs=0.05)

    run(main, loop_name)


class Names:
    """In place of getaddrinfo: what ``app.test`` has, as the test goes on."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.answer: list[str] | int = []
        self.asked = 0
        monkeypatch.setattr(socket, "getaddrinfo", self.look_up)
        monkeypatch.setattr(hosts, "REFRESH", 0.005)

    def look_up(self, name: str, port: int, **_: Any) -> list[Any]:
        assert name == "app.test"
        self.asked += 1
        if isinstance(self.answer, int):
            raise socket.gaierror(self.answer, "words")
        families = [socket.AF_INET6 if ":" in host else socket.AF_INET for host in self.answer]
        return [(family, None, 6, "", (host, port)) for family, host in zip(families, self.answer, strict=True)]

    async def asked_again(self) -> None:
        """The present answer has been taken in."""
        before = self.asked
        await eventually(lambda: self.asked >= before + 3)


def test_a_name_is_looked_up_again_and_again(loop_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        names, removed = Names(monkeypatch), list[Host]()
        of_name: Hosts[Host] = Hosts(NAMED, asyncio.get_running_loop(), Host, removed.extend)
        assert (of_name.is_complete, of_name.choose()) == (False, None)
        await eventually(lambda: of_name.is_complete)
        assert of_name.choose() is None
        names.answer = ["127.0.0.1"]
        await eventually(lambda: len(list(of_name)) == 1)
        (first,) = of_name
        assert (first.name, of_name.choose()) == ("127.0.0.1:80", first)
        names.answer = ["127.0.0.2", "127.0.0.1", "::1"]
        await eventually(lambda: len(list(of_name)) == 2)
        assert (first in list(of_name), removed) == (True, [])
        names.answer = ["127.0.0.2"]
        await eventually(lambda: len(list(of_name)) == 1)
        assert (first.removed, removed) == (True, [first])
        names.answer = ["::1"]
        await eventually(lambda: [host.name for host in of_name] == ["[::1]:80"])
        of_name.close()

    run(main, loop_name)


def test_a_name_that_is_gone_takes_its_hosts_and_one_that_nobody_could_be_asked_about_keeps_them(
    loop_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def main() -> None:
        names = Names(monkeypatch)
        names.answer = ["127.0.0.1"]
        of_name: Hosts[Host] = Hosts(NAMED, asyncio.get_running_loop(), Host, ignore)
        await eventually(lambda: of_name.choose() is not None)
        names.answer = socket.EAI_AGAIN
        await names.asked_again()
        assert of_name.choose() is not None
        names.answer = socket.EAI_NONAME
        await eventually(lambda: of_name.choose() is None)
        of_name.close()

    run(main, loop_name)


def test_a_locality_without_hosts_is_not_chosen(loop_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async def main() -> None:
        names = Names(monkeypatch)
        cluster = Cluster(
            "c",
            (Endpoint("app.test", 80, 0), Endpoint("127.0.0.1", 80, 1)),
            localities=(Locality("backend/0", 9), Locality("backend/1", 1)),
        )
        both: Hosts[Host] = Hosts(cluster, asyncio.get_running_loop(), Host, ignore)
        assert choices(both, 10) == {"127.0.0.1:80": 10}
        await eventually(lambda: both.is_complete)
        assert choices(both, 10) == {"127.0.0.1:80": 10}
        names.answer = ["127.0.0.2"]
        await eventually(lambda: len(list(both)) == 2)
        assert choices(both, 10) == {"127.0.0.1:80": 1, "127.0.0.2:80": 9}
        both.close()

    run(main, loop_name)


def test_a_look_up_that_takes_long_holds_nothing_up(loop_name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    never = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: never.wait() and [])

    async def main() -> None:
        of_name: Hosts[Host] = Hosts(NAMED, asyncio.get_running_loop(), Host, ignore)
        await asyncio.sleep(0)
        of_name.close()
        assert not of_name.is_complete

    run(main, loop_name)  # and the loop ends, though the look-up does not
    never.set()


def test_a_name_that_can_not_be_one(loop_name: str) -> None:
    async def main() -> None:
        assert not await look_up(asyncio.get_running_loop(), "a" * 64 + ".test", 80)

    run(main, loop_name)


def test_what_is_an_address() -> None:
    assert parse_address(Endpoint("127.0.0.1", 80)) == (socket.AF_INET, ("127.0.0.1", 80))
    assert parse_address(Endpoint("::1", 80)) == (socket.AF_INET6, ("::1", 80))
    assert parse_address(Endpoint("localhost", 80)) is None
    assert parse_address(Endpoint("127.1", 80)) is None
