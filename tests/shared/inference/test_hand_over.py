"""The next batch is given to the model shortly before the running one ends, if nothing could make it better."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import pytest
from prometheus_client import CollectorRegistry

from shared.errors import UnavailableError
from shared.inference.batch_run import BatchResult
from shared.inference.batching import DynamicBatcher
from shared.inference.halving import NotBegunError
from shared.metrics import BatcherMetrics
from tests.shared.inference.queueing import gauges, turns
from tests.virtual_time import VirtualTimeLoop, run_in_virtual_time

SECONDS = 0.1
Batcher = DynamicBatcher[str, str]


class Model:
    """Takes 100 ms a batch, one after another, whatever the event loop does meanwhile.

    `lose` loses it in the middle of that batch, `lose late` close to its end, with what it was given for later; 300 ms
    afterwards it is back.
    """

    def __init__(self) -> None:
        self.given: list[tuple[float, str]] = []
        """When, and what."""
        self._free_at = 0.0
        self._life = 1
        self._back_at = 0.0

    async def run(self, batch: Sequence[str]) -> BatchResult[str]:
        loop = asyncio.get_running_loop()
        if not batch:
            await asyncio.sleep(self._back_at - loop.time())
            return BatchResult(outputs=(), inference_seconds=0.0)
        self.given.append((loop.time(), "".join(batch)))
        life = self._life
        self._free_at = max(loop.time(), self._free_at) + SECONDS
        early = {"lose": 0.5, "lose late": 0.05}.get(batch[0], 0.0) * SECONDS
        await asyncio.sleep(self._free_at - loop.time() - early)
        if life != self._life:
            raise NotBegunError
        if early:
            self._life += 1
            self._free_at, self._back_at = 0.0, loop.time() + 3 * SECONDS
            raise UnavailableError("lost")
        return BatchResult(outputs=batch, inference_seconds=SECONDS)


def scene(play: Callable[[Batcher], Awaitable[None]]) -> list[tuple[float, str]]:
    """What the model was given, in seconds since it was known what batches take."""

    async def scenario() -> list[tuple[float, str]]:
        model, registry = Model(), CollectorRegistry()
        batcher = Batcher(
            model.run,
            bucket_sizes=(1, 4),
            max_queue_items=16,
            max_queue_bytes=1000,
            metrics=BatcherMetrics(registry),
            clock=asyncio.get_running_loop().time,
        )
        async with batcher:
            for size in (1, 4):
                await batcher.submit(["x"] * size)
            begin = asyncio.get_running_loop().time()
            await play(batcher)
        assert gauges(registry) == (0, 0)
        return [(round(at - begin, 6), what) for at, what in model.given[2:]]

    return run_in_virtual_time(scenario())


async def asked(batcher: Batcher, text: str) -> asyncio.Task[Sequence[str]]:
    """A request that has reached the queue."""

    async def ask() -> Sequence[str]:
        return (await batcher.submit([text])).outputs

    task = asyncio.create_task(ask())
    await turns()
    return task


def test_a_full_batch_is_handed_over_early_and_a_lesser_one_waits_for_more() -> None:
    async def play(batcher: Batcher) -> None:
        tasks = [await asked(batcher, text) for text in "abcdefg"]
        await asyncio.sleep(SECONDS - 0.001)  # too late for the batch of bcde, in time for that of fg
        tasks.append(await asked(batcher, "h"))
        assert await asyncio.gather(*tasks) == [[text] for text in "abcdefgh"]

    # 2 ms and a tenth of the running batch before its end; "fgh" once the model is free.
    assert scene(play) == [(0.0, "a"), (0.088, "bcde"), (0.2, "fgh")]


def test_two_at_most_are_with_the_model() -> None:
    async def play(batcher: Batcher) -> None:
        tasks = [await asked(batcher, text) for text in "abcdefghi"]
        await asyncio.gather(*tasks)

    assert scene(play) == [(0.0, "a"), (0.088, "bcde"), (0.188, "fghi")]


def test_nothing_is_handed_to_a_lost_model_and_its_restart_is_no_batchs_time() -> None:
    async def play(batcher: Batcher) -> None:
        lost = await asked(batcher, "lose")
        tasks = [await asked(batcher, text) for text in "abcd"]
        with pytest.raises(UnavailableError):
            await lost
        assert await asyncio.gather(*tasks) == [[text] for text in "abcd"]
        assert batcher.item_seconds() == pytest.approx(SECONDS)

    assert scene(play) == [(0.0, "lose"), (0.35, "abcd")]


def test_a_batch_that_the_lost_model_never_came_to_is_run_again() -> None:
    async def play(batcher: Batcher) -> None:
        lost = await asked(batcher, "lose late")
        tasks = [await asked(batcher, text) for text in "abcd"]
        with pytest.raises(UnavailableError):
            await lost
        assert await asyncio.gather(*tasks) == [[text] for text in "abcd"]
        assert batcher.item_seconds() == pytest.approx(SECONDS)

    assert scene(play) == [(0.0, "lose late"), (0.088, "abcd"), (0.395, "abcd")]


def test_a_busy_event_loop_teaches_no_wrong_times() -> None:
    async def play(batcher: Batcher) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualTimeLoop)
        tasks = [await asked(batcher, text) for text in "abcdefghi"]
        await asyncio.sleep(0.09)
        loop.block(0.5)  # both batches end meanwhile
        await asyncio.gather(*tasks)
        for _ in range(5):
            await batcher.submit(["x"] * 4)
        assert batcher.item_seconds() < 3 * SECONDS

    scene(play)
