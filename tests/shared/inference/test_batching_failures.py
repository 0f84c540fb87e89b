"""What a failing model means for whom, and how a batcher ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from prometheus_client import CollectorRegistry

from shared.codes import Reason
from shared.errors import DeadlineExceededError, UnavailableError
from shared.inference.batch_run import BatchResult
from shared.inference.batching import DynamicBatcher
from shared.inference.request import Answer, ItemFailedError
from shared.metrics import BatcherMetrics
from tests.fakes import GatedModel
from tests.shared.inference.queueing import Batcher, gauges, held, new_batcher, submitted, turns, value


class TestFailures:
    async def test_a_failed_item_fails_its_request_by_name_and_no_other(
        self, batcher: Batcher, model: GatedModel
    ) -> None:
        first = await held(batcher, model)
        bad, good = await submitted(batcher, "a", "fail"), await submitted(batcher, "good")
        model.gate.set()
        with pytest.raises(ItemFailedError, match="item 1: fail is not a text") as failed:
            await bad
        assert failed.value.index == 1
        assert (await good).outputs == [4]
        await first

    async def test_the_queued_items_of_a_failed_request_are_dropped(
        self, batcher: Batcher, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        with pytest.raises(ItemFailedError, match="item 2"):
            await batcher.submit([*"ab", "fail", *"defgh"])
        await turns()
        assert model.batches == [["a", "b", "fail", "d"]]
        assert gauges(registry) == (0, 0)

    async def test_a_batch_that_raises_is_halved_until_only_the_guilty_item_fails(
        self, batcher: Batcher, model: GatedModel
    ) -> None:
        first = await held(batcher, model)
        tasks = [await submitted(batcher, text) for text in ("a", "bb", "raise", "cccc")]
        model.gate.set()
        results = await asyncio.gather(first, *tasks, return_exceptions=True)
        guilty = results.pop(3)
        assert isinstance(guilty, ItemFailedError)
        assert guilty.failure.reason is Reason.MODEL_OUTPUT_INVALID
        assert [answer.outputs for answer in results if isinstance(answer, Answer)] == [[4], [1], [2], [4]]
        assert [len(batch) for batch in model.batches] == [1, 4, 2, 2, 1, 1]

    async def test_a_model_that_answers_too_few_items_fails_them(self, registry: CollectorRegistry) -> None:
        async def run(batch: Sequence[str]) -> BatchResult[int]:
            return BatchResult(outputs=[], inference_seconds=0.0)

        made: Batcher = DynamicBatcher(
            run, bucket_sizes=(1,), max_queue_items=1, max_queue_bytes=1000, metrics=BatcherMetrics(registry)
        )
        async with made:
            with pytest.raises(ItemFailedError, match="0 outputs for 1 items"):
                await made.submit(["a"])

    async def test_callers_of_a_lost_model_are_told_and_the_queue_waits_for_the_next(
        self, batcher: Batcher, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        model.gate.clear()
        lost = await submitted(batcher, "lose")
        queued = await submitted(batcher, "queued")
        model.gate.set()
        with pytest.raises(UnavailableError, match="signal 9"):
            await lost
        assert (await queued).outputs == [6]
        assert model.batches == [["lose"], [], ["queued"]]
        assert value(registry, "dropped_total", reason="model_lost") == 1

    async def test_a_model_on_its_way_back_has_no_items_and_the_queue_expires_as_ever(
        self, registry: CollectorRegistry
    ) -> None:
        back = asyncio.Event()

        async def run(batch: Sequence[str]) -> BatchResult[int]:
            if batch == ["lose"]:
                raise UnavailableError("lost")
            await back.wait()
            return BatchResult(outputs=[1] * len(batch), inference_seconds=0.0)

        made: Batcher = DynamicBatcher(
            run, bucket_sizes=(1,), max_queue_items=9, max_queue_bytes=1000, metrics=BatcherMetrics(registry)
        )
        async with made:
            with pytest.raises(UnavailableError):
                await made.submit(["lose"])
            patient, impatient = await submitted(made, "patient"), await submitted(made, "impatient", seconds=0.02)
            with pytest.raises(DeadlineExceededError):
                await impatient
            assert gauges(registry) == (1, 0)
            back.set()
            assert (await patient).outputs == [1]

    async def test_a_model_lost_for_good_takes_the_queue_along(self, registry: CollectorRegistry) -> None:
        async def run(batch: Sequence[str]) -> BatchResult[int]:
            await asyncio.sleep(0)
            raise UnavailableError("lost for good")

        made: Batcher = DynamicBatcher(
            run, bucket_sizes=(1,), max_queue_items=9, max_queue_bytes=1000, metrics=BatcherMetrics(registry)
        )
        async with made:
            calls = [made.submit([text]) for text in "abc"]
            results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {UnavailableError}
        assert gauges(registry) == (0, 0)


class TestMemory:
    async def test_a_batch_without_memory_is_split_and_nobody_fails(
        self, batcher: Batcher, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        model.most = 2
        assert (await batcher.submit([*"abcd"])).outputs == [1] * 4
        assert [len(batch) for batch in model.batches] == [4, 2, 2]
        assert value(registry, "out_of_memory_total") == 1

    async def test_the_batches_that_follow_are_as_small_as_the_memory_allows(
        self, batcher: Batcher, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        assert value(registry, "batch_size_limit") == 4
        model.most = 1
        await batcher.submit([*"abcd"])
        assert value(registry, "batch_size_limit") == 1
        assert [len(batch) for batch in model.batches] == [4, 2, 1, 1, 1, 1]
        await batcher.submit([*"ef"])
        assert [len(batch) for batch in model.batches][6:] == [1, 1]

    async def test_an_item_that_is_too_large_alone_fails_its_request(
        self, batcher: Batcher, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        model.most = 0
        with pytest.raises(ItemFailedError, match="MemoryError"):
            await batcher.submit(["a"])
        model.most = 4
        assert (await batcher.submit(["a"])).outputs == [1]


class TestDrain:
    async def test_leaving_finishes_what_was_admitted_and_refuses_the_rest(
        self, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        async with new_batcher(model, registry) as batcher:
            tasks = [await held(batcher, model), *[await submitted(batcher, text) for text in "abcdefghi"]]
            asyncio.get_running_loop().call_later(0.01, model.gate.set)
        assert [task.result().outputs for task in tasks] == [[4]] + [[1]] * 9
        with pytest.raises(UnavailableError, match="draining"):
            await batcher.submit(["late"])
        assert value(registry, "rejected_total", reason="not_serving") == 1

    async def test_a_drain_cut_short_leaves_nobody_waiting(
        self, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        batcher = new_batcher(model, registry)
        await batcher.__aenter__()
        tasks = [await held(batcher, model), await submitted(batcher, *"abcdefghi")]
        drain = asyncio.create_task(batcher.__aexit__(None, None, None))
        await turns()
        drain.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results] == [UnavailableError, UnavailableError]
        assert gauges(registry) == (0, 0)
