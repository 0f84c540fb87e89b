"""`python -m tests.fuzz.run_target NAME [libFuzzer's flags]`: one target under atheris; with a FILE, that input alone.

What the target prints and how it ends is libFuzzer's: 0 when all inputs were run, else a trace and the input in a file.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import atheris

with atheris.instrument_imports(include=["gateway", "services", "shared", "PIL"]):
    from tests.fuzz.targets import LONGEST_SEED, TARGETS, Bounds

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

LONGEST_INPUT = 65_536


def fuzz(target: Target, flags: Sequence[str]) -> None:
    """Does not return: libFuzzer ends the process."""
    seeds = [seed for seed in target.seeds() if len(seed) <= LONGEST_SEED]
    bounds = Bounds(target.run)
    bounds.settle(seeds)

    def mutate(data: bytes, max_size: int, seed: int) -> bytes:
        def plain(value: bytes) -> bytes:
            changed: bytes = atheris.Mutate(value, min(max_size, max(64, 2 * len(value))))
            return changed

        made = target.mutate(data, random.Random(seed), plain)
        return made if len(made) <= max_size else data[:max_size]  # cut off it would be no message

    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate(seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        files = [flag for flag in flags if not flag.startswith("-")]
        arguments = [sys.argv[0], f"-max_len={LONGEST_INPUT}", *flags, *([] if files else [corpus])]
        setup: Callable[..., Any] = atheris.Setup
        setup(arguments, bounds, custom_mutator=mutate)
        atheris.Fuzz()


if __name__ == "__main__":
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        raise SystemExit(f"usage: python -m tests.fuzz.run_target {'|'.join(TARGETS)} [flags] [file]")
    fuzz(TARGETS[sys.argv[1]](), sys.argv[2:])
