"""A batcher in virtual time whose model answers when told, and a second account of all that must be true of it."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from prometheus_client import CollectorRegistry

from shared.codes import Reason
from shared.errors import DeadlineExceededError, OverloadedError, UnavailableError
from shared.inference.batch_run import BatchResult, BatchTooLargeError
from shared.inference.batching import DynamicBatcher
from shared.inference.halving import NotBegunError
from shared.inference.predictor import Failure
from shared.inference.request import Answer, ItemFailedError, Priority
from shared.metrics import BatcherMetrics
from tests.shared.inference.queueing import gauges
from tests.virtual_time import VirtualTimeLoop

Nature = Literal["good", "fails", "raises"]
MAX_ITEMS, MAX_BYTES, MAX_BATCH = 12, 1000, 4


@dataclass(eq=False, kw_only=True)
class Item:
    """What the model sees; it runs once, and again only when its batch raised."""

    nature: Nature
    call: Call
    runs: int = 0
    may_run: bool = True
    batch: list[Item] = field(default_factory=list)
    """Its first one."""


@dataclass(eq=False, kw_only=True)
class Call:
    """One submit, as its caller knows it."""

    caller: str
    priority: Priority
    kind: str
    size: int
    deadline: float
    items: list[Item] = field(default_factory=list)
    task: asyncio.Task[Answer[Item]] | None = None
    fits: bool = True
    """There was room for it in the queue when it came."""
    admitted: bool = True
    cancelled: bool = False
    lost: bool = False
    """The model was lost with an item of it in the batch, or in the other half of one that raised."""

    @property
    def ended(self) -> bool:
        return self.task is None or self.task.done()

    @property
    def waiting(self) -> list[Item]:
        return [] if self.ended else [item for item in self.items if not item.runs]


@dataclass(eq=False, kw_only=True)
class _Given:
    """A batch that the model has."""

    items: list[Item]
    told: asyncio.Future[str]


class ObservedBatcher:
    """Every method ends when nothing is left to do at this instant, and then checks everything."""

    def __init__(self) -> None:
        self.loop = VirtualTimeLoop()
        self.registry = CollectorRegistry()
        self.calls: list[Call] = []
        self.given: list[_Given] = []
        """What the model has, in its order."""
        self.memory = MAX_BATCH
        self._fresh: list[list[Item]] = []
        """Batches that began since the last check."""
        self._complaints: list[str] = []
        self._back: asyncio.Future[None] | None = None
        self.batcher: DynamicBatcher[Item, Item] = DynamicBatcher(
            self._run,
            bucket_sizes=(1, 2, MAX_BATCH),
            max_queue_items=MAX_ITEMS,
            max_queue_bytes=MAX_BYTES,
            metrics=BatcherMetrics(self.registry),
            clock=self.loop.time,
        )
        self._after(self.batcher.__aenter__)

    async def _run(self, batch: Sequence[Item]) -> BatchResult[Item]:
        if not batch:
            self._back = self._back or self.loop.create_future()
            await asyncio.shield(self._back)
            self._back = None
            return BatchResult(outputs=(), inference_seconds=0.0)
        self._complain(len(self.given) == 2, "three batches at a time")
        self._complain(self.lost, "a batch is given to a lost model")
        self._complain(len(batch) > MAX_BATCH, "a batch is too large")
        self._complain(len({item.call.kind for item in batch}) > 1, "a batch has two kinds")
        for item in batch:
            self._complain(item.call.cancelled, "a cancelled call costs model time")
            self._complain(item.call.deadline <= self.loop.time(), "a call that is too late costs model time")
            self._complain(not item.may_run, "an item is computed twice")
        given = _Given(items=list(batch), told=self.loop.create_future())
        if not any(item.runs for item in batch):
            self._fresh.append(given.items)
            for item in batch:
                item.batch = given.items
        for item in batch:
            item.runs += 1
            item.may_run = False
        self.given.append(given)
        try:
            order = await given.told
        finally:
            self.given.remove(given)
        if order == "never read":
            for item in batch:
                item.may_run = True
            raise NotBegunError("lost before")
        if order == "lose":
            for other in self.given:
                other.told.set_result("never read")
            for item in batch:
                for mate in item.batch:
                    mate.call.lost = True
            raise UnavailableError("lost")
        if len(batch) > self.memory or any(item.nature == "raises" for item in batch):
            for item in batch:
                item.may_run = len(batch) > 1
            raise BatchTooLargeError("no memory") if len(batch) > self.memory else ArithmeticError("raises")
        bad = Failure(reason=Reason.FIELD_INVALID, message="fails")
        return BatchResult(outputs=[bad if item.nature == "fails" else item for item in batch], inference_seconds=0.0)

    @property
    def running(self) -> list[Item] | None:
        """The batch that the model is at."""
        return self.given[0].items if self.given else None

    def _end(self, order: str) -> None:
        """Of the running batch."""
        self.given[0].told.set_result(order)

    def _complain(self, wrong: bool, what: str) -> None:
        """Not by an assertion: the batcher would take it for the model's."""
        if wrong:
            self._complaints.append(what)

    def submit(
        self, natures: list[Nature], *, caller: str, priority: Priority, kind: str, size: int, seconds: float | None
    ) -> None:
        deadline = self.loop.time() + seconds if seconds is not None else float("inf")
        call = Call(caller=caller, priority=priority, kind=kind, size=size, deadline=deadline)
        call.items = [Item(nature=nature, call=call) for nature in natures]
        call.fits = len(self._waiting()) + len(natures) <= MAX_ITEMS and self._bytes_waiting() + size <= MAX_BYTES
        self.calls.append(call)

        async def begin() -> None:
            call.task = self.loop.create_task(
                self.batcher.submit(
                    call.items,
                    deadline=None if seconds is None else deadline,
                    priority=priority,
                    caller=caller,
                    kind=kind,
                    size=size,
                )
            )
            await asyncio.sleep(0)  # as far as its admission
            call.admitted = not call.task.done()

        self._after(begin)

    def cancel(self, call: Call, *, at_the_end_of_a_batch: bool) -> None:
        """At once, or in the very turn of the loop in which the batch ends."""

        async def leave() -> None:
            if at_the_end_of_a_batch:
                self._end("answer")
            assert call.task is not None
            call.cancelled = call.task.cancel()

        self._after(leave)

    def block(self, seconds: float) -> None:
        """The loop does nothing for a time in which the batch ends."""

        async def end() -> None:
            self.loop.block(seconds)
            self._end("answer")

        self._after(end)

    def wait(self, seconds: float) -> None:
        self._after(lambda: asyncio.sleep(seconds))

    def tell(self, order: str) -> None:
        """The model ends its batch: `answer` or `lose`."""

        async def end() -> None:
            self._end(order)

        self._after(end)

    def bring_back(self) -> None:
        async def back() -> None:
            assert self._back is not None
            self._back.set_result(None)

        self._after(back)

    @property
    def lost(self) -> bool:
        return self._back is not None

    def close(self) -> None:
        """Answers what is left, and drains."""
        while self.running is not None or self.lost:
            self.bring_back() if self.lost else self.tell("answer")
        self._after(lambda: self.batcher.__aexit__(None, None, None))
        assert all(call.ended for call in self.calls)
        assert gauges(self.registry) == (0, 0)
        self.loop.close()

    def _after(self, step: object) -> None:
        async def settle() -> None:
            await step()  # type: ignore[operator]
            for _ in range(12):
                await asyncio.sleep(0)

        self.loop.run_until_complete(settle())
        self._check()

    def _check(self) -> None:
        assert self._complaints == []
        waiting = self._waiting()
        assert gauges(self.registry) == (len(waiting), sum(len(given.items) for given in self.given))
        assert len(waiting) <= MAX_ITEMS
        assert self._bytes_waiting() <= MAX_BYTES
        assert not waiting or self.running is not None or self.lost, "the model is never idle while somebody waits"
        for call in self.calls:
            assert call.ended or call.deadline > self.loop.time()
            if call.ended and call.task is not None:
                self._check_end(call, call.task)
                call.task = None
        self._check_order(waiting)
        still = {item.call for given in self.given for item in given.items}
        self.calls = [call for call in self.calls if not call.ended or call in still]

    def _waiting(self) -> list[Item]:
        return [item for call in self.calls for item in call.waiting]

    def _bytes_waiting(self) -> int:
        return sum(call.size for call in self.calls if call.waiting)

    def _check_end(self, call: Call, task: asyncio.Task[Answer[Item]]) -> None:
        if task.cancelled():
            assert call.cancelled
            return
        error = task.exception()
        natures = [item.nature for item in call.items]
        if error is None:
            assert task.result().outputs == call.items
            assert set(natures) == {"good"}
        elif isinstance(error, ItemFailedError):
            assert natures[error.index] != "good" or self.memory == 0
        elif isinstance(error, OverloadedError):
            assert not any(item.runs for item in call.items)
            assert error.retry_after_seconds > 0
            assert call.admitted or not call.fits or error.reason is Reason.QUEUE_TOO_LONG
        elif isinstance(error, UnavailableError):
            assert call.lost
        else:
            assert isinstance(error, DeadlineExceededError)
            assert call.deadline < float("inf")

    def _check_order(self, waiting: list[Item]) -> None:
        """Of one caller, priority and kind, whoever still waits came after those in the batch."""
        place = {item: number for number, item in enumerate(item for call in self.calls for item in call.items)}
        last: defaultdict[tuple[str, Priority, str], int] = defaultdict(lambda: -1)
        for batch in self._fresh:
            for item in batch:
                group = item.call.caller, item.call.priority, item.call.kind
                last[group] = max(last[group], place.get(item, -1))
        for item in waiting:
            assert place[item] > last[item.call.caller, item.call.priority, item.call.kind]
        self._fresh.clear()
