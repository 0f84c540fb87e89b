"""Diptych and the peers as one thing: a server that has answered, and loads on it."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.benchmarks.diptych_client import client as diptych_client
from tests.benchmarks.effort import Bench, Driver, Effort
from tests.benchmarks.load.generator import LoadGenerator
from tests.benchmarks.peers.catalogue import PEERS
from tests.benchmarks.peers.environments import Unavailable
from tests.benchmarks.peers.expected import Expected
from tests.benchmarks.peers.server import peer_server
from tests.benchmarks.peers.wire import WIRES
from tests.benchmarks.server import serving

DIPTYCH = "diptych"
CLIENT = "tests.benchmarks.peers.client:client"
BEST: dict[str, object] = {"precision": "fp32", "threads": 1, "device": "cpu"}
CALL_SECONDS = 30.0


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A server under load, whoever made it."""

    driver: Driver
    pids: Callable[[], list[int]]
    seconds_to_first_answer: float
    """From the start of its process."""


@dataclass(frozen=True, kw_only=True)
class Arena:
    """Starts what is compared; each start has a client process of its own, so that a call that hangs ends with it.

    Args:
        effort: of the measurements.
        expected: by task.
        tell: shows what is being done.
    """

    effort: Effort
    expected: dict[str, Expected]
    tell: Callable[[str], None]
    _loads: Iterator[int] = field(default_factory=itertools.count)

    @contextmanager
    def subject(self, server: str, task: str, *, shipped: bool, delay_ms: float | None = None) -> Iterator[Subject]:
        """`diptych` or a peer. Raises Unavailable when it does not start, or answers what the module does not."""
        with LoadGenerator() as generator:
            bench = Bench(effort=self.effort, generator=generator, tell=self.tell, loads=self._loads)
            if server == DIPTYCH:
                yield from self._diptych(bench, task, shipped)
            else:
                yield from self._peer(bench, server, task, shipped, delay_ms)

    def _diptych(self, bench: Bench, task: str, shipped: bool) -> Iterator[Subject]:
        begin = time.perf_counter()
        with serving(task, **({} if shipped else BEST)) as server:
            asyncio.run(_first_call(server.address, task))
            seconds = time.perf_counter() - begin
            driver = Driver(bench, server.address, {"task": task}, server.pids())
            yield Subject(driver=driver, pids=server.pids, seconds_to_first_answer=seconds)

    def _peer(self, bench: Bench, name: str, task: str, shipped: bool, delay_ms: float | None) -> Iterator[Subject]:
        wanted = self.expected[task]
        size = wanted.max_batch_size
        with peer_server(PEERS[name], task, max_batch_size=size, shipped=shipped, delay_ms=delay_ms) as server:
            if not WIRES[task].alike(server.first_answer, wanted.first_answer):
                raise Unavailable("its answer is not the module's")
            arguments = {"task": task, "transport": name}
            driver = Driver(bench, server.address, arguments, server.pids(), client=CLIENT, may_fail=True)
            yield Subject(driver=driver, pids=server.pids, seconds_to_first_answer=server.seconds_to_first_answer)


async def _first_call(address: str, task: str) -> None:
    async with diptych_client(address, task=task) as call:
        await call(0, CALL_SECONDS)
