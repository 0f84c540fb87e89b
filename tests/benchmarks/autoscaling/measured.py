"""What a replica can do and what its metrics read: taken from `results/bench.json`, nothing typed by hand."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.effort import Result
from tests.benchmarks.figures import FULL, goodputs, groups

BENCH = Path(__file__).parents[1] / "results" / "bench.json"
SERVICES = ("text", "classification", "generation")
PRECISION = "fp32"
"""In bf16 the load generator took the second core from the server (tests/benchmarks/README.md): overload reads worse
than it is."""
STEPS = 100
"""Of a reading's table, from no load to a replica's capacity."""


@dataclass(frozen=True, kw_only=True)
class Readings:
    """What the metrics of one replica read at a load: a table from 0 to its capacity, and the same beyond it.

    Beyond it the replica sheds load, and what was measured at four times the capacity is read at any overload: its
    queue is as long as deadlines allow, however much is refused.
    """

    queue_seconds: Sequence[float]
    in_flight: Sequence[float]
    cpu_cores: Sequence[float]

    @staticmethod
    def index(load: float) -> int:
        """Where in the tables, for a load in shares of the capacity."""
        return min(STEPS, int(load * STEPS))


@dataclass(frozen=True, kw_only=True)
class Service:
    """A service's replica, as it was measured."""

    name: str
    capacity: float
    """Items a second, saturated."""
    goodput: float
    """Of the capacity, what is answered in time at four times of it; at most 1."""
    late: float
    """Of what is offered under overload, the share that is admitted and answered too late."""
    first_answer_seconds: float
    """From a process's start."""
    readings: Readings


def services(bench: Path = BENCH) -> list[Service]:
    """The reference modules, served by Diptych."""
    sections = json.loads(bench.read_text("utf-8"))["sections"]
    cold = sections["cold-start"]["seconds"]
    runs = groups(sections["modules"]["runs"])
    return [_service(name, runs[name, PRECISION], cold[name]) for name in SERVICES]


def _service(name: str, runs: Sequence[Result], first_answers: Sequence[float]) -> Service:
    return Service(
        name=name,
        capacity=statistics.median(run["closed"][FULL]["answered_per_second"] for run in runs),
        goodput=min(1.0, statistics.median(goodputs(runs))),
        late=statistics.median(run["open"]["400"]["expired"] for run in runs),
        first_answer_seconds=statistics.median(first_answers),
        readings=Readings(
            queue_seconds=_table(runs, _queue_seconds),
            in_flight=_table(runs, _in_flight),
            cpu_cores=_table(runs, lambda load: float(load["server_cpu"])),
        ),
    )


def _table(runs: Sequence[Result], read: Callable[[Result], float]) -> list[float]:
    """Straight lines between nothing, 50 % and 90 % as measured, and at the capacity what 400 % read."""
    points = {0.0: 0.0}
    for share, at in (("50", None), ("90", None), ("400", 1.0)):
        loads = [run["open"][share] for run in runs]
        offered = [
            load["offered_per_second"] / run["closed"][FULL]["answered_per_second"]
            for load, run in zip(loads, runs, strict=True)
        ]
        points[statistics.median(offered) if at is None else at] = statistics.median(map(read, loads))
    return [_between(points, step / STEPS) for step in range(STEPS + 1)]


def _between(points: Mapping[float, float], at: float) -> float:
    below = max(point for point in points if point <= at)
    above = min(point for point in points if point >= at)
    share = (at - below) / (above - below) if above > below else 0.0
    return points[below] + share * (points[above] - points[below])


def _queue_seconds(load: Result) -> float:
    counted: Mapping[str, float] = load["counted"]
    return counted["diptych_queue_seconds_sum"] / counted["diptych_queue_seconds_count"]


def _in_flight(load: Result) -> float:
    """By Little's law: the seconds of all calls over the seconds that passed."""
    counted: Mapping[str, float] = load["counted"]
    passed: float = counted["diptych_rpc_requests_total"] / load["offered_per_second"]
    return counted["diptych_rpc_seconds_sum"] / passed
