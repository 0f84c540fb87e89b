"""Where a request was: as the batcher notes it, and as spans."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from shared.errors import DeadlineExceededError, OverloadedError
from shared.inference.batch_run import BatchResult
from shared.inference.batching import DynamicBatcher
from shared.inference.journey import Journey, Run, tell_journey
from shared.inference.request import ItemFailedError
from shared.metrics import BatcherMetrics

INFERENCE_SECONDS = 0.01


class Model:
    """Answers an item with itself when it is let; an item "bad" makes its batch raise."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = asyncio.Event()
        self.open.set()

    async def run(self, batch: Sequence[str]) -> BatchResult[str]:
        self.batches.append(list(batch))
        begin = time.monotonic()
        await asyncio.sleep(INFERENCE_SECONDS)
        await self.open.wait()
        if "bad" in batch:
            raise ValueError("bad")
        return BatchResult(outputs=batch, inference_seconds=INFERENCE_SECONDS, begin=begin)


def batcher_of(model: Model) -> DynamicBatcher[str, str]:
    """A queue of four items in front of it, whose batches are of two at most."""
    return DynamicBatcher(
        model.run,
        bucket_sizes=(1, 2),
        max_queue_items=4,
        max_queue_bytes=1 << 20,
        metrics=BatcherMetrics(CollectorRegistry()),
    )


@asynccontextmanager
async def model_is_busy(model: Model, batcher: DynamicBatcher[str, str]) -> AsyncIterator[None]:
    """It has a batch in this block, and answers it thereafter."""
    model.open.clear()
    running = asyncio.ensure_future(batcher.submit(["a"]))
    while not model.batches:
        await asyncio.sleep(0)
    yield
    model.open.set()
    await running


async def test_a_request_of_several_batches_knows_each() -> None:
    model, journey, before = Model(), Journey(), time.monotonic()
    async with batcher_of(model) as batcher:
        await batcher.submit(["a", "b", "c"], journey=journey)
    assert journey.arrived is not None
    assert model.batches == [["a", "b"], ["c"]]
    assert [(run.number, run.size, run.bucket) for run in journey.runs] == [(1, 2, 2), (2, 1, 1)]
    end = before
    for run in journey.runs:
        assert run.end is not None and run.inference_begin is not None
        assert end <= run.begin <= run.inference_begin <= run.inference_begin + INFERENCE_SECONDS <= run.end
        assert run.inference_seconds == INFERENCE_SECONDS
        end = run.end


async def test_requests_of_one_batch_are_told_the_same_number() -> None:
    model, journeys = Model(), [Journey(), Journey(), Journey()]
    async with batcher_of(model) as batcher:
        asked = [
            asyncio.ensure_future(batcher.submit([item], journey=each))
            for item, each in zip("abc", journeys, strict=True)
        ]
        await asyncio.gather(*asked)
    assert model.batches == [["a", "b"], ["c"]]
    assert journeys[0].runs == journeys[1].runs != journeys[2].runs


async def test_halves_of_a_batch_that_raised_are_runs_of_their_own() -> None:
    model, journey = Model(), Journey()
    async with batcher_of(model) as batcher:
        with pytest.raises(ItemFailedError):
            await batcher.submit(["good", "bad"], journey=journey)
    assert [(run.size, run.inference_seconds) for run in journey.runs] == [(2, None), (1, INFERENCE_SECONDS), (1, None)]


async def test_who_is_refused_has_not_arrived() -> None:
    model, journey = Model(), Journey()
    async with batcher_of(model) as batcher, model_is_busy(model, batcher):
        with pytest.raises(OverloadedError):
            await batcher.submit(["b"] * 5, journey=journey)
    assert (journey.arrived, journey.runs) == (None, [])


async def test_who_expires_in_the_queue_was_in_no_run() -> None:
    model, journey = Model(), Journey()
    async with batcher_of(model) as batcher, model_is_busy(model, batcher):
        with pytest.raises(DeadlineExceededError):
            await batcher.submit(["b"], deadline=asyncio.get_running_loop().time() + 0.05, journey=journey)
    assert journey.arrived is not None and journey.runs == []


class FakeSpan:
    """A span that keeps what it is told; see `shared.tracing.Span`."""

    def __init__(self, name: str, begin: float | None = None, attributes: Any = None) -> None:
        self.name = name
        self.begin = begin
        self.attributes = attributes
        self.children: list[FakeSpan] = []
        self.ended: float | None = None

    def child(self, name: str, *, begin: float, attributes: Any = None) -> FakeSpan:
        self.children.append(FakeSpan(name, begin, attributes))
        return self.children[-1]

    def end(self, *, at: float) -> None:
        self.ended = at


def told(journey: Journey) -> list[FakeSpan]:
    """The spans below that of the call."""
    call: Any = FakeSpan("call")
    tell_journey(call, journey)
    children: list[FakeSpan] = call.children
    return children


def test_spans_are_queue_and_batch_with_inference_below() -> None:
    run = Run(number=7, size=3, bucket=4, begin=12.0, end=15.0, inference_begin=12.5, inference_seconds=2.0)
    queue, batch = told(Journey(arrived=10.0, runs=[run]))
    [inference] = batch.children
    assert [(each.name, each.begin, each.ended) for each in (queue, batch, inference)] == [
        ("queue", 10.0, 12.0),
        ("batch", 12.0, 15.0),
        ("inference", 12.5, 14.5),
    ]
    assert batch.attributes == {"diptych.batch.number": 7, "diptych.batch.size": 3, "diptych.batch.bucket": 4}


def test_a_batch_does_not_begin_after_its_inference() -> None:
    run = Run(number=1, size=1, bucket=1, begin=12.0, end=15.0, inference_begin=11.0, inference_seconds=3.0)
    queue, batch = told(Journey(arrived=10.0, runs=[run]))
    assert (queue.ended, batch.begin) == (11.0, 11.0)


def test_what_is_not_over_ends_now() -> None:
    before = time.monotonic()
    [queue] = told(Journey(arrived=before))
    assert queue.ended is not None and queue.ended >= before
    _, batch = told(Journey(arrived=before, runs=[Run(number=1, size=1, bucket=1, begin=before)]))
    assert batch.ended is not None and batch.ended >= before
    assert batch.children == []


def test_a_refused_request_has_no_spans() -> None:
    assert told(Journey()) == []
