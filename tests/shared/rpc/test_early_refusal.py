"""Calls that no replica would answer in time are refused before they are sent; and wrong news is corrected."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry

from shared.codes import Reason
from shared.errors import OverloadedError
from shared.rpc import replica_load
from shared.rpc.context import CallContext, enter_call
from tests.gateway.behaviour import Behaviour
from tests.shared.rpc.pooling import all_serve, encode, fakes, pool_of

if TYPE_CHECKING:
    from tests.shared.rpc.pooling import TextPool


@pytest.fixture
def lasting(monkeypatch: pytest.MonkeyPatch) -> None:
    """News is believed for as long as a test takes, however busy the machine."""
    monkeypatch.setattr(replica_load, "BELIEVED_SECONDS", 60.0)


def _busy() -> Behaviour:
    return Behaviour(queue_seconds=60.0, answer_seconds=70.0)


async def _encode_within(pool: TextPool, seconds: float, caller: str = "") -> str:
    async def call() -> str:
        enter_call(CallContext(caller=caller, deadline=asyncio.get_running_loop().time() + seconds))
        return await encode(pool)

    return await asyncio.create_task(call())


@pytest.mark.usefixtures("lasting")
async def test_call_that_no_replica_would_answer_in_time_is_not_sent() -> None:
    registry = CollectorRegistry()
    busy = _busy()
    async with fakes(busy, busy) as replicas, pool_of([each.address for each in replicas], registry) as pool:
        await all_serve(pool, 2)
        await asyncio.gather(*(_encode_within(pool, 30) for _ in range(10)))  # both have told
        sent = len(busy.calls)
        with pytest.raises(OverloadedError, match=r"text: the queue makes this about \d\d\.\d+ s") as caught:
            await _encode_within(pool, 30)
        assert len(busy.calls) == sent
        assert caught.value.reason is Reason.QUEUE_TOO_LONG
        assert 30 < caught.value.retry_after_seconds < 45
        assert registry.get_sample_value("diptych_downstream_refused_total", {"service": "text"}) == 1


async def test_call_with_time_enough_or_without_deadline_is_sent() -> None:
    async with fakes(_busy()) as (one,), pool_of([one.address]) as pool:
        await _encode_within(pool, 30)
        assert await _encode_within(pool, 80) == "1"
        assert await encode(pool) == "1"


@pytest.mark.usefixtures("lasting")
async def test_call_goes_to_the_replica_that_has_room() -> None:
    async with fakes(_busy(), Behaviour(version="2")) as replicas:
        async with pool_of([each.address for each in replicas]) as pool:
            await all_serve(pool, 2)
            await asyncio.gather(*(_encode_within(pool, 30) for _ in range(10)))
            assert {await _encode_within(pool, 30) for _ in range(10)} == {"2"}


async def test_replica_that_has_told_nothing_is_asked() -> None:
    async with fakes(Behaviour(version="2")) as (one,), pool_of([one.address]) as pool:
        assert await _encode_within(pool, 20) == "2"


async def test_wrong_word_is_corrected_by_the_next_call_after_a_moment() -> None:
    async with fakes(_busy()) as (one,), pool_of([one.address]) as pool:
        await _encode_within(pool, 30)
        one.behaviour.queue_seconds = one.behaviour.answer_seconds = 0.0
        await asyncio.sleep(replica_load.BELIEVED_SECONDS)
        assert [await _encode_within(pool, 30) for _ in range(3)] == ["1"] * 3


@pytest.mark.usefixtures("lasting")
async def test_caller_with_a_share_left_is_not_refused_with_the_greedy_one() -> None:
    async with fakes(_busy()) as (one,), pool_of([one.address]) as pool:
        await _encode_within(pool, 30, caller="greedy")
        with pytest.raises(OverloadedError):
            await _encode_within(pool, 30, caller="greedy")
        assert await _encode_within(pool, 30, caller="modest") == "1"


@pytest.mark.usefixtures("lasting")
async def test_room_can_be_asked_for_ahead_of_a_call() -> None:
    async with fakes(Behaviour(queue_seconds=10.0, answer_seconds=12.0, item_seconds=0.5)) as (one,):
        async with pool_of([one.address]) as pool:
            assert pool.expected_seconds() == 0.0
            await encode(pool)
            assert 9 < pool.expected_seconds() <= 10.5
            await asyncio.create_task(_require(pool, seconds=30))
            with pytest.raises(OverloadedError):
                await asyncio.create_task(_require(pool, seconds=30, after_seconds=25))


async def _require(pool: TextPool, *, seconds: float, after_seconds: float = 0.0) -> None:
    enter_call(CallContext(deadline=asyncio.get_running_loop().time() + seconds))
    pool.require_room(after_seconds=after_seconds)
