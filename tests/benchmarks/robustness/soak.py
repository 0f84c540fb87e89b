"""`make soak`: the platform under mixed load for minutes, and whether memory and throughput stay level.

A gateway and a replica of each service, with the embedded models and default settings. Of the calls 60 % are good, with
deadlines that are met; 15 % have tight ones; 15 % are cancelled at random instants; 10 % are bad input, out of the
same table as the tests', and must be refused for its reason. The same prompt and seed must stay the same picture.
"""

from __future__ import annotations

import asyncio
import itertools
import random
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import grpc
import typer

from services.training.tiny import write_tiny_models
from tests.benchmarks.first_calls import model_directories
from tests.benchmarks.load.processes import busy_seconds, cpu_seconds, pss_megabytes
from tests.benchmarks.robustness.calls import open_channel
from tests.benchmarks.robustness.flatness import BLOCKS, WARM_UP, trend
from tests.benchmarks.robustness.fleet import Fleet, running
from tests.benchmarks.robustness.report import Report
from tests.benchmarks.robustness.soak_calls import OtherwiseError, SoakCalls
from tests.end_to_end.bad_input_of_gateway import CASES
from tests.end_to_end.calls import Stubs

CALLERS = 8
QUIET_SECONDS = 15.0
"""The most until nothing is under way once the last call has ended."""
LEAST_SAMPLES = 36


@dataclass
class Sample:
    """One look."""

    seconds: float
    memory_mb: Mapping[str, float]
    """By server, model process included."""
    ended: int
    """Calls so far, however they ended."""
    cpu_seconds: float
    """Of all servers, so far."""
    others_cpu_seconds: float
    """Of all other processes of the machine and the callers', so far."""


@dataclass
class Tally:
    """How calls ended, by kind: `good: OK`, `bad: as it should`."""

    ends: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    """What must not be; the first ones."""

    def count(self, kind: str, end: str, *, allowed: bool, told: str = "") -> None:
        """One call."""
        self.ends[f"{kind}: {end}"] += 1
        if not allowed:
            self.ends["wrong"] += 1
            if len(self.wrong) < 10:
                self.wrong.append(f"{kind}: {end}: {told}"[:400])


async def caller(calls: SoakCalls, tally: Tally, chance: random.Random, until: float) -> None:
    """One call after another."""
    while time.monotonic() < until:
        kind = chance.choices(("good", "tight", "cancelled", "bad"), (60, 15, 15, 10))[0]
        try:
            match kind:
                case "good":
                    await calls.good(30.0)
                case "tight":
                    await calls.good(chance.uniform(0.001, 0.05))
                case "cancelled":
                    task = asyncio.create_task(calls.good(30.0))
                    await asyncio.wait([task], timeout=chance.uniform(0.0, 0.1))
                    task.cancel()
                    await task
                case "bad":
                    await calls.bad()
            tally.count(kind, "as it should" if kind == "bad" else "OK", allowed=True)
        except asyncio.CancelledError:
            tally.count(kind, "CANCELLED", allowed=kind == "cancelled")
        except grpc.aio.AioRpcError as error:
            late = kind == "tight" and error.code().name in ("DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED")
            tally.count(kind, error.code().name, allowed=late, told=error.details() or "")
        except OtherwiseError as error:
            tally.count(kind, "wrong", allowed=False, told=str(error))


async def sample(fleet: Fleet, tally: Tally, seconds: float) -> list[Sample]:
    """Looks at equal distances, at least LEAST_SAMPLES."""
    pids = {server.name: server.pids() for server in fleet.servers}
    every, begin = min(5.0, seconds / LEAST_SAMPLES), time.monotonic()
    samples = []
    for number in range(int(seconds / every)):
        await asyncio.sleep(max(0.0, begin + number * every - time.monotonic()))
        cpu = cpu_seconds(pid for each in pids.values() for pid in each)
        samples.append(
            Sample(
                seconds=time.monotonic() - begin,
                memory_mb={name: pss_megabytes(each) for name, each in pids.items()},
                ended=tally.ends.total() - tally.ends["wrong"],
                cpu_seconds=cpu,
                others_cpu_seconds=busy_seconds() - cpu,
            )
        )
    return samples


