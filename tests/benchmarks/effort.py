"""How much is measured, and a load with what belongs to it in one word: what the sections share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from tests.benchmarks.load.generator import LoadGenerator
from tests.benchmarks.load.plan import DEADLINE_SECONDS, Load
from tests.benchmarks.load.summary import Summary, summary

CLIENT = "tests.benchmarks.diptych_client:client"
MOST_CALLS = 1_000_000
"""Of one load."""

Result = dict[str, Any]
"""As it is kept, in JSON."""


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How often and how long."""

    starts: int = 3
    """Fresh starts of everything that is compared, by turns."""
    scale: float = 1.0
    """Of all times."""


QUICK = Effort(starts=1, scale=0.4)


@dataclass(frozen=True, kw_only=True)
class Bench:
    """What every section is given."""

    effort: Effort
    generator: LoadGenerator
    """One process for all loads: what is started anew is what is compared."""
    tell: Callable[[str], None]
    """Shows what is being done."""
    loads: Iterator[int] = field(default_factory=itertools.count)
    """Their numbers, so that each has inputs that none before it had."""

    def starts(self) -> Iterator[tuple[int, bool]]:
        """The number of each start, and whether what is compared goes in its usual order: it changes each time."""
        for start in range(self.effort.starts):
            yield start, start % 2 == 0

    def seconds(self, seconds: float) -> float:
        """What is measured for so long takes this long with the effort that was asked for."""
        return self.effort.scale * seconds


class Driver:
    """Loads on one server; of ours no call may fail, and one that does ends the program.

    Args:
        bench: has the process that calls.
        address: `host:port`.
        arguments: of the client.
        pids: the server's processes.
        client: as in `Load`; Diptych's.
        may_fail: the server is another's, whose failures are counted.
    """

    def __init__(
        self,
        bench: Bench,
        address: str,
        arguments: Result,
        pids: Sequence[int],
        *,
        client: str = CLIENT,
        may_fail: bool = False,
    ) -> None:
        self._bench = bench
        self._common: Result = {"client": client, "address": address, "arguments": arguments, "server_pids": pids}
        self._may_fail = may_fail

    def closed(self, callers: int, seconds: float) -> Summary:
        """Calls that wait for their answers."""
        return self._measure(seconds, None, callers=callers)

    def open(self, rate: float, seconds: float, arrivals: str = "poisson") -> Summary:
        """Calls by the clock, with the usual deadline."""
        return self._measure(seconds, DEADLINE_SECONDS, rate=rate, arrivals=arrivals)

    def _measure(self, seconds: float, deadline: float | None, **how: Any) -> Summary:
        measured = self._bench.seconds(seconds)
        first = next(self._bench.loads) * MOST_CALLS
        load = Load(**self._common, **how, seconds=measured, deadline_seconds=deadline, first_number=first)
        seen = self._bench.generator.measure(load)
        told = summary(seen, deadline)
        if told.failed and not self._may_fail:
            raise RuntimeError(f"{told.failed} calls failed, such as: {seen.failures}")
        return told


def numbers(told: Summary) -> Result:
    """Rounded to what may matter; absent where there is none, since JSON has no NaN."""
    return {name: round(value, 4) for name, value in asdict(told).items() if value == value}
