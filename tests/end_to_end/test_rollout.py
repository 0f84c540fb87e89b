"""Models of another joint space are rolled out under traffic: no call fails, and none mixes spaces."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import model_pb2
from shared.rpc.channel import open_channel
from tests.end_to_end.calls import CALL_SECONDS, Stubs
from tests.end_to_end.pictures import picture_file
from tests.end_to_end.servers import SERVICES, Launcher, Server

if TYPE_CHECKING:  # present in the stubs only
    from tests.end_to_end.calls import GatewayStub

Stages = list[model_pb2.Stage]
SPACES = ("tiny", "other")


@dataclass
class Fleet:
    """Two replicas a service, all of one space, and a gateway that knows their addresses."""

    models: dict[str, dict[str, Path]]
    """Model directories by space and service."""
    replicas: dict[str, tuple[Server, Server]]
    gateway: Server
    space: str

    @property
    def next_space(self) -> str:
        """The other one."""
        return SPACES[1 - SPACES.index(self.space)]

    def start(self, service: str, place: int, space: str) -> None:
        """Starts a replica that is down, with the model of a space."""
        server = self.replicas[service][place]
        server.environment = {**server.environment, "DIPTYCH_MODEL_DIRECTORY": str(self.models[space][service])}
        server.start()
        server.wait_serving()

    def stop(self, service: str, place: int) -> None:
        """SIGTERM."""
        assert self.replicas[service][place].terminate() == 0


@dataclass
class Traffic:
    """What callers saw."""

    answered: dict[str, int] = field(default_factory=dict)
    spaces: list[str] = field(default_factory=list)
    """Of each answer, in the order they came."""
    mixed: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    def note(self, flow: str, stages: Stages) -> None:
        """One answer."""
        met = {stage.model.space for stage in stages}
        self.answered[flow] = self.answered.get(flow, 0) + 1
        self.spaces += met
        if len(met) != 1:
            self.mixed.append(f"{flow}: {met}")


async def paint(stub: GatewayStub) -> Stages:
    request = gateway_pb2.TextToImageRequest(prompt="a cat")
    return list((await stub.TextToImage(request, timeout=CALL_SECONDS)).stages)


async def paint_and_choose(stub: GatewayStub) -> Stages:
    request = gateway_pb2.TextToImageRequest(prompt="a cat", candidates=3)
    answer = await stub.TextToImage(request, timeout=CALL_SECONDS)
    assert len(answer.stages) == 3
    return list(answer.stages)


async def stream(stub: GatewayStub) -> Stages:
    request = gateway_pb2.StreamTextToImageRequest(prompt="a cat", image_count=3)
    answers = [answer async for answer in stub.StreamTextToImage(request, timeout=CALL_SECONDS)]
    assert sorted(answer.index for answer in answers) == [0, 1, 2]
    return [stage for answer in answers for stage in answer.stages]


async def describe(stub: GatewayStub) -> Stages:
    request = gateway_pb2.ImageToTextRequest(images=[picture_file()])
    return list((await stub.ImageToText(request, timeout=CALL_SECONDS)).stages)


async def classify_by_labels(stub: GatewayStub) -> Stages:
    request = gateway_pb2.ClassifyImageRequest(images=[picture_file()], labels=["a cat", "a dog"] * 40)  # two parts
    return list((await stub.ClassifyImage(request, timeout=CALL_SECONDS)).stages)


Flow = Callable[["GatewayStub"], Awaitable[Stages]]
FLOWS: tuple[Flow, ...] = (
    paint, paint_and_choose, stream, describe, classify_by_labels
)  # fmt: skip


@asynccontextmanager
async def traffic(gateway: Server) -> AsyncIterator[Traffic]:
    """A caller a flow, one call after another, as long as the block lasts."""
    seen, over = Traffic(), asyncio.Event()
    async with open_channel(gateway.address, max_message_bytes=1 << 26) as channel:
        stub = Stubs(channel).gateway

        async def caller(flow: Flow) -> None:
            while not over.is_set():
                try:
                    seen.note(flow.__name__, await flow(stub))
                except (grpc.aio.AioRpcError, AssertionError) as error:
                    seen.failed.append(f"{flow.__name__}: {error!r}")
                await asyncio.sleep(0.1)  # the cores are for what starts

        callers = [asyncio.create_task(caller(flow)) for flow in FLOWS]
        try:
            yield seen
        finally:
            over.set()
            await asyncio.gather(*callers)


@pytest.fixture(scope="module")
def fleet(
    tiny_models: dict[str, Path],
    other_models: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    run_mark: str,
) -> Iterator[Fleet]:
    """Eight services and a gateway, for the tests of this file: each leaves all of them in the other space."""
    launcher = Launcher(tiny_models, tmp_path_factory.mktemp("rollout_logs"), run_mark)
    try:
        replicas = {name: (launcher.service(name), launcher.service(name)) for name in SERVICES}
        gateway = launcher.gateway({name: f"{one.address},{two.address}" for name, (one, two) in replicas.items()})
        for server in launcher.servers:
            server.wait_serving()
        models = dict(zip(SPACES, (tiny_models, other_models), strict=True))
        yield Fleet(models=models, replicas=replicas, gateway=gateway, space=SPACES[0])
    finally:
        launcher.stop_all()


def check(seen: Traffic, *, before: str, after: str) -> None:
    """No call failed, none mixed spaces, every flow was answered throughout."""
    assert seen.failed == []
    assert seen.mixed == []
    assert set(seen.answered) == {flow.__name__ for flow in FLOWS}
    assert seen.spaces[0] == before
    assert seen.spaces[-1] == after


async def only(seen: Traffic, space: str) -> None:
    """From now on each answer is of this space."""
    await asyncio.sleep(1.5)  # what was under way may end
    begin = len(seen.spaces)
    await asyncio.sleep(0.5)
    assert set(seen.spaces[begin:]) == {space}


async def test_replicas_replaced_one_by_one_fail_no_call(fleet: Fleet) -> None:
    before, after = fleet.space, fleet.next_space
    async with traffic(fleet.gateway) as seen:
        await asyncio.sleep(0.5)
        for place in (0, 1):
            for service in SERVICES:
                await asyncio.to_thread(fleet.stop, service, place)
                await asyncio.to_thread(fleet.start, service, place, after)
        fleet.space = after
        await only(seen, after)
    check(seen, before=before, after=after)


async def test_single_replicas_replaced_by_others_beside_them_fail_no_call(fleet: Fleet) -> None:
    before, after = fleet.space, fleet.next_space
    await asyncio.gather(*(asyncio.to_thread(fleet.stop, service, 1) for service in SERVICES))
    async with traffic(fleet.gateway) as seen:
        await asyncio.sleep(0.5)
        await asyncio.gather(*(asyncio.to_thread(fleet.start, service, 1, after) for service in SERVICES))
        for service in SERVICES:
            await asyncio.to_thread(fleet.stop, service, 0)
        fleet.space = after
        await only(seen, after)
    check(seen, before=before, after=after)
