"""A call whose batch cost a replica its model process: it may be what kills them, and its caller must know."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import chain, repeat
from typing import TYPE_CHECKING

import grpc
import pytest
from prometheus_client import CollectorRegistry

from shared.codes import Reason
from shared.errors import CallError, InvalidArgumentError, OverloadedError, SpaceMismatchError, UnavailableError
from shared.rpc.replica_pool import PoolOptions
from shared.rpc.status import from_rpc_error
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_services import FakeReplica
from tests.shared.rpc.pooling import all_serve, encode, fakes, pool_of

if TYPE_CHECKING:
    from tests.shared.rpc.pooling import TextPool

IMPATIENT = PoolOptions(replica_wait_seconds=0.2)


def lost() -> UnavailableError:
    """As the services say it."""
    return UnavailableError("the model process ended", reason=Reason.MODEL_LOST)


def _first_lost_then(error: CallError | None) -> Callable[[], CallError | None]:
    """The first call costs the model; each further one ends with the error, or is answered."""
    errors = chain([lost()], repeat(error))
    return lambda: next(errors)


def _held() -> Behaviour:
    behaviour = Behaviour(error=lost)
    behaviour.released.clear()
    return behaviour


async def _lose_model(pool: TextPool, replica: FakeReplica) -> None:
    """What a replica does when its model process dies under a call: it ceases to serve, and ends the call."""
    await asyncio.wait_for(replica.behaviour.called.wait(), 20)
    await replica.set_serving(False)
    await all_serve(pool, 0)
    replica.behaviour.released.set()


async def _reason(pool: TextPool) -> Reason | None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await encode(pool)
    return from_rpc_error(caught.value).reason


def _retries(registry: CollectorRegistry) -> float:
    return registry.get_sample_value("diptych_downstream_retries_total", {"service": "text"}) or 0.0


async def test_call_that_kills_models_is_tried_once_more_only() -> None:
    behaviours = [Behaviour(error=lost) for _ in range(4)]
    registry = CollectorRegistry()
    async with fakes(*behaviours) as replicas, pool_of([each.address for each in replicas], registry) as pool:
        await all_serve(pool, 4)
        assert await _reason(pool) is Reason.MODEL_LOST
        assert sum(len(each.calls) for each in replicas) == 2
        assert _retries(registry) == 1


async def test_call_whose_replica_lost_its_model_is_answered_by_another() -> None:
    async with (
        fakes(Behaviour(error=lost), Behaviour(version="2")) as replicas,
        pool_of([each.address for each in replicas]) as pool,
    ):
        await all_serve(pool, 2)
        assert [await encode(pool) for _ in range(4)] == ["2"] * 4


async def test_lost_model_is_told_when_no_other_replica_turns_up_and_no_retry_is_counted() -> None:
    registry = CollectorRegistry()
    async with fakes(_held()) as (one,), pool_of([one.address], registry, IMPATIENT) as pool:
        await all_serve(pool, 1)
        call = asyncio.create_task(encode(pool))
        await _lose_model(pool, one)
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        assert from_rpc_error(caught.value).reason is Reason.MODEL_LOST
        assert isinstance(caught.value.__cause__, UnavailableError)
        assert len(one.calls) == 1
        assert _retries(registry) == 0


async def test_call_is_answered_by_the_replica_that_lost_its_model_and_has_it_again() -> None:
    registry = CollectorRegistry()
    async with fakes(_held()) as (one,), pool_of([one.address], registry) as pool:
        await all_serve(pool, 1)
        call = asyncio.create_task(encode(pool))
        one.behaviour.error = _first_lost_then(None)
        await _lose_model(pool, one)
        await one.set_serving(True)
        assert await call == "1"
        assert _retries(registry) == 1


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("the service stops", reason=Reason.NOT_SERVING),
        OverloadedError("queue is full", reason=Reason.QUEUE_FULL),
        SpaceMismatchError(got="a", served="b"),
    ],
    ids=["unavailable", "full", "of another space"],
)
async def test_second_attempt_without_an_answer_does_not_hide_the_lost_model(error: CallError) -> None:
    behaviour = Behaviour(error=_first_lost_then(error))
    async with fakes(behaviour, behaviour) as replicas, pool_of([each.address for each in replicas]) as pool:
        await all_serve(pool, 2)
        assert await _reason(pool) is Reason.MODEL_LOST
        assert len(behaviour.calls) > 1


async def test_what_the_second_attempt_says_of_the_request_is_told() -> None:
    behaviour = Behaviour(error=_first_lost_then(InvalidArgumentError("no label", reason=Reason.FIELD_INVALID)))
    async with fakes(behaviour, behaviour) as replicas, pool_of([each.address for each in replicas]) as pool:
        await all_serve(pool, 2)
        assert await _reason(pool) is Reason.FIELD_INVALID
