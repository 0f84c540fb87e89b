"""Who gets how much: `python -m tests.benchmarks.load_spread` counts the calls of each replica behind one gateway.

Real processes and sockets; only the models sleep instead of computing (`paced_replica`), so that four of them fit on
two cores. Every call is another text: none is remembered or shared. Prints a table, and last one JSON object.
"""

from __future__ import annotations

import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import grpc
from rich.console import Console
from rich.table import Table

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from shared.rpc.channel import open_channel
from tests.benchmarks.paced_replica import CAPACITY
from tests.end_to_end.servers import Server, environment, new_mark

NAMES = ("a", "b", "c", "d")
SECONDS = 6.0
"""Of each run."""
SETTLE_SECONDS = 2.0
"""Of calls ahead of each count, after a change."""
DEADLINE_SECONDS = 0.5
SLOWNESS = 4
NEWCOMER_SECONDS = 30.0


@dataclass(kw_only=True)
class Replica(Server):
    """A paced replica."""

    folder: Path

    @property
    def program(self) -> tuple[str, ...]:
        """The module that is run."""
        return ("tests.benchmarks.paced_replica",)

    def slow_down(self, slowness: float) -> None:
        """From its next batch on."""
        (self.folder / "slowness").write_text(str(slowness))


@dataclass
class Run:
    """The calls of one run."""

    answered: Counter[str] = field(default_factory=Counter)
    """By replica."""
    failed: Counter[str] = field(default_factory=Counter)
    """By status code."""
    answers: list[float] = field(default_factory=list)
    """Seconds, of answered calls."""
    refusals: list[float] = field(default_factory=list)
    """Seconds, of refused calls."""

    def shares(self, names: Sequence[str]) -> list[float]:
        """Of the answered calls."""
        return [self.answered[name] / max(1, self.answered.total()) for name in names]


class Caller:
    """Calls EncodeText of the gateway, each time with another text."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = gateway_pb2_grpc.GatewayServiceStub(channel)
        self._numbers = count()

    async def call(self, run: Run, timeout: float = 30.0) -> None:
        """One call, noted in `run`."""
        begin = time.perf_counter()
        request = gateway_pb2.EncodeTextRequest(texts=[f"text {next(self._numbers)}"])
        try:
            answer = await self._stub.EncodeText(request, timeout=timeout)
            run.answered[answer.stages[0].model.version] += 1
            run.answers.append(time.perf_counter() - begin)
        except grpc.aio.AioRpcError as error:
            run.failed[error.code().name] += 1
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                run.refusals.append(time.perf_counter() - begin)

    async def closed(self, callers: int, seconds: float) -> Run:
        """So many callers, each with its next call right after the last."""
        run = Run()
        end = time.perf_counter() + seconds

        async def keep_calling() -> None:
            while time.perf_counter() < end:
                await self.call(run)

        await asyncio.gather(*(keep_calling() for _ in range(callers)))
        return run

    async def poisson(self, rate: float, seconds: float, timeout: float) -> Run:
        """Calls at random instants, whatever becomes of those before."""
        run = Run()
        due = begin = time.perf_counter()
        tasks: set[asyncio.Task[None]] = set()
        while due < begin + seconds:
            due += random.expovariate(rate)
            await asyncio.sleep(due - time.perf_counter())
            task = asyncio.create_task(self.call(run, timeout))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        return run


@contextmanager
def platform(names: Sequence[str]) -> Iterator[tuple[dict[str, Replica], Server]]:
    """Replicas, which are started, and a gateway that knows them and is not."""
    with tempfile.TemporaryDirectory() as folder:
        mark = new_mark()
        replicas = {name: _replica(Path(folder) / name, name, mark) for name in names}
        targets = ",".join(replica.address for replica in replicas.values())
        services = ("text", "classification", "generation", "captioning")
        settings: dict[str, object] = {f"{service}_targets": targets for service in services}
        gateway = Server(name="gateway", environment=environment(mark, settings), log=Path(folder) / "gateway.log")
        started: list[Server] = [*replicas.values(), gateway]
        try:
            yield replicas, gateway
        finally:
            for server in started:
                if hasattr(server, "popen"):
                    server.terminate()


def _replica(folder: Path, name: str, mark: str) -> Replica:
    folder.mkdir()
    (folder / "version").write_text(name)
    replica = Replica(
        name=name, environment=environment(mark, {"model_directory": folder}), log=folder / "log", folder=folder
    )
    replica.slow_down(1)
    return replica


def _ms(values: Sequence[float], percent: int) -> float:
    return round(1000 * statistics.quantiles(values, n=100)[percent - 1], 1) if len(values) > 1 else 0.0


class Report:
    """Rows for people and for programs."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self.table = Table("run", "calls", "shares, %", "answers p50/p99 ms", "refused, p50/p99 ms", "goal", "met")

    def add(self, name: str, run: Run, names: Sequence[str], goal: str, met: bool | None, **more: object) -> None:
        """One run."""
        shares = [round(100 * share, 1) for share in run.shares(names)]
        self.rows.append(
            {
                "run": name,
                "answered": run.answered.total(),
                "failed": dict(run.failed),
                "shares_percent": shares,
                "answers_ms": [_ms(run.answers, 50), _ms(run.answers, 99)],
                "refusals_ms": [_ms(run.refusals, 50), _ms(run.refusals, 99)],
                "met": met,
                **more,
            }
        )
        refused = f"{len(run.refusals)}, {_ms(run.refusals, 50)}/{_ms(run.refusals, 99)}" if run.refusals else ""
        told = "" if met is None else "yes" if met else "no"
        answers = f"{_ms(run.answers, 50)}/{_ms(run.answers, 99)}"
        self.table.add_row(name, str(run.answered.total()), " ".join(map(str, shares)), answers, refused, goal, told)


