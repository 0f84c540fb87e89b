"""A request to a model service, from its arrival to its answer; no queue, no clock, no metrics."""

from __future__ import annotations

import asyncio
import enum
from collections.abc import Hashable, Sequence
from typing import Any, Generic, NamedTuple, TypeAlias, TypeVar

from shared.inference.journey import Journey
from shared.inference.predictor import Failure

In = TypeVar("In")
Out = TypeVar("Out")


class Priority(enum.StrEnum):
    """Who waits for the answer."""

    INTERACTIVE = "interactive"
    """A person."""
    BATCH = "batch"
    """A job."""


class Answer(NamedTuple, Generic[Out]):
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


class Request(Generic[In, Out]):
    """Items that arrived together; those before `taken` have been in a batch, the others wait."""

    __slots__ = (
        "_ended", "arrived", "caller", "deadline", "future", "items", "journey", "kind", "number", "outputs",
        "priority", "size", "taken", "timer", "unanswered", "waiting",
    )  # fmt: skip

    def __init__(
        self,
        items: Sequence[In],
        future: asyncio.Future[Answer[Out]],
        *,
        priority: Priority,
        caller: str,
        kind: Hashable,
        size: int,
        arrived: float,
        deadline: float,
        journey: Journey | None = None,
    ) -> None:
        self.items = items
        self.future = future
        self.priority = priority
        self.caller = caller
        self.kind = kind
        self.size = size
        """In bytes, of all items."""
        self.arrived = arrived
        self.deadline = deadline
        self.journey = journey
        """None where nobody wants to know."""
        self.number = 0
        """Of the requests of a queue, in the order of their arrival."""
        self.timer: asyncio.TimerHandle | None = None
        self.outputs: list[Any] = [None] * len(items)
        self.unanswered = len(items)
        self.taken = 0
        self.waiting = len(items)
        """Items that have not been in a batch."""
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

    def over(self, now: float) -> bool:
        """Whether its caller has left, been answered, or waits no longer."""
        return self.deadline <= now or self.future.done()


Place: TypeAlias = tuple[Request[In, Out], int]
"""In a batch: a request and the index of its item."""
