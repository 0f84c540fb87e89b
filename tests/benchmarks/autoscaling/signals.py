"""What Prometheus knows of a service, and what an autoscaler reads there: late, averaged, and only once a scrape."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tests.benchmarks.autoscaling import hpa
from tests.benchmarks.autoscaling.day import BLOCK_SECONDS
from tests.benchmarks.autoscaling.measured import Readings, Service

SENT_IN_VAIN = 0.29
"""Of the capacity, what gateways send to replicas that must refuse it: 230 of 3,200 calls at four times the capacity
(`load_spread`, tests/benchmarks/README.md). The rest of an overload they refuse themselves, unseen by the service."""
CPU_SECONDS = 30
"""The window of the resource metrics pipeline (metrics-server's resolution of 15 s, twice)."""
BACKLOG_STEP = 0.5
"""A queue says that there are too few replicas, and not how many are missing: while it is as long as deadlines allow,
it would ask for three times the replicas again and again, until new ones show."""


@dataclass(frozen=True, kw_only=True)
class Scraping:
    """How Prometheus looks."""

    scrape_seconds: int
    window_seconds: int
    """Of `rate()`; it covers one scrape less, between its first and its last sample."""
    rules_seconds: int
    """Between two evaluations of the recording rules that autoscalers read (deploy/prometheus/scaling.yml)."""

    @property
    def age_blocks(self) -> int:
        """Of the newest sample when it is acted upon: the worst case."""
        return (self.scrape_seconds + self.rules_seconds) // BLOCK_SECONDS


@dataclass(kw_only=True)
class Scraped:
    """The series of one service. Index i of each is at the end of block i - 1."""

    service: Service
    believed_capacity: float
    """What the replicas tell of themselves, items a second each."""
    offered: list[float] = field(default_factory=lambda: [0.0])
    """Items so far that were offered and are in a counter."""
    arrived: list[float] = field(default_factory=lambda: [0.0])
    """Of these, what reached a replica."""
    ready: list[int] = field(default_factory=lambda: [0])
    index: list[int] = field(default_factory=lambda: [0])
    """Of `Readings`."""

    def note(self, load: float, items: float, ready: int, new: int) -> None:
        """One block: its load, its items, and how many replicas were ready, of which some became so in it.

        What comes to a new replica before its first scrape is in no rate: a counter's first value is no increase. Calls
        that find no replica at all are in no counter: they end with UNAVAILABLE and are not refused for their deadline.
        """
        if not ready:
            items = 0.0
        seen = (ready - new) / ready if ready else 0.0
        reached = min(items, (1 + SENT_IN_VAIN) * ready * self.service.capacity * BLOCK_SECONDS)
        self.offered.append(self.offered[-1] + items - reached + reached * seen)
        self.arrived.append(self.arrived[-1] + reached * seen)
        self.ready.append(ready)
        self.index.append(Readings.index(min(load, 1.0)))


@dataclass(frozen=True, kw_only=True)
class Look:
    """One look of an autoscaler."""

    scraped: Scraped
    scraping: Scraping
    replicas: int
    ready: int

    @property
    def _newest(self) -> int:
        return max(0, len(self.scraped.ready) - 1 - self.scraping.age_blocks)

    @property
    def _oldest(self) -> int:
        covered = (self.scraping.window_seconds - self.scraping.scrape_seconds) // BLOCK_SECONDS
        return max(0, self._newest - covered)

    def rate(self, counter: list[float]) -> float:
        """A second, over the window."""
        newest, oldest = self._newest, self._oldest
        return (counter[newest] - counter[oldest]) / ((newest - oldest) * BLOCK_SECONDS) if newest > oldest else 0.0

    def offered(self) -> float:
        """Replicas' worth of items, those included that gateways refuse."""
        return self.rate(self.scraped.offered) / self.scraped.believed_capacity

    def arrived(self) -> float:
        """Replicas' worth of items, as the services themselves count."""
        return self.rate(self.scraped.arrived) / self.scraped.believed_capacity

    def queue_time(self) -> float:
        """Seconds that an item waited, over the window."""
        readings, index = self.scraped.service.readings.queue_seconds, self.scraped.index
        newest, oldest = self._newest, self._oldest
        if newest == oldest:
            return 0.0
        return sum(readings[each] for each in index[oldest + 1 : newest + 1]) / (newest - oldest)

    def backlog(self) -> float:
        """Seconds of work that wait, of all replicas together: from gauges, as they were at the last scrape."""
        readings, at = self.scraped.service.readings.queue_seconds, self._newest
        told = self.scraped.believed_capacity / self.scraped.service.capacity
        return self.scraped.ready[at] * readings[self.scraped.index[at]] / told

    def bounded_backlog(self, target: float) -> float:
        """The same, but no more than asks for half as many replicas again as there were."""
        return min(self.backlog(), (1 + BACKLOG_STEP) * target * self.scraped.ready[self._newest])

    def in_flight(self) -> float:
        """Calls under way, of all replicas together."""
        at = self._newest
        return self.scraped.ready[at] * self.scraped.service.readings.in_flight[self.scraped.index[at]]

    def cpu(self) -> float:
        """Of what a saturated replica uses, which is the request; the mean of the replicas."""
        cores = self.scraped.service.readings.cpu_cores
        blocks = self.scraped.index[-CPU_SECONDS // BLOCK_SECONDS :]
        return sum(cores[index] for index in blocks) / len(blocks) / cores[-1]


Proposal = Callable[[Look, float], int]
"""From a look and a target to replicas."""


def _average(read: Callable[[Look], float]) -> Proposal:
    return lambda look, target: hpa.average_value(read(look), target, look.replicas)


def _cpu(look: Look, target: float) -> int:
    return hpa.per_pod([look.cpu()] * look.ready, target, look.replicas, unready=look.replicas - look.ready)


PROPOSALS: Mapping[str, Proposal] = {
    "offered": _average(Look.offered),
    "arrived": _average(Look.arrived),
    "queue_time": lambda look, target: hpa.value(look.queue_time(), target, look.replicas, look.ready),
    "backlog": _average(Look.backlog),
    "bounded_backlog": lambda look, target: hpa.average_value(look.bounded_backlog(target), target, look.replicas),
    "in_flight": _average(Look.in_flight),
    "cpu": _cpu,
}
VALUES: Mapping[str, Callable[[Look], float]] = {
    "offered": Look.offered,
    "arrived": Look.arrived,
    "queue_time": Look.queue_time,
    "backlog": Look.backlog,
    "bounded_backlog": Look.backlog,
    "in_flight": Look.in_flight,
    "cpu": Look.cpu,
}
