"""The queue of a model service and the choice of its batches; asyncio only, it knows no model and no wire.

Requests wait; whenever the model is free, the batch is chosen from those that still want an answer. One task runs
the batches one after another; a request costs one future and, with a deadline, one timer.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Generic, Self, TypeVar, cast

from shared.errors import Code, DeadlineExceededError, UnavailableError
from shared.inference.admission import BatchTimes, Load, refusal
from shared.inference.predictor import Failure
from shared.metrics import BatcherMetrics

In = TypeVar("In")
Out = TypeVar("Out")

_logger = logging.getLogger(__name__)

_AGEING_SECONDS = 1.0
"""A BATCH request yields to INTERACTIVE ones that arrive at most this much later, so it never starves."""
_BATCH_SHARE = 0.75
"""Of the queue that BATCH requests may fill: bulk work cannot shut out the interactive kind."""


class Priority(enum.Enum):
    """Who waits for the answer."""

    INTERACTIVE = "interactive"
    """A person."""
    BATCH = "batch"
    """A job."""


@dataclass(frozen=True, kw_only=True)
class BatchResult(Generic[Out]):
    """What the model answers to one batch, in its order."""

    outputs: Sequence[Out | Failure]
    inference_seconds: float
    """Spent in the predictor alone."""


@dataclass(frozen=True, kw_only=True)
class Answer(Generic[Out]):
    """What a request gets; times and size are those of the batch with its last item."""

    outputs: Sequence[Out]
    queue_seconds: float
    inference_seconds: float
    batch_size: int


class ItemFailedError(Exception):
    """One item of a request has no answer, hence the request has none."""

    def __init__(self, index: int, failure: Failure) -> None:
        super().__init__(f"item {index}: {failure.message}")
        self.index = index
        self.failure = failure


class _Request(Generic[In, Out]):
    """A submit under way. Its items before `taken` have been in a batch, the others wait."""

    __slots__ = (
        "arrived",
        "deadline",
        "future",
        "items",
        "left",
        "outputs",
        "priority",
        "taken",
        "timer",
        "unanswered",
    )

    def __init__(
        self,
        items: Sequence[In],
        future: asyncio.Future[Answer[Out]],
        *,
        arrived: float,
        deadline: float,
        priority: Priority,
    ) -> None:
        self.items = items
        self.future = future
        self.arrived = arrived
        self.deadline = deadline
        self.priority = priority
        self.timer: asyncio.TimerHandle | None = None
        self.outputs: list[Out | None] = [None] * len(items)
        self.unanswered = len(items)
        self.taken = 0
        self.left = False

    @property
    def waiting(self) -> int:
        return len(self.items) - self.taken


class DynamicBatcher(Generic[In, Out]):
    """Turns concurrent requests into batches of `run`, which sees one batch at a time.

    `run` raises UnavailableError when the model is lost; `run(())` then returns once it is back, or raises
    UnavailableError when it will not come back.
    """

    def __init__(
        self,
        run: Callable[[Sequence[In]], Awaitable[BatchResult[Out]]],
        *,
        bucket_sizes: Sequence[int],
        max_queue_items: int,
        metrics: BatcherMetrics,
    ) -> None:
        self._run = run
        self._times = BatchTimes(bucket_sizes)
        self._max_queue_items = max_queue_items
        self._metrics = metrics
        # Ordered by arrival, removal from the middle in constant time: callers leave at any moment.
        self._queues: dict[Priority, OrderedDict[_Request[In, Out], None]] = {p: OrderedDict() for p in Priority}
        self._depths = dict.fromkeys(Priority, 0)
        self._running: list[tuple[_Request[In, Out], int]] = []
        self._running_until: float | None = None
        self._arrival = asyncio.Event()
        self._open = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._open = True
        self._task = asyncio.create_task(self._serve(), name="batcher")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Refuses new requests and finishes those admitted; cancelled meanwhile, it gives them up."""
        self._open = False
        self._arrival.set()
        if self._task is not None:
            try:
                await asyncio.shield(self._task)
            except asyncio.CancelledError:
                self._task.cancel()
                with suppress(asyncio.CancelledError):
                    await self._task
                raise

    async def submit(
        self, items: Sequence[In], *, deadline: float | None = None, priority: Priority = Priority.INTERACTIVE
    ) -> Answer[Out]:
        """The answers to all items, in order. `deadline` is a time of the event loop's clock.

        Raises:
            OverloadedError: at once, when the queue is full or too long for the deadline.
            DeadlineExceededError: at once when even an idle model were too slow, else at the deadline.
            UnavailableError: draining, or the model was lost with an item of this request in its batch.
            ItemFailedError: an item that the model cannot answer.
        """
        if not items:
            return Answer(outputs=(), queue_seconds=0.0, inference_seconds=0.0, batch_size=0)
        request = self._admit(items, deadline, priority)
        try:
            return await request.future
        except asyncio.CancelledError:
            self._drop(request, "cancelled")
            raise

    def predicted_wait_seconds(self) -> float:
        """The work ahead of an item that arrives now."""
        now = asyncio.get_running_loop().time()
        return (self._running_seconds(now) or 0.0) + self._times.work_seconds(self._depth, now)

    # Arrival and departure

    @property
    def _depth(self) -> int:
        return sum(self._depths.values())

    def _running_seconds(self, now: float) -> float | None:
        """What is left of the running batch. One that is overdue is expected to take as long again as it is late."""
        return None if self._running_until is None else abs(self._running_until - now)

    def _admit(self, items: Sequence[In], deadline: float | None, priority: Priority) -> _Request[In, Out]:
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not self._open:
            self._metrics.rejected.labels("not_serving").inc()
            raise UnavailableError("the service is draining")
        refused = refusal(
            len(items),
            seconds_left=None if deadline is None else deadline - now,
            load=self._load(priority, now),
            times=self._times,
            now=now,
        )
        if refused is not None:
            self._metrics.rejected.labels(refused.reason).inc()
            raise refused.error
        request: _Request[In, Out] = _Request(
            items,
            loop.create_future(),
            arrived=now,
            deadline=float("inf") if deadline is None else deadline,
            priority=priority,
        )
        if deadline is not None:
            request.timer = loop.call_at(deadline, self._expire, request)
        self._queues[priority][request] = None
        self._change_depth(priority, len(items))
        self._arrival.set()
        return request

    def _load(self, priority: Priority, now: float) -> Load:
        ahead = self._depth
        if priority is Priority.INTERACTIVE:
            oldest = next(iter(self._queues[Priority.BATCH]), None)
            if oldest is None or oldest.arrived + _AGEING_SECONDS > now:
                ahead = self._depths[Priority.INTERACTIVE]
        share = 1.0 if priority is Priority.INTERACTIVE else _BATCH_SHARE
        return Load(
            items_ahead=ahead,
            items_waiting=self._depth,
            max_items=max(1, int(self._max_queue_items * share)),
            running_seconds=self._running_seconds(now),
        )

    def _change_depth(self, priority: Priority, items: int) -> None:
        self._depths[priority] += items
        self._metrics.queue_depth.set(self._depth)

    def _expire(self, request: _Request[In, Out]) -> None:
        self._drop(request, "expired", DeadlineExceededError("the deadline passed before the answer was ready"))

    def _drop(self, request: _Request[In, Out], reason: str, error: Exception | None = None) -> None:
        """An admitted request goes without an answer."""
        if self._leave(request, error):
            self._metrics.dropped.labels(reason).inc()

    def _leave(self, request: _Request[In, Out], error: Exception | None = None) -> bool:
        """Takes out what of a request still waits, and fails it with `error`; False when it had left before."""
        if request.left:
            return False
        request.left = True
        if request.timer is not None:
            request.timer.cancel()
        if request.waiting:
            del self._queues[request.priority][request]
            self._change_depth(request.priority, -request.waiting)
            request.taken = len(request.items)
        if error is not None and not request.future.done():
            request.future.set_exception(error)
        return True

    # Batches

    async def _serve(self) -> None:
        """Runs batches until drained."""
        try:
            while self._open or self._depth:
                if batch := self._choose():
                    await self._run_batch(batch)
                else:
                    self._arrival.clear()
                    await self._arrival.wait()
        finally:
            # Only when the drain was cut short, or by a defect here, is anyone left: nobody may wait for ever.
            self._open = False
            self._fail_all("the service stopped before the answer was ready")

    def _choose(self) -> list[tuple[_Request[In, Out], int]]:
        """Takes the next batch out of the queue, at the last moment, so that late departures count.

        Each member bounds the time the batch may take; the batch stays within the bucket that keeps to the tightest
        bound. A request that misses its deadline in any batch is dropped, unless nothing else is left to run.
        """
        now = asyncio.get_running_loop().time()
        batch: list[tuple[_Request[In, Out], int]] = []
        places = self._times.max_batch_size
        while len(batch) < places and (request := self._next()) is not None:
            if request.future.done():  # cancelled in this very turn of the loop
                self._drop(request, "cancelled")
                continue
            count = min(request.waiting, places - len(batch))
            if request.deadline < float("inf"):
                seconds = request.deadline - now - self._times.work_seconds(request.waiting - count, now)
                allowed = self._times.largest_within(seconds, now)
                if allowed <= len(batch) and (batch or self._depth > request.waiting):
                    self._expire(request)
                    continue
                places = max(min(places, allowed), len(batch) + 1)
                count = min(count, places - len(batch))
            batch.extend((request, index) for index in range(request.taken, request.taken + count))
            request.taken += count
            self._change_depth(request.priority, -count)
            if not request.waiting:
                del self._queues[request.priority][request]
        return batch

    def _next(self) -> _Request[In, Out] | None:
        """The request whose turn it is: first come, first served, BATCH as if it had come later."""
        first = next(iter(self._queues[Priority.INTERACTIVE]), None)
        bulk = next(iter(self._queues[Priority.BATCH]), None)
        if first is None or bulk is None:
            return first or bulk
        return first if first.arrived <= bulk.arrived + _AGEING_SECONDS else bulk

    async def _run_batch(self, batch: list[tuple[_Request[In, Out], int]]) -> None:
        """Runs a batch; one that raises is halved until the guilty item is alone and fails alone."""
        now = asyncio.get_running_loop().time()
        self._metrics.batch_wait_seconds.observe(now - min(request.arrived for request, _ in batch))
        for request, _ in batch:
            self._metrics.queue_seconds.observe(now - request.arrived)
        parts = [batch]
        try:
            while parts:
                part = [place for place in parts.pop() if not place[0].future.done()]
                if not part:
                    continue
                try:
                    await self._run_part(part)
                except UnavailableError as error:
                    for request, _ in [*part, *(place for rest in parts for place in rest)]:
                        self._drop(request, "model_lost", UnavailableError(str(error)))
                    await self._model_back()
                    return
                except Exception as error:  # noqa: BLE001 - whatever a model raises, no other caller may feel it
                    if len(part) > 1:
                        middle = len(part) // 2
                        parts += [part[middle:], part[:middle]]
                    else:
                        request, index = part[0]
                        failure = Failure(code=Code.INTERNAL, message=f"the model failed on this item: {error}")
                        self._leave(request, ItemFailedError(index, failure))
        finally:
            self._running = []
            self._running_until = None
            self._metrics.items_in_flight.set(0)

    async def _run_part(self, part: list[tuple[_Request[In, Out], int]]) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        self._running = part
        self._running_until = begin + self._times.batch_seconds(len(part), begin)
        self._metrics.items_in_flight.set(len(part))
        result = await self._run([request.items[index] for request, index in part])
        if len(result.outputs) != len(part):
            raise ValueError(f"the model gave {len(result.outputs)} outputs for {len(part)} items")
        end = loop.time()
        self._times.observe(len(part), end - begin, end)
        bucket = self._times.bucket(len(part))
        self._metrics.batch_size.observe(len(part))
        self._metrics.padding_items.inc(bucket - len(part))
        self._metrics.inference_seconds.labels(str(bucket)).observe(result.inference_seconds)
        for (request, index), output in zip(part, result.outputs, strict=True):
            if request.left:
                continue
            if isinstance(output, Failure):
                self._leave(request, ItemFailedError(index, output))
                continue
            request.outputs[index] = output
            request.unanswered -= 1
            if not request.unanswered:
                self._answer(request, begin - request.arrived, result.inference_seconds, len(part))

    def _answer(self, request: _Request[In, Out], queue_seconds: float, inference_seconds: float, size: int) -> None:
        if self._leave(request) and not request.future.done():
            request.future.set_result(
                Answer(
                    outputs=cast("list[Out]", request.outputs),
                    queue_seconds=queue_seconds,
                    inference_seconds=inference_seconds,
                    batch_size=size,
                )
            )

    async def _model_back(self) -> None:
        """Holds the queue until the model process is there again; gives it up when that will not be."""
        self._running = []
        self._running_until = asyncio.get_running_loop().time()
        self._metrics.items_in_flight.set(0)
        try:
            await self._run(())
        except UnavailableError as error:
            self._fail_all(str(error))

    def _fail_all(self, message: str) -> None:
        waiting = [request for queue in self._queues.values() for request in queue]
        for request in [*waiting, *(request for request, _ in self._running)]:
            self._drop(request, "model_lost", UnavailableError(message))
