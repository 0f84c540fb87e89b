"""From the runs of a result to the figures that have goals: one value a start, nothing typed by hand."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tests.benchmarks.effort import Result
from tests.benchmarks.load.summary import spread

LETTERS = {"text": "T", "classification": "C", "generation": "G"}
FULL = "64"
"""Callers of the closed loop that is the capacity."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure with its goal."""

    name: str
    values: Sequence[float]
    """One a start."""
    goal: float
    at_least: bool = False
    """Whether the goal is the least; else it is the most."""
    unit: str = ""
    digits: int = 2

    @property
    def met(self) -> bool:
        """By the median."""
        median = statistics.median(self.values)
        return median >= self.goal if self.at_least else median <= self.goal

    def told(self) -> str:
        """Median, least and most."""
        median, least, most = (f"{value:.{self.digits}f}" for value in spread(self.values))
        return f"{median}{self.unit} ({least} to {most})"

    def told_goal(self) -> str:
        """With its direction."""
        return f"{'at least' if self.at_least else 'at most'} {self.goal:g}{self.unit}"


def figures(result: Result) -> list[Figure]:
    """All that the result's sections have."""
    sections = result["sections"]
    return [figure for name, make in FIGURES.items() if name in sections for figure in make(sections[name])]


def groups(runs: Sequence[Result]) -> Mapping[tuple[str, str], list[Result]]:
    """The runs of each module and precision, in order."""
    found: dict[tuple[str, str], list[Result]] = {}
    for run in runs:
        found.setdefault((run["task"], run["precision"]), []).append(run)
    return found


def best_batch(runs: Sequence[Result]) -> str:
    """The batch size whose bare loop has the highest median: of all starts, so that no lucky moment chooses it."""
    sizes: Result = runs[0]["bare"]
    return max(sizes, key=lambda size: statistics.median(run["bare"][size] for run in runs))


def ratios(runs: Sequence[Result]) -> list[float]:
    """Saturated throughput over that of the bare loop of the same turn."""
    size = best_batch(runs)
    return [run["closed"][FULL]["answered_per_second"] / run["bare"][size] for run in runs]


def model_rates(runs: Sequence[Result]) -> list[float]:
    """Items a second of the model in the server while a batch runs: what it would serve if it never waited."""
    counts = [run["closed"][FULL]["counted"] for run in runs]
    return [count["diptych_batch_size_sum"] / count["diptych_inference_seconds_sum"] for count in counts]


def busy_shares(runs: Sequence[Result]) -> list[float]:
    """Of its time at saturation, in which the model runs a batch."""
    served = [run["closed"][FULL]["answered_per_second"] for run in runs]
    return [one / rate for one, rate in zip(served, model_rates(runs), strict=True)]


def goodputs(runs: Sequence[Result]) -> list[float]:
    """At four times the capacity, over the capacity."""
    return [run["open"]["400"]["answered_per_second"] / run["closed"][FULL]["answered_per_second"] for run in runs]


def _modules(section: Result) -> Iterator[Figure]:
    for (task, precision), runs in groups(section["runs"]).items():
        name = f"{LETTERS[task]} {precision}"
        goal = 0.92 if precision == "fp32" else 0.80
        yield Figure(name=f"{name}: throughput / bare loop", values=ratios(runs), goal=goal, at_least=True)
        yield Figure(name=f"{name}: goodput at 400 % / capacity", values=goodputs(runs), goal=0.92, at_least=True)
        overloads = [run["open"]["400"] for run in runs]
        for percent, limit in (("p50", 5.0), ("p99", 25.0)):
            values = [run[f"refusal_{percent}_ms"] for run in overloads if f"refusal_{percent}_ms" in run]
            if values:
                figure = f"{name}: refusal at 400 %, {percent}"
                yield Figure(name=figure, values=values, goal=limit, unit=" ms", digits=1)
        yield Figure(
            name=f"{name}: items run in vain at 400 %",
            values=[100 * _late(load["counted"]) for load in overloads],
            goal=1,
            unit=" %",
        )
        overdue = [1000 * load["counted"].get("diptych_overdue_seconds.most", 0.0) for load in overloads]
        yield Figure(name=f"{name}: in queue past the deadline at 400 %", values=overdue, goal=10, unit=" ms", digits=1)
        if mixed := [_padding(run["mixed"]["counted"]) for run in runs if "mixed" in run]:
            yield Figure(name=f"{name}: padding with mixed sizes", values=mixed, goal=10, unit=" %", digits=1)


def _late(counted: Result) -> float:
    """The share of the items run whose callers were gone or late when their batch began or ended."""
    late: float = counted.get("diptych_late_items_total", 0.0)
    items: float = counted.get("diptych_batch_size_sum", 1.0)
    return late / items


def _padding(counted: Result) -> float:
    """The share of the places in batches that were filled up, in percent."""
    padding: float = counted.get("diptych_padding_items_total", 0.0)
    items: float = counted["diptych_batch_size_sum"]
    return 100 * padding / (padding + items)


def _hop(section: Result) -> Iterator[Figure]:
    runs = section["runs"]
    for way in ("gateway", "plain"):
        added = [run[way]["1"]["p50_ms"] - run["direct"]["1"]["p50_ms"] for run in runs]
        yield Figure(name=f"{way} hop: added p50, 1 caller", values=added, goal=1.0, unit=" ms")
        cpu = [1000 * run[way]["64"]["server_cpu"] / run[way]["64"]["answered_per_second"] for run in runs]
        yield Figure(name=f"{way} hop: CPU a call, 64 callers", values=cpu, goal=0.5, unit=" ms", digits=3)


def _text_to_image(section: Result) -> Iterator[Figure]:
    values = [run["diptych"]["p50_ms"] / run["bare_p50_ms"] for run in section["runs"]]
    yield Figure(name="text to image / its models alone", values=values, goal=1.3)


def _replicas(section: Result) -> Iterator[Figure]:
    rates = {
        count: [run["answered_per_second"] for run in section["runs"] if run["replicas"] == count] for count in (1, 2)
    }
    values = [two / one for one, two in zip(rates[1], rates[2], strict=True)]
    yield Figure(name="capacity of 2 replicas / 1", values=values, goal=1.9, at_least=True)


def _cold_start(section: Result) -> Iterator[Figure]:
    for name, seconds in section["seconds"].items():
        goal = 8.0 if name == "platform" else 4.0
        yield Figure(name=f"{name}: start to first answer", values=seconds, goal=goal, unit=" s")


FIGURES: Mapping[str, Callable[[Result], Iterator[Figure]]] = {
    "modules": _modules,
    "hop": _hop,
    "text-to-image": _text_to_image,
    "replicas": _replicas,
    "cold-start": _cold_start,
}
"""By section."""
