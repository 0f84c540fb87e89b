"""Latency against load: the same module under rising rates, as `plot` draws it. Not part of a usual run."""

from __future__ import annotations

from collections.abc import Sequence

from tests.benchmarks.effort import Bench, Driver, Result
from tests.benchmarks.sections.modules import TASKS
from tests.benchmarks.server import serving

SHARES = (0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 1.0, 1.2, 1.5, 2.0, 4.0)
"""Of the capacity."""
CALLERS, CAPACITY_SECONDS = 64, 3.0
SECONDS = 3.0


def measure(bench: Bench) -> list[Result]:
    """A curve a module, fp32, one start."""
    curves: list[Result] = []
    for task in TASKS:
        bench.tell(task)
        with serving(task, precision="fp32", threads=1, device="cpu") as server:
            driver = Driver(bench, server.address, {"task": task}, server.pids())
            capacity = driver.closed(CALLERS, CAPACITY_SECONDS).answered_per_second
            rates = [share * capacity for share in SHARES]
            curves.append({"server": "Diptych", "task": task, "points": points(driver, rates)})
    return curves


def points(driver: Driver, rates: Sequence[float]) -> list[Result]:
    """One for each rate, in calls a second; servers that are drawn together need the same rates."""
    found: list[Result] = []
    for rate in rates:
        told = driver.open(rate, SECONDS)
        times = {"p50_ms": round(told.p50_ms, 2), "p99_ms": round(told.p99_ms, 2)} if told.answered_per_second else {}
        found.append({"rate": round(rate, 1), "goodput": round(told.answered_per_second, 1), **times})
    return found
