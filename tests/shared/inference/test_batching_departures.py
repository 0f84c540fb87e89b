"""Who leaves the queue without an answer: expired and cancelled requests."""

from __future__ import annotations

import asyncio
import gc
import random
import weakref
from collections import Counter

import pytest
from prometheus_client import CollectorRegistry

from shared.errors import DeadlineExceededError, OverloadedError
from shared.inference.request import ItemFailedError, Priority
from tests.fakes import GatedModel
from tests.shared.inference.queueing import Batcher, gauges, held, new_batcher, submitted, turns, value


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
        await turns()
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
