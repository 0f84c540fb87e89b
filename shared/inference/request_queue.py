"""Requests that wait for a batch: in lanes, each first come, first served; no clock, no model, no metrics."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from typing import Any, Generic, TypeVar

In = TypeVar("In")
Ans = TypeVar("Ans")
Lane = TypeVar("Lane", bound=Hashable)


class Request(Generic[Lane, In, Ans]):
    """Items that arrived together; those before `taken` have been in a batch, the others wait."""

    __slots__ = (
        "_ended", "arrived", "deadline", "future", "items", "lane", "outputs",
        "taken", "timer", "turn", "unanswered",
    )  # fmt: skip

    def __init__(
        self,
        items: Sequence[In],
        future: asyncio.Future[Ans],
        *,
        lane: Lane,
        arrived: float,
        turn: float,
        deadline: float,
    ) -> None:
        self.items = items
        self.future = future
        self.lane = lane
        self.arrived = arrived
        self.turn = turn
        """Orders requests of different lanes; rises within a lane."""
        self.deadline = deadline
        self.timer: asyncio.TimerHandle | None = None
        self.outputs: list[Any] = [None] * len(items)
        self.unanswered = len(items)
        self.taken = 0
        self._ended = False

    def end(self, error: Exception | None) -> bool:
        """Nothing is owed to it any more; one that still waits for its answer gets the error. False the second time."""
        if self._ended:
            return False
        self._ended = True
        if self.timer is not None:
            self.timer.cancel()
        if error is not None and not self.future.done():
            self.future.set_exception(error)
        return True

    @property
    def waiting(self) -> int:
        """Items that have not been in a batch."""
        return len(self.items) - self.taken


class RequestQueue(Generic[Lane, In, Ans]):
    """Requests with items that wait, and how many; anyone may leave from the middle in constant time."""

    def __init__(self, lanes: Sequence[Lane]) -> None:
        # Not plain dicts: those take longer to find their first key the more were deleted before it.
        self._lanes: dict[Lane, OrderedDict[Request[Lane, In, Ans], None]] = {lane: OrderedDict() for lane in lanes}
        self._depths = dict.fromkeys(lanes, 0)
        self.depth = 0
        """Items that wait, of all lanes."""

    def add(self, request: Request[Lane, In, Ans]) -> None:
        """To the end of its lane."""
        self._lanes[request.lane][request] = None
        self._change_depth(request, request.waiting)

    def take(self, request: Request[Lane, In, Ans], count: int) -> None:
        """Moves a request's next `count` items out of the queue; with the last of them the request goes too."""
        request.taken += count
        self._change_depth(request, -count)
        if not request.waiting:
            del self._lanes[request.lane][request]

    def first(self) -> Request[Lane, In, Ans] | None:
        """The head of a lane with the earliest turn."""
        heads = [next(iter(lane)) for lane in self._lanes.values() if lane]
        return min(heads, key=lambda request: request.turn) if heads else None

    def depth_before(self, lane: Lane, turn: float) -> int:
        """About the items served before a newcomer: of its own lane all, of others all once their head goes first."""
        return sum(
            self._depths[other]
            for other, requests in self._lanes.items()
            if requests and (other == lane or next(iter(requests)).turn <= turn)
        )

    def all(self) -> list[Request[Lane, In, Ans]]:
        """Every request with items that wait."""
        return [request for lane in self._lanes.values() for request in lane]

    def _change_depth(self, request: Request[Lane, In, Ans], count: int) -> None:
        self._depths[request.lane] += count
        self.depth += count
