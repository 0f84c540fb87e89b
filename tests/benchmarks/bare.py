"""The bare loop: `python -m tests.benchmarks.bare text fp32 1`, a reference module with nothing around it.

Batches of several sizes take turns, a tenth of a second each, so that a slow moment of the machine meets all of them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass

from shared.inference.allocator import keep_freed_memory
from tests.benchmarks.load.cores import server_cores
from tests.benchmarks.load.generator import REPOSITORY
from tests.benchmarks.load.processes import busy_seconds

TURN_SECONDS = 0.1
SIZES = (8, 16, 32)


@dataclass(frozen=True, kw_only=True)
class BareLoop:
    """What one process measured."""

    items_per_second: dict[str, float]
    """By batch size."""
    others_cpu: float
    """Cores that other processes kept busy meanwhile: 0 on a quiet machine."""


def measure(task: str, precision: str, threads: int, seconds: float) -> BareLoop:
    """In this process."""
    from tests.benchmarks.reference.modules import MODULES  # the measuring process needs no torch

    keep_freed_memory()  # as the model process does: what it gains belongs to the limit, not to the server
    module = MODULES[task]
    run = module.load(precision, threads)
    batches = {size: [module.make_input(number) for number in range(size)] for size in SIZES}
    items, spent = dict.fromkeys(SIZES, 0), dict.fromkeys(SIZES, 0.0)
    for size in SIZES:
        run(batches[size])
    before = busy_seconds() - time.process_time()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for size in SIZES:
            begin = time.perf_counter()
            while time.perf_counter() < begin + TURN_SECONDS:
                run(batches[size])
                items[size] += size
            spent[size] += time.perf_counter() - begin
    others = busy_seconds() - time.process_time() - before
    return BareLoop(
        items_per_second={str(size): round(items[size] / spent[size], 2) for size in SIZES},
        others_cpu=round(max(0.0, others) / sum(spent.values()), 3),
    )


def fresh_start(task: str, precision: str, *, threads: int, seconds: float) -> BareLoop:
    """The same in a process of its own, on the cores that servers have."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.benchmarks.bare", task, precision, str(threads), f"--seconds={seconds}"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    )
    os.sched_setaffinity(process.pid, server_cores())
    output, _ = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the bare loop ended with {process.returncode}")
    return BareLoop(**json.loads(output))


def main() -> None:
    """Prints items a second by batch size as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("task")
    parser.add_argument("precision", choices=("fp32", "bf16"))
    parser.add_argument("threads", type=int)
    parser.add_argument("--seconds", type=float, default=3.0)
    chosen = parser.parse_args()
    measured = measure(chosen.task, chosen.precision, chosen.threads, chosen.seconds)
    sys.stdout.write(json.dumps(asdict(measured)) + "\n")


if __name__ == "__main__":
    main()
