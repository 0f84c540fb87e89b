"""What batches took so far, and so what the next ones will; no queue and no clock in here.

Every time is in seconds, and `now` comes from the caller.
"""

from __future__ import annotations

import bisect
import math
from collections import Counter, deque
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

_WEIGHT = 0.25
"""Of the newest batch in a bucket's estimate: four batches and a change of speed is mostly learned."""
_HALF_LIFE_SECONDS = 2.0
"""An estimate that no batch of its bucket confirms goes back by half in this time, to what is usual at present: the
bucket's best time, or as much more as the batches of any bucket take lately."""
_LASTING = 4
"""So many slow batches in a row, of whatever buckets, are believed of all buckets; one that is not slow ends that. Else
a replica that became slow would go on to admit what it cannot do, whenever a bucket had fallen back to its best. Of one
that became four times slower, with deadlines of three batches, that left a quarter of what it could serve."""
_BELIEVED_SECONDS = 30.0
"""Of a bucket that has not run itself for so long, half of that is believed: the others' best may mislead."""
_WORTH_WHILE = 0.75
"""Of the throughput that a batch may cost when it is cut short for a deadline."""
_SHRUNK_SECONDS = 30.0
"""After a batch that there was no memory for, until the next larger bucket is tried: what took the memory (another
process, a leak that the next restart ends) may be gone, and to try costs one halved batch."""
_LATELY = 64
"""Batches whose kinds are taken for the present mix of work."""


@dataclass(slots=True)
class _Estimate:
    mean: float
    best: float
    at: float

    def seconds(self, now: float, slowness: float) -> float:
        """The mean, less what time without a batch took from its distance to the usual.

        Without this one slow batch (a page fault storm, a neighbour) could refuse for ever just those
        requests whose batch would correct it.

        Args:
            slowness: how many times their best the batches of all buckets take lately, at least 1.
        """
        usual = self.best * (1 + (slowness - 1) * math.exp2((self.at - now) / _BELIEVED_SECONDS))
        return usual + (self.mean - usual) * math.exp2((self.at - now) / _HALF_LIFE_SECONDS)


class BatchTimes:
    """What a batch of each bucket size takes, learned from those that ran."""

    def __init__(self, bucket_sizes: Sequence[int]) -> None:
        if not bucket_sizes or bucket_sizes[0] < 1 or list(bucket_sizes) != sorted(set(bucket_sizes)):
            raise ValueError(f"bucket sizes are {tuple(bucket_sizes)}; they must be positive and rise")
        self._buckets = tuple(bucket_sizes)
        self._estimates: dict[int, _Estimate] = {}
        self._ratios = deque([1.0] * _LASTING, maxlen=_LASTING)
        """Of the last batches, how many times the best of their buckets they took."""
        self._bucket_of = [
            self._buckets[bisect.bisect_left(self._buckets, size)] for size in range(self._buckets[-1] + 1)
        ]
        self._allowed = len(self._buckets) - 1
        """Index of the largest bucket that memory allowed last."""
        self._shrunk_at = -math.inf

    def bucket(self, size: int) -> int:
        """The bucket that a batch of `size` items, at least 1, is padded to."""
        return self._bucket_of[size]

    def largest(self, now: float) -> int:
        """The most items of a batch: less for a while after one that there was no memory for."""
        if self._shrunk_at == -math.inf:
            return self._buckets[-1]
        index = self._allowed + int((now - self._shrunk_at) / _SHRUNK_SECONDS)
        if index >= len(self._buckets) - 1:
            self._shrunk_at = -math.inf
            return self._buckets[-1]
        return self._buckets[index]

    def shrink(self, size: int, now: float) -> None:
        """There was no memory for a batch of `size` items: for a while batches are of a smaller bucket."""
        smaller = max(0, bisect.bisect_left(self._buckets, size) - 1)
        self._allowed = min(smaller, self._buckets.index(self.largest(now)))
        self._shrunk_at = now

    def observe(self, size: int, seconds: float, now: float) -> None:
        """Learns from a batch of `size` items."""
        bucket = self.bucket(size)
        if (known := self._estimates.get(bucket)) is None:
            # A bucket that begins in a slow time is not at its best.
            self._estimates[bucket] = _Estimate(seconds, seconds / min(self._ratios), now)
            return
        before = known.seconds(now, min(self._ratios))
        known.mean = before + _WEIGHT * (seconds - before)
        known.best = min(known.best, seconds)
        known.at = now
        self._ratios.append(seconds / known.best if known.best else 1.0)

    def batch_seconds(self, size: int, now: float) -> float:
        """Of one batch of `size` items; 0 for 0, and 0 as long as nothing is known.

        A bucket that never ran is guessed from its neighbours: no slower than the next larger one, else in
        proportion to the next smaller one.
        """
        if not size:
            return 0.0
        bucket = self._bucket_of[size]
        if (known := self._estimates.get(bucket)) is not None:
            return known.seconds(now, min(self._ratios))
        for larger in self._buckets:
            if larger > bucket and larger in self._estimates:
                return self._estimates[larger].seconds(now, min(self._ratios))
        for smaller in reversed(self._buckets):
            if smaller < bucket and smaller in self._estimates:
                return self._estimates[smaller].seconds(now, min(self._ratios)) * bucket / smaller
        return 0.0

    def work_seconds(self, items: int, now: float) -> float:
        """Of that many items and no others, in as few batches as possible."""
        largest = self.largest(now)
        if items <= largest:
            return self.batch_seconds(items, now)
        full, rest = divmod(items, largest)
        return full * self.batch_seconds(largest, now) + self.batch_seconds(rest, now)

    def queue_seconds(self, items: int, now: float) -> float:
        """Until a queue of that many is served: when it fills a batch, later arrivals will fill the last one, too."""
        largest = self.largest(now)
        full, rest = divmod(items, largest)
        return self.work_seconds(items + largest - rest if full and rest else items, now)

    def items_per_second(self, now: float) -> float:
        """Of batches one after another, of the largest size that has run; 0 as long as nothing is known.

        That is what runs when there is too much to do, and so is known best then. The best of all sizes would be the
        luckiest. May be asked by another thread than the one that learns.
        """
        known = [size for size in tuple(self._estimates) if size <= self.largest(now)]
        seconds = self._estimates[max(known)].seconds(now, min(self._ratios)) if known else 0.0
        return max(known) / seconds if seconds else 0.0

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


