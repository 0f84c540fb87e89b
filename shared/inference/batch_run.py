"""Batches through the model, and their members answered; it does not know where batches come from.

At most two are with the model: one that runs and, for the last moments of that, the next one.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar

from shared.codes import Reason
from shared.errors import UnavailableError
from shared.inference.batch_times import BatchTimes, TimesByKind
from shared.inference.halving import run_halving
from shared.inference.journey import Run
from shared.inference.predictor import Failure, Padding
from shared.inference.request import Answer, ItemFailedError, Place, Request
from shared.metrics import BatcherMetrics

In = TypeVar("In")
Out = TypeVar("Out")


@dataclass(frozen=True, kw_only=True)
class BatchResult(Generic[Out]):
    """What the model answers to one batch, in its order."""

    outputs: Sequence[Out | Failure]
    inference_seconds: float
    """Spent in the predictor alone."""
    begin: float | None = None
    """When it began, on the batcher's clock; None where that is not known."""
    padding: Padding | None = None
    """None where the batch was simply padded to its bucket."""


class BatchTooLargeError(Exception):
    """The model has no memory for this batch; it lives on."""


_AHEAD_SECONDS, _AHEAD_SHARE = 0.002, 0.1
"""Of the running batch, at its end: from then on the next one may be handed over. The front end will soon be busy with
the answers to the running one, for longer than the model should wait."""


class _Batch(Generic[In, Out]):
    """What left the queue together."""

    def __init__(self, places: list[Place[In, Out]]) -> None:
        self.places = places
        self.begun = False


@dataclass(kw_only=True, eq=False)
class _Part(Generic[In, Out]):
    """What the model was given: a batch, or half of one that raised."""

    batch: _Batch[In, Out]
    places: Sequence[Place[In, Out]]
    seconds: float
    """That it is expected to take."""
    begin: float = 0.0
    """When the model came to it, or will at the earliest."""
    late: int = 0
    """Places nobody waited for any more by then."""
    run: Run | None = None
    """It, as its members are told; None as long as the model has not come to it."""


