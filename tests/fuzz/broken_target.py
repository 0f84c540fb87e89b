"""`python -m tests.fuzz.broken_target`: a target with a fault, to see that one is found."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterable

from tests.fuzz.mutation import Bytes
from tests.fuzz.run_target import fuzz
from tests.fuzz.targets import Finding


class BrokenTarget:
    """Does not bear inputs that begin with an exclamation mark."""

    def seeds(self) -> Iterable[bytes]:
        """A harmless one."""
        return [b"a"]

    def run(self, data: bytes) -> None:
        """Raises Finding."""
        if data.startswith(b"!"):
            raise Finding("found an exclamation mark")

    def mutate(self, data: bytes, chance: random.Random, mutate: Bytes) -> bytes:
        """Any bytes."""
        return mutate(data)


if __name__ == "__main__":
    fuzz(BrokenTarget(), sys.argv[2:])
