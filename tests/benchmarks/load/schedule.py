"""When the calls of an open loop begin: from a seed, in advance, whatever the server does."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

BURST_SECONDS = 0.25
"""Between two bursts, in the mean."""


def poisson(rate: float, seconds: float, seed: int) -> list[float]:
    """Offsets in [0, seconds), `rate` a second in the mean, with gaps that know nothing of each other."""
    generator = random.Random(seed)
    offsets: list[float] = []
    now = generator.expovariate(rate)
    while now < seconds:
        offsets.append(now)
        now += generator.expovariate(rate)
    return offsets


def bursts(rate: float, seconds: float, seed: int) -> list[float]:
    """As `poisson`, but what arrives are bursts of equal size, all calls of one at the same moment."""
    size = max(1, round(rate * BURST_SECONDS))
    return [offset for offset in poisson(rate / size, seconds, seed) for _ in range(size)]


Arrivals = Callable[[float, float, int], list[float]]
ARRIVALS: Mapping[str, Arrivals] = {"poisson": poisson, "bursts": bursts}
