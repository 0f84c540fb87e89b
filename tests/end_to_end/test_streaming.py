"""StreamTextToImage over real services: the pictures of the unary call, each as it is ready; leaving ends all work."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from shared.codes import Reason
from shared.rpc.status import from_rpc_error
from tests.end_to_end.calls import CALL_SECONDS, Connect, until
from tests.end_to_end.conftest import Platform
from tests.end_to_end.frozen import frozen_model
from tests.end_to_end.pictures import pixels_of

Request = gateway_pb2.StreamTextToImageRequest
SEEDS = [41, 2**64 - 1, 7, 8, 9]


@pytest.mark.parametrize("candidates", [0, len(SEEDS)])
async def test_streamed_pictures_are_those_of_the_unary_call(
    candidates: int, platform: Platform, connect: Connect
) -> None:
    stub = connect(platform.gateway).gateway
    one_by_one = Request(prompt="一只猫", seeds=SEEDS, candidates=candidates)
    at_once = gateway_pb2.TextToImageRequest(prompt="一只猫", seeds=SEEDS, candidates=candidates)

    streamed = {each.index: each.image async for each in stub.StreamTextToImage(one_by_one, timeout=CALL_SECONDS)}
    whole = await stub.TextToImage(at_once, timeout=CALL_SECONDS)

    assert sorted(streamed) == list(range(len(SEEDS)))
    for index, one in enumerate(whole.images):
        assert streamed[index].seed == one.seed
        assert streamed[index].image.pixel_sha256 == one.image.pixel_sha256
        assert pixels_of(streamed[index].image.data) == pixels_of(one.image.data)


async def test_every_message_names_the_models_behind_its_picture(platform: Platform, connect: Connect) -> None:
    call = connect(platform.gateway).gateway.StreamTextToImage(
        Request(prompt="a cat", image_count=3), timeout=CALL_SECONDS
    )

    async for each in call:
        assert [stage.model.name for stage in each.stages] == ["tiny-text", "tiny-generation"]
        assert each.image.provenance.generation_model == each.stages[1].model


async def test_leaving_a_stream_cancels_the_work_of_the_services(platform: Platform, connect: Connect) -> None:
    def under_way() -> float:
        labels = {"method": "diptych.generation.v1.GenerationService/GenerateImage"}
        return platform.generation.metrics().total("diptych_rpc_in_flight", **labels)

    with frozen_model(platform.generation):
        call = connect(platform.gateway).gateway.StreamTextToImage(Request(prompt="a cat", image_count=16))
        reading = asyncio.ensure_future(anext(aiter(call)))
        await until(lambda: under_way() == 16, "all sixteen calls have arrived")
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await until(lambda: under_way() == 0, "all sixteen calls are cancelled")


async def test_refused_stream_ends_as_the_unary_call_does(platform: Platform, connect: Connect) -> None:
    call = connect(platform.gateway).gateway.StreamTextToImage(Request(prompt="a cat", space="nowhere"))

    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await anext(aiter(call))

    error = from_rpc_error(caught.value)
    assert error.reason is Reason.SPACE_NOT_SERVED
    assert str(error) == "text: space 'nowhere' is not served; served: tiny"
