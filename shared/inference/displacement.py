"""Who gives way when the queue is full, so that nobody can shut others out; no clock, no metrics."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple, TypeVar

from shared.inference.request import Priority, Request
from shared.inference.request_queue import SHARES, Flow, RequestQueue

In = TypeVar("In")
Out = TypeVar("Out")


class QueueLimits(NamedTuple):
    """The most that may wait."""

    items: int
    size: int
    """In bytes."""

    def share(self, items: int, size: int) -> float:
        """Of the queue, from 0: in items or in bytes, whichever is more."""
        return max(items / self.items, size / self.size)


def giving_way(
    queue: RequestQueue[In, Out], limits: QueueLimits, *, priority: Priority, caller: str, items: int, size: int
) -> list[Request[In, Out]] | None:
    """The requests that leave so that a new one fits; None when it may not push in.

    First those of the other priority, as far as it has more of the queue than its share of the model. Then those of
    the callers with most, as long as no less is left to each than the newcomer's caller then has. Of a caller the
    newest goes first, and none that a batch has begun.

    So whoever is alone may use the whole queue, and still others get in. To keep room free for them instead would
    refuse work that nobody competes with. What leaves has cost no model time.
    """
    missing_items, missing_bytes = queue.depth + items - limits.items, queue.size + size - limits.size
    flows = dict(queue.flows(priority))
    own = flows.pop(caller, None)
    own_share = limits.share(items + (own.items if own else 0), size + (own.size if own else 0))
    [other] = set(Priority) - {priority}
    leaving: list[Request[In, Out]] = []
    for request in chain(
        _newest(list(queue.flows(other).values()), limits, least_of_all=SHARES[other]),
        _newest(list(flows.values()), limits, least_of_each=own_share),
    ):
        missing_items -= request.waiting
        missing_bytes -= request.size
        leaving.append(request)
        if missing_items <= 0 and missing_bytes <= 0:
            return leaving
    return None


def _newest(
    flows: list[Flow], limits: QueueLimits, *, least_of_all: float = 0.0, least_of_each: float = 0.0
) -> Iterator[Request[Any, Any]]:
    """The newest request of whoever has most, and so on, as long as these shares are left."""
    left = {flow: (flow.items, flow.size, flow.newest_first()) for flow in flows}
    items, size = sum(flow.items for flow in flows), sum(flow.size for flow in flows)
    while left:
        most = max(left, key=lambda flow: limits.share(*left[flow][:2]))
        of_items, of_size, requests = left.pop(most)
        request = next(requests, None)
        if request is None or request.taken:
            continue
        each = of_items - request.waiting, of_size - request.size
        every = items - request.waiting, size - request.size
        if limits.share(*each) < least_of_each or limits.share(*every) < least_of_all:
            continue
        left[most], (items, size) = (*each, requests), every
        yield request
