"""A new model version rolled out service by service: replicas of two joint spaces, and no call fails."""

from __future__ import annotations

import asyncio

from diptych.gateway.v1 import gateway_pb2
from gateway.settings import GatewaySettings
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_platform import Platform, running_platform
from tests.gateway.fake_services import FakeReplica


def _pair() -> list[Behaviour]:
    return [Behaviour(space="old", version="1"), Behaviour(space="old", version="1")]


async def test_each_picture_is_made_by_services_of_one_space() -> None:
    behaviours = [Behaviour(space="old"), Behaviour(space="new")]
    async with running_platform(
        text=behaviours, generation=[Behaviour(space="old"), Behaviour(space="new")]
    ) as platform:
        await asyncio.sleep(0.2)
        for _ in range(20):
            answer = await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat"))
            assert len({stage.model.space for stage in answer.stages}) == 1
        assert all(fake.calls for fake in (*platform.text, *platform.generation))


async def test_rolling_out_a_new_space_fails_no_call() -> None:
    # A call whose space went away between its two steps waits this long before it begins anew in the other.
    settings = GatewaySettings(replica_wait_seconds=2)
    async with running_platform(settings, text=_pair(), generation=_pair()) as platform:
        spaces: list[str] = []
        rolled = asyncio.Event()

        async def caller() -> None:
            while not rolled.is_set():
                answer = await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat"), timeout=40)
                assert len({stage.model.space for stage in answer.stages}) == 1
                spaces.append(answer.stages[0].model.space)
                await asyncio.sleep(0.01)

        callers = [asyncio.create_task(caller()) for _ in range(4)]
        for index in range(2):
            await asyncio.gather(*(_replace(replica) for replica in _column(platform, index)))
            await asyncio.sleep(0.5)
        rolled.set()
        await asyncio.gather(*callers)
        assert spaces[0] == "old"
        assert spaces[-1] == "new"


def _column(platform: Platform, index: int) -> list[FakeReplica]:
    return [platform.text[index], platform.generation[index]]


async def _replace(replica: FakeReplica) -> None:
    """Drains a replica and starts one of the new space at its address."""
    await replica.stop()
    replica.behaviour.space = "new"
    await replica.start()