Load = Callable[[], Awaitable[Run]]


def _loads(caller: Caller, replicas: int) -> dict[str, Load]:
    """The kinds of load, by name; the fraction is of what replicas at slowness 1 can serve."""

    def closed(callers: int) -> Load:
        return lambda: caller.closed(callers, SECONDS)

    rate = 0.6 * replicas * CAPACITY
    return {
        "1 caller": closed(1),
        "8 callers": closed(8),
        "64 callers": closed(64),
        "60 % of capacity": lambda: caller.poisson(rate, SECONDS, 30.0),
    }


async def measure(replicas: dict[str, Replica], gateway: Server) -> Report:
    """All runs, one after another."""
    report = Report()
    three, fourth = NAMES[:3], replicas[NAMES[3]]
    async with open_channel(gateway.address, max_message_bytes=1 << 20) as channel:
        caller = Caller(channel)
        await caller.closed(8, SETTLE_SECONDS)
        for name, load in _loads(caller, 3).items():
            run = await load()
            even = all(abs(share - 1 / 3) <= 0.05 for share in run.shares(three))
            report.add(f"three equal, {name}", run, three, "33 +-5 each", even)
        await _overload(report, caller, replicas, "three equal", three)
        await _newcomer(report, caller, fourth)
        fourth.slow_down(SLOWNESS)
        await caller.closed(8, SETTLE_SECONDS)
        for name, load in _loads(caller, 3).items():
            run = await load()
            report.add(f"fourth {SLOWNESS}x slower, {name}", run, NAMES, "d at most 12.5", run.shares("d")[0] <= 0.125)
        await _overload(report, caller, replicas, f"fourth {SLOWNESS}x slower", NAMES)
        fourth.slow_down(1)
        run, seconds = await _until_share(caller, 8)
        report.add(f"fourth fast again, its share {seconds} s later", run, NAMES, "", None, seconds=seconds)
    return report


async def _newcomer(report: Report, caller: Caller, fourth: Replica) -> None:
    fourth.start()
    serving = asyncio.create_task(asyncio.to_thread(fourth.wait_serving))
    while not serving.done():
        await caller.closed(64, 0.5)
    await serving
    run, seconds = await _until_share(caller, 64)
    name = f"fourth started, its share {seconds} s after it serves"
    report.add(name, run, NAMES, f"within {NEWCOMER_SECONDS:g} s", seconds <= NEWCOMER_SECONDS, seconds=seconds)


async def _until_share(caller: Caller, callers: int) -> tuple[Run, float]:
    """Seconds, in halves, until the fourth replica has its share less a fifth; and the last half second."""
    begin = time.perf_counter()
    while True:
        run = await caller.closed(callers, 0.5)
        seconds = round(time.perf_counter() - begin, 1)
        if run.shares("d")[0] >= 0.2 or seconds > 2 * NEWCOMER_SECONDS:
            return run, seconds


async def _overload(
    report: Report, caller: Caller, replicas: dict[str, Replica], name: str, names: Sequence[str]
) -> None:
    """Four times the load that the replicas can serve, with deadlines: what is served, and who refuses."""
    capacity = sum(CAPACITY / (SLOWNESS if name.startswith("fourth") and each == "d" else 1) for each in names)
    before = _asked(replicas, names)
    run = await caller.poisson(4 * capacity, SECONDS, DEADLINE_SECONDS)
    asked = _asked(replicas, names) - before
    goodput = run.answered.total() / (capacity * SECONDS)
    in_vain = asked - run.answered.total()
    title = f"{name}, 400 %: goodput {goodput:.2f}, {in_vain:.0f} calls asked a replica in vain"
    report.add(title, run, names, "", None, goodput=round(goodput, 3), asked_in_vain=in_vain)


def _asked(replicas: dict[str, Replica], names: Sequence[str]) -> float:
    method = "diptych.text.v1.TextEncodingService/EncodeText"
    return sum(replicas[name].metrics().total("diptych_rpc_requests_total", method=method) for name in names)


def main() -> None:
    """Runs and prints."""
    with platform(NAMES) as (replicas, gateway):
        for name in NAMES[:3]:
            replicas[name].start()
        for name in NAMES[:3]:
            replicas[name].wait_serving()
        gateway.start()
        gateway.wait_serving()
        report = asyncio.run(measure(replicas, gateway))
    Console(width=200).print(report.table)
    sys.stdout.write(f"{json.dumps({'benchmark': 'load_spread', 'runs': report.rows})}\n")


if __name__ == "__main__":
    main()