async def measure(fleet: Fleet, seconds: float, seed: int = 0) -> Report:
    """The whole run."""
    tally, chance = Tally(), random.Random(seed)
    async with open_channel(fleet.gateway_target) as channel:
        calls = SoakCalls(Stubs(channel), random.Random(seed))
        await calls.learn()
        until = time.monotonic() + seconds
        callers = [asyncio.create_task(caller(calls, tally, chance, until)) for _ in range(CALLERS)]
        samples = await sample(fleet, tally, seconds)
        await asyncio.gather(*callers)
        give_up = time.monotonic() + QUIET_SECONDS
        while (busy := await asyncio.to_thread(fleet.busy)) and time.monotonic() < give_up:
            await asyncio.sleep(0.1)
    return report(tally, samples, busy)


def report(tally: Tally, samples: list[Sample], busy: Mapping[str, float]) -> Report:
    """Of what was counted and sampled."""
    pairs = list(itertools.pairwise(samples))
    rates = [(after.ended - before.ended) / (after.seconds - before.seconds) for before, after in pairs]
    costs = [
        1000 * (after.cpu_seconds - before.cpu_seconds) / max(1, after.ended - before.ended) for before, after in pairs
    ]
    others = [
        (after.others_cpu_seconds - before.others_cpu_seconds) / (after.seconds - before.seconds)
        for before, after in pairs
    ]
    memory = {name: [each.memory_mb[name] for each in samples] for name in samples[0].memory_mb}
    result = Report(
        "soak",
        {
            "seconds": round(samples[-1].seconds),
            "ends": dict(sorted(tally.ends.items())),
            "wrong": tally.wrong,
            "busy": dict(busy),
            "cases_of_bad_input": len(CASES),
            "calls_per_second": [round(rate, 1) for rate in rates],
            "cpu_ms_a_call": [round(cost, 2) for cost in costs],
            "others_cores": [round(cores, 2) for cores in others],
            "memory_mb": {name: [round(value, 1) for value in values] for name, values in memory.items()},
        },
    )
    for kind in ("good", "tight", "cancelled", "bad"):
        ends = {end.partition(": ")[2]: many for end, many in tally.ends.items() if end.startswith(f"{kind}: ")}
        result.add(f"{kind} calls", ", ".join(f"{many} {end}" for end, many in sorted(ends.items())), "", True)
    result.add("calls that ended as they must not", tally.ends["wrong"], "0", not tally.ends["wrong"])
    result.add("gauges that are not 0 afterwards", dict(busy) or 0, "0", not busy)
    window = f"the last {100 * (1 - WARM_UP):.0f} %, {BLOCKS} blocks"
    throughput, cost = trend(rates), trend(costs)
    result.add(f"calls a second, {window}", throughput.told(), "level", throughput.level)
    result.add("servers' CPU time a call", cost.told(" ms"), "level", cost.level)
    for name, values in memory.items():
        each = trend(values)
        result.add(f"memory, {name}", each.told(" MB"), "level", each.level)
    return result


def main(
    minutes: Annotated[float, typer.Option(min=0.1)] = 10.0,
    tiny: Annotated[bool, typer.Option(help="Small random models instead of the embedded ones.")] = False,
    seed: Annotated[int, typer.Option(help="Of all that is drawn.")] = 0,
    output: Annotated[Path | None, typer.Option(help="File for the result, JSON.")] = None,
) -> None:
    """Runs and prints; ends with 1 where a goal was missed."""
    with tempfile.TemporaryDirectory() as folder:
        models = write_tiny_models(Path(folder) / "models") if tiny else model_directories(None)
        settings: Mapping[str, object] = {} if tiny else {"precision": "auto", "threads": 0}
        with running(lambda mark: Fleet(Path(folder), mark, models, replicas=1, spares=0, settings=settings)) as fleet:
            result = asyncio.run(measure(fleet, 60 * minutes, seed))
    result.print(output)


if __name__ == "__main__":
    typer.run(main)
