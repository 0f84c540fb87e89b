"""What ran or waited in vain is counted: the benchmarks read it."""

from __future__ import annotations

import asyncio
import itertools
import time

from prometheus_client import CollectorRegistry

from shared.inference.batch_run import BatchRunner
from shared.inference.batch_times import TimesByKind
from shared.inference.request import Answer, Priority, Request
from shared.metrics import BatcherMetrics
from tests.fakes import GatedModel
from tests.shared.inference.queueing import Batcher, held, submitted, turns, value


async def test_items_whose_callers_left_or_gave_up_while_they_ran_are_late_at_the_end(
    batcher: Batcher, model: GatedModel, registry: CollectorRegistry
) -> None:
    model.gate.clear()
    gone, stays = (asyncio.create_task(batcher.submit([text])) for text in ("gone", "stays"))
    late = asyncio.create_task(batcher.submit(["a", "b"], deadline=asyncio.get_running_loop().time() + 0.02))
    await turns()
    gone.cancel()
    await asyncio.wait([late])
    model.gate.set()
    await stays
    assert value(registry, "late_items_total", when="end") == 3
    assert value(registry, "late_items_total", when="start") == 0


async def test_items_that_nobody_waited_for_when_their_batch_began_are_late_at_the_start(
    model: GatedModel, registry: CollectorRegistry
) -> None:
    """The clock is a second later each time that it is asked: the deadline passes when the batch is handed over."""
    clock = itertools.count(1.0).__next__
    runner = BatchRunner(model.run, TimesByKind((1,)), BatcherMetrics(registry), clock=clock, leave=lambda *_: None)
    future: asyncio.Future[Answer[int]] = asyncio.get_running_loop().create_future()
    late = Request(
        ["a"],
        future,
        priority=Priority.INTERACTIVE,
        caller="",
        kind=None,
        size=1,
        arrived=0.0,
        deadline=2.5,
    )
    await runner.start([(late, 0)])
    await runner.finish()
    assert value(registry, "late_items_total", when="start") == 1
    assert value(registry, "late_items_total", when="end") == 0


async def test_items_that_are_answered_in_time_are_not_late(batcher: Batcher, registry: CollectorRegistry) -> None:
    await batcher.submit(["a", "b"], deadline=asyncio.get_running_loop().time() + 60)
    assert value(registry, "batch_size_sum") == 2
    assert value(registry, "late_items_total", when="start") + value(registry, "late_items_total", when="end") == 0


async def test_time_in_the_queue_past_the_deadline_is_measured(
    batcher: Batcher, model: GatedModel, registry: CollectorRegistry
) -> None:
    await held(batcher, model)
    late = await submitted(batcher, "late", seconds=0.01)
    time.sleep(0.03)  # noqa: ASYNC251 - the loop is blocked when the deadline comes
    await asyncio.wait([late])
    assert value(registry, "overdue_seconds_count") == 1
    assert 0.015 < value(registry, "overdue_seconds_sum") < 60
