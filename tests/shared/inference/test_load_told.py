"""What a service tells of its load is what its admission then does; in virtual time, so that both can be compared."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from shared.errors import OverloadedError
from shared.inference.batching import DynamicBatcher
from shared.inference.request import Priority
from shared.metrics import BatcherMetrics
from tests.fakes import GatedModel
from tests.virtual_time import run_in_virtual_time

BATCH_SECONDS = 0.2
Batcher = DynamicBatcher[str, int]


def _batcher() -> Batcher:
    """Over a model that takes 0.2 s for any batch of up to 4."""
    return DynamicBatcher(
        GatedModel(seconds=BATCH_SECONDS).run,
        bucket_sizes=(1, 2, 4),
        max_queue_items=64,
        max_queue_bytes=1000,
        metrics=BatcherMetrics(CollectorRegistry()),
        clock=asyncio.get_running_loop().time,
    )


async def _start(batcher: Batcher, count: int, caller: str) -> list[asyncio.Task[object]]:
    """Requests of one item that have reached the queue, the first of them the model."""
    tasks = [asyncio.create_task(batcher.submit(["x"], caller=caller)) for _ in range(count)]
    await asyncio.sleep(0.01)
    return tasks  # type: ignore[return-value]  # nobody reads their answers


async def _admitted(batcher: Batcher, seconds: float, caller: str) -> bool:
    deadline = asyncio.get_running_loop().time() + seconds
    task = asyncio.create_task(batcher.submit(["x"], deadline=deadline, caller=caller))
    await asyncio.sleep(0)
    if task.done():
        with pytest.raises(OverloadedError):
            task.result()
        return False
    task.cancel()
    return True


def test_idle_service_admits_any_deadline_and_knows_no_speed_before_it_ran() -> None:
    async def scenario() -> None:
        async with _batcher() as batcher:
            assert batcher.least_deadline_seconds(Priority.INTERACTIVE, "") == 0.0
            assert batcher.item_seconds() == 0.0
            await batcher.submit(["x"])
            assert batcher.least_deadline_seconds(Priority.INTERACTIVE, "") == 0.0
            assert batcher.item_seconds() == pytest.approx(BATCH_SECONDS)

    run_in_virtual_time(scenario())


@pytest.mark.parametrize("caller", ["busy", "modest"])
def test_least_deadline_is_where_admission_begins_for_each_caller(caller: str) -> None:
    async def scenario() -> None:
        async with _batcher() as batcher:
            await batcher.submit(["x"] * 4)
            tasks = await _start(batcher, 40, "busy")
            least = batcher.least_deadline_seconds(Priority.INTERACTIVE, caller)
            assert least > BATCH_SECONDS
            assert not await _admitted(batcher, least - 0.001, caller)
            assert await _admitted(batcher, least + 0.001, caller)
            await asyncio.gather(*tasks)

    run_in_virtual_time(scenario())


def test_caller_with_little_to_do_is_told_a_shorter_one() -> None:
    async def scenario() -> None:
        async with _batcher() as batcher:
            await batcher.submit(["x"] * 4)
            tasks = await _start(batcher, 40, "busy")
            modest, busy = (
                batcher.least_deadline_seconds(Priority.INTERACTIVE, caller) for caller in ("modest", "busy")
            )
            assert modest < busy / 2
            await asyncio.gather(*tasks)

    run_in_virtual_time(scenario())
