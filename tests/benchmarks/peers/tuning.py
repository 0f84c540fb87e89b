"""`python -m tests.benchmarks.peers.tuning`: which delay of a batch suits each peer and module; for `peers.toml`.

The best has the highest throughput of 64 callers; of those that come near it, the lowest p99 at half of that load.
"""

from __future__ import annotations

import statistics
import sys
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from tests.benchmarks.bench import teller
from tests.benchmarks.effort import Effort
from tests.benchmarks.load.summary import Summary
from tests.benchmarks.peers.catalogue import PEERS
from tests.benchmarks.peers.environments import make
from tests.benchmarks.peers.expected import expected
from tests.benchmarks.peers.measuring import FAILURES
from tests.benchmarks.peers.subjects import Arena
from tests.benchmarks.sections.modules import TASKS

NEAR = 0.97
"""Less is a difference, more is noise."""
CALLERS, SECONDS = 64, 2.0

Seen = dict[float, list[tuple[Summary, Summary]]]
"""By delay, each start's closed loop, and its open loop at half of that rate."""


def main(
    peer: Annotated[list[str] | None, typer.Option(help="Repeatable; all.")] = None,
    module: Annotated[list[str] | None, typer.Option(help="Repeatable; all.")] = None,
    starts: Annotated[int, typer.Option(min=1, help="Fresh starts of each.")] = 3,
) -> None:
    """Prints what was seen, and the lines for `peers.toml`."""
    console = Console(width=120 if not sys.stdout.isatty() else None)
    table = Table("peer", "module", "delay, ms", "64 callers, items/s", "50 %: p99, ms", "chosen")
    lines: list[str] = []
    with console.status("") as status:
        arena = Arena(effort=Effort(starts=starts), expected=dict(expected()), tell=teller(status, "tuning"))
        for name in peer or PEERS:
            try:
                make(PEERS[name])
                delays = {task: _tune(arena, name, task, table) for task in module or TASKS}
            except FAILURES as error:
                lines.append(f"{name}: {error}")
            else:
                lines.append(
                    f"{name}: delays_ms = {{ {', '.join(f'{task} = {ms:g}' for task, ms in delays.items())} }}"
                )
    console.print(table)
    for line in lines:
        console.print(line, highlight=False)


def _tune(arena: Arena, name: str, task: str, table: Table) -> float:
    """Starts with each delay in turn, so that a slow moment of the machine meets all of them."""
    seen: Seen = {delay: [] for delay in PEERS[name].tried_ms}
    for start in range(arena.effort.starts):
        for delay in seen:
            arena.tell(f"{name} {task} {delay:g} ms, start {start + 1}")
            with arena.subject(name, task, shipped=False, delay_ms=delay) as subject:
                full = subject.driver.closed(CALLERS, SECONDS)
                seen[delay].append((full, subject.driver.open(full.answered_per_second / 2, SECONDS)))
    chosen = best(seen)
    for delay in seen:
        numbers = f"{rate(seen, delay):.0f}", f"{p99(seen, delay):.0f}"
        table.add_row(name, task, f"{delay:g}", *numbers, "yes" if delay == chosen else "")
    return chosen


def rate(seen: Seen, delay: float) -> float:
    """Median items a second of the closed loops."""
    return statistics.median(full.answered_per_second for full, _ in seen[delay])


def p99(seen: Seen, delay: float) -> float:
    """Median milliseconds of the open loops."""
    return statistics.median(half.p99_ms for _, half in seen[delay])


def best(seen: Seen) -> float:
    """As the module says."""
    highest = max(rate(seen, delay) for delay in seen)
    return min((delay for delay in seen if rate(seen, delay) >= NEAR * highest), key=lambda delay: p99(seen, delay))


if __name__ == "__main__":
    typer.run(main)
