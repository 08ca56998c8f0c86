"""Numbers that processes side by side keep to together: of connections there are, and those that name one."""

from __future__ import annotations


class Tally:
    """How many connections of a kind there are, in this process and in those beside it.

    Each process writes its own cell only and reads all of them, so that nothing needs a lock: where two take the last
    place at the same moment, both may be refused, but never both admitted.
    """

    __slots__ = ("_cells", "_own")

    def __init__(self, cells: list[int] | memoryview[int] | None = None, own: int = 0) -> None:
        """``cells``: one for each process, shared memory where there are several; ``own`` is this one's."""
        self._cells = [0] if cells is None else cells
        self._own = own

    @property
    def total(self) -> int:
        """All there are."""
        return sum(self._cells)

    def take(self, limit: int) -> bool:
        """Count one more; ``False`` if there are ``limit`` already."""
        self._cells[self._own] += 1
        if sum(self._cells) <= limit:
            return True
        self._cells[self._own] -= 1
        return False

    def release(self) -> None:
        """One that was counted has ended."""
        self._cells[self._own] -= 1


class ConnectionIds:
    """A number for each connection that no other has: not of a process beside this one, nor of one that it replaces.

    Process number ``own`` of two gives out 1, 3, 5 or 2, 4, 6; its cell says how many there have been.
    """

    __slots__ = ("_cells", "_own")

    def __init__(self, cells: list[int] | memoryview[int] | None = None, own: int = 0) -> None:
        """As of a ``Tally``."""
        self._cells = [0] if cells is None else cells
        self._own = own

    def next(self) -> int:
        """The next one."""
        cells, own = self._cells, self._own
        before = cells[own]
        cells[own] = before + 1
        return before * len(cells) + own + 1
