"""What scaling goes by: how many items are offered, and how many a replica can serve."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from shared.errors import CallError
from shared.inference.batch_run import BatchResult
from shared.inference.batch_times import BatchTimes, TimesByKind
from shared.inference.batching import DynamicBatcher
from shared.metrics import BatcherMetrics
from tests.fakes import GatedModel
from tests.shared.inference.queueing import Batcher, held, new_batcher, submitted, value
from tests.virtual_time import run_in_virtual_time


class TestOfferedItems:
    async def test_admitted_items_count(self, batcher: Batcher, registry: CollectorRegistry) -> None:
        await batcher.submit(["a", "b", "c"])
        assert value(registry, "offered_items_total") == 3

    async def test_refused_items_count(self, batcher: Batcher, model: GatedModel, registry: CollectorRegistry) -> None:
        await held(batcher, model)
        with pytest.raises(CallError):
            await batcher.submit(["x"] * 17)  # the queue takes 16
        assert value(registry, "rejected_total", reason="queue_full") == 1
        assert value(registry, "offered_items_total") == 18

    async def test_items_of_hopeless_requests_count(self, batcher: Batcher, registry: CollectorRegistry) -> None:
        with pytest.raises(CallError):
            await batcher.submit(["a", "b"], deadline=0.0)
        assert value(registry, "offered_items_total") == 2

    async def test_displaced_items_count_once(
        self, batcher: Batcher, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        await held(batcher, model)
        waiting = [await submitted(batcher, str(number)) for number in range(16)]
        newcomer = asyncio.create_task(batcher.submit(["new"], caller="newcomer"))
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        assert value(registry, "dropped_total", reason="displaced") == 1
        assert value(registry, "offered_items_total") == 1 + 16 + 1
        model.gate.set()
        await newcomer

    async def test_items_that_a_draining_service_turns_away_are_left_to_the_replica_that_gets_them(
        self, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        async with new_batcher(model, registry) as batcher:
            await batcher.submit(["a"])
        with pytest.raises(CallError, match="draining"):
            await batcher.submit(["b"])
        assert value(registry, "offered_items_total") == 1


class TestItemsPerSecond:
    def test_nothing_is_known_at_first(self) -> None:
        assert BatchTimes((1, 4)).items_per_second(0.0) == 0.0
        assert TimesByKind((1, 4)).items_per_second(0.0) == 0.0

    def test_it_is_that_of_the_largest_batches_which_run_when_there_is_too_much_to_do(self) -> None:
        times = BatchTimes((1, 4, 8))
        for size, seconds in ((8, 0.4), (1, 0.1), (4, 0.1)):
            times.observe(size, seconds, 0.0)
        assert times.items_per_second(0.0) == pytest.approx(20)

    def test_a_batch_size_that_never_ran_promises_nothing(self) -> None:
        times = BatchTimes((1, 4))
        times.observe(1, 0.1, 0.0)
        assert times.items_per_second(0.0) == pytest.approx(10)

    def test_a_padded_batch_tells_what_a_full_one_takes(self) -> None:
        times = BatchTimes((8,))
        times.observe(5, 0.1, 0.0)
        assert times.items_per_second(0.0) == pytest.approx(80)

    def test_a_replica_that_became_slow_can_serve_less(self) -> None:
        times = BatchTimes((8,))
        times.observe(8, 0.1, 0.0)
        for number in range(20):
            times.observe(8, 0.4, float(number))
        assert times.items_per_second(20.0) == pytest.approx(20, rel=0.1)

    def test_a_size_without_memory_does_not_count(self) -> None:
        times = BatchTimes((1, 8))
        times.observe(1, 0.1, 0.0)
        times.observe(8, 0.1, 0.0)
        times.shrink(8, 1.0)
        assert times.items_per_second(1.0) == pytest.approx(10)
        assert times.items_per_second(100.0) == pytest.approx(80)

    def test_kinds_count_as_they_were_mixed_lately(self) -> None:
        times = TimesByKind((4,))
        times.observe("narrow", 4, 0.1, 0.0)  # 40 a second
        times.observe("wide", 4, 0.4, 0.0)  # 10 a second
        assert times.items_per_second(0.0) == pytest.approx(8 / 0.5)
        for _ in range(64):
            times.observe("narrow", 4, 0.1, 0.0)
        assert times.items_per_second(0.0) == pytest.approx(40)

    def test_idle_hours_change_nothing(self) -> None:
        times = TimesByKind((4,))
        times.observe(None, 4, 0.1, 0.0)
        assert times.items_per_second(1e6) == pytest.approx(40)


@pytest.mark.parametrize("offered_per_second", [50, 100, 400])
def test_offered_load_over_capacity_tells_how_many_replicas_are_needed(offered_per_second: int) -> None:
    """The model answers up to 8 items in 80 ms: 100 a second. Neither queue nor items in flight tell 400 from 200."""
    registry = CollectorRegistry()
    turn = asyncio.Lock()

    async def run(batch: Sequence[int]) -> BatchResult[int]:
        async with turn:
            await asyncio.sleep(0.08)
            return BatchResult(outputs=batch, inference_seconds=0.08)

    async def scenario() -> float:
        loop = asyncio.get_running_loop()
        batcher: DynamicBatcher[int, int] = DynamicBatcher(
            run,
            bucket_sizes=(1, 2, 4, 8),
            max_queue_items=256,
            max_queue_bytes=1000,
            metrics=BatcherMetrics(registry),
            clock=loop.time,
        )

        async def call() -> None:
            with contextlib.suppress(CallError):
                await batcher.submit([1], deadline=loop.time() + 0.5)

        async with batcher:
            await batcher.submit([1] * 8)
            before, begin = value(registry, "offered_items_total"), loop.time()
            async with asyncio.TaskGroup() as calls:
                while loop.time() < begin + 20:
                    calls.create_task(call())
                    await asyncio.sleep(1 / offered_per_second)
                offered = (value(registry, "offered_items_total") - before) / (loop.time() - begin)
                return offered / value(registry, "capacity_items_per_second")

    assert run_in_virtual_time(scenario()) == pytest.approx(offered_per_second / 100, rel=0.05)
