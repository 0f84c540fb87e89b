"""A flow of which a later call will be refused spends nothing on the calls ahead of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from gateway import flows
from gateway.painting import Painting
from gateway.settings import GatewaySettings
from shared.codes import Reason
from shared.errors import OverloadedError
from shared.rpc import replica_load
from shared.rpc.status import from_rpc_error
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_platform import running_platform
from tests.gateway.memory_services import MemoryEncoder, MemoryGenerator, painters

PAINTING = Painting(prompt="a cat", seeds=[1])


@pytest.fixture(autouse=True)
def _lasting(monkeypatch: pytest.MonkeyPatch) -> None:
    """News is believed for as long as a test takes, however busy the machine."""
    monkeypatch.setattr(replica_load, "BELIEVED_SECONDS", 60.0)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


async def test_prompt_is_not_encoded_for_a_picture_that_will_be_refused() -> None:
    busy = Behaviour(queue_seconds=60.0, answer_seconds=70.0)
    async with running_platform(generation=[busy]) as platform:
        request = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[1])
        await platform.stub.TextToImage(request)  # whose answer tells, if GetModel's has not yet
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a dog", seeds=[1]), timeout=30)
        error = from_rpc_error(caught.value)
        assert isinstance(error, OverloadedError)
        assert error.reason is Reason.QUEUE_TOO_LONG
        assert error.retry_after_seconds > 30
        assert str(error).startswith("generation: the queue makes this about")
        assert len(platform.text[0].calls) == len(busy.calls) == 1


async def test_picture_is_not_looked_at_for_a_caption_that_will_be_refused() -> None:
    async with running_platform(captioning=[Behaviour(queue_seconds=60.0, answer_seconds=70.0)]) as platform:
        await platform.stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[b"one"], language="en"))
        with pytest.raises(grpc.aio.AioRpcError, match="captioning: the queue"):
            await platform.stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[b"two"], language="en"), timeout=30)
        assert len(platform.classification[0].calls) == 1


async def test_call_equal_to_one_under_way_joins_it_however_long_the_queue_is() -> None:
    busy = Behaviour(queue_seconds=60.0, answer_seconds=70.0)
    settings = GatewaySettings(replica_wait_seconds=20)  # it remembers encodings
    async with running_platform(settings, generation=[busy]) as platform:
        first = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[1])
        await platform.stub.TextToImage(first)
        busy.released.clear()
        request = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[2])
        patient = asyncio.ensure_future(platform.stub.TextToImage(request, timeout=300))
        await _until(lambda: len(busy.calls) == 2)
        joined = asyncio.ensure_future(platform.stub.TextToImage(request, timeout=30))
        joins = "diptych_downstream_joined_total", {"service": "generation"}
        await _until(lambda: platform.registry.get_sample_value(*joins) == 1 or joined.done())
        busy.released.set()
        assert [image.seed for image in (await joined).images] == [2]
        await patient
        assert len(busy.calls) == 2


async def test_time_that_the_calls_ahead_take_counts() -> None:
    encoder = MemoryEncoder({"a": 1}, answer_seconds=0.2)
    generator = MemoryGenerator({"a": 1}, answer_seconds=0.4, left_seconds=0.5)
    with pytest.raises(OverloadedError, match="generation: too late"):
        await flows.text_to_image(PAINTING, painters(encoder, generator))
    assert encoder.texts == []


async def test_stream_is_not_begun_either() -> None:
    encoder = MemoryEncoder({"a": 1}, answer_seconds=0.2)
    generator = MemoryGenerator({"a": 1}, answer_seconds=0.4, left_seconds=0.5)
    with pytest.raises(OverloadedError, match="generation: too late"):
        await anext(flows.stream_text_to_image(PAINTING, painters(encoder, generator)))
    assert encoder.texts == []


async def test_queue_of_the_first_service_is_left_to_its_call_which_may_not_need_it() -> None:
    encoder = MemoryEncoder({"a": 1}, answer_seconds=9.0, left_seconds=0.5)
    await flows.text_to_image(PAINTING, painters(encoder, MemoryGenerator({"a": 1})))
    assert len(encoder.texts) == 1
