"""The batcher of a model service: who is admitted, and when batches run; asyncio only, it knows no model and no wire.

Requests wait; whenever the model is free, or about to be, the batch is chosen from those that still want an answer. A
request costs one future and, with a deadline, one timer.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Generic, Self, TypeVar

from shared.codes import Reason
from shared.errors import DeadlineExceededError, UnavailableError
from shared.inference.admission import Load, end_seconds, overloaded, refusal
from shared.inference.batch_run import BatchResult, BatchRunner
from shared.inference.batch_times import TimesByKind
from shared.inference.displacement import QueueLimits, giving_way
from shared.inference.journey import Journey
from shared.inference.request import Answer, Priority, Request
from shared.inference.request_queue import RequestQueue
from shared.inference.scheduling import next_batch
from shared.metrics import BatcherMetrics

In = TypeVar("In")
Out = TypeVar("Out")


class DynamicBatcher(Generic[In, Out]):
    """Turns concurrent requests into batches of `run`.

    `run` computes one batch after another, in the order in which it is called; the next full batch may be given to it
    shortly before the running one ends. It raises BatchTooLargeError when the model has no memory for a batch,
    UnavailableError when the model is lost, and NotBegunError when it was lost before it came to this batch; `run(())`
    then returns once it is back, or raises UnavailableError when it will not come back. `clock` is that of the event
    loop, in seconds; uvloop reads its own in whole milliseconds, too coarse for what is measured here.
    """

    def __init__(
        self,
        run: Callable[[Sequence[In]], Awaitable[BatchResult[Out]]],
        *,
        bucket_sizes: Sequence[int],
        max_queue_items: int,
        max_queue_bytes: int,
        metrics: BatcherMetrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._metrics = metrics
        self._clock = clock
        self._limits = QueueLimits(max_queue_items, max_queue_bytes)
        self._times = TimesByKind(bucket_sizes)
        self._queue: RequestQueue[In, Out] = RequestQueue()
        self._runner = BatchRunner(run, self._times, metrics, clock=clock, leave=self._leave)
        self._arrival = asyncio.Event()
        self._open = False
        self._task: asyncio.Task[None] | None = None
        metrics.queue_depth.set_function(lambda: self._queue.depth)

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
        self,
        items: Sequence[In],
        *,
        deadline: float | None = None,
        priority: Priority = Priority.INTERACTIVE,
        caller: str = "",
        kind: Hashable = None,
        size: int = 0,
        journey: Journey | None = None,
    ) -> Answer[Out]:
        """The answers to all items, in order.

        Args:
            items: of the request, which is admitted whole or not at all.
            deadline: a time of the event loop's clock.
            priority: who waits.
            caller: with whom the model is shared; requests without a name are one caller's.
            kind: of a small fixed set where items differ much in the time they take: a batch has one kind.
            size: in bytes, of the memory that the items hold while they wait.
            journey: is told where the request is.

        Raises:
            OverloadedError: at once, when the queue is full or too long for the deadline.
            DeadlineExceededError: at once when even an idle model were too slow, else at the deadline.
            UnavailableError: draining, or the model was lost with an item of this request in its batch.
            ItemFailedError: an item that the model cannot answer.
        """
        if not items:
            return Answer(outputs=(), queue_seconds=0.0, inference_seconds=0.0, batch_size=0)
        request = self._admit(items, deadline, priority, caller, kind, size, journey)
        try:
            return await request.future
        except asyncio.CancelledError:
            self._leave(request, None, "cancelled")
            raise

    def predicted_wait_seconds(self) -> float:
        """The work ahead of an item that arrives now, if the model took all that waits before it."""
        now = self._clock()
        return (self._runner.running_seconds(now) or 0.0) + self._times.work_seconds(self._queue.depths, now)

    def item_seconds(self) -> float:
        """What one item takes where nothing is ahead of it; 0 as long as nothing has run."""
        return self._times.item_seconds(self._clock())

    def least_deadline_seconds(self, priority: Priority, caller: str) -> float:
        """The shortest deadline that one more item of this caller would be admitted with; 0 for any."""
        now = self._clock()
        running = self._runner.running_seconds(now)
        if running is None and not self._queue.depth:
            return 0.0
        before = self._queue.before(priority, caller, 1)
        ends = []
        for kind, times in self._times.items():
            same, others = self._times.split(before, self._queue.depths, kind, now)
            ends.append(end_seconds(same + 1, (running or 0.0) + others, times=times, now=now))
        return min(ends, default=0.0)

    def _admit(
        self,
        items: Sequence[In],
        deadline: float | None,
        priority: Priority,
        caller: str,
        kind: Hashable,
        size: int,
        journey: Journey | None,
    ) -> Request[In, Out]:
        loop = asyncio.get_running_loop()
        now = self._clock()
        if not self._open:
            self._metrics.rejected.labels("not_serving").inc()
            raise UnavailableError("the service is draining", reason=Reason.NOT_SERVING)
        self._metrics.offered_items.inc(len(items))  # those turned away above are offered to another replica
        queue, limits = self._queue, self._limits
        leaving: Sequence[Request[In, Out]] | None = ()
        if queue.depth + len(items) > limits.items or queue.size + size > limits.size:
            leaving = giving_way(queue, limits, priority=priority, caller=caller, items=len(items), size=size)
        before = queue.before(priority, caller, len(items))
        same, others = self._times.split(before, queue.depths, kind, now)
        load = Load(
            items_ahead=same,
            others_seconds=others,
            items_waiting=queue.depth,
            bytes_waiting=queue.size,
            limits=limits,
            gives_way=leaving is not None,
            running_seconds=self._runner.running_seconds(now),
        )
        until = math.inf if deadline is None else deadline
        times = self._times[kind]
        refused = refusal(len(items), size=size, seconds_left=until - now, load=load, times=times, now=now)
        if refused is not None:
            self._metrics.rejected.labels(refused.reason).inc()
            raise refused.error
        for other in leaving or ():
            self._displace(other, now)
        request: Request[In, Out] = Request(
            items,
            loop.create_future(),
            priority=priority,
            caller=caller,
            kind=kind,
            size=size,
            arrived=now,
            deadline=until,
            journey=journey,
        )
        if journey is not None:
            journey.arrived = now
        if deadline is not None:
            request.timer = loop.call_at(deadline, self._expire, request)
        queue.add(request)
        self._arrival.set()
        return request

    def _leave(self, request: Request[In, Out], error: Exception | None, reason: str | None) -> None:
        """Ends a request, unless it has ended: with `error` if it waits for an answer, counted if it has none."""
        if not request.end(error):
            return
        if request.waiting:
            self._queue.remove(request)
            if (overdue := self._clock() - request.deadline) > 0:
                self._metrics.overdue_seconds.observe(overdue)
        if reason is not None:
            self._metrics.dropped.labels(reason).inc()

    def _expire(self, request: Request[In, Out]) -> None:
        late = DeadlineExceededError("the deadline passed before the answer was ready", reason=Reason.DEADLINE_PASSED)
        self._leave(request, late, "expired")

    def _displace(self, request: Request[In, Out], now: float) -> None:
        message = "the queue is full, and of those who wait the caller of this request has most in it"
        wait = self._times.work_seconds(self._queue.depths, now)
        self._leave(request, overloaded(message, Reason.QUEUE_FULL, wait), "displaced")

    def _give_up(self, request: Request[In, Out]) -> None:
        """Ends one that is not worth running: its caller has left, or will have."""
        if request.future.done():
            self._leave(request, None, "cancelled")
        else:
            self._expire(request)

    def _full_batch_waits(self) -> bool:
        """Whether those who come later could not make the next batch better."""
        first = self._queue.first()
        return first is not None and self._queue.depths[first.kind] >= self._times[first.kind].largest(self._clock())

    async def _serve(self) -> None:
        """Runs batches until drained."""
        try:
            while self._open or self._queue.depth:
                await self._runner.wait_for_turn(self._full_batch_waits)
                begin = self._runner.free_at(self._clock())
                if batch := next_batch(self._queue, self._times, begin, give_up=self._give_up):
                    await self._runner.start(batch)
                elif self._open:
                    self._arrival.clear()
                    await self._arrival.wait()
            await self._runner.finish()
        finally:
            await self._runner.stop()
            # Only when the drain was cut short, or by a defect here, is anyone left: nobody may wait for ever.
            self._open = False
            self._runner.lose(self._queue.all(), "the service stopped before the answer was ready")
