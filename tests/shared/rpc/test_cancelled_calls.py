"""Calls to a replica that are cancelled: the replica hears of it, and nothing of them stays in memory."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

import psutil

from tests.gateway.behaviour import Behaviour
from tests.shared.rpc.pooling import all_serve, encode, fakes, pool_of

if TYPE_CHECKING:  # generic in the stubs, not at run time
    from tests.shared.rpc.pooling import TextPool

AT_ONCE = 50


async def _cancelled(pool: TextPool, behaviour: Behaviour, calls: int) -> None:
    """Makes so many calls, a few at a time, and cancels each once they have arrived."""
    for _ in range(calls // AT_ONCE):
        tasks = [asyncio.create_task(encode(pool)) for _ in range(AT_ONCE)]
        async with asyncio.timeout(20):
            while len(behaviour.calls) < AT_ONCE:
                await asyncio.sleep(0.001)
            for task in tasks:
                task.cancel()
                with suppress(asyncio.CancelledError):
                    await task
        behaviour.calls.clear()


async def test_cancelled_call_is_cancelled_at_the_replica() -> None:
    behaviour = Behaviour(delay_seconds=60)
    async with fakes(behaviour) as (replica,), pool_of([replica.address]) as pool:
        await all_serve(pool, 1)
        await _cancelled(pool, behaviour, AT_ONCE)
        await asyncio.wait_for(behaviour.cancelled.wait(), 20)


async def test_cancelled_calls_leave_nothing_in_memory() -> None:
    calls, process = 5000, psutil.Process()
    behaviour = Behaviour(delay_seconds=60)
    async with fakes(behaviour) as (replica,), pool_of([replica.address]) as pool:
        await all_serve(pool, 1)
        await _cancelled(pool, behaviour, 1000)
        before = process.memory_info().rss
        await _cancelled(pool, behaviour, calls)
        assert process.memory_info().rss - before < 600 * calls  # it was 1,100 bytes each, and 150 of noise
