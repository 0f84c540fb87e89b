"""How soon a replica that failed is watched anew: soon if it had served for a while, ever later if it always fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from shared.rpc import replica as watching
from shared.rpc.replica import Replica
from tests.gateway.behaviour import Behaviour
from tests.shared.rpc.pooling import fakes

STRAY = grpc.aio.AioRpcError(grpc.StatusCode.UNAVAILABLE, grpc.aio.Metadata(), grpc.aio.Metadata())
ROUNDS = 10


@asynccontextmanager
async def _watched() -> AsyncIterator[Replica[None]]:
    async with fakes(Behaviour()) as (fake,):
        replica = Replica(fake.address, lambda channel: None, max_message_bytes=1 << 20, changed=lambda: None)
        watch = asyncio.create_task(replica.watch())
        try:
            yield replica
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
            await replica.close()


async def _fail_again_and_again(replica: Replica[None], times: int) -> float:
    """Doubts it whenever it serves; the seconds that it was away."""
    begin = time.perf_counter()
    for _ in range(times):
        while not replica.serving:
            await asyncio.sleep(0.002)
        replica.doubt(replica.watches, STRAY)
    while not replica.serving:
        await asyncio.sleep(0.002)
    return time.perf_counter() - begin


async def test_each_stray_error_of_a_replica_that_serves_costs_the_shortest_pause(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "STEADY_SECONDS", 0.0)
    monkeypatch.setattr(watching, "MAX_BACKOFF_SECONDS", 60.0)  # reached, the pauses would add up to 51 s
    async with _watched() as replica, asyncio.timeout(20):
        await _fail_again_and_again(replica, ROUNDS)


async def test_replica_that_says_it_serves_and_fails_each_call_is_asked_ever_more_seldom(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(watching, "STEADY_SECONDS", 60.0)
    monkeypatch.setattr(watching, "FIRST_BACKOFF_SECONDS", 0.01)
    async with _watched() as replica:
        assert await _fail_again_and_again(replica, 6) >= 0.01 * (2**6 - 1)


async def test_model_of_a_replica_is_remembered_while_it_is_away_and_unknown_before_it_ever_served() -> None:
    async with _watched() as replica:
        assert replica.untold
        await _fail_again_and_again(replica, 1)
        replica.doubt(replica.watches, STRAY)
        assert not replica.serving and not replica.untold
        assert replica.space == "space-a"
