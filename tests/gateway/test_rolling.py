"""A new model version rolled out service by service: replicas of two joint spaces, and no call fails."""

from __future__ import annotations

import asyncio

import pytest

from diptych.gateway.v1 import gateway_pb2
from gateway.settings import SERVICES, GatewaySettings
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_platform import running_platform
from tests.gateway.fake_services import FakeReplica
from tests.traffic import traffic


def _pair() -> list[Behaviour]:
    """Two replicas of the old space, so slow that calls are always under way between two services."""
    return [Behaviour(space="old", delay_seconds=0.03) for _ in range(2)]


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


@pytest.mark.parametrize("kill", [False, True], ids=["stopped", "killed"])
async def test_rolling_out_a_new_space_fails_no_call(kill: bool) -> None:
    # A call whose space went away between its two steps waits this long before it begins anew in the other.
    settings = GatewaySettings(replica_wait_seconds=1)
    async with running_platform(settings, **{service: _pair() for service in SERVICES}) as platform:
        async with traffic(platform.stub, callers=3, pause_seconds=0.03) as seen:
            await asyncio.sleep(0.3)
            for index in range(2):
                for service in SERVICES:
                    await _replace(getattr(platform, service)[index], kill)
            await seen.settles_in("new")
        seen.check(before="old", after="new")


async def _replace(replica: FakeReplica, kill: bool) -> None:
    """Ends a replica and starts one of the new space at its address, which takes its time to be known."""
    await (replica.kill() if kill else replica.stop())
    replica.behaviour = Behaviour(space="new", delay_seconds=0.03)
    await replica.start()
    await asyncio.sleep(0.7)
