"""What is compared: the signals, each with the best of its own targets, and the chosen thresholds elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tests.benchmarks.autoscaling.day import BLOCK_SECONDS, Day, day
from tests.benchmarks.autoscaling.fleet import IMAGE_SECONDS, start_seconds
from tests.benchmarks.autoscaling.hpa import DEFAULT
from tests.benchmarks.autoscaling.measured import Service
from tests.benchmarks.autoscaling.replay import Circumstances, Outcome, Setup, replay
from tests.benchmarks.autoscaling.search import OVERSTATED, Candidate, Search, cost
from tests.benchmarks.autoscaling.signals import PROPOSALS, VALUES, Look, Scraped
from tests.benchmarks.effort import Result

NODE_SECONDS = 180.0
"""Stated, not measured: for a node that the cluster has to order first, as one with a GPU often is."""
TARGETS: Mapping[str, Sequence[float]] = {
    "arrived": (0.5, 0.6, 0.7, 0.8),
    "backlog": (0.02, 0.05, 0.1, 0.15, 0.2),
    "in_flight": (2, 4, 8, 16, 32),
    "cpu": (0.4, 0.5, 0.6, 0.7, 0.8),
}
"""Of each signal that is tried alone."""
NAMES = {
    "offered": "offered load alone",
    "arrived": "offered load as services count it, alone",
    "backlog": "queue time alone",
    "in_flight": "in flight alone",
    "cpu": "CPU alone",
}
LOADS = (0.25, 0.5, 0.9, 1.0, 1.5, 2.0, 4.0, 10.0)
"""Of the capacity that is ready, at which signals are read."""
READ_REPLICAS = 10
ANOTHER_SEED = 1000
"""Further: days that nothing was chosen by."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One line of the comparison."""

    name: str
    setup: Setup
    circumstances: Circumstances = Circumstances()  # noqa: RUF009  # frozen
    image_seconds: float = IMAGE_SECONDS
    seed: int = 0
    flash: bool = True
    drawn: bool = False
    """Whether `plot` shows it."""


def alone(search: Search, chosen: Candidate) -> dict[str, Candidate]:
    """Each signal alone, with the cheapest of its targets and the chosen behaviour."""
    found = {"offered": replace(chosen, queue=None)}
    for signal, targets in TARGETS.items():
        candidates = [replace(chosen, offered=None, queue=None, other=(signal, target)) for target in targets]
        found[signal] = min(candidates, key=search.cost)
    return found


def named(candidates: Mapping[str, Result]) -> tuple[Candidate, dict[str, Candidate]]:
    """The chosen candidate and those of each signal, as a result keeps them."""
    found: dict[str, Candidate] = {}
    for name, fields in candidates.items():
        kept: Result = {key: tuple(value) if isinstance(value, list) else value for key, value in fields.items()}
        found[name] = Candidate(**kept)
    return found.pop("chosen"), found


def cases(chosen: Candidate, signals: Mapping[str, Candidate]) -> Iterator[Case]:
    """All of them, the chosen thresholds first."""
    setup, offered = chosen.setup(), signals["offered"].setup()
    yield Case(name="chosen: offered load, and queue time", setup=setup, drawn=True)
    for signal, candidate in signals.items():
        name = f"{NAMES[signal]}, target {target(candidate):g}"
        yield Case(name=name, setup=candidate.setup(), drawn=signal != "offered")
    for replicas in (10, 100):
        always = replace(setup, min_replicas=replicas, max_replicas=replicas)
        yield Case(name=f"always {replicas} replicas", setup=always)
    yield Case(name="chosen triggers, Kubernetes' default behaviour", setup=replace(setup, behavior=DEFAULT))
    yield Case(
        name="chosen, Prometheus every 15 s, rates of 1 min", setup=replace(chosen, scraping=(15, 60, 15)).setup()
    )
    windowed = replace(chosen, queue=("queue_time", chosen.queue[1] if chosen.queue else 0.1))
    yield Case(name="chosen, queue time as `Value` over a window", setup=windowed.setup())
    bad = Circumstances(overstated=OVERSTATED)
    yield Case(name="replicas half as fast as they claim: chosen", setup=setup, circumstances=bad)
    yield Case(name="replicas half as fast as they claim: offered load alone", setup=offered, circumstances=bad)
    yield Case(name="chosen, image on every node", setup=setup, image_seconds=0.0)
    yield Case(name="chosen, a new node for each replica", setup=setup, image_seconds=IMAGE_SECONDS + NODE_SECONDS)
    yield Case(name="chosen, another day", setup=setup, seed=ANOTHER_SEED)
    yield Case(name="chosen, a day without flash crowd", setup=setup, flash=False)


def run(case: Case, services: Sequence[Service], seed: int) -> Result:
    """One line: shares of all items of the services, and their mean replica-hours."""
    outcomes: list[tuple[Service, Day, Outcome]] = []
    for index, service in enumerate(services):
        load = day(service.capacity, seed=seed + case.seed + index, flash=case.flash)
        circumstances = replace(case.circumstances, start_seconds=start_seconds(service, case.image_seconds))
        outcomes.append((service, load, replay(service, load, case.setup, circumstances)))
    offered = sum(each.counts.offered for _, _, each in outcomes)
    return {
        "name": case.name,
        "offered_items": round(offered),
        "lost_items": round(sum(each.counts.refused for _, _, each in outcomes)),
        "late_items": round(sum(each.counts.late for _, _, each in outcomes)),
        "lost_outside_flash_items": round(sum(_outside(load, each) for _, load, each in outcomes)),
        "replica_hours": round(_mean([each.replica_hours for _, _, each in outcomes]), 1),
        "filled_replica_hours": round(_mean([each.capacity_hours for _, _, each in outcomes]), 1),
        "most_replicas": max(each.most_replicas for _, _, each in outcomes),
        "cost": round(_mean([cost(each, service) for service, _, each in outcomes]), 1),
    }


def readings(service: Service, chosen: Candidate, signals: Mapping[str, Candidate]) -> list[Result]:
    """What each signal reads at a steady load of ten replicas, and how many replicas it then asks for."""
    found = []
    for load in LOADS:
        scraped = Scraped(service=service, believed_capacity=service.capacity)
        for _ in range(60):
            items = load * READ_REPLICAS * service.capacity * BLOCK_SECONDS
            scraped.note(load, items, READ_REPLICAS, 0)
        look = Look(scraped=scraped, scraping=chosen.setup().scraping, replicas=READ_REPLICAS, ready=READ_REPLICAS)
        line: Result = {"load": load}
        for signal, candidate in signals.items():
            value = VALUES[signal](look)
            each = value if signal == "cpu" else value / READ_REPLICAS
            line[signal] = {"reads": round(each, 3), "asks": PROPOSALS[signal](look, target(candidate))}
        found.append(line)
    return found


def target(candidate: Candidate) -> float:
    """Of the only signal."""
    found = candidate.other[1] if candidate.other else candidate.offered
    assert found is not None
    return found


def _outside(load: Day, outcome: Outcome) -> float:
    """Lost or late before the flash crowd, and later than its end."""
    begin, end = (min((load.flash_at + after) // BLOCK_SECONDS, len(load.blocks)) for after in (0, 1800))
    return outcome.lost[-1] - (outcome.lost[end] - outcome.lost[begin])


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
