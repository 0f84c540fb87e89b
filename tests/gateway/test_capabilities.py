"""What GetCapabilities tells over real sockets: at once, whatever is down."""

from __future__ import annotations

import asyncio
import time

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import image_pb2, model_pb2
from gateway.settings import SERVICES, GatewaySettings
from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.rpc.status import from_rpc_error
from shared.version import diptych_version
from tests.gateway.behaviour import Behaviour
from tests.gateway.fake_platform import Platform, running_platform

REQUEST = gateway_pb2.GetCapabilitiesRequest()


async def _tell(platform: Platform) -> gateway_pb2.GetCapabilitiesResponse:
    return await platform.stub.GetCapabilities(REQUEST, timeout=20)


async def _all_serve(platform: Platform) -> gateway_pb2.GetCapabilitiesResponse:
    """The answer once every replica is known to serve."""
    async with asyncio.timeout(20):
        while True:
            told = await _tell(platform)
            if all(each.serving for service in told.services for each in service.replicas):
                return told
            await asyncio.sleep(0.02)


def _service(told: gateway_pb2.GetCapabilitiesResponse, name: str) -> gateway_pb2.ServiceCapabilities:
    return next(service for service in told.services if service.name == name)


async def test_limits_are_those_of_the_settings() -> None:
    settings = GatewaySettings(max_prompt_characters=7, max_texts=6, max_images=5, max_labels=4, max_image_bytes=3)
    async with running_platform(settings) as platform:
        told = await _tell(platform)
    assert told.limits == gateway_pb2.Limits(
        prompt_characters=7,
        texts=6,
        images=5,
        labels=4,
        image_bytes=3,
        caption_candidates=16,
        image_pixels=16_000_000,
        image_side=8_192,
        message_bytes=64 * 1024 * 1024,
    )


async def test_platform_that_is_well_tells_spaces_languages_formats_and_models() -> None:
    async with running_platform(captioning=[Behaviour(languages=("zh", "en", "fr"))]) as platform:
        told = await _all_serve(platform)
    assert told.diptych_version == diptych_version()
    assert list(told.spaces) == ["space-a"]
    assert list(told.languages) == ["zh", "en"]
    assert list(told.input_formats) == ["PNG", "JPEG", "WEBP", "GIF", "BMP"]
    assert set(told.output_formats) == set(image_pb2.ImageFormat.values()) - {image_pb2.IMAGE_FORMAT_UNSPECIFIED}
    assert [service.name for service in told.services] == list(SERVICES)
    [painter] = _service(told, "generation").models
    assert (painter.model.name, painter.image_width, painter.image_height) == ("fake", 4, 4)


async def test_replicas_are_told_with_address_model_and_load() -> None:
    async with running_platform(text=[Behaviour(queue_seconds=9)]) as platform:
        await platform.stub.EncodeText(gateway_pb2.EncodeTextRequest(texts=["a"]))
        [replica] = _service(await _all_serve(platform), "text").replicas
        assert (replica.address, replica.serving, replica.reason) == (platform.text[0].address, True, "")
        assert replica.model == model_pb2.Model(name="fake", version="1", digest="f" * 64, space="space-a")
        assert 8 < replica.queue_seconds <= 9


async def test_two_models_are_told_while_one_is_rolled_out() -> None:
    old, new = Behaviour(digest="a" * 64), Behaviour(digest="b" * 64, space="space-b")
    async with running_platform(text=[old, new, Behaviour(digest="a" * 64)]) as platform:
        told = await _all_serve(platform)
    text = _service(told, "text")
    assert {each.model.digest for each in text.models} == {"a" * 64, "b" * 64}
    assert len(text.models) == 2
    assert len(text.replicas) == 3
    assert list(told.spaces) == ["space-a"]


async def test_a_model_is_asked_about_once() -> None:
    async with running_platform() as platform:
        for _ in range(3):
            await _all_serve(platform)
        assert platform.text[0].behaviour.asked == 1


async def test_service_that_is_down_is_told_with_its_reason_and_waited_for_not_at_all() -> None:
    async with running_platform(GatewaySettings(replica_wait_seconds=30)) as platform:
        await _all_serve(platform)
        await platform.captioning[0].kill()
        async with asyncio.timeout(20):
            while _service(told := await _tell(platform), "captioning").replicas[0].serving:
                await asyncio.sleep(0.02)
        begin = time.perf_counter()
        told = await _tell(platform)
        assert time.perf_counter() - begin < 15
        [replica] = _service(told, "captioning").replicas
        assert replica.reason
        assert replica.model.space == "space-a"  # as last known
        assert (list(told.spaces), list(told.languages)) == ([], [])
        assert list(_service(told, "captioning").models) == []


