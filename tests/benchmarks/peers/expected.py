"""What the modules answer, in a process of its own: the measuring process needs no torch.

`python -m tests.benchmarks.peers.expected` prints it as JSON.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from tests.benchmarks.load.generator import REPOSITORY
from tests.benchmarks.peers.wire import WIRES


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Of one module."""

    max_batch_size: int
    first_answer: bytes
    """To input 0, in fp32 by one thread."""


def expected() -> Mapping[str, Expected]:
    """By task."""
    command = [sys.executable, "-m", "tests.benchmarks.peers.expected"]
    output = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, check=True).stdout
    return {
        task: Expected(max_batch_size=size, first_answer=bytes.fromhex(answer))
        for task, (size, answer) in json.loads(output).items()
    }


def main() -> None:
    """Computes it."""
    from tests.benchmarks.reference.modules import MODULES

    found = {}
    for task, module in MODULES.items():
        wire = WIRES[task]
        [output] = module.load("fp32", 1)([wire.to_input(wire.payload(0))])
        found[task] = module.max_batch_size, wire.to_answer(output).hex()
    sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
