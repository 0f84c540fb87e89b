"""A bound on retries, so that a service in trouble is not buried under second attempts."""

from __future__ import annotations

import time
from collections.abc import Callable


class RetryBudget:
    """A token bucket: each call pays in `ratio` tokens, each retry takes one.

    It begins full with `burst` tokens, so that the calls under way on a replica that dies can all move,
    and gains one token a second besides, so that rare calls may be retried too. In the long run retries
    are at most `ratio` of calls plus one a second.
    """

    def __init__(self, *, ratio: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._ratio = ratio
        self._burst = float(burst)
        self._clock = clock
        self._tokens = self._burst
        self._last = clock()

    def earn(self) -> None:
        """Pays in for one call."""
        self._add(self._ratio)

    def spend(self) -> bool:
        """Takes a token for one retry; false when there is none."""
        now = self._clock()
        self._add(now - self._last)
        self._last = now
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True

    def _add(self, tokens: float) -> None:
        self._tokens = min(self._burst, self._tokens + tokens)
