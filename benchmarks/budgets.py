"""What is asked of pyproxy, and whether a run has met it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from benchmarks import measure, scenarios
from benchmarks.results import Results
from benchmarks.rounds import Spread, ratios
from benchmarks.scenarios import IN_PYTHON

OURS, ENVOY = "pyproxy", "Envoy"


@dataclass(frozen=True, slots=True)
class Budget:
    """One bound."""

    what: str
    figure: str
    value: Callable[[Results], Spread | None]
    """``None`` where it was not measured."""
    ours: Callable[[Results], Spread | None]
    theirs: Callable[[Results], Spread | None]
    """The figure behind the ratio; both may be without one."""
    at_least: float | None = None
    at_most: float | None = None
    unit: str = ""
    """Empty for a ratio."""

    @property
    def bound(self) -> str:
        """In words."""
        if self.at_least is not None:
            return f"at least {self.at_least:g}{self.unit}"
        return f"at most {self.at_most:g}{self.unit}"

    def met(self, results: Results) -> bool | None:
        """Whether the median keeps to the bound; ``None`` where it was not measured."""
        spread = self.value(results)
        if spread is None:
            return None
        if self.at_least is not None:
            return spread.median >= self.at_least
        return self.at_most is None or spread.median <= self.at_most


def best_peer(results: Results) -> str | None:
    """The Python proxy with the most requests a second."""
    found = {
        subject.name: series.spread.median
        for subject in IN_PYTHON[1:]
        if (series := results.find(scenarios.PYTHON_PEERS.name, subject.name, measure.REQUESTS_A_SECOND))
    }
    return max(found, key=found.__getitem__, default=None)


def _spread(scenario: str, subject: str, figure: str, x: float | None = None) -> Callable[[Results], Spread | None]:
    def look(results: Results) -> Spread | None:
        series = results.find(scenario, subject, figure, x)
        return series.spread if series is not None else None

    return look


def _beside_envoy(
    what: str, scenario: str, figure: str, *, at_least: float | None = None, at_most: float | None = None
) -> Budget:
    def ratio(results: Results) -> Spread | None:
        return results.ratio(scenario, OURS, ENVOY, figure)

    ours, theirs = _spread(scenario, OURS, figure), _spread(scenario, ENVOY, figure)
    return Budget(what, figure, ratio, ours, theirs, at_least, at_most)


def _beside_best_peer(results: Results) -> Spread | None:
    best = best_peer(results)
    return results.ratio(scenarios.PYTHON_PEERS.name, OURS, best, measure.REQUESTS_A_SECOND) if best else None


def _best_peers(results: Results) -> Spread | None:
    return _spread(scenarios.PYTHON_PEERS.name, best_peer(results) or "", measure.REQUESTS_A_SECOND)(results)


_MOST_ROUTES = scenarios.ROUTES.points[-1]


def _routes(results: Results) -> Spread | None:
    name = scenarios.ROUTES.name
    many, one = results.find(name, OURS, measure.CPU, _MOST_ROUTES), results.find(name, OURS, measure.CPU, 1)
    return Spread.of(ratios(many.values, one.values)) if many is not None and one is not None else None


_START = _spread(scenarios.START.name, OURS, measure.SECONDS)

BUDGETS = (
    _beside_envoy("keep-alive GET, 64 connections", scenarios.KEEP_ALIVE.name, measure.REQUESTS_A_SECOND, at_least=2),
    _beside_envoy("the same, CPU a request", scenarios.KEEP_ALIVE.name, measure.CPU, at_most=0.5),
    _beside_envoy("the same, by h2load", scenarios.BY_H2LOAD.name, measure.REQUESTS_A_SECOND, at_least=2),
    _beside_envoy(
        "a new connection with a PROXY header for each request",
        scenarios.NEW_CONNECTIONS.name,
        measure.REQUESTS_A_SECOND,
        at_least=1,
    ),
    _beside_envoy("the same, CPU a request", scenarios.NEW_CONNECTIONS.name, measure.CPU, at_most=1),
    _beside_envoy("100 MB response", scenarios.DOWNLOAD.name, measure.CPU_A_GIGABYTE, at_most=1),
    _beside_envoy("100 MB request", scenarios.UPLOAD.name, measure.CPU_A_GIGABYTE, at_most=1),
    _beside_envoy("open loop, 2,000 requests/s", scenarios.OPEN_LOOP.name, measure.P99, at_most=1),
    _beside_envoy("idle connections", scenarios.IDLE.name, measure.BYTES_A_CONNECTION, at_most=0.5),
    Budget(
        "start to the first answer", measure.SECONDS, _START, _START,
        _spread(scenarios.START.name, ENVOY, measure.SECONDS), at_most=0.5, unit=" s",
    ),
    Budget(
        "the best Python proxy", measure.REQUESTS_A_SECOND, _beside_best_peer,
        _spread(scenarios.PYTHON_PEERS.name, OURS, measure.REQUESTS_A_SECOND), _best_peers, at_least=4,
    ),
    Budget(
        "10,000 routes beside one", measure.CPU, _routes,
        _spread(scenarios.ROUTES.name, OURS, measure.CPU, _MOST_ROUTES),
        _spread(scenarios.ROUTES.name, OURS, measure.CPU, 1), at_most=1.3,
    ),
)  # fmt: skip
