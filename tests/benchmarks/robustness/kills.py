"""`python -m tests.benchmarks.robustness.kills`: random processes of a fleet get SIGKILL under load, one by one.

Two replicas of each service and two gateways; front ends, model processes and gateways alike are killed. What ends is
started again at once, as a kubelet or Compose does; a model process is its front end's to replace. Callers retry
nothing. A kill is over when every server serves and every gateway knows it.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import psutil
import typer

from diptych.gateway.v1 import gateway_pb2_grpc
from services.training.tiny import write_tiny_models
from tests.benchmarks.robustness.calls import ECHO_FLOWS, REAL_FLOWS, Flow, Seen, open_channel, open_loop
from tests.benchmarks.robustness.fleet import Fleet, running
from tests.benchmarks.robustness.report import Report

RECOVERY_SECONDS = 8.0
"""The goal."""
PATIENCE_SECONDS = 60.0
"""After which a fleet counts as lost."""


@dataclass(frozen=True, kw_only=True)
class Kill:
    """One kill and what followed."""

    victim: str
    failed: Mapping[str, int]
    """Calls by code, until the fleet was whole again."""
    failing_seconds: float
    """From the kill to the last of them; 0 if there was none."""
    recovered_seconds: float
    """Until every server served and every gateway knew it."""


class Killer:
    """Kills, and keeps the fleet's servers running.

    Args:
        fleet: that is whole.
        seen: what its callers see.
        seed: of what is drawn.
    """

    def __init__(self, fleet: Fleet, seen: Seen, seed: int = 0) -> None:
        self._fleet = fleet
        self._seen = seen
        self._chance = random.Random(seed)
        self.restarted: list[str] = []

    async def kill(self) -> Kill:
        """Kills one process, and waits until the fleet is whole."""
        await asyncio.sleep(self._chance.uniform(0.2, 1.0))
        victim, pid = self._choose()
        before, begin = Counter(self._seen.failed), time.monotonic()
        os.kill(pid, signal.SIGKILL)
        await self._recover(pid, begin)
        recovered = time.monotonic() - begin
        failed = self._seen.failed - before
        last = self._seen.last_failure - begin if failed else 0.0
        return Kill(victim=victim, failed=dict(failed), failing_seconds=last, recovered_seconds=recovered)

    def _choose(self) -> tuple[str, int]:
        victims = [(server.name, server.pid) for server in self._fleet.servers]
        victims += [
            (f"{server.name}'s model process", server.model_pid())
            for server in self._fleet.servers
            if server.name != "gateway"
        ]
        return self._chance.choice(victims)

    async def _recover(self, pid: int, begin: float) -> None:
        while True:
            self.restarted += await asyncio.to_thread(self._fleet.restart_dead)
            if self._replaced(pid) and await asyncio.to_thread(self._fleet.whole):
                await asyncio.sleep(0.2)  # a front end may not have told yet that it lost its model process
                if await asyncio.to_thread(self._fleet.whole):
                    return
            assert time.monotonic() - begin < PATIENCE_SECONDS, f"not whole {PATIENCE_SECONDS:g} s after a kill"
            await asyncio.sleep(0.05)

    def _replaced(self, pid: int) -> bool:
        """Whether every server has all its processes, and the killed one is none of them."""
        with suppress(psutil.Error, ValueError):
            servers = self._fleet.servers
            models = {server.model_pid() for server in servers if server.name != "gateway"}
            return pid not in models | {server.pid for server in servers}
        return False


async def measure(
    fleet: Fleet, flows: Mapping[str, Flow], *, kills: int, rate: float, seed: int = 0
) -> tuple[Report, Seen]:
    """The whole run."""
    seen, over = Seen(), asyncio.Event()
    killer = Killer(fleet, seen, seed)
    async with open_channel(fleet.gateway_target) as channel:
        await channel.channel_ready()
        calling = asyncio.create_task(
            open_loop(gateway_pb2_grpc.GatewayServiceStub(channel), flows, rate, seen, over, seed=seed)
        )
        try:
            done = [await killer.kill() for _ in range(kills)]
        finally:
            over.set()
            await calling
    return report(done, seen, killer.restarted, fleet), seen


def report(kills: Sequence[Kill], seen: Seen, restarted: Sequence[str], fleet: Fleet) -> Report:
    """Of what was counted."""
    times = [kill.recovered_seconds for kill in kills]
    slow = [
        f"{kill.victim} {kill.recovered_seconds:.1f} s" for kill in kills if kill.recovered_seconds > RECOVERY_SECONDS
    ]
    retries = sum(metrics.total("diptych_downstream_retries_total") for metrics in fleet.metrics("gateway"))
    others = {code: number for code, number in seen.failed.items() if code != "UNAVAILABLE"}
    by_victim = Counter(kill.victim for kill in kills)
    result = Report(
        "kill -9",
        {
            "kills": [{**vars(kill), "recovered_seconds": round(kill.recovered_seconds, 2)} for kill in kills],
            "restarted": list(restarted),
            "retried_by_gateways_alive": retries,
            **seen.told(),
        },
    )
    result.add("kills", ", ".join(f"{number} {victim}" for victim, number in sorted(by_victim.items())), "", True)
    result.add("calls answered", seen.answered.total(), "", seen.answered.total() > 0)
    result.add("calls that ended with UNAVAILABLE", seen.failed["UNAVAILABLE"], "", True)
    result.add("kills that failed any call", sum(bool(kill.failed) for kill in kills), "", True)
    result.add(
        "longest from a kill to a failed call, s", f"{max(kill.failing_seconds for kill in kills):.1f}", "", True
    )
    result.add("tried again by gateways that live", f"{retries:.0f}", "", True)
    result.add("calls that ended otherwise", others or 0, "0", not others)
    result.add(
        "back to full strength, s, median and most", f"{sorted(times)[len(times) // 2]:.1f}, {max(times):.1f}", "", True
    )
    result.add(f"kills not over within {RECOVERY_SECONDS:g} s", slow or 0, "0", not slow)
    return result


def main(
    kills: Annotated[int, typer.Option(min=1)] = 50,
    rate: Annotated[float, typer.Option(help="Calls a second.")] = 30.0,
    simulated: Annotated[bool, typer.Option(help="Simulated models instead of small real ones.")] = False,
    seed: Annotated[int, typer.Option(help="Of who is killed when.")] = 0,
    output: Annotated[Path | None, typer.Option(help="File for the result, JSON.")] = None,
) -> None:
    """Runs and prints; ends with 1 where a goal was missed."""
    with tempfile.TemporaryDirectory() as folder:
        models = None if simulated else write_tiny_models(Path(folder) / "models")
        with running(lambda mark: Fleet(Path(folder), mark, models)) as fleet:
            flows = ECHO_FLOWS if simulated else REAL_FLOWS
            result, _ = asyncio.run(measure(fleet, flows, kills=kills, rate=rate, seed=seed))
    result.print(output)


if __name__ == "__main__":
    typer.run(main)
