"""A batcher over a model that can be held, and what its tests read of it."""

from __future__ import annotations

import asyncio

from prometheus_client import CollectorRegistry

from shared.inference.batching import DynamicBatcher
from shared.inference.request import Answer, Priority
from shared.metrics import BatcherMetrics
from tests.fakes import GatedModel

Batcher = DynamicBatcher[str, int]


def new_batcher(model: GatedModel, registry: CollectorRegistry, *, max_queue_items: int = 16) -> Batcher:
    return DynamicBatcher(
        model.run,
        bucket_sizes=(1, 2, 4),
        max_queue_items=max_queue_items,
        max_queue_bytes=1000,
        metrics=BatcherMetrics(registry),
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
