"""One caller floods a service, another asks for little: in virtual time, over the whole batcher.

The model answers up to 8 items in 80 ms: its capacity is 100 items a second.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from shared.codes import Reason
from shared.errors import CallError, OverloadedError
from shared.inference.batch_run import BatchResult
from shared.inference.batching import DynamicBatcher
from shared.inference.request import Priority
from shared.metrics import BatcherMetrics
from tests.shared.inference.queueing import gauges, turns, value
from tests.virtual_time import run_in_virtual_time

INTERACTIVE, BATCH = Priority.INTERACTIVE, Priority.BATCH


class Scene:
    """A batcher whose callers are named, and what became of their items."""

    def __init__(self, *, max_queue_items: int = 256, max_queue_bytes: int = 1 << 30) -> None:
        self.answered: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.ran: Counter[str] = Counter()
        self.registry = CollectorRegistry()
        self._turn = asyncio.Lock()
        self.batcher: DynamicBatcher[str, str] = DynamicBatcher(
            self._run,
            bucket_sizes=(1, 2, 4, 8),
            max_queue_items=max_queue_items,
            max_queue_bytes=max_queue_bytes,
            metrics=BatcherMetrics(self.registry),
            clock=lambda: asyncio.get_running_loop().time(),
        )
        self.calls: list[asyncio.Task[None]] = []

    async def _run(self, batch: Sequence[str]) -> BatchResult[str]:
        async with self._turn:
            await asyncio.sleep(0.08)
            self.ran.update(batch)
            return BatchResult(outputs=batch, inference_seconds=0.08)

    def bring(
        self,
        caller: str,
        items: int = 1,
        *,
        seconds: float | None = None,
        priority: Priority = INTERACTIVE,
        size: int = 0,
    ) -> None:
        """One request; `seconds` is its deadline from now."""
        deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
        call = self._call(caller, items, deadline, priority, size)
        self.calls.append(asyncio.get_running_loop().create_task(call))

    async def flood(
        self,
        caller: str,
        rate: float,
        until: float,
        *,
        items: int = 1,
        seconds: float | None = None,
        priority: Priority = INTERACTIVE,
    ) -> None:
        """So many items a second, in requests of `items`."""
        loop = asyncio.get_running_loop()
        while loop.time() < until:
            self.bring(caller, items, seconds=seconds, priority=priority)
            await asyncio.sleep(items / rate)

    async def _call(self, caller: str, items: int, deadline: float | None, priority: Priority, size: int) -> None:
        try:
            await self.batcher.submit([caller] * items, deadline=deadline, caller=caller, priority=priority, size=size)
        except CallError:
            self.refused[caller] += items
        else:
            self.answered[caller] += items


async def end(scene: Scene) -> None:
    await asyncio.gather(*scene.calls)
    assert gauges(scene.registry) == (0, 0)


@pytest.mark.parametrize("items", [1, 16])
@pytest.mark.parametrize("seconds", [None, 2.0, 0.5])
def test_a_caller_within_its_share_loses_nothing_beside_one_at_ten_times_the_capacity(
    items: int, seconds: float | None
) -> None:
    async def scenario() -> Scene:
        scene = Scene()
        async with scene.batcher:
            hog = scene.flood("hog", 1000, 20.0, items=items, seconds=seconds)
            light = scene.flood("light", 20, 20.0, seconds=0.5)
            await asyncio.gather(hog, light)
            await end(scene)
        return scene

    scene = run_in_virtual_time(scenario())
    assert not scene.refused["light"]
    assert scene.answered["light"] >= 400
    assert scene.refused["hog"] > 15_000
    assert scene.ran["hog"] + scene.ran["light"] > 0.95 * 20 * 100  # the model is as busy as ever
    assert scene.answered["hog"] > 0.9 * scene.ran["hog"]


@pytest.mark.parametrize(("hog", "light"), [(INTERACTIVE, BATCH), (BATCH, INTERACTIVE)])
def test_neither_priority_starves_the_other(hog: Priority, light: Priority) -> None:
    """Jobs have a tenth of the model, whatever people ask for; people the rest, whatever jobs there are."""

    async def scenario() -> Scene:
        scene = Scene()
        async with scene.batcher:
            await asyncio.gather(
                scene.flood("hog", 1000, 20.0, priority=hog),
                scene.flood("light", 5 if light is BATCH else 80, 20.0, seconds=3.0, priority=light),
            )
            await end(scene)
        return scene

    scene = run_in_virtual_time(scenario())
    assert not scene.refused["light"]
    assert scene.answered["hog"] > 500


def test_callers_that_all_want_more_get_the_same() -> None:
    async def scenario() -> Scene:
        scene = Scene()
        async with scene.batcher:
            floods = [("a", 1000, 1), ("b", 300, 4), ("c", 150, 16)]
            await asyncio.gather(
                *(scene.flood(caller, rate, 30.0, items=items, seconds=2.0) for caller, rate, items in floods)
            )
            await end(scene)
        return scene

    scene = run_in_virtual_time(scenario())
    for caller in "abc":
        assert 0.85 * 1000 < scene.answered[caller] < 1.15 * 1000


def test_a_caller_alone_may_fill_the_queue() -> None:
    async def scenario() -> Scene:
        scene = Scene(max_queue_items=16)
        async with scene.batcher:
            scene.bring("running", 8)
            await turns()
            scene.bring("hog", 9)
            scene.bring("hog", 7)
            await turns()
            assert scene.refused == {}
            scene.bring("hog")
            await turns()
            assert scene.refused == {"hog": 1}
            await end(scene)
        return scene

    assert run_in_virtual_time(scenario()).answered["hog"] == 16


def test_in_a_full_queue_the_newest_request_of_whoever_has_most_gives_way() -> None:
    async def scenario() -> None:
        scene = Scene(max_queue_items=6)
        async with scene.batcher:
            scene.bring("first", 8)
            await turns()
            requests = [
                asyncio.create_task(scene.batcher.submit([caller], caller=caller))
                for caller in ("a", "h", "h", "b", "h", "h")
            ]
            await turns()
            scene.bring("light", 2)
            await turns()
            assert [task.done() for task in requests] == [False, False, False, False, True, True]
            error = requests[-1].exception()
            assert isinstance(error, OverloadedError)
            assert error.reason is Reason.QUEUE_FULL
            assert error.retry_after_seconds > 0
            assert value(scene.registry, "dropped_total", reason="displaced") == 2

            scene.bring("light")  # as much as anyone has: nobody need give way to it
            await turns()
            assert scene.refused["light"] == 1
            assert value(scene.registry, "rejected_total", reason="queue_full") == 1
            await asyncio.wait(requests)
            await end(scene)

    run_in_virtual_time(scenario())


def test_what_a_batch_has_begun_does_not_give_way() -> None:
    async def scenario() -> None:
        scene = Scene(max_queue_items=6)
        async with scene.batcher:
            scene.bring("large", 14)  # to an idle model, which takes 8
            await turns()
            scene.bring("light")
            await turns()
            await end(scene)
            assert scene.refused == {"light": 1}
            assert scene.answered == {"large": 14}

    run_in_virtual_time(scenario())


@pytest.mark.parametrize(("first", "second", "shares"), [(INTERACTIVE, BATCH, (18, 2)), (BATCH, INTERACTIVE, (2, 18))])
def test_of_a_full_queue_each_priority_has_its_share_whoever_came_first(
    first: Priority, second: Priority, shares: tuple[int, int]
) -> None:
    async def scenario() -> None:
        scene = Scene(max_queue_items=20)
        async with scene.batcher:
            scene.bring("running", 8)
            await turns()
            for _ in range(30):
                scene.bring("first", priority=first)
            await turns()
            for _ in range(30):
                scene.bring("second", priority=second)
            await turns()
            assert scene.refused == {"first": 30 - shares[0], "second": 30 - shares[1]}
            await end(scene)

    run_in_virtual_time(scenario())


def test_whoever_holds_most_bytes_gives_way_too() -> None:
    async def scenario() -> None:
        scene = Scene(max_queue_bytes=1000)
        async with scene.batcher:
            scene.bring("first", 8)
            await turns()
            for _ in range(3):
                scene.bring("large", size=300)
            for _ in range(10):
                scene.bring("small", size=5)
            scene.bring("small", size=100)
            await turns()
            assert scene.refused == {"large": 1}
            await end(scene)

    run_in_virtual_time(scenario())
