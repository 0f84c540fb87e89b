"""Whether something that was sampled while time passed stayed level: its slope with a confidence interval."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

BLOCKS = 12
"""Neighbouring samples resemble each other; means of long blocks nearly do not, and only those count as independent."""
CONFIDENT = 2.228
"""Student's t, 95 %, of BLOCKS - 2 = 10 degrees of freedom."""
WARM_UP = 0.25
"""Part at the beginning that is not counted: allocators and caches fill up."""
TOLERANCE = 0.02
"""Of the mean: a change over the whole run that is no more is none, however sure it is."""


@dataclass(frozen=True, kw_only=True)
class Trend:
    """A straight line through samples: change over all of the counted time, as a part of the mean."""

    mean: float
    change: float
    margin: float
    """Half of the 95 % interval of `change`."""

    @property
    def level(self) -> bool:
        """Whether no change is within the noise, or the change is too small to matter."""
        return abs(self.change) <= self.margin or abs(self.change) <= TOLERANCE

    def told(self, unit: str = "") -> str:
        """In percent of the mean."""
        return f"{self.mean:.1f}{unit}, {100 * self.change:+.1f} +-{100 * self.margin:.1f} %"


def trend(values: Sequence[float]) -> Trend:
    """Of samples at equal distances, by least squares over block means; at least 2 a block."""
    counted = values[int(len(values) * WARM_UP) :]
    if len(counted) < 2 * BLOCKS:
        raise ValueError(f"{len(values)} samples are too few for a trend")
    size = len(counted) / BLOCKS
    means = [statistics.fmean(counted[int(at * size) : int((at + 1) * size)]) for at in range(BLOCKS)]
    places = range(BLOCKS)
    slope, start = statistics.linear_regression(places, means)
    spread = sum((place - statistics.fmean(places)) ** 2 for place in places)
    residual = sum((mean - start - slope * place) ** 2 for place, mean in zip(places, means, strict=True))
    error = math.sqrt(residual / (BLOCKS - 2) / spread)
    mean = statistics.fmean(means)
    whole = (BLOCKS - 1) / mean if mean else 0.0
    return Trend(mean=mean, change=slope * whole, margin=CONFIDENT * error * whole)
