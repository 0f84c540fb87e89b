"""One batch after another through the model, and its members answered; it does not know where batches come from."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Generic, TypeVar

from shared.codes import Reason
from shared.errors import UnavailableError
from shared.inference.batch_times import TimesByKind
from shared.inference.halving import run_halving
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
    padding: Padding | None = None
    """None where the batch was simply padded to its bucket."""


class BatchTooLargeError(Exception):
    """The model has no memory for this batch; it lives on."""


class BatchRunner(Generic[In, Out]):
    """Runs batches of places in the queue.

    Args:
        run: the model; see DynamicBatcher.
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
        self._running_until: float | None = None
        self._in_flight = 0
        metrics.items_in_flight.set_function(lambda: self._in_flight)
        metrics.batch_size_limit.set_function(lambda: times.largest(clock()))

    def running_seconds(self, now: float) -> float | None:
        """What is left of the running batch; one that is overdue is expected to take as long again as it is late."""
        return None if self._running_until is None else abs(self._running_until - now)

    async def run(self, batch: list[Place[In, Out]]) -> None:
        """Answers the members of a batch; when the model is lost, returns once it is back or lost for good."""
        self._observe_waits(batch)
        try:
            await run_halving(
                batch,
                run=self._run_part,
                wanted=lambda place: not place[0].over(self._clock()),
                blame=self._blame,
                most=lambda: self._times[batch[0][0].kind].largest(self._clock()),
            )
        except UnavailableError as error:
            self.lose([request for request, _ in batch], str(error))
            self._in_flight = 0
            self._running_until = self._clock()
            with suppress(UnavailableError):  # lost for good: the next batches will be told so, one by one
                await self._run(())
        except BaseException:
            self.lose([request for request, _ in batch], "the service stopped before the answer was ready")
            raise
        finally:
            self._running_until = None
            self._in_flight = 0

    def lose(self, requests: Sequence[Request[In, Out]], message: str) -> None:
        """Ends requests that no model will answer."""
        for request in requests:
            self._leave(request, UnavailableError(message, reason=Reason.MODEL_LOST), "model_lost")

    def _observe_waits(self, batch: list[Place[In, Out]]) -> None:
        now = self._clock()
        self._metrics.batch_wait_seconds.observe(now - min(request.arrived for request, _ in batch))
        for request, _ in batch:
            self._metrics.queue_seconds.observe(now - request.arrived)

    def _blame(self, place: Place[In, Out], error: Exception) -> None:
        request, index = place
        failure = Failure(reason=Reason.MODEL_OUTPUT_INVALID, message=f"the model failed on this item: {error}")
        self._leave(request, ItemFailedError(index, failure), None)

    async def _run_part(self, part: Sequence[Place[In, Out]]) -> None:
        begin = self._clock()
        times = self._times[part[0][0].kind]
        self._running_until = begin + times.batch_seconds(len(part), begin)
        self._in_flight = len(part)
        late_at_start = sum(request.over(begin) for request, _ in part)
        try:
            result = await self._run([request.items[index] for request, index in part])
        except BatchTooLargeError:
            self._metrics.out_of_memory.inc()
            times.shrink(len(part), self._clock())
            raise
        if len(result.outputs) != len(part):
            raise ValueError(f"the model gave {len(result.outputs)} outputs for {len(part)} items")
        end = self._clock()
        times.observe(len(part), end - begin, end)
        self._count_late(at_start=late_at_start, in_all=sum(request.over(end) for request, _ in part))
        bucket = times.bucket(len(part))
        self._metrics.batch_size.observe(len(part))
        padding = result.padding or Padding(items=bucket - len(part))
        self._metrics.padding_items.inc(padding.items)
        self._metrics.tokens.labels("text").inc(padding.tokens)
        self._metrics.tokens.labels("padding").inc(padding.padding_tokens)
        self._metrics.inference_seconds.labels(str(bucket)).observe(result.inference_seconds)
        for (request, index), output in zip(part, result.outputs, strict=True):
            if not request.future.done():
                self._answer(request, index, output, queue_seconds=begin - request.arrived, result=result)

    def _count_late(self, *, at_start: int, in_all: int) -> None:
        if in_all:
            self._metrics.late_items.labels("start").inc(at_start)
            self._metrics.late_items.labels("end").inc(in_all - at_start)

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
