"""Requests that wait for a batch, in the order in which they are served; no clock, no model, no metrics.

Two levels of self-clocked fair queueing (Golestani, INFOCOM 1994), both counted in items: the priorities share the
model by weight, and within a priority its callers share equally. Whoever has a finish tag that is smallest is next. A
tag begins at the queue's virtual clock when a caller comes to wait, and rises with what it is served. So a caller with
little to do goes before the backlog of one with much; nobody starves, since the clock overtakes every tag; and a share
that is not used is everyone's. The clock is the tag of whoever was served last: a caller that has nothing waiting is
never ahead of it, and may be forgotten.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from shared.inference.request import Priority, Request

In = TypeVar("In")
Out = TypeVar("Out")

SHARES = {Priority.INTERACTIVE: 0.9, Priority.BATCH: 0.1}
"""Of the model, while requests of both priorities wait: jobs never starve, nor do they cost people more than this."""
_COSTS = {Priority.INTERACTIVE: 1, Priority.BATCH: 9}
"""By how much an item raises the tag of its priority: as the shares, the other way round, and whole."""
_ANY = object()
"""In place of a kind."""


class Flow:
    """What one caller has waiting in one priority."""

    __slots__ = ("entry", "items", "lines", "size", "start")

    def __init__(self, start: int) -> None:
        self.start = start
        """The tag of what was served last."""
        self.lines: dict[Hashable, OrderedDict[Request[Any, Any], None]] = {}
        """By kind. Not plain dicts: those take longer to find their first key the more were deleted before it."""
        self.items = 0
        self.size = 0
        """In bytes, as of requests."""
        self.entry: tuple[int, int, Flow] | None = None

    def first(self) -> Request[Any, Any]:
        """The oldest request."""
        heads = [next(iter(line)) for line in self.lines.values()]
        return heads[0] if len(heads) == 1 else min(heads, key=lambda request: request.number)

    def newest_first(self) -> Iterator[Request[Any, Any]]:
        """Every request, the last to arrive first."""
        requests = [request for line in self.lines.values() for request in line]
        return iter(sorted(requests, key=lambda request: -request.number))


class _Lane:
    """The requests of one priority."""

    __slots__ = ("_clock", "_levels", "_order", "cost", "depth", "flows", "tag")

    def __init__(self, cost: int) -> None:
        self.cost = cost
        self.tag = 0
        self.depth = 0
        self.flows: dict[str, Flow] = {}
        """By caller; only of those that have something waiting."""
        self._clock = 0
        self._order: list[tuple[int, int, Flow]] = []
        """Sorted by finish tag, then by age, of each flow's oldest request."""
        self._levels: list[int] = []
        """How many flows have more than so many items waiting."""

    def add(self, request: Request[Any, Any]) -> None:
        flow = self.flows.get(request.caller)
        if flow is None:
            flow = self.flows[request.caller] = Flow(self._clock)
        line = flow.lines.get(request.kind)
        if line is None:
            line = flow.lines[request.kind] = OrderedDict()
        line[request] = None
        flow.size += request.size
        self._count(flow, request.waiting)
        if flow.entry is None:
            self._place(flow)

    def take(self, request: Request[Any, Any], count: int, *, served: bool) -> None:
        flow = self.flows[request.caller]
        self._discount(flow, count)
        if served:
            flow.start += count
            self._clock = max(self._clock, flow.start)
        if not request.waiting:
            flow.size -= request.size
            line = flow.lines[request.kind]
            del line[request]
            if not line:
                del flow.lines[request.kind]
        if not flow.items:
            del self.flows[request.caller]
        self._place(flow)

    def first(self, kind: object) -> Request[Any, Any] | None:
        """Who is next, of all or of one kind."""
        for _, _, flow in self._order:
            if kind is _ANY:
                return flow.first()
            if (line := flow.lines.get(kind)) is not None:
                return next(iter(line))
        return None

    def before(self, caller: str, count: int) -> int:
        """About the items that are served before the last of so many new ones: as many of every caller."""
        flow = self.flows.get(caller)
        own = count if flow is None else flow.items + count
        return self.depth if own >= len(self._levels) else sum(self._levels[:own])

    def _place(self, flow: Flow) -> None:
        """Puts a flow where it belongs in the order, or out of it."""
        entry = None
        if flow.items:
            head = flow.first()
            entry = (flow.start + head.waiting, head.number, flow)
        if entry == flow.entry:
            return
        if flow.entry is not None:
            del self._order[bisect_left(self._order, flow.entry)]
        if entry is not None:
            insort(self._order, entry)
        flow.entry = entry

    def _count(self, flow: Flow, count: int) -> None:
        levels = self._levels
        for level in range(flow.items, flow.items + count):
            if level == len(levels):
                levels.append(1)
            else:
                levels[level] += 1
        flow.items += count
        self.depth += count

    def _discount(self, flow: Flow, count: int) -> None:
        levels = self._levels
        flow.items -= count
        self.depth -= count
        for level in range(flow.items, flow.items + count):
            levels[level] -= 1
        while levels and not levels[-1]:
            levels.pop()


