"""Whether a request can be served in time, from what batches took so far; no clock and no queue in here.

Every time is in seconds, and `now` comes from the caller.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from shared.codes import Reason
from shared.errors import CallError, DeadlineExceededError, OverloadedError

_WEIGHT = 0.25
"""Of the newest batch in a bucket's estimate: four batches and a change of speed is mostly learned."""
_HALF_LIFE_SECONDS = 2.0
"""An estimate that no batch confirms goes back to the bucket's best time by half in this time."""
_WORTH_WHILE = 0.75
"""Of the throughput that a batch may cost when it is cut short for a deadline."""
_MARGIN = 1.15
"""On the wait in a queue. Under overload every request is admitted just before its wait is too long, so that without
a margin each second batch would come too late; the places it costs are those at the far end of the queue."""
_LEAST_RETRY_SECONDS = 0.01
"""A caller that is told to come back after 0 seconds would only add to the overload."""


@dataclass(slots=True)
class _Estimate:
    mean: float
    best: float
    at: float

    def seconds(self, now: float) -> float:
        """The mean, less what time without a batch took from its distance to the best.

        Without this one slow batch (a page fault storm, a neighbour) could refuse for ever just those
        requests whose batch would correct it.
        """
        return self.best + (self.mean - self.best) * math.exp2((self.at - now) / _HALF_LIFE_SECONDS)


class BatchTimes:
    """What a batch of each bucket size takes, learned from those that ran."""

    def __init__(self, bucket_sizes: Sequence[int]) -> None:
        if not bucket_sizes or bucket_sizes[0] < 1 or list(bucket_sizes) != sorted(set(bucket_sizes)):
            raise ValueError(f"bucket sizes are {tuple(bucket_sizes)}; they must be positive and rise")
        self._buckets = tuple(bucket_sizes)
        self._estimates: dict[int, _Estimate] = {}
        self.max_batch_size = self._buckets[-1]

    def bucket(self, size: int) -> int:
        """The bucket that a batch of `size` items, 1 to `max_batch_size`, is padded to."""
        return self._buckets[bisect.bisect_left(self._buckets, size)]

    def observe(self, size: int, seconds: float, now: float) -> None:
        """Learns from a batch of `size` items."""
        bucket = self.bucket(size)
        if (known := self._estimates.get(bucket)) is None:
            self._estimates[bucket] = _Estimate(seconds, seconds, now)
            return
        before = known.seconds(now)
        known.mean = before + _WEIGHT * (seconds - before)
        known.best = min(known.best, seconds)
        known.at = now

    def batch_seconds(self, size: int, now: float) -> float:
        """Of one batch of `size` items; 0 for 0, and 0 as long as nothing is known.

        A bucket that never ran is guessed from its neighbours: no slower than the next larger one, else in
        proportion to the next smaller one.
        """
        if not size:
            return 0.0
        bucket = self.bucket(size)
        if (known := self._estimates.get(bucket)) is not None:
            return known.seconds(now)
        for larger in self._buckets:
            if larger > bucket and larger in self._estimates:
                return self._estimates[larger].seconds(now)
        for smaller in reversed(self._buckets):
            if smaller < bucket and smaller in self._estimates:
                return self._estimates[smaller].seconds(now) * bucket / smaller
        return 0.0

    def work_seconds(self, items: int, now: float) -> float:
        """Of that many items and no others, in as few batches as possible."""
        full, rest = divmod(items, self.max_batch_size)
        return full * self.batch_seconds(self.max_batch_size, now) + self.batch_seconds(rest, now)

    def queue_seconds(self, items: int, now: float) -> float:
        """Until a queue of that many is served: when it fills a batch, later arrivals will fill the last one, too."""
        full, rest = divmod(items, self.max_batch_size)
        return self.work_seconds(items + self.max_batch_size - rest if full and rest else items, now)

    def places_within(self, seconds: float, wanted: int, now: float) -> int:
        """The places of the largest batch that takes no longer and is worth while; 0 when there is none.

        Worth while is what serves nearly as many items a second as the batch of `wanted` items that it replaces.
        Without this bound a queue of tight deadlines makes batches of one, which keep the queue long and its
        deadlines tight: goodput at four times the capacity fell to a third.
        """
        bucket = self.bucket(wanted)
        longest = self.batch_seconds(bucket, now)
        if longest <= seconds:
            return bucket
        for smaller in reversed(self._buckets[: self._buckets.index(bucket)]):
            shorter = self.batch_seconds(smaller, now)
            if shorter <= seconds:
                return smaller if smaller * longest >= _WORTH_WHILE * wanted * shorter else 0
        return 0


@dataclass(frozen=True, kw_only=True)
class Load:
    """The state that a request arrives in."""

    items_ahead: int
    """Waiting items that are served before it."""
    items_waiting: int
    """All waiting items."""
    max_items: int
    """The most that may wait."""
    running_seconds: float | None
    """What the running batch still takes; None when there is none."""

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return self.running_seconds is None and not self.items_waiting


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a request is not admitted: for the metrics, and for the caller."""

    reason: Literal["queue_full", "overload", "hopeless_deadline"]
    error: CallError


def refusal(items: int, *, seconds_left: float, load: Load, times: BatchTimes, now: float) -> Refusal | None:
    """Why a request of so many items must be refused; None admits it. `seconds_left` may be infinite.

    An idle server takes whatever is not late already, however it judges its chance, since only a batch that runs
    can correct a bad estimate.
    """
    if seconds_left <= 0:
        message = "the deadline had passed when the request arrived"
        error = DeadlineExceededError(message, reason=Reason.DEADLINE_PASSED)
        return Refusal(reason="hopeless_deadline", error=error)
    if load.idle:
        return None
    running = load.running_seconds or 0.0
    alone = times.work_seconds(items, now)
    if alone > seconds_left:
        message = f"{items} items take about {alone:.3f} s; the deadline is in {seconds_left:.3f} s"
        error = DeadlineExceededError(message, reason=Reason.DEADLINE_TOO_SHORT)
        return Refusal(reason="hopeless_deadline", error=error)
    if (excess := load.items_waiting + items - load.max_items) > 0:
        message = f"{load.items_waiting} items wait, and {items} more would pass the limit of {load.max_items}"
        wait = running + times.queue_seconds(excess, now)
        return Refusal(reason="queue_full", error=_overloaded(message, Reason.QUEUE_FULL, wait))
    end = _MARGIN * (running + times.queue_seconds(load.items_ahead + items, now))
    if end > seconds_left:
        message = f"the queue makes this about {end:.3f} s; the deadline is in {seconds_left:.3f} s"
        return Refusal(reason="overload", error=_overloaded(message, Reason.QUEUE_TOO_LONG, end - seconds_left))
    return None


def _overloaded(message: str, reason: Reason, retry_after_seconds: float) -> OverloadedError:
    wait = max(_LEAST_RETRY_SECONDS, retry_after_seconds)
    return OverloadedError(message, reason=reason, retry_after_seconds=wait)
