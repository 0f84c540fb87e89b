"""Replicas found, chosen, left and taken back, over real sockets; the service behind them is the fake text encoder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import grpc
import pytest
from prometheus_client import CollectorRegistry

from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from shared.errors import OverloadedError, UnavailableError
from shared.metrics import DownstreamMetrics
from shared.rpc.context import CallContext, enter_call
from shared.rpc.replica_pool import PoolOptions, ReplicaPool
from shared.rpc.replica_set import Resolve
from shared.rpc.resolver import resolve
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_services import FakeReplica

if TYPE_CHECKING:
    TextPool = ReplicaPool[text_encoding_pb2_grpc.TextEncodingServiceAsyncStub]

PATIENT = PoolOptions(replica_wait_seconds=20)
"""However busy the machine, a replica that serves is found."""
REQUEST = text_encoding_pb2.EncodeTextRequest(texts=["abc"])


@asynccontextmanager
async def _pool(
    targets: Sequence[str],
    registry: CollectorRegistry | None = None,
    options: PoolOptions = PATIENT,
    resolve: Resolve = resolve,
) -> AsyncIterator[TextPool]:
    metrics = DownstreamMetrics(registry or CollectorRegistry())
    stub = text_encoding_pb2_grpc.TextEncodingServiceStub
    async with ReplicaPool("text", targets, stub, metrics=metrics, options=options, resolve=resolve) as pool:
        yield pool


@asynccontextmanager
async def _replicas(*behaviours: Behaviour) -> AsyncIterator[list[FakeReplica]]:
    replicas = [FakeReplica("text", behaviour) for behaviour in behaviours]
    await asyncio.gather(*(replica.start() for replica in replicas))
    try:
        yield replicas
    finally:
        await asyncio.gather(*(replica.kill() for replica in replicas))


async def _all_serve(pool: TextPool, number: int, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while sum(pool.spaces().values()) != number:
            await asyncio.sleep(0.01)


async def _encode(pool: TextPool, space: str | None = None) -> str:
    answer = await pool.call(lambda stub: stub.EncodeText, REQUEST, space=space)
    return answer.model.version


async def test_first_call_waits_until_a_replica_is_known_to_serve() -> None:
    async with _replicas(Behaviour()) as (one,), _pool([one.address]) as pool:
        assert pool.spaces() == {}
        assert await _encode(pool) == "1"


async def test_spaces_are_learned_from_the_health_watch() -> None:
    behaviours = Behaviour(space="space-a"), Behaviour(space="space-b"), Behaviour(space="space-b")
    async with _replicas(*behaviours) as replicas, _pool([each.address for each in replicas]) as pool:
        await _all_serve(pool, 3)
        assert pool.spaces() == {"space-a": 1, "space-b": 2}


async def test_call_for_a_space_goes_to_a_replica_of_it() -> None:
    behaviours = Behaviour(space="space-a"), Behaviour(space="space-b")
    async with _replicas(*behaviours) as (_, other), _pool([each.address for each in (_, other)]) as pool:
        await _all_serve(pool, 2)
        for _ in range(5):
            await _encode(pool, "space-b")
        assert len(other.calls) == 5


async def test_space_that_nobody_serves_is_named() -> None:
    options = PoolOptions(replica_wait_seconds=0.1)
    async with _replicas(Behaviour()) as (one,), _pool([one.address], options=options) as pool:
        await _all_serve(pool, 1)
        with pytest.raises(UnavailableError) as caught:
            await _encode(pool, "space-z")
        expected = f"text: no replica of space space-z is serving ({one.address}: serves space space-a)"
        assert str(caught.value) == expected


async def test_load_spreads_over_replicas() -> None:
    async with (
        _replicas(Behaviour(delay_seconds=0.02), Behaviour(delay_seconds=0.02)) as replicas,
        _pool([each.address for each in replicas]) as pool,
    ):
        await _all_serve(pool, 2)
        await asyncio.gather(*(_encode(pool) for _ in range(40)))
        assert [len(each.calls) for each in replicas] == pytest.approx([20, 20], abs=3)


async def test_replica_that_reports_a_long_queue_is_spared() -> None:
    async with (
        _replicas(Behaviour(queue_seconds=30.0), Behaviour()) as replicas,
        _pool([each.address for each in replicas]) as pool,
    ):
        await _all_serve(pool, 2)
        for _ in range(40):
            await _encode(pool)
        busy, idle = replicas
        assert len(busy.calls) <= 1  # its first answer tells
        assert len(idle.calls) >= 39


async def test_unavailable_replica_is_routed_around() -> None:
    async with (
        _replicas(Behaviour(error=lambda: UnavailableError("model process is lost")), Behaviour()) as replicas,
        _pool([each.address for each in replicas]) as pool,
    ):
        await _all_serve(pool, 2)
        for _ in range(10):
            await _encode(pool)
        assert len(replicas[1].calls) == 10


async def test_calls_on_a_replica_that_dies_move_to_another() -> None:
    registry = CollectorRegistry()
    behaviours = Behaviour(delay_seconds=0.3), Behaviour(delay_seconds=0.3)
    async with (
        _replicas(*behaviours) as replicas,
        _pool([each.address for each in replicas], registry) as pool,
    ):
        await _all_serve(pool, 2)
        calls = [asyncio.create_task(_encode(pool)) for _ in range(10)]
        await asyncio.wait_for(behaviours[0].called.wait(), 20)
        moved = len(replicas[0].calls)
        await replicas[0].kill()
        assert await asyncio.gather(*calls) == ["1"] * 10
        retries = registry.get_sample_value("diptych_downstream_retries_total", {"service": "text"})
        assert retries is not None and retries >= moved > 0


async def test_replica_that_says_not_serving_gets_no_calls() -> None:
    async with _replicas(Behaviour(), Behaviour()) as replicas, _pool([each.address for each in replicas]) as pool:
        await _all_serve(pool, 2)
        await replicas[0].set_serving(False)
        await _all_serve(pool, 1)
        for _ in range(10):
            await _encode(pool)
        assert [len(each.calls) for each in replicas] == [0, 10]


async def test_replica_that_returns_is_used_again() -> None:
    async with _replicas(Behaviour()) as (one,), _pool([one.address]) as pool:
        await _all_serve(pool, 1)
        await one.kill()
        await _all_serve(pool, 0)
        await asyncio.sleep(1)  # long enough for the backoff to reach its bound
        await one.start()
        await _all_serve(pool, 1)
        assert await _encode(pool) == "1"


async def test_space_is_learned_again_when_a_replica_returns_with_another_model() -> None:
    async with _replicas(Behaviour(space="space-a")) as (one,), _pool([one.address]) as pool:
        await _all_serve(pool, 1)
        await one.kill()
        one.behaviour.space = "space-b"
        await _all_serve(pool, 0)
        await one.start()
        await _all_serve(pool, 1)
        assert pool.spaces() == {"space-b": 1}


async def test_call_outlives_a_restart_of_the_only_replica() -> None:
    async with _replicas(Behaviour(delay_seconds=0.3)) as (one,), _pool([one.address]) as pool:
        call = asyncio.create_task(_encode(pool))
        await asyncio.wait_for(one.behaviour.called.wait(), 20)
        await one.kill()
        await one.start()
        assert await call == "1"
        assert len(one.calls) == 2


async def test_overload_is_not_tried_elsewhere() -> None:
    full = Behaviour(error=lambda: OverloadedError("queue is full"))
    async with _replicas(full, full) as replicas, _pool([each.address for each in replicas]) as pool:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await _encode(pool)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert len(full.calls) == 1


async def test_retries_end_when_the_budget_is_spent() -> None:
    lost = Behaviour(error=lambda: UnavailableError("model process is lost"))
    options = PoolOptions(retry_burst=2, retry_ratio=0.0, replica_wait_seconds=20)
    async with _replicas(lost) as (one,), _pool([one.address], options=options) as pool:
        results = await asyncio.gather(*(_encode(pool) for _ in range(20)), return_exceptions=True)
        assert all(isinstance(result, grpc.aio.AioRpcError | UnavailableError) for result in results)
        assert len(lost.calls) <= 20 + 2 + 4  # a token a second comes in besides


async def test_one_call_is_attempted_a_few_times_at_most() -> None:
    lost = Behaviour(error=lambda: UnavailableError("model process is lost"))
    async with _replicas(lost) as (one,), _pool([one.address]) as pool:
        with pytest.raises(grpc.aio.AioRpcError):
            await _encode(pool)
        assert len(lost.calls) == 4


async def test_call_waits_no_longer_than_its_deadline_for_a_replica() -> None:
    async with _pool(["127.0.0.1:1"], options=PoolOptions(replica_wait_seconds=60)) as pool:

        async def call() -> None:
            enter_call(CallContext(deadline=asyncio.get_running_loop().time() + 2))
            await _encode(pool)

        with pytest.raises(
            UnavailableError, match=r"text: no replica is serving \(127\.0\.0\.1:1: connection refused\)"
        ):
            await asyncio.wait_for(asyncio.create_task(call()), 20)


async def test_name_that_does_not_resolve_is_told() -> None:
    async def look_up(targets: Sequence[str]) -> dict[str, str | None]:
        return dict.fromkeys(targets, "name or service not known")

    options = PoolOptions(replica_wait_seconds=0.1)
    async with _pool(["dns:///text:1"], options=options, resolve=look_up) as pool:
        with pytest.raises(UnavailableError) as caught:
            await _encode(pool)
        assert str(caught.value) == "text: no replica is serving (dns:///text:1: name or service not known)"


async def test_dns_name_is_resolved() -> None:
    async with _replicas(Behaviour()) as (one,):
        port = one.address.rpartition(":")[2]
        async with _pool([f"dns:///localhost:{port}"]) as pool:
            assert await _encode(pool) == "1"


async def test_replicas_follow_what_the_name_resolves_to() -> None:
    async with _replicas(Behaviour(version="1"), Behaviour(version="2")) as (old, new):
        addresses = [old.address]

        async def look_up(targets: Sequence[str]) -> dict[str, str | None]:
            return dict.fromkeys(addresses)

        async with _pool(
            ["dns:///text:1"], options=PoolOptions(resolve_seconds=0.05, replica_wait_seconds=20), resolve=look_up
        ) as pool:
            assert await _encode(pool) == "1"
            addresses[:] = [new.address]
            async with asyncio.timeout(20):
                while await _encode(pool) != "2":
                    await asyncio.sleep(0.02)
            assert sum(pool.spaces().values()) <= 1


async def test_closing_a_pool_leaves_no_task_behind() -> None:
    before = asyncio.all_tasks()
    async with _replicas(Behaviour()) as (one,):
        async with _pool([one.address, "127.0.0.1:1", "dns:///no-such-host.invalid:1"]) as pool:
            await _encode(pool)
        await asyncio.sleep(0.05)
        names = {task.get_coro().__qualname__ for task in asyncio.all_tasks() - before}  # type: ignore[union-attr]
        assert not {name for name in names if name.startswith("Replica")}
