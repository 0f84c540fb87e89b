"""What the measuring process tells a peer's server, and the reference module behind bytes. Runs in each peer's venv."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "PEER_OPTIONS"
"""In the environment, which reaches also the processes that a peer starts."""
MODEL = "reference"
"""What servers that hold several models call the module."""
WARMED = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)

Answer = Callable[[Sequence[bytes]], list[bytes]]


@dataclass(frozen=True, kw_only=True)
class Options:
    """Of one server."""

    task: str
    port: int
    """Where it answers, on 127.0.0.1."""
    spare_ports: Sequence[int]
    """For whatever else it opens."""
    folder: str
    """For what it writes."""
    shipped: bool
    """Threads and batching are left as the peer has them."""
    max_batch_size: int
    delay_seconds: float
    """How long a batch may wait to be filled."""
    deadline_seconds: float
    """Of each call under load, for servers that take it in their configuration only."""
    queue: int
    """Most requests that may wait, where a server has such a bound."""

    def path(self, name: str) -> Path:
        """A file in the folder."""
        return Path(self.folder) / name


def options() -> Options:
    """From the environment."""
    return Options(**json.loads(os.environ[VARIABLE]))


def load(chosen: Options) -> Answer:
    """The module, warm: requests -> answers, a list each; one thread, or as many as PyTorch takes by itself there."""
    import torch

    from tests.benchmarks.peers.wire import WIRES
    from tests.benchmarks.reference.modules import MODULES

    wire, module = WIRES[chosen.task], MODULES[chosen.task]
    run = module.load("fp32", torch.get_num_threads() if chosen.shipped else 1)

    def answer(payloads: Sequence[bytes]) -> list[bytes]:
        return [wire.to_answer(output) for output in run([wire.to_input(payload) for payload in payloads])]

    for size in WARMED:
        if size <= chosen.max_batch_size:
            answer([wire.payload(number) for number in range(size)])
    return answer
