"""Steady calls of every flow while something else goes on, and what their callers saw."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import grpc

from diptych.gateway.v1 import gateway_pb2, gateway_pb2_grpc
from diptych.types.v1 import model_pb2
from gateway.png import Picture, encode_png

if TYPE_CHECKING:  # present in the stubs only
    GatewayStub = gateway_pb2_grpc.GatewayServiceAsyncStub

Stages = list[model_pb2.Stage]
CALL_SECONDS = 30.0
PICTURE = encode_png(Picture(width=48, height=40, rows=[bytes(range(144))] * 40))


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

    def check(self, *, before: str, after: str) -> None:
        """No call failed, none mixed spaces, every flow was answered, first in one space, last in the other."""
        assert self.failed == []
        assert self.mixed == []
        assert set(self.answered) == {flow.__name__ for flow in FLOWS}
        assert self.spaces[0] == before
        assert self.spaces[-1] == after

    async def settles_in(self, space: str) -> None:
        """From some moment on, each answer is of this space."""
        await asyncio.sleep(1.5)  # what was under way may end
        begin = len(self.spaces)
        await asyncio.sleep(0.5)
        assert set(self.spaces[begin:]) == {space}


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
    request = gateway_pb2.ImageToTextRequest(images=[PICTURE])
    return list((await stub.ImageToText(request, timeout=CALL_SECONDS)).stages)


async def classify_by_labels(stub: GatewayStub) -> Stages:
    request = gateway_pb2.ClassifyImageRequest(images=[PICTURE], labels=["a cat", "a dog"] * 40)  # two parts
    return list((await stub.ClassifyImage(request, timeout=CALL_SECONDS)).stages)


async def classify(stub: GatewayStub) -> Stages:
    request = gateway_pb2.ClassifyImageRequest(images=[PICTURE])
    return list((await stub.ClassifyImage(request, timeout=CALL_SECONDS)).stages)


async def encode_text(stub: GatewayStub) -> Stages:
    request = gateway_pb2.EncodeTextRequest(texts=["a cat", "a dog"])
    return list((await stub.EncodeText(request, timeout=CALL_SECONDS)).stages)


async def encode_image(stub: GatewayStub) -> Stages:
    request = gateway_pb2.EncodeImageRequest(images=[PICTURE])
    return list((await stub.EncodeImage(request, timeout=CALL_SECONDS)).stages)


Flow = Callable[["GatewayStub"], Awaitable[Stages]]
FLOWS: tuple[Flow, ...] = (
    paint,
    paint_and_choose,
    stream,
    describe,
    classify,
    classify_by_labels,
    encode_text,
    encode_image,
)


@asynccontextmanager
async def traffic(stub: GatewayStub, *, callers: int, pause_seconds: float) -> AsyncIterator[Traffic]:
    """So many callers a flow, each with one call after another, as long as the block lasts."""
    seen, over = Traffic(), asyncio.Event()

    async def caller(flow: Flow) -> None:
        while not over.is_set():
            try:
                seen.note(flow.__name__, await flow(stub))
            except (grpc.aio.AioRpcError, AssertionError) as error:
                seen.failed.append(f"{flow.__name__}: {error!r}")
            await asyncio.sleep(pause_seconds)

    tasks = [asyncio.create_task(caller(flow)) for flow in FLOWS for _ in range(callers)]
    try:
        yield seen
    finally:
        over.set()
        await asyncio.gather(*tasks)
