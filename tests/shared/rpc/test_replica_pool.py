"""Replicas found, chosen, left and taken back, over real sockets; the service behind them is the fake text encoder."""

from __future__ import annotations

import asyncio

import grpc
import pytest
from prometheus_client import CollectorRegistry

from diptych.text.v1 import text_encoding_pb2
from shared.errors import OverloadedError, UnavailableError
from shared.rpc.context import CallContext, enter_call
from shared.rpc.replica_pool import PoolOptions
from tests.gateway.behaviour import Behaviour
from tests.shared.rpc.pooling import all_serve, encode, fakes, pool_of


async def test_first_call_waits_until_a_replica_is_known_to_serve() -> None:
    async with fakes(Behaviour()) as (one,), pool_of([one.address]) as pool:
        assert pool.spaces() == {}
        assert await encode(pool) == "1"


async def test_spaces_are_learned_from_the_health_watch() -> None:
    behaviours = Behaviour(space="space-a"), Behaviour(space="space-b"), Behaviour(space="space-b")
    async with fakes(*behaviours) as replicas, pool_of([each.address for each in replicas]) as pool:
        await all_serve(pool, 3)
        assert pool.spaces() == {"space-a": 1, "space-b": 2}


async def test_call_for_a_space_goes_to_a_replica_of_it() -> None:
    behaviours = Behaviour(space="space-a"), Behaviour(space="space-b")
    async with fakes(*behaviours) as (_, other), pool_of([each.address for each in (_, other)]) as pool:
        await all_serve(pool, 2)
        for _ in range(5):
            await encode(pool, "space-b")
        assert len(other.calls) == 5


async def test_space_that_nobody_serves_is_named() -> None:
    options = PoolOptions(replica_wait_seconds=0.1)
    async with fakes(Behaviour()) as (one,), pool_of([one.address], options=options) as pool:
        await all_serve(pool, 1)
        with pytest.raises(UnavailableError) as caught:
            await encode(pool, "space-z")
        expected = f"text: no replica of space space-z is serving ({one.address}: serves space space-a)"
        assert str(caught.value) == expected


async def test_load_spreads_over_replicas() -> None:
    async with (
        fakes(Behaviour(delay_seconds=0.02), Behaviour(delay_seconds=0.02)) as replicas,
        pool_of([each.address for each in replicas]) as pool,
    ):
        await all_serve(pool, 2)
        await asyncio.gather(*(encode(pool) for _ in range(40)))
        assert [len(each.calls) for each in replicas] == pytest.approx([20, 20], abs=3)


async def test_replica_that_reports_a_long_queue_is_spared() -> None:
    async with (
        fakes(Behaviour(queue_seconds=30.0), Behaviour()) as replicas,
        pool_of([each.address for each in replicas]) as pool,
    ):
        await all_serve(pool, 2)
        for _ in range(40):
            await encode(pool)
        busy, idle = replicas
        assert len(busy.calls) <= 1  # its first answer tells
        assert len(idle.calls) >= 39


async def test_unavailable_replica_is_routed_around() -> None:
    async with (
        fakes(Behaviour(error=lambda: UnavailableError("model process is lost")), Behaviour()) as replicas,
        pool_of([each.address for each in replicas]) as pool,
    ):
        await all_serve(pool, 2)
        for _ in range(10):
            await encode(pool)
        assert len(replicas[1].calls) == 10


async def test_calls_on_a_replica_that_dies_move_to_another() -> None:
    registry = CollectorRegistry()
    behaviours = Behaviour(delay_seconds=0.3), Behaviour(delay_seconds=0.3)
    async with (
        fakes(*behaviours) as replicas,
        pool_of([each.address for each in replicas], registry) as pool,
    ):
        await all_serve(pool, 2)
        calls = [asyncio.create_task(encode(pool)) for _ in range(10)]
        await asyncio.wait_for(behaviours[0].called.wait(), 20)
        moved = len(replicas[0].calls)
        await replicas[0].kill()
        assert await asyncio.gather(*calls) == ["1"] * 10
        retries = registry.get_sample_value("diptych_downstream_retries_total", {"service": "text"})
        assert retries is not None and retries >= moved > 0


async def test_replica_that_says_not_serving_gets_no_calls() -> None:
    async with fakes(Behaviour(), Behaviour()) as replicas, pool_of([each.address for each in replicas]) as pool:
        await all_serve(pool, 2)
        await replicas[0].set_serving(False)
        await all_serve(pool, 1)
        for _ in range(10):
            await encode(pool)
        assert [len(each.calls) for each in replicas] == [0, 10]


