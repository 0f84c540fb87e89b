"""From the runs of `bench-peers` to its figures; medians choose the best peer, of all starts."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence

from tests.benchmarks.effort import Result
from tests.benchmarks.figures import LETTERS, Figure
from tests.benchmarks.peers.subjects import DIPTYCH

IN_TIME = 0.99
"""Share of the calls that a server must answer for its p99 to stand beside another's."""
SHIPPED_GOALS = {"text": 2.0, "classification": 4.0, "generation": 4.0}

Group = Mapping[str, Sequence[Result]]


def group(runs: Sequence[Result], task: str, setting: str) -> Group:
    """The runs of each server, in order."""
    found: dict[str, list[Result]] = {}
    for run in runs:
        if (run["task"], run["setting"]) == (task, setting):
            found.setdefault(run["server"], []).append(run)
    return found


def throughput(run: Result) -> float:
    """Of 64 callers."""
    value: float = run["full"]["answered_per_second"]
    return value


def same_p99(run: Result) -> float | None:
    """At the rate that all were offered; None for a server that answers too few of the calls in time."""
    load = run["same"]
    in_time = load["answered_per_second"] >= IN_TIME * load["offered_per_second"]
    return load["p99_ms"] if in_time else None


def goodput(run: Result) -> float:
    """At four times the capacity, over the capacity."""
    value: float = run["over"]["answered_per_second"]
    return value / throughput(run)


def best(servers: Group, value: Callable[[Result], float | None], choose: Callable[..., str]) -> str | None:
    """The peer with the highest or lowest median; None without a peer that has one."""
    medians: dict[str, float] = {}
    for name, runs in servers.items():
        values = [found for run in runs if (found := value(run)) is not None]
        if name != DIPTYCH and len(values) == len(runs):
            medians[name] = statistics.median(values)
    return choose(medians, key=medians.__getitem__) if medians else None


def ratios(servers: Group, peer: str, value: Callable[[Result], float | None]) -> list[float]:
    """Diptych's over the peer's, of the starts that both have."""
    theirs = {run["start"]: value(run) for run in servers[peer]}
    pairs = ((value(run), theirs.get(run["start"])) for run in servers.get(DIPTYCH, ()))
    return [ours / other for ours, other in pairs if ours and other]


def figures(runs: Sequence[Result]) -> Iterator[Figure]:
    """All that the runs have."""
    for task, letter in LETTERS.items():
        servers = group(runs, task, "best")
        if (peer := best(servers, throughput, max)) and (values := ratios(servers, peer, throughput)):
            yield Figure(name=f"{letter}: throughput / best peer's ({peer})", values=values, goal=1.10, at_least=True)
        if (peer := best(servers, same_p99, min)) and (values := ratios(servers, peer, same_p99)):
            name = f"{letter}: p99 at half of Diptych's load / best peer's ({peer})"
            yield Figure(name=name, values=values, goal=0.80)
        if ours := servers.get(DIPTYCH):
            values = [goodput(run) for run in ours]
            yield Figure(name=f"{letter}: goodput at 400 % / capacity", values=values, goal=0.92, at_least=True)
        servers = group(runs, task, "shipped")
        if (peer := best(servers, throughput, max)) and (values := ratios(servers, peer, throughput)):
            name = f"{letter}: shipped defaults / best peer's ({peer})"
            yield Figure(name=name, values=values, goal=SHIPPED_GOALS[task], at_least=True)
