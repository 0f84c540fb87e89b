"""The loops themselves, in a process that does nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from tests.benchmarks.load.client import Call, Ending
from tests.benchmarks.load.plan import Load, Seen
from tests.benchmarks.load.processes import busy_seconds, cpu_seconds
from tests.benchmarks.load.schedule import ARRIVALS

TOLD_FAILURES = 5


@dataclass(frozen=True, kw_only=True)
class Cpu:
    """Cores that were busy in the measured time: of this process, of the server's, and of all others."""

    own: float
    servers: float
    others: float


class Notes:
    """What ended so far, and when."""

    def __init__(self) -> None:
        self.endings: list[Ending] = []
        self.due: list[float] = []
        self.begun: list[float] = []
        self.ended: list[float] = []
        self.failures: list[str] = []

    async def note(self, call: Call, number: int, due: float, seconds: float | None) -> None:
        """Makes one call; a call that is due so late that no time is left has expired without being made."""
        begun = time.perf_counter()
        left = None if seconds is None else due + seconds - begun
        ending = Ending.EXPIRED
        if left is None or left > 0:
            try:
                ending = await call(number, left)
            except Exception as error:  # noqa: BLE001 - whatever a client raises is told, and counted
                ending = Ending.FAILED
                if len(self.failures) < TOLD_FAILURES:
                    self.failures.append(f"{type(error).__name__}: {error}"[:500])
        self.endings.append(ending)
        self.due.append(due)
        self.begun.append(begun)
        self.ended.append(time.perf_counter())

    def answers_until(self, moment: float) -> float:
        """When the last call ended that ended by then."""
        return max((ended for ended in self.ended if ended <= moment), default=moment)

    def seen(self, begin: float, end: float, by: Sequence[float], cpu: Cpu) -> Seen:
        """The calls whose time in `by` lies in the measured time."""
        chosen = [place for place, moment in enumerate(by) if begin < moment <= end]
        return Seen(
            endings=[self.endings[place] for place in chosen],
            seconds=[self.ended[place] - self.due[place] for place in chosen],
            late=[self.begun[place] - self.due[place] for place in chosen],
            measured_seconds=end - begin,
            cpu=cpu.own,
            server_cpu=cpu.servers,
            others_cpu=cpu.others,
            failures=self.failures,
        )


async def run(load: Load, call: Call) -> Seen:
    """The whole load: warm-up, measured time, and the end of the calls that are under way then."""
    notes = Notes()
    start = time.perf_counter()
    begin, end = start + load.warm_seconds, start + load.warm_seconds + load.seconds
    cpu = asyncio.create_task(_cpu_between(begin, end, load.server_pids))
    if not load.callers:
        await _open(load, call, notes, start)
        return notes.seen(begin, end, notes.due, await cpu)
    await _closed(load, call, notes, end)
    # Batches end many calls at once: a time that begins and ends in between would count one batch more or less.
    return notes.seen(notes.answers_until(begin), notes.answers_until(end), notes.ended, await cpu)


async def _closed(load: Load, call: Call, notes: Notes, end: float) -> None:
    async def caller(first: int) -> None:
        number = first
        while (due := time.perf_counter()) < end:
            await notes.note(call, number, due, load.deadline_seconds)
            number += load.callers

    await asyncio.gather(*(caller(load.first_number + place) for place in range(load.callers)))


async def _open(load: Load, call: Call, notes: Notes, start: float) -> None:
    """Calls begin by the clock alone; those that the loop meets late are made at once, and their delay is theirs."""
    offsets = ARRIVALS[load.arrivals](load.rate, load.warm_seconds + load.seconds, load.seed)
    under_way: set[asyncio.Task[None]] = set()
    for place, offset in enumerate(offsets):
        await asyncio.sleep(max(0.0, start + offset - time.perf_counter()))  # 0 lets the calls made so far go on
        making = notes.note(call, load.first_number + place, start + offset, load.deadline_seconds)
        task = asyncio.create_task(making)
        under_way.add(task)
        task.add_done_callback(under_way.discard)
    if under_way:
        await asyncio.wait(under_way)


async def _cpu_between(begin: float, end: float, server_pids: Sequence[int]) -> Cpu:
    def now() -> tuple[float, float, float, float]:
        return time.perf_counter(), time.process_time(), cpu_seconds(server_pids), busy_seconds()

    await asyncio.sleep(max(0.0, begin - time.perf_counter()))
    before = now()
    await asyncio.sleep(max(0.0, end - time.perf_counter()))
    seconds, own, servers, busy = (value - earlier for value, earlier in zip(now(), before, strict=True))
    return Cpu(own=own / seconds, servers=servers / seconds, others=max(0.0, busy - own - servers) / seconds)
