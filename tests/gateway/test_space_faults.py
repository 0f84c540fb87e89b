"""Two joint spaces behind one gateway, and a replica of one of them in trouble; real servers and pools."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from gateway.settings import GatewaySettings
from shared.codes import Reason
from shared.errors import CallError, UnavailableError
from shared.rpc.status import from_rpc_error
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_platform import Platform, running_platform
from tests.gateway.fake_services import FakeReplica

IMPATIENT = GatewaySettings(replica_wait_seconds=0.3, encoding_cache_bytes=0)
PATIENT = GatewaySettings(replica_wait_seconds=20, encoding_cache_bytes=0)


@asynccontextmanager
async def _two_spaces(settings: GatewaySettings, *texts: str) -> AsyncIterator[tuple[Platform, FakeReplica]]:
    """Text in the spaces said, generation in `old` and `new`; and generation's old replica."""
    generation = [Behaviour(space="old"), Behaviour(space="new")]
    async with running_platform(
        settings, text=[Behaviour(space=space) for space in texts], generation=generation
    ) as platform:
        await _told(platform, serving=2)
        yield platform, platform.generation[0]


async def _told(platform: Platform, *, serving: int) -> None:
    """Until the gateway knows of so many replicas of generation that serve, and that all others do."""
    request = gateway_pb2.GetCapabilitiesRequest()
    async with asyncio.timeout(20):
        while True:
            services = {each.name: each for each in (await platform.stub.GetCapabilities(request)).services}
            known = [replica.serving for replica in services["generation"].replicas]
            if sum(known) == serving and all(each.serving for each in services["text"].replicas):
                return
            await asyncio.sleep(0.01)


async def _error(platform: Platform, space: str = "") -> CallError:
    request = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[1], space=space)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await platform.stub.TextToImage(request, timeout=30)
    return from_rpc_error(caught.value)


async def test_call_that_cost_a_model_process_is_not_tried_in_another_space() -> None:
    async with _two_spaces(IMPATIENT, "old", "new") as (platform, old):
        old.behaviour.error = lambda: UnavailableError("the model process ended", reason=Reason.MODEL_LOST)
        old.behaviour.released.clear()
        request = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[1])
        calls = []
        async with asyncio.timeout(20):
            while not old.calls:  # spaces are drawn
                calls.append(asyncio.ensure_future(platform.stub.TextToImage(request)))
                await asyncio.sleep(0.02)
        await old.set_serving(False)
        await _told(platform, serving=1)
        painted_elsewhere = len(platform.generation[1].calls)
        old.behaviour.released.set()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        reasons = {from_rpc_error(end).reason for end in ends if isinstance(end, grpc.aio.AioRpcError)}
        assert reasons == {Reason.MODEL_LOST}
        assert len(platform.generation[1].calls) == painted_elsewhere
        retries = platform.registry.get_sample_value("diptych_downstream_retries_total", {"service": "generation"})
        assert not retries


async def test_wanted_space_whose_replica_is_away_for_a_moment_is_waited_for() -> None:
    async with _two_spaces(PATIENT, "old", "new") as (platform, old):
        await old.set_serving(False)
        await _told(platform, serving=1)
        request = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[1], space="old")
        call = asyncio.ensure_future(platform.stub.TextToImage(request))
        await asyncio.wait_for(platform.text[0].behaviour.called.wait(), 20)
        await old.set_serving(True)
        answer = await call
        assert {stage.model.space for stage in answer.stages} == {"old"}


async def test_wanted_space_whose_replica_stays_away_is_unavailable() -> None:
    async with _two_spaces(IMPATIENT, "old", "new") as (platform, old):
        await old.set_serving(False)
        await _told(platform, serving=1)
        error = await _error(platform, "old")
        assert error.reason is Reason.NO_REPLICA
        assert str(error).startswith("generation: no replica of space old is serving")
        assert (await _error(platform, "other")).reason is Reason.SPACE_NOT_SERVED


async def test_shared_space_whose_replica_is_away_for_a_moment_is_waited_for() -> None:
    async with _two_spaces(PATIENT, "old") as (platform, old):
        await old.set_serving(False)
        await _told(platform, serving=1)
        call = asyncio.ensure_future(platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat")))
        await asyncio.sleep(0.1)
        assert not call.done()
        await old.set_serving(True)
        assert {stage.model.space for stage in (await call).stages} == {"old"}


async def test_shared_space_whose_replica_stays_away_is_told() -> None:
    async with _two_spaces(IMPATIENT, "old") as (platform, old):
        await old.set_serving(False)
        await _told(platform, serving=1)
        error = await _error(platform)
        assert error.reason is Reason.NO_COMMON_SPACE
        assert str(error).endswith("(text: old; generation: new)")
