"""Whether a request can be served in time, from what waits before it; no clock and no queue in here.

Every time is in seconds, and `now` comes from the caller.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, NamedTuple

from shared.codes import Reason
from shared.errors import CallError, DeadlineExceededError, OverloadedError
from shared.inference.batch_times import BatchTimes
from shared.inference.displacement import QueueLimits

_MARGIN = 1.15
"""On the wait in a queue. Under overload every request is admitted just before its wait is too long, so that without
a margin each second batch would come too late; the places it costs are those at the far end of the queue."""
_LEAST_RETRY_SECONDS = 0.01
"""A caller that is told to come back after 0 seconds would only add to the overload."""


class Load(NamedTuple):
    """The state that a request arrives in."""

    items_ahead: int
    """Waiting items of its kind that are served before it."""
    others_seconds: float
    """What those of other kinds take that are served before it."""
    items_waiting: int
    """All waiting items."""
    bytes_waiting: int
    """Of all waiting requests."""
    limits: QueueLimits
    """The most that may wait."""
    gives_way: bool
    """Whether others leave where there is no room for it."""
    running_seconds: float | None
    """What the running batch still takes; None when there is none."""

    @property
    def idle(self) -> bool:
        """Nothing runs and nothing waits."""
        return self.running_seconds is None and not self.items_waiting

    def excess(self, items: int, size: int) -> tuple[str, int] | None:
        """What would be over the limits, in words, and about the items that must be served first; None for nothing."""
        if (excess := self.items_waiting + items - self.limits.items) > 0:
            told = f"{self.items_waiting} items wait, and {items} more would pass the limit of {self.limits.items}"
            return told, excess
        if (excess := self.bytes_waiting + size - self.limits.size) > 0:
            told = f"{self.bytes_waiting} bytes wait, and {size} more would pass the limit of {self.limits.size}"
            return told, math.ceil(self.items_waiting * min(1.0, excess / self.bytes_waiting))
        return None


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """Why a request is not admitted: for the metrics, and for the caller."""

    reason: Literal["queue_full", "overload", "hopeless_deadline"]
    error: CallError


def refusal(items: int, *, size: int, seconds_left: float, load: Load, times: BatchTimes, now: float) -> Refusal | None:
    """Why a request of so many items and bytes must be refused; None admits it. `seconds_left` may be infinite.

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
    if not load.gives_way and (excess := load.excess(items, size)) is not None:
        message, items_first = excess
        wait = running + times.queue_seconds(items_first, now)
        return Refusal(reason="queue_full", error=overloaded(message, Reason.QUEUE_FULL, wait))
    end = end_seconds(load.items_ahead + items, running + load.others_seconds, times=times, now=now)
    if end > seconds_left:
        message = f"the queue makes this about {end:.3f} s; the deadline is in {seconds_left:.3f} s"
        return Refusal(reason="overload", error=overloaded(message, Reason.QUEUE_TOO_LONG, end - seconds_left))
    return None


def end_seconds(items: int, ahead_seconds: float, *, times: BatchTimes, now: float) -> float:
    """Until so many items are answered after the work ahead of them, as admission reckons."""
    return _MARGIN * (ahead_seconds + times.queue_seconds(items, now))


def overloaded(message: str, reason: Reason, retry_after_seconds: float) -> OverloadedError:
    """The error of a request that the queue has no room or no time for."""
    wait = max(_LEAST_RETRY_SECONDS, retry_after_seconds)
    return OverloadedError(message, reason=reason, retry_after_seconds=wait)
