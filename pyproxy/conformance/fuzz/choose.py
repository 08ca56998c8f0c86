"""Choices at random, most of them in favour of what is right."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import TypeVar

T = TypeVar("T")


class Chooser:
    """One seeded source of choices, with a measure of how often they go wrong.

    ``faults`` is how many more things may be wrong with the message at hand; ``rate`` how probable it is for each
    choice. One fault in an otherwise good message shows the check that is missing, many show how checks go together.
    """

    def __init__(self, seed: object) -> None:
        self.random = Random(repr(seed))
        self.faults = 0
        self.rate = 0.0

    def allow(self, faults: int, rate: float) -> None:
        """From here on, so many faults at such a rate."""
        self.faults, self.rate = faults, rate

    def chance(self, probability: float) -> bool:
        """True that often."""
        return self.random.random() < probability

    def one(self, of: Sequence[T]) -> T:
        """One of them."""
        return self.random.choice(of)

    def number(self, low: int, high: int) -> int:
        """From ``low`` to ``high``, both included."""
        return self.random.randint(low, high)

    def fault(self) -> bool:
        """Whether to go wrong here; each time counts."""
        if self.faults > 0 and self.chance(self.rate):
            self.faults -= 1
            return True
        return False

    def good(self, good: Sequence[T], bad: Sequence[T]) -> T:
        """One of the good ones, or of the bad ones if it is time for a fault."""
        return self.one(bad if self.fault() else good)
