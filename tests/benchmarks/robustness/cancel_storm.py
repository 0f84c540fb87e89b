"""`python -m tests.benchmarks.robustness.cancel_storm`: calls of which half are cancelled at random instants.

One gateway and one replica of each service over simulated models, so that all calls share queues and batches. Every
fourth input is asked for by two callers at a time, who share one piece of work; mostly one of the two leaves. No
answer may be another's, all gauges must return to exactly 0, and memory must stay level.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diptych.gateway.v1 import gateway_pb2_grpc
from tests.benchmarks.load.processes import pss_megabytes
from tests.benchmarks.robustness.calls import ECHO_FLOWS, Flow, Seen, open_channel
from tests.benchmarks.robustness.flatness import trend
from tests.benchmarks.robustness.fleet import Fleet, running
from tests.benchmarks.robustness.report import Report

if TYPE_CHECKING:  # present in the stubs only
    GatewayStub = gateway_pb2_grpc.GatewayServiceAsyncStub

CALLERS = 48
SAMPLES = 48
"""Looks at the memory."""
QUIET_SECONDS = 10.0
"""The most until nothing is under way once the last call has ended."""
SHARED = 4
"""Every so many pairs of neighbouring calls have the same input."""


class Storm:
    """Callers that each make one call after another, and cancel every other one.

    Args:
        stub: of the gateway.
        calls: how many in all.
        seed: of what is drawn.
    """

    def __init__(self, stub: GatewayStub, calls: int, seed: int = 0) -> None:
        self._stub = stub
        self._chance = random.Random(seed)
        self._numbers = iter(range(calls))
        self._usual_seconds = dict.fromkeys(ECHO_FLOWS, 0.05)
        self.seen = Seen()
        self.made = 0
        self.to_cancel = 0

    async def run(self) -> None:
        """Until all calls have ended."""
        await asyncio.gather(*(self._caller() for _ in range(CALLERS)))

    async def _caller(self) -> None:
        names = list(ECHO_FLOWS)
        for number in self._numbers:
            self.made += 1
            shared = number // 2 % SHARED == 0
            name = names[number // 2 % len(names)]
            await self._call(name, ECHO_FLOWS[name], number // 2 * 2 if shared else number)

    async def _call(self, name: str, flow: Flow, number: int) -> None:
        cancelled_after = None
        if self._chance.random() < 0.5:
            self.to_cancel += 1
            cancelled_after = self._chance.uniform(0.0, 1.5 * self._usual_seconds[name])
        begin = time.perf_counter()
        task = asyncio.create_task(self.seen.note(name, flow(self._stub, number)))
        if cancelled_after is not None:
            await asyncio.wait([task], timeout=cancelled_after)
            if task.cancel():
                await asyncio.wait([task])
                return
        await task
        self._usual_seconds[name] += 0.05 * (time.perf_counter() - begin - self._usual_seconds[name])


async def watch(fleet: Fleet, storm: Storm, calls: int) -> list[dict[str, float]]:
    """MB of each server, every so many calls."""
    samples: list[dict[str, float]] = []
    for number in count(1):
        while storm.made < calls * number / (SAMPLES + 1):
            await asyncio.sleep(0.01)
        samples.append({server.name: pss_megabytes(server.pids()) for server in fleet.servers})
        if number == SAMPLES:
            break
    return samples


async def measure(fleet: Fleet, calls: int, seed: int = 0) -> Report:
    """The whole run."""
    async with open_channel(fleet.gateway_target) as channel:
        await channel.channel_ready()
        storm = Storm(gateway_pb2_grpc.GatewayServiceStub(channel), calls, seed)
        begin = time.monotonic()
        samples, _ = await asyncio.gather(watch(fleet, storm, calls), storm.run())
        seconds = time.monotonic() - begin
        busy = await _quiet(fleet)
    joined = sum(metrics.total("diptych_downstream_joined_total") for metrics in fleet.metrics("gateway"))
    dropped = sum(metrics.total("diptych_dropped_total", reason="cancelled") for metrics in fleet.metrics())
    return report(storm, samples, busy, {"seconds": round(seconds, 1), "joined": joined, "dropped_in_queue": dropped})


async def _quiet(fleet: Fleet) -> dict[str, float]:
    """What is still under way when all callers have gone, at last."""
    give_up = time.monotonic() + QUIET_SECONDS
    while (busy := await asyncio.to_thread(fleet.busy)) and time.monotonic() < give_up:
        await asyncio.sleep(0.1)
    return busy


def report(
    storm: Storm, samples: list[dict[str, float]], busy: dict[str, float], facts: Mapping[str, object]
) -> Report:
    """Of what was counted."""
    seen = storm.seen
    ended = seen.answered.total() + seen.cancelled + seen.failed.total()
    memory = {name: trend([sample[name] for sample in samples]) for name in samples[0]}
    result = Report(
        "cancel storm",
        {
            "calls": storm.made,
            "to_cancel": storm.to_cancel,
            **seen.told(),
            **facts,
            "busy": busy,
            "memory_mb": {name: [round(sample[name], 1) for sample in samples] for name in samples[0]},
        },
    )
    result.add("calls", f"{storm.made}, {storm.to_cancel} to be cancelled", "", True)
    result.add("answered / cancelled", f"{seen.answered.total()} / {seen.cancelled}", "", ended == storm.made)
    result.add("wrong answers", seen.failed["WRONG"], "0", seen.failed["WRONG"] == 0)
    result.add("other failures", dict(seen.failed), "0", not seen.failed)
    result.add("gauges that are not 0 afterwards", busy or 0, "0", not busy)
    result.add("shared by equal calls", facts["joined"], "", True)
    result.add("dropped in a queue, cancelled", facts["dropped_in_queue"], "", True)
    for name, each in memory.items():
        result.add(f"memory, {name}", each.told(" MB"), "level", each.level)
    return result


def main(
    calls: Annotated[int, typer.Option(min=1000)] = 100_000,
    seed: Annotated[int, typer.Option(help="Of inputs and instants.")] = 0,
    output: Annotated[Path | None, typer.Option(help="File for the result, JSON.")] = None,
) -> None:
    """Runs and prints; ends with 1 where a goal was missed."""
    with tempfile.TemporaryDirectory() as logs, running(lambda mark: Fleet(Path(logs), mark, replicas=1)) as fleet:
        result = asyncio.run(measure(fleet, calls, seed))
    result.print(output)


if __name__ == "__main__":
    typer.run(main)
