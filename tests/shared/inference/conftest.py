"""Fixtures: a held model, its batcher, and the registry that both report to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from prometheus_client import CollectorRegistry

from tests.fakes import GatedModel
from tests.shared.inference.queueing import Batcher, gauges, new_batcher


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
