"""Which thresholds are shipped: the cheapest of a grid, found one dimension after the other."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache

from tests.benchmarks.autoscaling.day import Day, day
from tests.benchmarks.autoscaling.hpa import Behavior, Policy, ScalingRules
from tests.benchmarks.autoscaling.measured import Service
from tests.benchmarks.autoscaling.replay import Circumstances, Outcome, Setup, Trigger, replay
from tests.benchmarks.autoscaling.signals import Scraping

LOST_CALL = 100.0
"""What a call that is refused or late costs, in calls served by a replica that is always full."""
OVERSTATED = 2.0
"""How many times its capacity a replica claims to have on a bad day: a slow node, a neighbour, heavier items."""
BAD_DAYS = 0.05
"""Of all days."""
ROUNDS = 3
"""At most, through all dimensions; it ends when one changes nothing."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """The values of all dimensions."""

    offered: float | None = 0.7
    """Target of the first trigger: of each replica's capacity."""
    queue: tuple[str, float] | None = ("bounded_backlog", 0.1)
    """The second one, and its target in seconds."""
    other: tuple[str, float] | None = None
    """Another signal and its target, to compare with."""
    scraping: tuple[int, int, int] = (15, 60, 15)
    """Scrape interval, `rate()` window, and interval of the recording rules, in seconds."""
    up_percent: int = 100
    """Of the replicas, that may be added in 15 s; at least 4."""
    down_window: int = 300
    """Stabilisation, in seconds."""
    down_percent: int = 100
    """Of the replicas, that may be removed in a minute; at least 1."""

    def setup(self) -> Setup:
        """As an autoscaler has it."""
        found = (("offered", self.offered), self.queue or ("", None), self.other or ("", None))
        scrape_seconds, window_seconds, rules_seconds = self.scraping
        return Setup(
            triggers=[Trigger(signal=signal, target=target) for signal, target in found if target is not None],
            behavior=self.behavior(),
            scraping=Scraping(
                scrape_seconds=scrape_seconds, window_seconds=window_seconds, rules_seconds=rules_seconds
            ),
        )

    def behavior(self) -> Behavior:
        """`spec.behavior`."""
        return Behavior(
            scale_up=ScalingRules(
                stabilization_window_seconds=0,
                policies=(
                    Policy(type="Percent", value=self.up_percent, period_seconds=15),
                    Policy(type="Pods", value=4, period_seconds=15),
                ),
            ),
            scale_down=ScalingRules(
                stabilization_window_seconds=self.down_window,
                policies=(
                    Policy(type="Percent", value=self.down_percent, period_seconds=60),
                    Policy(type="Pods", value=1, period_seconds=60),
                ),
            ),
        )


GRID: Mapping[str, Sequence[object]] = {
    "offered": (0.5, 0.6, 0.7, 0.8),
    "queue": (None, *(("bounded_backlog", target) for target in (0.1, 0.15, 0.2))),
    "scraping": ((15, 60, 15), (15, 60, 5), (5, 30, 5)),
    "up_percent": (100, 300, 900),
    "down_window": (120, 300, 600),
    "down_percent": (10, 25, 100),
}
"""The values of each dimension that are tried. Not tried is what costs something that is not modelled: a queue target
within what one call of 16 items makes, since gauges are read at an instant, and a window that would start and stop
replicas every other minute."""


@dataclass(kw_only=True)
class Search:
    """All services on a usual day and on a bad one."""

    services: Sequence[Service]
    seed: int
    _costs: dict[Candidate, float] = field(default_factory=dict)

    def best(self, first: Candidate, grid: Mapping[str, Sequence[object]]) -> Candidate:
        """From a first candidate to one that no single dimension makes cheaper."""
        best = first
        for _ in range(ROUNDS):
            before = best
            for name, values in grid.items():
                best = min((best, *(replace(best, **{name: value}) for value in values)), key=self.cost)  # type: ignore[arg-type]
            if best == before:
                break
        return best

    def cost(self, candidate: Candidate) -> float:
        """In replica-hours a day and service."""
        if candidate not in self._costs:
            self._costs[candidate] = sum(self._each(candidate)) / len(self.services)
        return self._costs[candidate]

    @property
    def tried(self) -> int:
        """Candidates so far."""
        return len(self._costs)

    def _each(self, candidate: Candidate) -> Iterator[float]:
        setup = candidate.setup()
        for index, service in enumerate(self.services):
            load = _day(service.capacity, self.seed + index)
            usual = cost(replay(service, load, setup), service)
            bad = cost(replay(service, load, setup, Circumstances(overstated=OVERSTATED)), service)
            yield (1 - BAD_DAYS) * usual + BAD_DAYS * bad


def cost(outcome: Outcome, service: Service) -> float:
    """In replica-hours: those that were paid, and those that lost calls are worth."""
    lost = outcome.counts.refused + outcome.counts.late
    return outcome.replica_hours + LOST_CALL * lost / service.capacity / 3600


@cache
def _day(capacity: float, seed: int) -> Day:
    return day(capacity, seed=seed)