async def test_replica_that_serves_and_does_not_answer_is_waited_for_a_second() -> None:
    async with running_platform(generation=[Behaviour(delay_seconds=30)]) as platform:
        begin = time.perf_counter()
        told = await _all_serve(platform)
        assert time.perf_counter() - begin < 15
        assert list(_service(told, "generation").models) == [
            model_pb2.ModelCapabilities(model=platform.generation[0].behaviour.model())
        ]


async def test_nothing_up_is_told_too() -> None:
    settings = GatewaySettings(replica_wait_seconds=30)
    async with running_platform(settings) as platform:
        for service in SERVICES:
            await getattr(platform, service)[0].kill()
        async with asyncio.timeout(20):
            while (await _tell(platform)).spaces:
                await asyncio.sleep(0.02)
        told = await _tell(platform)
        assert not any(each.serving for service in told.services for each in service.replicas)


@pytest.mark.parametrize("names", [["text"], ["generation", "captioning"]])
async def test_spaces_are_only_those_that_every_service_serves(names: list[str]) -> None:
    both = {name: [Behaviour(space="space-a"), Behaviour(space="space-b")] for name in SERVICES}
    only = {name: [Behaviour(space="space-b")] for name in names}
    async with running_platform(None, **{**both, **only}) as platform:
        assert list((await _all_serve(platform)).spaces) == ["space-b"]


async def test_a_replica_that_was_restarted_is_asked_again() -> None:
    async with running_platform(text=[Behaviour(max_items=32)]) as platform:
        [before] = _service(await _all_serve(platform), "text").models
        await platform.text[0].kill()
        platform.text[0].behaviour.version, platform.text[0].behaviour.max_items = "2", 8
        await platform.text[0].start()
        async with asyncio.timeout(20):
            while not (after := _service(await _tell(platform), "text").models) or after[0].model.version == "1":
                await asyncio.sleep(0.02)
    assert (before.model.version, before.max_items) == ("1", 32)
    assert [(each.model.version, each.max_items) for each in after] == [("2", 8)]


async def test_replicas_of_one_model_that_take_different_numbers_are_told_apart_and_the_least_is_the_limit() -> None:
    behaviours = [Behaviour(max_items=8), Behaviour(max_items=4), Behaviour(max_items=8)]
    async with running_platform(text=behaviours) as platform:
        told = await _all_serve(platform)
    assert sorted(each.max_items for each in _service(told, "text").models) == [4, 8]
    assert told.limits.texts == 4


@pytest.mark.parametrize("name", ["classification", "generation", "captioning"])
async def test_no_more_pictures_are_told_than_every_service_takes(name: str) -> None:
    async with running_platform(None, **{name: [Behaviour(max_items=3)]}) as platform:
        assert (await _all_serve(platform)).limits.images == 3


async def test_limit_of_a_service_is_kept_and_told_in_the_callers_terms() -> None:
    async with running_platform(generation=[Behaviour(max_items=3)], text=[Behaviour(max_items=4)]) as platform:
        await _all_serve(platform)
        for field, request in {
            "image_count": gateway_pb2.TextToImageRequest(prompt="a", image_count=4),
            "candidates": gateway_pb2.TextToImageRequest(prompt="a", candidates=4),
            "seeds": gateway_pb2.TextToImageRequest(prompt="a", seeds=range(4)),
        }.items():
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await platform.stub.TextToImage(request)
            error = from_rpc_error(caught.value)
            assert isinstance(error, InvalidArgumentError) and error.field == field
        labels = [f"label {index}" for index in range(9)]
        await platform.stub.ClassifyImage(gateway_pb2.ClassifyImageRequest(images=[b"x"], labels=labels))
        assert sum(len(each.request.texts) for each in platform.text[0].calls) == 9
        assert max(len(each.request.texts) for each in platform.text[0].calls) == 4


async def test_limits_of_services_are_learnt_from_calls_alone() -> None:
    async def encode_until_refused(platform: Platform) -> None:
        while True:
            await platform.stub.EncodeText(gateway_pb2.EncodeTextRequest(texts=["a"] * 5))
            await asyncio.sleep(0.05)

    async with running_platform(text=[Behaviour(max_items=4)]) as platform:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await asyncio.wait_for(encode_until_refused(platform), 20)
    error = from_rpc_error(caught.value)
    assert (str(error), error.reason) == ("texts has 5 entries; the limit is 4", Reason.TOO_MANY_ITEMS)
