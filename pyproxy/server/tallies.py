"""Shared memory with the numbers of connections that limits are about, a row for each limit, a cell for each worker.

A last row has the ids that each has given out, which its successor goes on from.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping

from pyproxy.net.tally import ConnectionIds, Tally
from pyproxy.server.changes import What, compare
from pyproxy.server.listening import Address, address_of
from pyproxy.settings import Settings

ROWS = 4096
"""Limits that there can be; the first row is that of all connections."""


class Tallies:
    """The memory, and the row that each listener uses: in the supervisor, which made it, and in its workers."""

    def __init__(self, workers: int, *, descriptor: int | None = None) -> None:
        """``descriptor``: of the memory that the supervisor has made."""
        self.rows: Mapping[Address, int] = {}
        self.descriptor = os.memfd_create("tallies", os.MFD_CLOEXEC) if descriptor is None else descriptor
        self._workers = workers
        size = (ROWS + 1) * workers * 8
        if descriptor is None:
            os.truncate(self.descriptor, size)
        self._memory = mmap.mmap(self.descriptor, size)
        self._cells = memoryview(self._memory).cast("q")

    def of(self, address: Address | None, worker: int) -> Tally:
        """What ``worker`` counts the connections of a listener with, ``None``: of all."""
        row = 0 if address is None else self.rows.get(address, -1)
        return Tally() if row < 0 else Tally(self._row(row), worker)

    def ids(self, worker: int) -> ConnectionIds:
        """What ``worker`` names its connections with."""
        return ConnectionIds(self._row(ROWS), worker)

    def assign(self, before: Settings, after: Settings) -> None:
        """Give each listener whose limit is new, or as new, a row that nobody uses any more."""
        rows = dict(self.rows)
        for change in compare(before, after):
            if change.what is not What.ROUTES:
                rows.pop(address_of(change.listener), None)
        for listener in after.listeners:
            if listener.connection_limit is not None and address_of(listener) not in rows:
                used = {0, *self.rows.values(), *rows.values()}
                rows[address_of(listener)] = next(
                    row for row in range(ROWS) if row not in used and not any(self._row(row))
                )
        self.rows = rows

    def clear(self, worker: int) -> None:
        """Forget the connections of a worker that has ended."""
        self._cells[worker : ROWS * self._workers : self._workers] = memoryview(bytes(8 * ROWS)).cast("q")

    def close(self) -> None:
        """Give the memory back; no tally may be used any more."""
        os.close(self.descriptor)

    def _row(self, number: int) -> memoryview[int]:
        return self._cells[number * self._workers : (number + 1) * self._workers]
