"""GetCapabilities over real services: what it tells is what the calls do."""

from __future__ import annotations

import time

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import image_pb2
from tests.end_to_end.calls import CALL_SECONDS, Connect
from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import picture_file
from tests.end_to_end.servers import SERVICES, Launcher

REQUEST = gateway_pb2.GetCapabilitiesRequest()


async def test_models_are_told_with_what_they_can_do(platform: Platform, connect: Connect) -> None:
    told = await connect(platform.gateway).gateway.GetCapabilities(REQUEST, timeout=CALL_SECONDS)

    assert [service.name for service in told.services] == list(SERVICES)
    models = {service.name: service.models[0] for service in told.services}
    assert {name: model.model.name for name, model in models.items()} == {name: f"tiny-{name}" for name in SERVICES}
    assert {label.texts["en"] for label in models["classification"].labels} == {"cat", "dog", "house", "apple"}
    assert models["generation"].image_width == models["generation"].image_height > 0
    assert (list(told.spaces), sorted(told.languages)) == (["tiny"], ["en", "zh"])
    for service in told.services:
        assert [replica.address for replica in service.replicas] == [platform[service.name].address]
        assert service.replicas[0].serving
        assert service.replicas[0].model == models[service.name].model


async def test_painted_size_languages_and_formats_are_as_told(platform: Platform, connect: Connect) -> None:
    stub = connect(platform.gateway).gateway
    told = await stub.GetCapabilities(REQUEST, timeout=CALL_SECONDS)
    painter = next(service.models[0] for service in told.services if service.name == "generation")

    for file_format in told.output_formats:
        request = gateway_pb2.TextToImageRequest(prompt="a cat", format=file_format)
        [painted] = (await stub.TextToImage(request, timeout=CALL_SECONDS)).images
        assert painted.image.format == file_format
        assert (painted.image.width, painted.image.height) == (painter.image_width, painter.image_height)
    for language in told.languages:
        for name in told.input_formats:
            described = gateway_pb2.ImageToTextRequest(images=[picture_file(name)], language=language)
            await stub.ImageToText(described, timeout=CALL_SECONDS)
    assert image_pb2.IMAGE_FORMAT_UNSPECIFIED not in told.output_formats


async def test_services_that_are_down_are_told_at_once(launcher: Launcher, connect: Connect) -> None:
    gateway = launcher.gateway(dict.fromkeys(SERVICES, "127.0.0.1:1"), replica_wait_seconds=2 * CALL_SECONDS)
    gateway.wait_serving()
    stub = connect(gateway).gateway
    await stub.GetCapabilities(REQUEST, timeout=CALL_SECONDS)  # the connection stands

    told = await stub.GetCapabilities(REQUEST, timeout=CALL_SECONDS)

    assert not any(replica.serving for service in told.services for replica in service.replicas)
    assert (list(told.spaces), list(told.languages)) == ([], [])


async def test_service_that_comes_up_is_told_soon(
    platform: Platform, light_launcher: Launcher, connect: Connect
) -> None:
    text = light_launcher.service("text")
    gateway = light_launcher.gateway(platform.targets(text=text.address))
    gateway.wait_serving()
    stub = connect(gateway).gateway
    text.wait_serving()
    told: list[gateway_pb2.GetCapabilitiesResponse] = []

    async def ask() -> None:
        told.append(await stub.GetCapabilities(REQUEST, timeout=CALL_SECONDS))

    begin = time.monotonic()
    while not told or not told[-1].spaces:
        assert time.monotonic() - begin < CALL_SECONDS
        await ask()
    assert [each.name for each in told[-1].services if each.models] == list(SERVICES)
