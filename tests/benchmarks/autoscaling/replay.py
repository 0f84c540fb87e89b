"""A day of load against one service and one autoscaler."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.benchmarks.autoscaling.day import BLOCK_SECONDS, Day
from tests.benchmarks.autoscaling.fleet import Counts, Fleet, start_seconds
from tests.benchmarks.autoscaling.hpa import SYNC_SECONDS, Behavior
from tests.benchmarks.autoscaling.keda import COOLDOWN_SECONDS, ScaledObject
from tests.benchmarks.autoscaling.measured import Service
from tests.benchmarks.autoscaling.signals import PROPOSALS, VALUES, Look, Scraped, Scraping

FIRST_REPLICAS = 4
"""At midnight."""


@dataclass(frozen=True, kw_only=True)
class Trigger:
    """A signal, and the value of it that one replica is to have."""

    signal: str
    target: float


@dataclass(frozen=True, kw_only=True)
class Setup:
    """An autoscaler as its manifest has it."""

    triggers: Sequence[Trigger]
    behavior: Behavior
    scraping: Scraping
    min_replicas: int = 2
    max_replicas: int = 250
    """Never in the way: the flash crowd is worth about 60 replicas, at the target 100."""
    polling_seconds: int = SYNC_SECONDS
    cooldown_seconds: int = COOLDOWN_SECONDS


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What an autoscaler cannot choose."""

    start_seconds: float | None = None
    """Of a replica; None as measured, with what `fleet` states."""
    overstated: float = 1.0
    """How many times its capacity a replica claims to have."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What came of it."""

    counts: Counts
    replica_hours: float
    most_replicas: int
    capacity_hours: float
    """Replica-hours that the offered items would fill."""
    replicas: list[int] = field(repr=False)
    """At the end of each block."""
    lost: list[float] = field(repr=False)
    """Items so far, refused or late."""


def replay(service: Service, day: Day, setup: Setup, circumstances: Circumstances | None = None) -> Outcome:
    """Runs it."""
    found = circumstances or Circumstances()
    seconds = start_seconds(service) if found.start_seconds is None else found.start_seconds
    fleet = Fleet(service=service, start_seconds=seconds, ready=FIRST_REPLICAS)
    scraped = Scraped(service=service, believed_capacity=service.capacity * found.overstated)
    scaled = ScaledObject(
        behavior=setup.behavior,
        min_replicas=setup.min_replicas,
        max_replicas=setup.max_replicas,
        cooldown_seconds=setup.cooldown_seconds,
    )
    triggers = [(PROPOSALS[each.signal], VALUES[each.signal], each.target) for each in setup.triggers]
    replicas, lost = [fleet.replicas], [0.0]
    now = 0
    for items, total, peak in zip(day.blocks, day.totals, day.peaks, strict=True):
        before = fleet.ready
        load = fleet.serve(items, total, peak, now)
        scraped.note(load, total, fleet.ready, fleet.ready - before)
        now += BLOCK_SECONDS
        if now % SYNC_SECONDS == 0:
            look = Look(scraped=scraped, scraping=setup.scraping, replicas=fleet.replicas, ready=fleet.ready)
            fleet.scale(scaled.sync(now, fleet.replicas, [propose(look, to) for propose, _, to in triggers]), now)
        if setup.min_replicas == 0 and now % setup.polling_seconds == 0:
            look = Look(scraped=scraped, scraping=setup.scraping, replicas=fleet.replicas, ready=fleet.ready)
            fleet.scale(scaled.poll(now, fleet.replicas, [read(look) for _, read, _ in triggers]), now)
        replicas.append(fleet.replicas)
        lost.append(fleet.counts.refused + fleet.counts.late)
    return Outcome(
        counts=fleet.counts,
        replica_hours=fleet.replica_seconds / 3600,
        most_replicas=max(replicas),
        capacity_hours=fleet.counts.offered / service.capacity / 3600,
        replicas=replicas,
        lost=lost,
    )
