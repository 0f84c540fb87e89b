"""The batcher over a model that can be held: what goes into a batch, who waits, who is told what."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
from prometheus_client import CollectorRegistry

from shared.errors import Code, DeadlineExceededError, OverloadedError, UnavailableError
from shared.inference.batching import Answer, BatchResult, DynamicBatcher, ItemFailedError, Priority
from shared.metrics import BatcherMetrics
from tests.fakes import GatedModel

Batcher = DynamicBatcher[str, int]


@pytest.fixture
def model() -> GatedModel:
    return GatedModel()


@pytest.fixture
def registry() -> CollectorRegistry:
    return CollectorRegistry()


@pytest.fixture
async def batcher(model: GatedModel, registry: CollectorRegistry) -> AsyncIterator[Batcher]:
    made = new_batcher(model, registry)
    async with made:
        yield made
        model.gate.set()
    assert gauges(registry) == (0, 0)


def new_batcher(model: GatedModel, registry: CollectorRegistry, *, max_queue_items: int = 16) -> Batcher:
    return DynamicBatcher(
        model.run, bucket_sizes=(1, 2, 4), max_queue_items=max_queue_items, metrics=BatcherMetrics(registry)
    )


def value(registry: CollectorRegistry, name: str, **labels: str) -> float:
    return registry.get_sample_value(f"diptych_{name}", labels) or 0.0


def gauges(registry: CollectorRegistry) -> tuple[float, float]:
    return value(registry, "queue_depth"), value(registry, "items_in_flight")


async def turns(count: int = 5) -> None:
    """Lets every task that can run do so."""
    for _ in range(count):
        await asyncio.sleep(0)


async def submitted(
    batcher: Batcher, *texts: str, seconds: float | None = None, priority: Priority = Priority.INTERACTIVE
) -> asyncio.Task[Answer[int]]:
    """A request that has reached the queue."""
    deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
    task = asyncio.create_task(batcher.submit(texts, deadline=deadline, priority=priority))
    await turns()
    return task


async def held(batcher: Batcher, model: GatedModel) -> asyncio.Task[Answer[int]]:
    """A request in the model, which keeps it until the gate opens."""
    model.gate.clear()
    return await submitted(batcher, "held")


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
            run, bucket_sizes=(1, 2, 4), max_queue_items=16, metrics=BatcherMetrics(registry)
        )
        async with batcher:
            for count in (1, 2, 4):
                await batcher.submit(["learn"] * count)
            first = await submitted(batcher, "held")
            tight = await submitted(batcher, "tight", seconds=0.08 + 0.24)
            rest = await submitted(batcher, "a", "b", "c")
            await asyncio.gather(first, tight, rest)
        assert sizes[3:] == [1, 2, 2]


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

    async def test_bulk_work_leaves_room_for_interactive_requests(
        self, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        async with new_batcher(model, registry, max_queue_items=4) as batcher:
            tasks = [await held(batcher, model), await submitted(batcher, "a", "b", "c", priority=Priority.BATCH)]
            with pytest.raises(OverloadedError):
                await batcher.submit(["d"], priority=Priority.BATCH)
            tasks.append(await submitted(batcher, "d"))
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

        async with new_batcher(model, registry) as batcher, asyncio.timeout(5):
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


class TestDeadlines:
    async def test_a_waiter_expires_at_its_deadline_not_when_the_batch_ends(
        self, batcher: Batcher, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        await held(batcher, model)
        waiter = await submitted(batcher, "late", seconds=0.02)
        with pytest.raises(DeadlineExceededError):
            await waiter
        assert not model.gate.is_set()
        assert value(registry, "dropped_total", reason="expired") == 1
        assert value(registry, "queue_depth") == 0

    async def test_an_expired_request_never_enters_a_batch(self, batcher: Batcher, model: GatedModel) -> None:
        first = await held(batcher, model)
        expired, patient = await submitted(batcher, "late", seconds=0.01), await submitted(batcher, "patient")
        await asyncio.wait([expired])
        model.gate.set()
        await asyncio.gather(first, patient)
        assert model.batches == [["held"], ["patient"]]

    async def test_a_caller_in_the_running_batch_is_told_at_its_deadline_too(
        self, batcher: Batcher, model: GatedModel
    ) -> None:
        model.gate.clear()
        with pytest.raises(DeadlineExceededError):
            await (await submitted(batcher, "slow", seconds=0.02))

    async def test_a_deadline_that_passed_is_refused_even_by_an_idle_server(
        self, batcher: Batcher, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        with pytest.raises(DeadlineExceededError):
            await batcher.submit(["a"], deadline=asyncio.get_running_loop().time() - 0.001)
        assert not model.batches
        assert value(registry, "rejected_total", reason="hopeless_deadline") == 1

    async def test_a_queue_too_long_for_the_deadline_is_told_at_once(self, registry: CollectorRegistry) -> None:
        model = GatedModel(seconds=0.05)
        async with new_batcher(model, registry) as batcher:
            for count in (1, 2, 4):
                await batcher.submit(["learn"] * count)
            tasks = [await submitted(batcher, text) for text in "abcdefghi"]
            with pytest.raises(OverloadedError) as refused:
                await batcher.submit(["j"], deadline=asyncio.get_running_loop().time() + 0.1)
            assert 0 < refused.value.retry_after_seconds < 1
            assert value(registry, "rejected_total", reason="overload") == 1
            await asyncio.gather(*tasks)

    async def test_a_deadline_shorter_than_the_model_is_exceeded_at_once_when_the_model_is_busy(
        self, registry: CollectorRegistry
    ) -> None:
        model = GatedModel(seconds=0.05)
        async with new_batcher(model, registry) as batcher:
            await batcher.submit(["learn"])
            first = await submitted(batcher, "a")
            with pytest.raises(DeadlineExceededError, match=r"the deadline is in 0\.0"):
                await batcher.submit(["j"], deadline=asyncio.get_running_loop().time() + 0.02)
            await first

    async def test_an_idle_server_tries_what_it_believes_hopeless_so_that_a_bad_estimate_heals(
        self, registry: CollectorRegistry
    ) -> None:
        model = GatedModel(seconds=0.2)
        async with new_batcher(model, registry) as batcher:
            await batcher.submit(["a slow start"])
            model.seconds = 0.0
            assert (await (await submitted(batcher, "a", seconds=0.1))).outputs == [1]

    async def test_a_request_that_came_to_be_hopeless_leaves_its_place_to_others(
        self, registry: CollectorRegistry
    ) -> None:
        model = GatedModel(seconds=0.1)
        async with new_batcher(model, registry) as batcher:
            await batcher.submit(["learn"])
            first = await held(batcher, model)
            hopeless, patient = await submitted(batcher, "hopeless", seconds=0.6), await submitted(batcher, "patient")
            asyncio.get_running_loop().call_later(0.45, model.gate.set)  # the model is free after 0.55 s, not 0.1 s
            with pytest.raises(DeadlineExceededError):
                await hopeless
            await asyncio.gather(first, patient)
        assert model.batches[2:] == [["patient"]]


class TestCancellation:
    async def test_a_cancelled_request_never_enters_a_batch(
        self, batcher: Batcher, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        first = await held(batcher, model)
        gone, stays = await submitted(batcher, "gone", "gone"), await submitted(batcher, "stays")
        gone.cancel()
        await turns()
        assert value(registry, "queue_depth") == 1
        assert value(registry, "dropped_total", reason="cancelled") == 1
        model.gate.set()
        await asyncio.gather(first, stays)
        assert model.batches == [["held"], ["stays"]]

    async def test_a_request_cancelled_in_the_turn_that_frees_the_model_is_left_out(
        self, batcher: Batcher, model: GatedModel
    ) -> None:
        first = await held(batcher, model)
        gone, stays = await submitted(batcher, "gone"), await submitted(batcher, "stays")
        model.gate.set()
        gone.cancel()
        await asyncio.gather(first, stays)
        assert model.batches == [["held"], ["stays"]]

    async def test_its_place_in_the_batch_goes_to_another(self, batcher: Batcher, model: GatedModel) -> None:
        first = await held(batcher, model)
        gone, *stay = [await submitted(batcher, text) for text in ("gone", *"abcd")]
        model.gate.set()
        gone.cancel()
        await asyncio.gather(first, *stay)
        assert model.batches == [["held"], ["a", "b", "c", "d"]]

    async def test_a_request_cancelled_while_its_batch_is_halved_is_not_run_again(
        self, batcher: Batcher, model: GatedModel
    ) -> None:
        model.gate.clear()
        texts = ("raise", "a", "gone", "b")
        bad, good, gone, other = (asyncio.create_task(batcher.submit([text])) for text in texts)
        await turns()
        gone.cancel()
        model.gate.set()
        await asyncio.gather(bad, good, other, return_exceptions=True)
        assert model.batches == [list(texts), ["raise", "a"], ["raise"], ["a"], ["b"]]

    async def test_nothing_keeps_the_items_of_an_answered_request_until_its_deadline(
        self, batcher: Batcher, model: GatedModel
    ) -> None:
        class Text(str):
            """A text that can be watched."""

        text = Text("a")
        watched = weakref.ref(text)
        await batcher.submit([text], deadline=asyncio.get_running_loop().time() + 60)
        del text
        model.batches.clear()
        gc.collect()
        assert watched() is None

    async def test_leaving_a_running_batch_does_not_disturb_the_others(
        self, batcher: Batcher, model: GatedModel
    ) -> None:
        model.gate.clear()
        gone, stays = (asyncio.create_task(batcher.submit([text])) for text in ("gone", "stays"))
        await turns()
        gone.cancel()
        await turns()
        model.gate.set()
        assert (await stays).outputs == [5]
        assert model.batches == [["gone", "stays"]]

    async def test_what_is_queued_of_a_cancelled_request_leaves_with_it(
        self, batcher: Batcher, model: GatedModel, registry: CollectorRegistry
    ) -> None:
        model.gate.clear()
        large = await submitted(batcher, *"abcdefgh")
        large.cancel()
        await turns()
        assert gauges(registry) == (0, 4)
        model.gate.set()
        await turns()
        assert model.batches == [list("abcd")]

    @pytest.mark.parametrize("seed", range(8))
    async def test_requests_that_come_and_go_at_random_leave_nothing_behind(self, seed: int) -> None:
        """Everyone who stays gets the right answer; afterwards both gauges are exactly 0."""
        dice, registry, model = random.Random(seed), CollectorRegistry(), GatedModel(seconds=0.0005)
        outcomes: Counter[str] = Counter()

        async def call(batcher: Batcher) -> None:
            texts = [
                dice.choice(["a", "bb", "ccc", "fail", "raise"][: dice.choice([3, 3, 3, 5])])
                for _ in range(dice.randint(1, 9))
            ]
            deadline = asyncio.get_running_loop().time() + dice.random() * 0.05 if dice.random() < 0.4 else None
            request = batcher.submit(texts, deadline=deadline, priority=dice.choice(list(Priority)))
            try:
                assert (await request).outputs == [len(text) for text in texts]
                outcomes["answered"] += 1
            except ItemFailedError as error:
                outcomes["failed" if texts[error.index] in ("fail", "raise") else "wrongly failed"] += 1
            except (OverloadedError, DeadlineExceededError, asyncio.CancelledError) as error:
                outcomes[type(error).__name__] += 1

        async with new_batcher(model, registry, max_queue_items=64) as batcher:
            calls = []
            for _ in range(400):
                calls.append(asyncio.create_task(call(batcher)))
                if dice.random() < 0.3:
                    dice.choice(calls).cancel()
                if dice.random() < 0.2:
                    await asyncio.sleep(dice.choice([0.0, 0.0005, 0.002]))
            await asyncio.gather(*calls, return_exceptions=True)
            await asyncio.sleep(0.005)
            assert gauges(registry) == (0, 0)
            assert (await batcher.submit(["fine"])).outputs == [4]
        assert gauges(registry) == (0, 0)
        assert {"answered", "failed", "CancelledError"} <= outcomes.keys()
        assert "wrongly failed" not in outcomes


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
        assert guilty.failure.code is Code.INTERNAL
        assert [answer.outputs for answer in results if isinstance(answer, Answer)] == [[4], [1], [2], [4]]
        assert [len(batch) for batch in model.batches] == [1, 4, 2, 2, 1, 1]

    async def test_a_model_that_answers_too_few_items_fails_them(self, registry: CollectorRegistry) -> None:
        async def run(batch: Sequence[str]) -> BatchResult[int]:
            return BatchResult(outputs=[], inference_seconds=0.0)

        made: Batcher = DynamicBatcher(run, bucket_sizes=(1,), max_queue_items=1, metrics=BatcherMetrics(registry))
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

        made: Batcher = DynamicBatcher(run, bucket_sizes=(1,), max_queue_items=9, metrics=BatcherMetrics(registry))
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

        made: Batcher = DynamicBatcher(run, bucket_sizes=(1,), max_queue_items=9, metrics=BatcherMetrics(registry))
        async with made:
            calls = [made.submit([text]) for text in "abc"]
            results = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(result) for result in results} == {UnavailableError}
        assert gauges(registry) == (0, 0)


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