class BatchRunner(Generic[In, Out]):
    """Runs batches of places in the queue.

    Args:
        run: the model, which runs what it is given in that order; see DynamicBatcher.
        times: learns from each batch.
        metrics: of the service.
        clock: seconds, as of the deadlines.
        leave: ends a request, with the error that it gets and the reason why it is dropped, where it has them.
    """

    def __init__(
        self,
        run: Callable[[Sequence[In]], Awaitable[BatchResult[Out]]],
        times: TimesByKind,
        metrics: BatcherMetrics,
        *,
        clock: Callable[[], float] = time.monotonic,
        leave: Callable[[Request[In, Out], Exception | None, str | None], None],
    ) -> None:
        self._run = run
        self._times = times
        self._metrics = metrics
        self._clock = clock
        self._leave = leave
        self._tasks: set[asyncio.Task[None]] = set()
        self._parts: deque[_Part[In, Out]] = deque()
        """That are with the model, the one that runs first."""
        self._lost_at: float | None = None
        self._numbers = itertools.count(1)
        # The copy is for the thread that serves metrics, which may ask in the middle of a change.
        metrics.items_in_flight.set_function(lambda: sum(len(part.places) for part in tuple(self._parts)))
        metrics.batch_size_limit.set_function(lambda: times.largest(clock()))
        metrics.capacity.set_function(lambda: times.items_per_second(clock()))

    def running_seconds(self, now: float) -> float | None:
        """What is left of what is with the model; what is overdue is expected to take as long again as it is late."""
        if not self._parts:
            return None if self._lost_at is None else now - self._lost_at
        running, *others = self._parts
        return abs(running.begin + running.seconds - now) + sum(part.seconds for part in others)

    def free_at(self, now: float) -> float:
        """When the model will be done with all it was given, as far as one knows; `now` at the earliest."""
        if not self._parts:
            return now
        running, *others = self._parts
        return max(now, running.begin + running.seconds) + sum(part.seconds for part in others)

    async def wait_for_turn(self, ready: Callable[[], bool]) -> None:
        """Returns when the next batch may be started: once nothing runs or, if it is `ready` by then, a little before.

        Raises what a batch ended with that was no fault of the model's.
        """
        while self._tasks:
            if len(self._tasks) == 1 and len(self._parts) == 1:
                running = self._parts[0]
                end = running.begin + running.seconds * (1 - _AHEAD_SHARE) - _AHEAD_SECONDS
                done, _ = await asyncio.wait(self._tasks, timeout=max(0.0, end - self._clock()))
                # Else it ended while this waited for it, or was lost, or is being halved.
                if not done and self._parts and self._parts[0] is running and ready():
                    return
            done, self._tasks = await asyncio.wait(self._tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    async def start(self, batch: list[Place[In, Out]]) -> None:
        """Gives the model a batch, whose members it answers; returns when it has it."""
        self._tasks.add(asyncio.create_task(self._answer_all(_Batch(batch)), name="batch"))
        await asyncio.sleep(0)  # the task's first step

    async def finish(self) -> None:
        """Returns when nothing runs; raises as `wait_for_turn`."""
        await self.wait_for_turn(lambda: False)

    async def stop(self) -> None:
        """Gives up what runs."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    async def _answer_all(self, batch: _Batch[In, Out]) -> None:
        """When the model is lost, it returns once that is back or lost for good."""
        try:
            await run_halving(
                batch.places,
                run=partial(self._run_part, batch),
                before_again=self._wait_until_back,
                wanted=lambda place: not place[0].over(self._clock()),
                blame=self._blame,
                most=lambda: self._times[batch.places[0][0].kind].largest(self._clock()),
            )
        except UnavailableError as error:
            self.lose([request for request, _ in batch.places], str(error))
            with suppress(UnavailableError):  # lost for good: the next batches will be told so, one by one
                await self._wait_until_back()
        except BaseException:
            self.lose([request for request, _ in batch.places], "the service stopped before the answer was ready")
            raise

    async def _wait_until_back(self) -> None:
        self._lost_at = self._clock()
        try:
            await self._run(())
        finally:
            self._lost_at = None

    def lose(self, requests: Sequence[Request[In, Out]], message: str) -> None:
        """Ends requests that no model will answer."""
        for request in requests:
            self._leave(request, UnavailableError(message, reason=Reason.MODEL_LOST), "model_lost")

    def _blame(self, place: Place[In, Out], error: Exception) -> None:
        request, index = place
        failure = Failure(reason=Reason.MODEL_OUTPUT_INVALID, message=f"the model failed on this item: {error}")
        self._leave(request, ItemFailedError(index, failure), None)

    async def _run_part(self, batch: _Batch[In, Out], places: Sequence[Place[In, Out]]) -> None:
        now = self._clock()
        times = self._times[places[0][0].kind]
        part = _Part(batch=batch, places=places, seconds=times.batch_seconds(len(places), now))
        self._parts.append(part)
        if self._parts[0] is part:
            self._begin(part, now)
        try:
            result = await self._run([request.items[index] for request, index in places])
        except BatchTooLargeError:
            self._metrics.out_of_memory.inc()
            times.shrink(len(places), self._clock())
            raise
        finally:
            self._end(part)
        if len(result.outputs) != len(places):
            raise ValueError(f"the model gave {len(result.outputs)} outputs for {len(places)} items")
        if part.run is not None:
            part.run.inference_begin, part.run.inference_seconds = result.begin, result.inference_seconds
        self._observe(part, result, times)
        for (request, index), output in zip(places, result.outputs, strict=True):
            if not request.future.done():
                self._answer(request, index, output, queue_seconds=part.begin - request.arrived, result=result)

    def _begin(self, part: _Part[In, Out], now: float) -> None:
        part.begin = now
        part.late = sum(request.over(now) for request, _ in part.places)
        self._tell(part, now)
        if not part.batch.begun:
            part.batch.begun = True
            self._metrics.batch_wait_seconds.observe(now - min(request.arrived for request, _ in part.places))
            for request, _ in part.places:
                self._metrics.queue_seconds.observe(now - request.arrived)

    def _tell(self, part: _Part[In, Out], now: float) -> None:
        """Those who want to know are told that the model has come to them."""
        size = len(part.places)
        bucket = self._times[part.places[0][0].kind].bucket(size)
        part.run = run = Run(number=next(self._numbers), size=size, bucket=bucket, begin=now)
        for request, _ in part.places:
            if request.journey is not None:
                request.journey.enter(run)

    def _end(self, part: _Part[In, Out]) -> None:
        """The model is done with it; what is next begins."""
        if part.run is not None:
            part.run.end = self._clock()
        if part in self._parts:
            first = self._parts[0] is part
            self._parts.remove(part)
            if first and self._parts:
                self._begin(self._parts[0], self._clock())

    def _observe(self, part: _Part[In, Out], result: BatchResult[Out], times: BatchTimes) -> None:
        end = self._clock()
        size = len(part.places)
        # A loop that was busy when the batch before this one ended sees this one begin too late.
        self._times.observe(part.places[0][0].kind, size, max(end - part.begin, result.inference_seconds), end)
        if late := sum(request.over(end) for request, _ in part.places):
            self._metrics.late_items.labels("start").inc(part.late)
            self._metrics.late_items.labels("end").inc(late - part.late)
        bucket = times.bucket(size)
        self._metrics.batch_size.observe(size)
        padding = result.padding or Padding(items=bucket - size)
        self._metrics.padding_items.inc(padding.items)
        self._metrics.tokens.labels("text").inc(padding.tokens)
        self._metrics.tokens.labels("padding").inc(padding.padding_tokens)
        self._metrics.inference_seconds.labels(str(bucket)).observe(result.inference_seconds)

    def _answer(
        self,
        request: Request[In, Out],
        index: int,
        output: Out | Failure,
        *,
        queue_seconds: float,
        result: BatchResult[Out],
    ) -> None:
        if isinstance(output, Failure):
            self._leave(request, ItemFailedError(index, output), None)
            return
        request.outputs[index] = output
        request.unanswered -= 1
        if not request.unanswered:
            self._leave(request, None, None)
            request.future.set_result(
                Answer(
                    outputs=request.outputs,
                    queue_seconds=queue_seconds,
                    inference_seconds=result.inference_seconds,
                    batch_size=len(result.outputs),
                )
            )
