"""Which requests make the next batch; knows the queue and the learned times, and neither model nor clock."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

from shared.inference.batch_times import TimesByKind
from shared.inference.request import Place, Request
from shared.inference.request_queue import RequestQueue

In = TypeVar("In")
Out = TypeVar("Out")


def next_batch(
    queue: RequestQueue[In, Out], times: TimesByKind, now: float, *, give_up: Callable[[Request[In, Out]], None]
) -> list[Place[In, Out]]:
    """Takes the next batch out of the queue; empty when nobody is left who can be served.

    Who is next decides the kind of work, and others of that kind fill the batch in the order of the queue. Each member
    bounds the time that the batch may take, and the batch stays in the bucket that keeps to the tightest bound. A
    request that no worthwhile batch answers in time is given up, unless it is all there is.

    Args:
        queue: what waits.
        times: what batches of each kind take.
        now: on the clock of the deadlines, in seconds.
        give_up: ends a request and takes it out of the queue.
    """
    batch: list[Place[In, Out]] = []
    places, longest = 1, 0.0
    while len(batch) < places and (request := queue.first_of(batch[0][0].kind) if batch else queue.first()) is not None:
        if request.over(now):  # cancelled or expired in this very turn of the loop, its task has not run yet
            give_up(request)
            continue
        kind_times = times[request.kind]
        if not batch:
            places = kind_times.largest(now)
            longest = kind_times.batch_seconds(min(places, queue.depths[request.kind]), now)
        count = min(request.waiting, places - len(batch))
        if request.deadline - now < longest or (request.waiting > count and request.deadline < math.inf):
            rest = kind_times.work_seconds(request.waiting - count, now)
            wanted = min(places, len(batch) + queue.depths[request.kind])
            allowed = kind_times.places_within(request.deadline - now - rest, wanted, now)
            if allowed > len(batch):
                places = allowed
                count = min(count, allowed - len(batch))
            elif batch or queue.depth > request.waiting:
                give_up(request)
                continue
        first = request.taken
        batch.extend((request, index) for index in range(first, first + count))
        queue.take(request, count)
    return batch