class TimesByKind(dict[Hashable, BatchTimes]):
    """The times of each kind of work, which is made known by being asked for."""

    def __init__(self, bucket_sizes: Sequence[int]) -> None:
        super().__init__()
        self._bucket_sizes = bucket_sizes
        self._lately: deque[tuple[Hashable, int]] = deque(maxlen=_LATELY)
        """Kind and size of the last batches."""

    def __missing__(self, kind: Hashable) -> BatchTimes:
        times = self[kind] = BatchTimes(self._bucket_sizes)
        return times

    def observe(self, kind: Hashable, size: int, seconds: float, now: float) -> None:
        """Learns from a batch of `size` items of a kind."""
        self[kind].observe(size, seconds, now)
        self._lately.append((kind, size))

    def items_per_second(self, now: float) -> float:
        """That can be served where kinds are mixed as in the last batches; 0 as long as none has run.

        May be asked by another thread than the one that learns.
        """
        items: Counter[Hashable] = Counter()
        for kind, size in tuple(self._lately):
            items[kind] += size
        rates = {kind: self[kind].items_per_second(now) for kind in items}
        seconds = sum(count / rates[kind] for kind, count in items.items() if rates[kind])
        return sum(count for kind, count in items.items() if rates[kind]) / seconds if seconds else 0.0

    def item_seconds(self, now: float) -> float:
        """Of one item alone, of the quickest kind; 0 as long as nothing is known."""
        known = (times.batch_seconds(1, now) for times in self.values())
        return min((seconds for seconds in known if seconds), default=0.0)

    def largest(self, now: float) -> int:
        """The most items of a batch, of the kind that may have fewest."""
        return min((times.largest(now) for times in self.values()), default=self._bucket_sizes[-1])

    def work_seconds(self, items: Mapping[Hashable, int], now: float) -> float:
        """Of so many items of each kind; a batch has one kind."""
        return sum(self[kind].work_seconds(count, now) for kind, count in items.items())

    def split(self, items: int, waiting: Mapping[Hashable, int], kind: Hashable, now: float) -> tuple[int, float]:
        """Of `items` that are mixed like those waiting: how many are of `kind`, and the seconds of the others."""
        if len(waiting) == (kind in waiting):
            return items, 0.0
        depth = sum(waiting.values())
        shares = {other: math.ceil(items * count / depth) for other, count in waiting.items()}
        return shares.pop(kind, 0), self.work_seconds(shares, now)
