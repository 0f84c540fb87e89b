"""The queue of a model service and the choice of its batches; asyncio only, it knows no model and no wire.

Requests wait; whenever the model is free, the batch is chosen from those that still want an answer. One task runs
the batches one after another; a request costs one future and, with a deadline, one timer.
"""

from __future__ import annotations

import asyncio
import enum
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, Self, TypeAlias, TypeVar

from shared.codes import Reason
from shared.errors import DeadlineExceededError, UnavailableError
from shared.inference.admission import BatchTimes, Load, refusal
from shared.inference.halving import run_halving
from shared.inference.predictor import Failure
from shared.inference.request_queue import Request, RequestQueue
from shared.metrics import BatcherMetrics

In = TypeVar("In")
Out = TypeVar("Out")

_now = time.monotonic
"""The event loop's clock, which uvloop reads in whole milliseconds: too coarse for what is measured here."""
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


_Request: TypeAlias = Request[Priority, In, Answer[Out]]
_Place: TypeAlias = tuple[Request[Priority, In, Answer[Out]], int]
"""A request and the index of its item."""


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
        self._metrics = metrics
        batch_items = math.ceil(max_queue_items * _BATCH_SHARE)
        self._max_items = {Priority.INTERACTIVE: max_queue_items, Priority.BATCH: batch_items}
        self._queue: RequestQueue[Priority, In, Answer[Out]] = RequestQueue(tuple(Priority))
        self._running_until: float | None = None
        self._arrival = asyncio.Event()
        self._open = False
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._open = True
        self._task = asyncio.create_task(self._serve(), name="batcher")
        return self

    async def __aexit__(self, *_: object) -> None:
        """Refuses new requests and finishes those admitted; cancelled meanwhile, it gives them up."""
        self._open = False
        self._arrival.set()
        if self._task is not None:
            await self._task

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
        now = _now()
        return (self._running_seconds(now) or 0.0) + self._times.work_seconds(self._queue.depth, now)

    def _admit(self, items: Sequence[In], deadline: float | None, priority: Priority) -> _Request[In, Out]:
        loop = asyncio.get_running_loop()
        now = _now()
        if not self._open:
            self._metrics.rejected.labels("not_serving").inc()
            raise UnavailableError("the service is draining", reason=Reason.NOT_SERVING)
        turn = now if priority is Priority.INTERACTIVE else now + _AGEING_SECONDS
        load = Load(
            items_ahead=self._queue.depth_before(priority, turn),
            items_waiting=self._queue.depth,
            max_items=self._max_items[priority],
            running_seconds=self._running_seconds(now),
        )
        until = math.inf if deadline is None else deadline
        refused = refusal(len(items), seconds_left=until - now, load=load, times=self._times, now=now)
        if refused is not None:
            self._metrics.rejected.labels(refused.reason).inc()
            raise refused.error
        request: _Request[In, Out] = Request(
            items, loop.create_future(), lane=priority, arrived=now, turn=turn, deadline=until
        )
        if deadline is not None:
            request.timer = loop.call_at(deadline, self._expire, request)
        self._queue.add(request)
        self._metrics.queue_depth.set(self._queue.depth)
        self._arrival.set()
        return request

    def _running_seconds(self, now: float) -> float | None:
        """What is left of the running batch; one that is overdue is expected to take as long again as it is late."""
        return None if self._running_until is None else abs(self._running_until - now)

    def _leave(self, request: _Request[In, Out], error: Exception | None = None) -> bool:
        """Ends a request, with `error` if it waits for an answer, and takes out what is queued of it.

        False when it had ended before.
        """
        if not request.end(error):
            return False
        if request.waiting:
            self._queue.take(request, request.waiting)
            self._metrics.queue_depth.set(self._queue.depth)
        return True

    def _drop(self, request: _Request[In, Out], reason: str, error: Exception | None = None) -> None:
        """Ends an admitted request that gets no answer."""
        if self._leave(request, error):
            self._metrics.dropped.labels(reason).inc()

    def _expire(self, request: _Request[In, Out]) -> None:
        late = DeadlineExceededError("the deadline passed before the answer was ready", reason=Reason.DEADLINE_PASSED)
        self._drop(request, "expired", late)

    def _lose(self, requests: Iterable[_Request[In, Out]], message: str) -> None:
        for request in requests:
            self._drop(request, "model_lost", UnavailableError(message, reason=Reason.MODEL_LOST))

    async def _serve(self) -> None:
        """Runs batches until drained."""
        try:
            while self._open or self._queue.depth:
                if batch := self._choose():
                    await self._run_batch(batch)
                else:
                    self._arrival.clear()
                    await self._arrival.wait()
        finally:
            # Only when the drain was cut short, or by a defect here, is anyone left: nobody may wait for ever.
            self._open = False
            self._lose(self._queue.all(), "the service stopped before the answer was ready")

    def _choose(self) -> list[_Place[In, Out]]:
        """Takes the next batch out of the queue.

        Each member bounds the time that the batch may take, and the batch stays in the bucket that keeps to the
        tightest bound. A request that no worthwhile batch answers in time is dropped, unless it is all there is.
        """
        now = _now()
        batch: list[_Place[In, Out]] = []
        places = self._times.max_batch_size
        while len(batch) < places and (request := self._queue.first()) is not None:
            if request.future.done():  # cancelled in this very turn of the loop, its task has not run yet
                self._drop(request, "cancelled")
                continue
            count = min(request.waiting, places - len(batch))
            if request.deadline < math.inf:
                rest = self._times.work_seconds(request.waiting - count, now)
                wanted = min(places, len(batch) + self._queue.depth)
                allowed = self._times.places_within(request.deadline - now - rest, wanted, now)
                if allowed > len(batch):
                    places = allowed
                    count = min(count, places - len(batch))
                elif batch or self._queue.depth > request.waiting:
                    self._expire(request)
                    continue
            batch.extend((request, index) for index in range(request.taken, request.taken + count))
            self._queue.take(request, count)
        self._metrics.queue_depth.set(self._queue.depth)
        return batch

    async def _run_batch(self, batch: list[_Place[In, Out]]) -> None:
        """Answers the members of a batch; when the model is lost, holds the queue until it is back."""
        now = _now()
        self._metrics.batch_wait_seconds.observe(now - min(request.arrived for request, _ in batch))
        for request, _ in batch:
            self._metrics.queue_seconds.observe(now - request.arrived)
        try:
            await run_halving(
                batch, run=self._run_part, wanted=lambda place: not place[0].future.done(), blame=self._blame
            )
        except UnavailableError as error:
            self._lose((request for request, _ in batch), str(error))
            self._metrics.items_in_flight.set(0)
            self._running_until = _now()
            with suppress(UnavailableError):  # lost for good: the next batches will be told so, one by one
                await self._run(())
        except BaseException:
            self._lose((request for request, _ in batch), "the service stopped before the answer was ready")
            raise
        finally:
            self._running_until = None
            self._metrics.items_in_flight.set(0)

    def _blame(self, place: _Place[In, Out], error: Exception) -> None:
        request, index = place
        failure = Failure(reason=Reason.MODEL_OUTPUT_INVALID, message=f"the model failed on this item: {error}")
        self._leave(request, ItemFailedError(index, failure))

    async def _run_part(self, part: Sequence[_Place[In, Out]]) -> None:
        begin = _now()
        self._running_until = begin + self._times.batch_seconds(len(part), begin)
        self._metrics.items_in_flight.set(len(part))
        result = await self._run([request.items[index] for request, index in part])
        if len(result.outputs) != len(part):
            raise ValueError(f"the model gave {len(result.outputs)} outputs for {len(part)} items")
        end = _now()
        self._times.observe(len(part), end - begin, end)
        bucket = self._times.bucket(len(part))
        self._metrics.batch_size.observe(len(part))
        self._metrics.padding_items.inc(bucket - len(part))
        self._metrics.inference_seconds.labels(str(bucket)).observe(result.inference_seconds)
        for (request, index), output in zip(part, result.outputs, strict=True):
            if request.future.done():
                continue
            if isinstance(output, Failure):
                self._leave(request, ItemFailedError(index, output))
                continue
            request.outputs[index] = output
            request.unanswered -= 1
            if not request.unanswered:
                self._leave(request)
                request.future.set_result(
                    Answer(
                        outputs=request.outputs,
                        queue_seconds=begin - request.arrived,
                        inference_seconds=result.inference_seconds,
                        batch_size=len(part),
                    )
                )
