"""`python -m tests.benchmarks.robustness.rolling_restarts`: everything replaced, again and again, under load.

Two replicas of each service and two gateways over simulated models at 100 calls a second, and as many again over
small real models at 3 a second. A round replaces each process once, as Kubernetes does with `maxSurge: 1` and
`maxUnavailable: 0`: a successor starts beside the others, and once it serves, one of the old ones gets SIGTERM. All
four services roll at the same time, then the gateways. Callers retry nothing; their channels know all gateways'
addresses and watch their health.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import typer

from diptych.gateway.v1 import gateway_pb2_grpc
from services.training.tiny import write_tiny_models
from tests.benchmarks.robustness.calls import ECHO_FLOWS, REAL_FLOWS, Flow, Seen, open_channel, open_loop
from tests.benchmarks.robustness.fleet import Fleet, running, wait_whole
from tests.benchmarks.robustness.report import Report
from tests.end_to_end.servers import SERVICES


@dataclass(kw_only=True)
class Traffic:
    """A fleet with its callers."""

    name: str
    fleet: Fleet
    flows: Mapping[str, Flow]
    rate: float
    """Calls a second."""
    seen: Seen = field(default_factory=Seen)
    replaced: int = 0
    retries: float = 0.0
    """Calls that a gateway tried again elsewhere, as far as its last look told."""

    async def run(self, over: asyncio.Event) -> None:
        """Calls until it is over."""
        async with open_channel(self.fleet.gateway_target) as channel:
            await channel.channel_ready()
            stub = gateway_pb2_grpc.GatewayServiceStub(channel)
            await open_loop(stub, self.flows, self.rate, self.seen, over)

    def round(self) -> None:
        """Replaces every process once; blocks."""
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.fleet.roll, SERVICES))
        self.retries += sum(each.total("diptych_downstream_retries_total") for each in self.fleet.metrics("gateway"))
        self.fleet.roll("gateway")
        self.replaced += len(self.fleet.servers)
        wait_whole(self.fleet)


async def measure(traffics: Sequence[Traffic], rounds: int) -> Report:
    """The whole run."""
    over, begin = asyncio.Event(), time.monotonic()
    calling = [asyncio.create_task(traffic.run(over)) for traffic in traffics]
    try:
        await asyncio.sleep(1.0)
        for _ in range(rounds):
            await asyncio.gather(*(asyncio.to_thread(traffic.round) for traffic in traffics))
        await asyncio.sleep(1.0)
    finally:
        over.set()
        await asyncio.gather(*calling)
    seconds = time.monotonic() - begin
    return report(traffics, rounds, seconds)


def report(traffics: Sequence[Traffic], rounds: int, seconds: float) -> Report:
    """Of what was counted."""
    fleets = {
        traffic.name: {
            "rate": traffic.rate,
            "processes_replaced": traffic.replaced,
            "retried_by_gateways": traffic.retries,
            **traffic.seen.told(),
        }
        for traffic in traffics
    }
    result = Report("rolling restarts", {"rounds": rounds, "seconds": round(seconds, 1), "fleets": fleets})
    for traffic in traffics:
        seen = traffic.seen
        result.add(f"{traffic.name}: servers replaced in {rounds} rounds", traffic.replaced, "", True)
        result.add(f"{traffic.name}: calls answered", seen.answered.total(), "", seen.answered.total() > 0)
        result.add(f"{traffic.name}: tried again by a gateway", f"{traffic.retries:.0f}", "", True)
        result.add(f"{traffic.name}: calls failed", dict(seen.failed) or 0, "0", not seen.failed)
    return result


def main(
    rounds: Annotated[int, typer.Option(min=1)] = 10,
    rate: Annotated[float, typer.Option(help="Calls a second, of simulated models.")] = 100.0,
    real_rate: Annotated[float, typer.Option(help="Calls a second, of real ones; 0 leaves them out.")] = 3.0,
    output: Annotated[Path | None, typer.Option(help="File for the result, JSON.")] = None,
) -> None:
    """Runs and prints; ends with 1 where a call failed."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        logs = Path(folder)
        simulated = stack.enter_context(running(lambda mark: Fleet(logs, mark)))
        traffics = [Traffic(name="simulated", fleet=simulated, flows=ECHO_FLOWS, rate=rate)]
        if real_rate:
            models = write_tiny_models(logs / "models")
            real = stack.enter_context(running(lambda mark: Fleet(logs, mark, models)))
            traffics.append(Traffic(name="real", fleet=real, flows=REAL_FLOWS, rate=real_rate))
        result = asyncio.run(measure(traffics, rounds))
    result.print(output)


if __name__ == "__main__":
    typer.run(main)