class RequestQueue(Generic[In, Out]):
    """Requests with items that wait, and how many; anyone may leave from the middle."""

    def __init__(self) -> None:
        self._lanes = {priority: _Lane(cost) for priority, cost in _COSTS.items()}
        self._clock = 0
        self._arrivals = 0
        self.depth = 0
        """Items that wait."""
        self.size = 0
        """Bytes of the requests that they belong to."""
        self.depths: dict[Hashable, int] = {}
        """Items that wait, by kind."""

    def add(self, request: Request[In, Out]) -> None:
        """To the end of what its caller has waiting."""
        self._arrivals += 1
        request.number = self._arrivals
        lane = self._lanes[request.priority]
        if not lane.depth:
            lane.tag = self._clock
        lane.add(request)
        self.size += request.size
        self._change_depth(request, request.waiting)

    def take(self, request: Request[In, Out], count: int) -> None:
        """Moves a request's next `count` items into a batch; with the last of them the request leaves the queue."""
        lane = self._lanes[request.priority]
        lane.tag += count * lane.cost
        self._clock = max(self._clock, lane.tag)
        self._take(request, count, served=True)

    def remove(self, request: Request[In, Out]) -> None:
        """Takes out what waits of a request; its caller has not been served with it."""
        self._take(request, request.waiting, served=False)

    def first(self) -> Request[In, Out] | None:
        """Who is next."""
        return self._first(_ANY)

    def first_of(self, kind: Hashable) -> Request[In, Out] | None:
        """Who is next of those of this kind."""
        return self._first(kind)

    def flows(self, priority: Priority) -> Mapping[str, Flow]:
        """Of a priority's callers that have something waiting."""
        return self._lanes[priority].flows

    def before(self, priority: Priority, caller: str, count: int) -> int:
        """About the items served before the last of so many new ones, if nobody else came.

        Of the caller's own and of every other one as many as it then has, and of the other priority its share
        meanwhile.
        """
        lane = self._lanes[priority]
        before = lane.before(caller, count)
        served = (before + count) * lane.cost
        return before + sum(
            min(other.depth, -(-served // other.cost)) for other in self._lanes.values() if other is not lane
        )

    def all(self) -> list[Request[In, Out]]:
        """Every request with items that wait."""
        flows = [flow for lane in self._lanes.values() for flow in lane.flows.values()]
        return [request for flow in flows for line in flow.lines.values() for request in line]

    def _first(self, kind: object) -> Request[In, Out] | None:
        lanes = [lane for lane in self._lanes.values() if lane.depth]
        if len(lanes) > 1:
            lanes.sort(key=lambda lane: lane.tag + lane.cost)
        for lane in lanes:
            if (request := lane.first(kind)) is not None:
                return request
        return None

    def _take(self, request: Request[In, Out], count: int, *, served: bool) -> None:
        request.taken += count
        request.waiting -= count
        self._lanes[request.priority].take(request, count, served=served)
        if not request.waiting:
            self.size -= request.size
        self._change_depth(request, -count)

    def _change_depth(self, request: Request[In, Out], count: int) -> None:
        self.depth += count
        if depth := self.depths.get(request.kind, 0) + count:
            self.depths[request.kind] = depth
        else:
            del self.depths[request.kind]
