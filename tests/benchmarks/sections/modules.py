"""The reference modules served by Diptych beside the bare loop: throughput, latency, and what overload does."""

from __future__ import annotations

from tests.benchmarks.bare import fresh_start
from tests.benchmarks.counted import counted
from tests.benchmarks.effort import Bench, Driver, Result, numbers
from tests.benchmarks.load.processes import pss_megabytes
from tests.benchmarks.server import serving

TASKS = ("text", "classification", "generation")
PRECISIONS = ("fp32", "bf16")
CALLERS = {1: 0.8, 16: 1.0, 64: 2.0}
"""Of the closed loops, with the seconds that each is measured; the last is the capacity."""
SHARES = {50: 2.0, 90: 1.2, 400: 2.0}
"""Of the capacity, in percent, that is offered to the open loops."""
BURSTS_SECONDS = 1.2
MIXED_ITEMS, MIXED_CALLERS, MIXED_SECONDS = 8, 24, 1.2
"""Calls of 1 to 8 items, enough of them to fill the largest batch several times."""


def measure(bench: Bench) -> Result:
    """For each start all modules in both precisions, the bare loop and Diptych by turns."""
    runs: list[Result] = []
    for start, usual in bench.starts():
        for task in TASKS:
            for precision in PRECISIONS:
                bench.tell(f"{task} {precision}, start {start + 1}")
                run: Result = {"task": task, "precision": precision, "start": start}
                for part in (_bare, _diptych) if usual else (_diptych, _bare):
                    part(run, bench)
                runs.append(run)
    return {"runs": runs}


def _bare(run: Result, bench: Bench) -> None:
    measured = fresh_start(run["task"], run["precision"], threads=1, seconds=bench.seconds(1.5))
    run["bare"] = measured.items_per_second
    run["bare_others_cpu"] = measured.others_cpu


def _diptych(run: Result, bench: Bench) -> None:
    task, precision = run["task"], run["precision"]
    with serving(task, precision=precision, threads=1, device="cpu") as server:
        driver = Driver(bench, server.address, {"task": task}, server.pids())
        run["closed"], run["open"] = {}, {}
        for callers, seconds in CALLERS.items():
            before = server.metrics()
            told = driver.closed(callers, seconds)
            run["closed"][str(callers)] = numbers(told) | {"counted": counted(before, server.metrics())}
        capacity = told.answered_per_second
        for share, seconds in SHARES.items():
            before, pss = server.metrics(), pss_megabytes(server.pids())
            told = driver.open(capacity * share / 100, seconds)
            run["open"][str(share)] = numbers(told) | {
                "pss_mb": [round(value, 1) for value in (pss, pss_megabytes(server.pids()))],
                "counted": counted(before, server.metrics()),
            }
        if precision == "fp32":
            run["bursts"] = numbers(driver.open(0.9 * capacity, BURSTS_SECONDS, "bursts"))
            arguments = {"task": task, "items": MIXED_ITEMS, "mixed": True}
            before = server.metrics()
            told = Driver(bench, server.address, arguments, server.pids()).closed(MIXED_CALLERS, MIXED_SECONDS)
            run["mixed"] = numbers(told) | {"counted": counted(before, server.metrics())}
