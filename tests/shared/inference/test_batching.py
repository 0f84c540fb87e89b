"""What goes into a batch, and who waits."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from shared.errors import DeadlineExceededError, OverloadedError
from shared.inference.batch_run import BatchResult
from shared.inference.batching import DynamicBatcher
from shared.inference.request import Priority
from shared.metrics import BatcherMetrics
from tests.fakes import GatedModel
from tests.shared.inference.queueing import Batcher, held, new_batcher, submitted, turns, value


class TestBatches:
    async def test_answers_keep_the_order_of_the_items(self, batcher: Batcher) -> None:
        assert (await batcher.submit(["ccc", "a", "bb"])).outputs == [3, 1, 2]

    async def test_no_items_need_no_model(self, batcher: Batcher, model: GatedModel) -> None:
        assert list((await batcher.submit([])).outputs) == []
        assert not model.batches

    async def test_an_idle_model_gets_a_request_in_the_same_turns_of_the_loop(
        self, batcher: Batcher, model: GatedModel
    ) -> None:
        await submitted(batcher, "a")
        assert model.batches == [["a"]]

    async def test_what_waits_while_the_model_runs_shares_the_next_batch(
        self, batcher: Batcher, model: GatedModel
    ) -> None:
        tasks = [await held(batcher, model), await submitted(batcher, "a"), await submitted(batcher, "b", "c")]
        model.gate.set()
        answers = await asyncio.gather(*tasks)
        assert model.batches == [["held"], ["a", "b", "c"]]
        assert [answer.batch_size for answer in answers] == [1, 3, 3]

    async def test_a_batch_is_cut_at_the_largest_bucket(self, batcher: Batcher, model: GatedModel) -> None:
        tasks = [await held(batcher, model), *[await submitted(batcher, text) for text in "abcdef"]]
        model.gate.set()
        await asyncio.gather(*tasks)
        assert model.batches[1:] == [["a", "b", "c", "d"], ["e", "f"]]

    async def test_a_request_larger_than_a_batch_spans_several(self, batcher: Batcher, model: GatedModel) -> None:
        answer = await batcher.submit(["a" * n for n in range(1, 11)])
        assert answer.outputs == list(range(1, 11))
        assert [len(batch) for batch in model.batches] == [4, 4, 2]
        assert answer.batch_size == 2

    async def test_padding_up_to_the_bucket_is_counted(self, batcher: Batcher, registry: CollectorRegistry) -> None:
        await batcher.submit(["a", "b", "c"])
        assert value(registry, "padding_items_total") == 1
        assert value(registry, "inference_seconds_count", bucket="4") == 1

    async def test_each_item_and_each_batch_is_timed_once(self, batcher: Batcher, registry: CollectorRegistry) -> None:
        await batcher.submit(["a"] * 6)
        assert value(registry, "queue_seconds_count") == 6
        assert value(registry, "batch_wait_seconds_count") == 2
        assert value(registry, "batch_size_sum") == 6

    async def test_a_batch_shrinks_to_what_its_tightest_member_allows(self, registry: CollectorRegistry) -> None:
        sizes: list[int] = []

        async def run(batch: Sequence[str]) -> BatchResult[int]:
            sizes.append(len(batch))
            await asyncio.sleep(0.08 * len(batch))
            return BatchResult(outputs=[1] * len(batch), inference_seconds=0.0)

        batcher: Batcher = DynamicBatcher(
            run, bucket_sizes=(1, 2, 4), max_queue_items=16, max_queue_bytes=1000, metrics=BatcherMetrics(registry)
        )
        async with batcher:
            for count in (1, 2, 4):
                await batcher.submit(["learn"] * count)
            first = await submitted(batcher, "held")
            tight = await submitted(batcher, "tight", seconds=0.08 + 0.24)
            rest = await submitted(batcher, "a", "b", "c")
            await asyncio.gather(first, tight, rest)
        assert sizes[3:] == [1, 2, 2]


class TestKinds:
    async def test_a_batch_has_one_kind_and_the_oldest_decides_which(self, registry: CollectorRegistry) -> None:
        batches: list[str] = []

        async def run(batch: Sequence[str]) -> BatchResult[int]:
            batches.append("".join(batch))
            return BatchResult(outputs=[1] * len(batch), inference_seconds=0.0)

        batcher: Batcher = DynamicBatcher(
            run, bucket_sizes=(1, 2, 4), max_queue_items=16, max_queue_bytes=1000, metrics=BatcherMetrics(registry)
        )
        async with batcher:
            await asyncio.gather(*(batcher.submit([kind], kind=kind) for kind in "abaabbab"))
        assert batches == ["aaaa", "bbbb"]

    async def test_a_request_is_refused_for_the_time_of_its_own_kind(self, registry: CollectorRegistry) -> None:
        model = GatedModel(seconds=0.1)
        async with new_batcher(model, registry) as batcher:
            await batcher.submit(["heavy"], kind="heavy")
            model.seconds = 0.0
            await batcher.submit(["light"], kind="light")
            first = await held(batcher, model)
            deadline = asyncio.get_running_loop().time() + 0.05
            with pytest.raises(DeadlineExceededError, match=r"take about 0\.1"):
                await batcher.submit(["heavy"], kind="heavy", deadline=deadline)
            light = asyncio.create_task(batcher.submit(["light"], kind="light", deadline=deadline + 5))
            await turns()
            model.gate.set()
            await asyncio.gather(first, light)


class TestQueue:
    async def test_a_full_queue_refuses_at_once_and_says_when_to_come_back(
        self, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        async with new_batcher(model, registry, max_queue_items=2) as batcher:
            tasks = [await held(batcher, model), await submitted(batcher, "a"), await submitted(batcher, "b")]
            with pytest.raises(OverloadedError, match="2 items wait, and 1 more would pass the limit of 2") as refused:
                await batcher.submit(["c"])
            assert refused.value.retry_after_seconds > 0
            assert value(registry, "rejected_total", reason="queue_full") == 1
            model.gate.set()
            await asyncio.gather(*tasks)

    async def test_a_request_is_admitted_whole_or_not_at_all(
        self, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        async with new_batcher(model, registry, max_queue_items=4) as batcher:
            tasks = [await held(batcher, model), await submitted(batcher, "a", "b")]
            with pytest.raises(OverloadedError):
                await batcher.submit(["c", "d", "e"])
            assert value(registry, "queue_depth") == 2
            tasks.append(await submitted(batcher, "c", "d"))
            model.gate.set()
            await asyncio.gather(*tasks)

    async def test_interactive_requests_go_before_bulk_ones_and_each_kind_in_order(
        self, batcher: Batcher, model: GatedModel
    ) -> None:
        tasks = [await held(batcher, model)]
        for text, priority in zip("abcdef", [Priority.BATCH, Priority.INTERACTIVE] * 3, strict=True):
            tasks.append(await submitted(batcher, text, priority=priority))
        model.gate.set()
        await asyncio.gather(*tasks)
        assert model.batches[1:] == [["b", "d", "f", "a"], ["c", "e"]]

    async def test_bulk_work_does_not_starve_under_endless_interactive_load(self, registry: CollectorRegistry) -> None:
        model = GatedModel(seconds=0.005)
        bulk_is_done = asyncio.Event()

        async def insist(batcher: Batcher) -> None:
            while not bulk_is_done.is_set():
                await batcher.submit(["i"])

        async with new_batcher(model, registry) as batcher, asyncio.timeout(60):
            callers = [asyncio.create_task(insist(batcher)) for _ in range(12)]
            await turns()
            assert (await batcher.submit(["bulk"], priority=Priority.BATCH)).outputs == [4]
            bulk_is_done.set()
            await asyncio.gather(*callers)

    async def test_the_predicted_wait_grows_with_the_queue_and_is_0_when_idle(
        self, registry: CollectorRegistry
    ) -> None:
        model = GatedModel(seconds=0.02)
        async with new_batcher(model, registry) as batcher:
            await batcher.submit(["learn"])
            assert batcher.predicted_wait_seconds() == 0.0
            tasks = [await submitted(batcher, "a"), await submitted(batcher, "b")]
            short = batcher.predicted_wait_seconds()
            tasks.append(await submitted(batcher, *"cdefghij"))
            assert 0 < short < batcher.predicted_wait_seconds()
            await asyncio.gather(*tasks)

    async def test_the_predicted_wait_grows_while_the_model_is_overdue(
        self, batcher: Batcher, model: GatedModel
    ) -> None:
        await batcher.submit(["learn"])
        await held(batcher, model)
        await asyncio.sleep(0.03)
        assert batcher.predicted_wait_seconds() > 0.02