async def test_replica_that_returns_is_used_again() -> None:
    async with fakes(Behaviour()) as (one,), pool_of([one.address]) as pool:
        await all_serve(pool, 1)
        await one.kill()
        await all_serve(pool, 0)
        await asyncio.sleep(1)  # long enough for the backoff to reach its bound
        await one.start()
        await all_serve(pool, 1)
        assert await encode(pool) == "1"


async def test_space_is_learned_again_when_a_replica_returns_with_another_model() -> None:
    async with fakes(Behaviour(space="space-a")) as (one,), pool_of([one.address]) as pool:
        await all_serve(pool, 1)
        await one.kill()
        one.behaviour.space = "space-b"
        await all_serve(pool, 0)
        await one.start()
        await all_serve(pool, 1)
        assert pool.spaces() == {"space-b": 1}


async def test_call_outlives_a_restart_of_the_only_replica() -> None:
    async with fakes(Behaviour(delay_seconds=0.3)) as (one,), pool_of([one.address]) as pool:
        call = asyncio.create_task(encode(pool))
        await asyncio.wait_for(one.behaviour.called.wait(), 20)
        await one.kill()
        await one.start()
        assert await call == "1"
        assert len(one.calls) == 2


async def test_overload_is_not_tried_elsewhere() -> None:
    full = Behaviour(error=lambda: OverloadedError("queue is full"))
    async with fakes(full, full) as replicas, pool_of([each.address for each in replicas]) as pool:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await encode(pool)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(full.calls) == 1


async def test_retries_end_when_the_budget_is_spent() -> None:
    lost = Behaviour(error=lambda: UnavailableError("model process is lost"))
    options = PoolOptions(retry_burst=2, retry_ratio=0.0, replica_wait_seconds=20)
    async with fakes(lost) as (one,), pool_of([one.address], options=options) as pool:
        results = await asyncio.gather(*(encode(pool) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(result, grpc.aio.AioRpcError | UnavailableError) for result in results)
        assert len(lost.calls) <= 20 + 2 + 4  # a token a second comes in besides


async def test_one_call_is_attempted_a_few_times_at_most() -> None:
    lost = Behaviour(error=lambda: UnavailableError("model process is lost"))
    async with fakes(lost) as (one,), pool_of([one.address]) as pool:
        with pytest.raises(grpc.aio.AioRpcError):
            await encode(pool)
        assert len(lost.calls) == 4


async def test_call_waits_no_longer_than_its_deadline_for_a_replica() -> None:
    async with pool_of(["127.0.0.1:1"], options=PoolOptions(replica_wait_seconds=60)) as pool:

        async def call() -> None:
            enter_call(CallContext(deadline=asyncio.get_running_loop().time() + 2))
            await encode(pool)

        with pytest.raises(
            UnavailableError, match=r"text: no replica is serving \(127\.0\.0\.1:1: connection refused\)"
        ):
            await asyncio.wait_for(asyncio.create_task(call()), 20)


async def test_closing_a_pool_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with fakes(Behaviour()) as (one,):
        async with pool_of([one.address, "127.0.0.1:1", "dns:///no-such-host.invalid:1"]) as pool:
            await encode(pool)
        await asyncio.sleep(0.05)
        names = {task.get_coro().__qualname__ for task in asyncio.all_tasks() - before}  # type: ignore[union-attr]
        assert not {name for name in names if name.startswith("Replica")}


async def test_replicas_are_known_by_model_state_and_load() -> None:
    async with fakes(Behaviour(version="7", digest="d" * 64, queue_seconds=9)) as (one,):
        async with pool_of([one.address, "127.0.0.1:1"]) as pool:
            await encode(pool)
            known = {each.address: each for each in pool.replicas()}
            serving, down = known[one.address], known["127.0.0.1:1"]
            assert serving.serving and serving.model == one.behaviour.model()
            assert 8 < serving.queue_seconds() <= 9
            assert not down.serving and down.reason and down.model is None


async def test_one_replica_can_be_asked_by_its_address() -> None:
    async with fakes(Behaviour(version="1"), Behaviour(version="2")) as (one, two):
        async with pool_of([one.address, two.address]) as pool:
            await all_serve(pool, 2)
            request = text_encoding_pb2.GetModelRequest()
            reply = await pool.call_replica(two.address, lambda stub: stub.GetModel, request, timeout_seconds=20)
            assert reply.capabilities.model.version == "2"
            with pytest.raises(UnavailableError):
                await pool.call_replica("127.0.0.1:1", lambda stub: stub.GetModel, request, timeout_seconds=20)
