"""How a model service's errors reach the caller of the gateway, over real sockets."""

from __future__ import annotations

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from gateway.settings import GatewaySettings
from shared.errors import (
    CallError,
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    OverloadedError,
    UnavailableError,
    UnimplementedError,
)
from shared.rpc.status import from_rpc_error
from tests.gateway.fake_platform import Platform, running_platform

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def _text_to_image(platform: Platform, seconds: float | None = None) -> CallError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat"), timeout=seconds)
    return from_rpc_error(caught.value)


async def _image_to_text(platform: Platform) -> CallError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await platform.stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[b"x"] * 4))
    return from_rpc_error(caught.value)


async def test_text_refused_by_the_encoder_comes_out_as_the_prompt(platform: Platform) -> None:
    platform.text[0].behaviour.error = lambda: InvalidArgumentError("texts[0] is rude", field="texts[0]")
    error = await _text_to_image(platform)
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, str(error)) == ("prompt", "prompt is rude")


async def test_image_refused_by_classification_keeps_its_path(platform: Platform) -> None:
    platform.classification[0].behaviour.error = lambda: InvalidArgumentError(
        "images[3] is no picture", field="images[3]"
    )
    error = await _image_to_text(platform)
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, str(error)) == ("images[3]", "images[3] is no picture")


async def test_encoding_refused_by_captioning_comes_out_as_the_image(platform: Platform) -> None:
    platform.captioning[0].behaviour.error = lambda: InvalidArgumentError(
        "encodings[2] has no tokens", field="encodings[2]"
    )
    error = await _image_to_text(platform)
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, str(error)) == ("images[2]", "images[2] has no tokens")


async def test_language_refused_by_captioning_keeps_its_field(platform: Platform) -> None:
    platform.captioning[0].behaviour.error = lambda: InvalidArgumentError("language is 'fr'", field="language")
    error = await _image_to_text(platform)
    assert isinstance(error, InvalidArgumentError)
    assert error.field == "language"


async def test_overload_keeps_its_retry_time(platform: Platform) -> None:
    platform.generation[0].behaviour.error = lambda: OverloadedError("queue is full", retry_after_seconds=1.5)
    error = await _text_to_image(platform)
    assert isinstance(error, OverloadedError)
    assert (error.retry_after_seconds, str(error)) == (1.5, "generation: queue is full")


async def test_internal_error_names_the_service(platform: Platform) -> None:
    platform.captioning[0].behaviour.error = lambda: InternalError("the model returned NaN")
    error = await _image_to_text(platform)
    assert isinstance(error, InternalError)
    assert str(error) == "captioning: the model returned NaN"


async def test_target_that_is_another_service_is_our_defect(platform: Platform) -> None:
    platform.text[0].behaviour.error = lambda: UnimplementedError("no such method")
    assert isinstance(await _text_to_image(platform), InternalError)


async def test_slow_service_ends_with_deadline_exceeded(platform: Platform) -> None:
    platform.generation[0].behaviour.delay_seconds = 30
    assert isinstance(await _text_to_image(platform, seconds=0.3), DeadlineExceededError)


async def test_service_that_is_down_is_named_with_address_and_reason() -> None:
    async with running_platform(GatewaySettings(replica_wait_seconds=1)) as platform:
        await platform.classification[0].kill()
        error = await _image_to_text(platform)
        assert isinstance(error, UnavailableError)
        address = platform.classification[0].address
        assert str(error) == f"classification: no replica is serving ({address}: connection refused)"


async def test_service_that_is_down_is_told_within_the_callers_deadline() -> None:
    async with running_platform(GatewaySettings(replica_wait_seconds=30)) as platform:
        await platform.generation[0].set_serving(False)
        error = await _text_to_image(platform, seconds=4)
        assert isinstance(error, UnavailableError)
        assert str(error) == f"generation: no replica is serving ({platform.generation[0].address}: not serving)"


async def test_calls_that_do_not_need_a_lost_service_go_on() -> None:
    async with running_platform() as platform:
        await platform.generation[0].kill()
        answer = await platform.stub.EncodeText(gateway_pb2.EncodeTextRequest(texts=["abc"]))
        assert list(answer.encodings[0].vector) == [3.0]
