"""How a model service's errors reach the caller of the gateway, over real sockets."""

from __future__ import annotations

import types
from pathlib import Path

import grpc
import pytest

import gateway
from diptych.gateway.v1 import gateway_pb2
from gateway.settings import SERVICES, GatewaySettings
from shared.codes import Reason
from shared.errors import (
    MESSAGE_BYTES,
    CallError,
    DeadlineExceededError,
    InternalError,
    InvalidArgumentError,
    OverloadedError,
    UnavailableError,
    UnimplementedError,
)
from shared.rpc.context import current_call
from shared.rpc.status import from_rpc_error
from tests.garbage import garbage
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


async def test_refused_calls_leave_no_frame_of_the_gateway_to_the_garbage_collector(platform: Platform) -> None:
    # A frame keeps its request, as large as 60 MiB.
    platform.text[0].behaviour.error = lambda: InvalidArgumentError("texts[0] is rude", field="texts[0]")
    platform.classification[0].behaviour.error = lambda: OverloadedError("full", retry_after_seconds=1.0)
    platform.captioning[0].behaviour.error = lambda: InternalError("broken")
    with garbage() as found:
        for _ in range(3):
            await _text_to_image(platform)
            await _image_to_text(platform)
    frames = [each.f_code for each in found if isinstance(each, types.FrameType)]
    assert not [code for code in frames if Path(code.co_filename).is_relative_to(Path(gateway.__file__).parent)]


async def test_label_refused_by_the_encoder_comes_out_with_its_place_among_all(platform: Platform) -> None:
    def refuse_the_second_part() -> CallError | None:
        [call] = [each for each in platform.text[0].calls if each.context is current_call()]
        if len(call.request.texts) == 64:
            return None
        return InvalidArgumentError("texts[6] is rude", reason=Reason.FIELD_INVALID, field="texts[6]")

    platform.text[0].behaviour.error = refuse_the_second_part
    labels = [f"label {index}" for index in range(80)]
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await platform.stub.ClassifyImage(gateway_pb2.ClassifyImageRequest(images=[b"x"], labels=labels))
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, str(error), error.reason) == ("labels[70]", "labels[70] is rude", Reason.FIELD_INVALID)


async def test_candidate_that_classification_refuses_is_not_the_callers_fault(platform: Platform) -> None:
    platform.classification[0].behaviour.error = lambda: InvalidArgumentError("images[0] is odd", field="images[0]")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat", candidates=2))
    error = from_rpc_error(caught.value)
    assert isinstance(error, InternalError)
    assert (str(error), error.reason) == ("classification: images[0] is odd", Reason.DEFECT)


@pytest.mark.parametrize("method", ["TextToImage", "StreamTextToImage", "EncodeText", "EncodeImage"])
async def test_space_that_nobody_serves_is_refused_by_every_call_that_takes_one(
    platform: Platform, method: str
) -> None:
    inputs: dict[str, dict[str, object]] = {"EncodeText": {"texts": ["a"]}, "EncodeImage": {"images": [b"x"]}}
    fields = inputs.get(method, {"prompt": "a cat"})
    call = getattr(platform.stub, method)(getattr(gateway_pb2, f"{method}Request")(space="space-z", **fields))
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await (anext(aiter(call)) if method.startswith("Stream") else call)
    error = from_rpc_error(caught.value)
    assert error.reason is Reason.SPACE_NOT_SERVED
    assert str(error).endswith("space 'space-z' is not served; served: space-a")
    assert not any(fake.calls for service in SERVICES for fake in getattr(platform, service))


@pytest.mark.parametrize(
    ("theirs", "reason"),
    [
        (OverloadedError("queue is full", reason=Reason.QUEUE_FULL), Reason.QUEUE_FULL),
        (InternalError("the model returned NaN", reason=Reason.MODEL_OUTPUT_INVALID), Reason.MODEL_OUTPUT_INVALID),
        (UnimplementedError("no such method"), Reason.DEFECT),
        (InvalidArgumentError("seeds[0] is odd", reason=Reason.FIELD_INVALID, field="seeds[0]"), Reason.FIELD_INVALID),
    ],
    ids=lambda value: value.name if isinstance(value, Reason) else "",
)
async def test_reason_of_a_service_reaches_the_caller(platform: Platform, theirs: CallError, reason: Reason) -> None:
    platform.generation[0].behaviour.error = lambda: theirs
    assert (await _text_to_image(platform)).reason is reason


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


async def test_message_stays_short_with_the_services_name(platform: Platform) -> None:
    platform.captioning[0].behaviour.error = lambda: InternalError("猫" * 10_000)
    error = await _image_to_text(platform)
    assert str(error).startswith("captioning: 猫")
    assert len(str(error).encode()) <= MESSAGE_BYTES


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
        assert error.reason is Reason.NO_REPLICA


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
