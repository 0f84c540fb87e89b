"""Calls to a replica that are cancelled: the replica hears of it, and nothing of them stays in memory."""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from itertools import pairwise
from multiprocessing import get_context
from typing import TYPE_CHECKING

import psutil

from tests.gateway.behaviour import Behaviour
from tests.shared.rpc.pooling import all_serve, encode, fakes, pool_of

if TYPE_CHECKING:  # generic in the stubs, not at run time
    from tests.shared.rpc.pooling import TextPool

AT_ONCE = 50
CALLS_A_ROUND = 1500


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


def test_cancelled_calls_leave_nothing_in_memory() -> None:
    # In a process of its own: one that other tests have filled gives memory back, or takes it, when it likes.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        grown = process.submit(_growth, rounds=4).result(120)
    # What leaks does so in every round: it was 1,100 bytes a call. An allocator takes a new arena in one of them.
    assert min(grown) < 600 * CALLS_A_ROUND, grown


def _growth(rounds: int) -> list[int]:
    """Bytes by which this process grows in rounds of cancelled calls."""
    return asyncio.run(_grown_in(rounds))


async def _grown_in(rounds: int) -> list[int]:
    process, behaviour = psutil.Process(), Behaviour(delay_seconds=60)
    async with fakes(behaviour) as (replica,), pool_of([replica.address]) as pool:
        await all_serve(pool, 1)
        sizes = []
        for _ in range(rounds + 1):
            await _cancelled(pool, behaviour, CALLS_A_ROUND)
            sizes.append(int(process.memory_info().rss))
    return [after - before for before, after in pairwise(sizes)]
