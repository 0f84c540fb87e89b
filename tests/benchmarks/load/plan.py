"""What a load is, and what was seen of it: what the measuring process and the processes that call say to each other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.benchmarks.load.client import Ending

DEADLINE_SECONDS = 0.5
"""Of a call in an open loop; what is answered later counts as nothing."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """Calls to one server.

    A closed loop has `callers`, each of which makes its next call when the last one ended. An open loop has a `rate`
    and its own clock: calls begin when they are due, however many are under way.
    """

    client: str
    """`package.module:function` of an OpenClient."""
    address: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    callers: int = 0
    """Of a closed loop, at least 1; 0 for an open one."""
    rate: float = 0.0
    """Calls a second of an open loop."""
    arrivals: Literal["poisson", "bursts"] = "poisson"
    deadline_seconds: float | None = None
    """After a call's due time; None for a closed loop that waits as long as it takes."""
    warm_seconds: float = 0.4
    """Before the measured time, under the same load."""
    seconds: float = 3.0
    """Measured."""
    seed: int = 0
    """Of the arrivals."""
    server_pids: Sequence[int] = ()
    """Processes whose CPU time is to be told."""
    first_number: int = 0
    """Of the inputs: two loads of one server's life take different ones."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What the process that called saw of the measured time; the lists go together, a place a call.

    Of a closed loop those calls count that ended in the measured time, which begins and ends with the end of a call; of
    an open loop those that were due in it.
    """

    endings: list[Ending]
    seconds: list[float]
    """From the moment the call was due (in a closed loop: from its begin) to its end."""
    late: list[float]
    """Seconds between the moment a call was due and its begin: what the client itself was behind."""
    measured_seconds: float
    cpu: float
    """Of one core, by the process that called."""
    server_cpu: float
    """Cores that `server_pids` kept busy."""
    others_cpu: float
    """Cores that anything else kept busy: 0 on a quiet machine."""
    failures: list[str]
    """What the first few failed calls said."""


def load_of(text: str) -> Load:
    """From JSON."""
    return Load(**json.loads(text))


def load_json(load: Load) -> str:
    """For the process that calls."""
    return json.dumps(dataclasses.asdict(load))


def seen_json(seen: Seen) -> str:
    """For the process that measures."""
    return json.dumps({**dataclasses.asdict(seen), "endings": [ending.value for ending in seen.endings]})


def seen_of(text: str) -> Seen:
    """From JSON."""
    table = json.loads(text)
    return Seen(**{**table, "endings": [Ending(value) for value in table["endings"]]})
