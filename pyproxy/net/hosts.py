"""The hosts of a cluster: the addresses that its endpoints have, and which of them the next request goes to.

A name is looked up at once and every 30 seconds from then on, never on the event loop's own thread. As in Envoy
(measured) a name that is gone takes its hosts with it, while one that nobody could be asked about keeps those it had.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from heapq import heapify, heapreplace
from itertools import count
from random import Random
from typing import Any, Generic, TypeVar

from pyproxy.settings import Cluster, Endpoint
from pyproxy.wire.address import format_address

REFRESH = 30.0
"""Seconds between look-ups: Envoy Gateway's ``dns_refresh_rate``. getaddrinfo does not say how long an answer holds."""

Address = tuple[int, tuple[Any, ...]]
"""Family, and what ``connect`` takes: host, port and, of IPv6, what else getaddrinfo says."""

# Not every platform has all of them.
_NO_SUCH_NAME = frozenset(getattr(socket, name, None) for name in ("EAI_NONAME", "EAI_NODATA", "EAI_ADDRFAMILY"))


class Host:
    """One address of an endpoint."""

    __slots__ = ("active", "address", "name", "removed")

    def __init__(self, address: Address) -> None:
        self.address = address
        self.name = format_address(address[1][0], address[1][1])
        self.active = 0
        """Requests that it is busy with."""
        self.removed = False
        """It has gone from its cluster: what is going on goes on, and nothing new begins."""


H = TypeVar("H", bound=Host)


class Hosts(Generic[H]):
    """Those of one cluster, each made by ``make``.

    ``on_change`` is told of hosts that are removed, perhaps none, when there are others to choose from.
    """

    def __init__(
        self,
        cluster: Cluster,
        loop: asyncio.AbstractEventLoop,
        make: Callable[[Address], H],
        on_change: Callable[[list[H]], None],
    ) -> None:
        self._loop = loop
        self._make = make
        self._on_change = on_change
        self._random = Random()
        self._endpoints = cluster.endpoints
        self._weights = [locality.weight for locality in cluster.localities]
        self._of_endpoint: list[list[H]] = [[] for _ in cluster.endpoints]
        self._look_ups: list[asyncio.Task[None]] = []
        self._unanswered = 0
        for index, endpoint in enumerate(cluster.endpoints):
            if (address := parse_address(endpoint)) is not None:
                self._of_endpoint[index] = [make(address)]
            else:
                self._unanswered += 1
                task = loop.create_task(self._keep_looking_up(index, endpoint), name=f"look up {endpoint.host}")
                self._look_ups.append(task)
        self._only: H | None
        self._schedule: list[tuple[float, int, float, list[H]]]
        self._order = count()
        self._arrange()

    def __iter__(self) -> Iterator[H]:
        return (host for hosts in self._of_endpoint for host in hosts)

    @property
    def is_complete(self) -> bool:
        """Every name has been looked up; before that, what there is to choose from is not all."""
        return not self._unanswered

    def choose(self) -> H | None:
        """A locality by its weight, and the less busy of two random hosts there (Envoy's least_request)."""
        if self._only is not None:
            return self._only
        schedule = self._schedule
        if not schedule:
            return None
        deadline, _, step, hosts = schedule[0]
        if len(schedule) > 1:
            # Earliest deadline first, as Envoy has it: of ten requests a tenth of the weight gets one, not about one.
            heapreplace(schedule, (deadline + step, next(self._order), step, hosts))
        random, size = self._random.random, len(hosts)
        first, second = hosts[int(random() * size)], hosts[int(random() * size)]
        return second if second.active < first.active else first

    def _arrange(self) -> None:
        """Make what ``choose`` chooses from."""
        localities: list[list[H]] = [[] for _ in self._weights]
        for endpoint, hosts in zip(self._endpoints, self._of_endpoint, strict=True):
            localities[endpoint.locality] += hosts
        every = list(self)
        self._only = every[0] if len(every) == 1 else None
        self._schedule = [
            (self._random.random() / weight, next(self._order), 1 / weight, hosts)
            for weight, hosts in zip(self._weights, localities, strict=True)
            if hosts
        ]
        heapify(self._schedule)

    # -- names ----------------------------------------------------------------------------------------------------

    async def _keep_looking_up(self, index: int, endpoint: Endpoint) -> None:
        is_first = True
        while True:
            addresses = await look_up(self._loop, endpoint.host, endpoint.port)
            self._unanswered -= is_first
            had = [host.address for host in self._of_endpoint[index]]
            if is_first or (addresses is not None and set(addresses) != set(had)):
                self._replace(index, addresses or [])
            is_first = False
            await asyncio.sleep(REFRESH)

    def _replace(self, index: int, addresses: list[Address]) -> None:
        """An endpoint has these addresses now; one that it had before stays the host that it was."""
        before = {host.address: host for host in self._of_endpoint[index]}
        self._of_endpoint[index] = [
            before.pop(address) if address in before else self._make(address) for address in addresses
        ]
        self._arrange()
        for host in before.values():
            host.removed = True
        self._on_change(list(before.values()))

    def close(self) -> None:
        """Look nothing up any more."""
        for task in self._look_ups:
            task.cancel()


def has_names(cluster: Cluster) -> bool:
    """Whether an endpoint of ``cluster`` needs to be looked up."""
    return any(parse_address(endpoint) is None for endpoint in cluster.endpoints)


def parse_address(endpoint: Endpoint) -> Address | None:
    """An endpoint's address; ``None`` for one that has a name."""
    for family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):
            socket.inet_pton(family, endpoint.host)
            return family, (endpoint.host, endpoint.port)
    return None


async def look_up(loop: asyncio.AbstractEventLoop, name: str, port: int) -> list[Address] | None:
    """The addresses of ``name``, those of IPv4 if there are any (Envoy Gateway's ``V4_PREFERRED``).

    None of it for a name that there is not; ``None`` where nobody could say.
    """
    answer: asyncio.Future[list[Address] | None] = loop.create_future()

    def tell(addresses: list[Address] | None) -> None:
        if not answer.done():
            answer.set_result(addresses)

    def run() -> None:
        addresses: list[Address] | None = None
        try:
            found = socket.getaddrinfo(name, port, type=socket.SOCK_STREAM)
            addresses = [(int(family), address) for family, _, _, _, address in found]
        except socket.gaierror as error:
            addresses = [] if error.errno in _NO_SUCH_NAME else None
        except (OSError, UnicodeError):
            pass
        with suppress(RuntimeError):  # the loop is closed by now
            loop.call_soon_threadsafe(tell, addresses)

    # A thread that nobody waits for: those of an executor must end before the process can, and this may take minutes.
    try:
        threading.Thread(target=run, name=f"look up {name}", daemon=True).start()
    except RuntimeError:  # no thread to be had
        return None
    addresses = await answer
    if addresses is None:
        return None
    preferred = [address for address in addresses if address[0] == socket.AF_INET]
    return list(dict.fromkeys(preferred or addresses))
