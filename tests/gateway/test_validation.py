"""What the gateway refuses by itself: field, message and limit, before any model service is asked."""

from __future__ import annotations

import math
from typing import Any

import grpc
import pytest
from google.protobuf.message import Message

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import image_pb2, sampling_pb2
from gateway.settings import SERVICES
from shared.errors import InvalidArgumentError
from shared.rpc.status import from_rpc_error
from tests.gateway.fake_platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")

TextToImage = gateway_pb2.TextToImageRequest
ImageToText = gateway_pb2.ImageToTextRequest
StreamTextToImage = gateway_pb2.StreamTextToImageRequest
EncodeImage = gateway_pb2.EncodeImageRequest
ClassifyImage = gateway_pb2.ClassifyImageRequest
EncodeText = gateway_pb2.EncodeTextRequest
PNG, JPEG = image_pb2.IMAGE_FORMAT_PNG, image_pb2.IMAGE_FORMAT_JPEG
BIG = bytes(8 * 1024 * 1024 + 1)

REFUSED = [
    (TextToImage(), "prompt", "prompt is empty; it must have 1 to 500 characters"),
    (TextToImage(prompt="x" * 612), "prompt", "prompt has 612 characters; the limit is 500"),
    (TextToImage(prompt="猫" * 501), "prompt", "prompt has 501 characters; the limit is 500"),
    (TextToImage(prompt=" \t\u3000\n"), "prompt", "prompt has 4 characters, all blank"),
    (TextToImage(prompt="x", seeds=range(17)), "seeds", "seeds has 17 entries; the limit is 16"),
    (TextToImage(prompt="x", image_count=17), "image_count", "image_count is 17; the limit is 16"),
    (
        TextToImage(prompt="x", seeds=[1, 2], image_count=3),
        "image_count",
        "image_count is 3 with 2 seeds; it must be 0 or the number of seeds",
    ),
    (TextToImage(prompt="x", candidates=17), "candidates", "candidates is 17; the limit is 16"),
    (
        TextToImage(prompt="x", seeds=[1, 2], candidates=3),
        "candidates",
        "candidates is 3 with 2 seeds; it must be 0 or the number of seeds",
    ),
    (
        TextToImage(prompt="x", image_count=4, candidates=3),
        "candidates",
        "candidates is 3 with image_count 4; it must be 0, or 4 to 16",
    ),
    (TextToImage(prompt="x", format=7), "format", "format is 7; it must be one of 0, 1, 2, 3"),  # type: ignore[arg-type]
    (
        TextToImage(prompt="x", format=JPEG, quality=101),
        "quality",
        "quality is 101; it must be 1 to 100, or 0 for the default",
    ),
    (TextToImage(prompt="x", quality=90), "quality", "quality is 90 for PNG, which is lossless; it must be 0"),
    (
        StreamTextToImage(prompt="x", quality=1, format=PNG),
        "quality",
        "quality is 1 for PNG, which is lossless; it must be 0",
    ),
    (StreamTextToImage(prompt="", seeds=[1]), "prompt", "prompt is empty; it must have 1 to 500 characters"),
    (ImageToText(images=[b"x"], candidates=17), "candidates", "candidates is 17; the limit is 16"),
    (ImageToText(), "images", "images is empty; it must have 1 to 16 entries"),
    (ImageToText(images=[b"x"] * 17), "images", "images has 17 entries; the limit is 16"),
    (ImageToText(images=[b"x", b""]), "images[1]", "images[1] is empty; send a picture file's bytes"),
    (ImageToText(images=[BIG]), "images[0]", "images[0] has 8388609 bytes; the limit is 8388608"),
    (ClassifyImage(), "images", "images is empty; it must have 1 to 16 entries"),
    (ClassifyImage(images=[b"x", BIG]), "images[1]", "images[1] has 8388609 bytes; the limit is 8388608"),
    (ClassifyImage(images=[b"x"], labels=["y"] * 257), "labels", "labels has 257 entries; the limit is 256"),
    (ClassifyImage(images=[b"x"], labels=["y", " "]), "labels[1]", "labels[1] has 1 characters, all blank"),
    (ClassifyImage(images=[b"x"], labels=["y" * 501]), "labels[0]", "labels[0] has 501 characters; the limit is 500"),
    (EncodeImage(), "images", "images is empty; it must have 1 to 16 entries"),
    (EncodeImage(images=[b""]), "images[0]", "images[0] is empty; send a picture file's bytes"),
    (EncodeText(), "texts", "texts is empty; it must have 1 to 64 entries"),
    (EncodeText(texts=["x"] * 65), "texts", "texts has 65 entries; the limit is 64"),
    (EncodeText(texts=["x", ""]), "texts[1]", "texts[1] is empty; it must have 1 to 500 characters"),
    (EncodeText(texts=["x", "y", "z" * 501]), "texts[2]", "texts[2] has 501 characters; the limit is 500"),
    (EncodeText(texts=["  "]), "texts[0]", "texts[0] has 2 characters, all blank"),
]
_DRAWN: list[tuple[dict[str, Any], str, str]] = [
    ({"temperature": 0.01}, "sampling.temperature", "sampling.temperature is 0.01; it must be 0.05 to 5, or 0 for 1"),
    ({"temperature": -1}, "sampling.temperature", "sampling.temperature is -1; it must be 0.05 to 5, or 0 for 1"),
    ({"temperature": 5.5}, "sampling.temperature", "sampling.temperature is 5.5; it must be 0.05 to 5, or 0 for 1"),
    (
        {"temperature": math.nan},
        "sampling.temperature",
        "sampling.temperature is nan; it must be 0.05 to 5, or 0 for 1",
    ),
    ({"top_p": 1.5}, "sampling.top_p", "sampling.top_p is 1.5; it must be above 0 and up to 1, or 0 for 1"),
    ({"top_p": math.nan}, "sampling.top_p", "sampling.top_p is nan; it must be above 0 and up to 1, or 0 for 1"),
]
REFUSED += [
    (ImageToText(images=[b"x"], sampling=sampling_pb2.CaptionSampling(**fields)), field, message)
    for fields, field, message in _DRAWN
]
ACCEPTED = [
    ImageToText(images=[b"x"], sampling=sampling_pb2.CaptionSampling(seed=2**64 - 1, temperature=0.05, top_p=1)),
    ImageToText(images=[b"x"], sampling=sampling_pb2.CaptionSampling(temperature=5)),
    TextToImage(prompt="x" * 500),
    TextToImage(prompt="猫" * 500),
    TextToImage(prompt="x", seeds=range(16)),
    TextToImage(prompt="x", seeds=[1, 2], image_count=2),
    TextToImage(prompt="x", image_count=16),
    TextToImage(prompt="x", format=JPEG, quality=100),
    TextToImage(prompt="x", seeds=range(16), candidates=16, image_count=16),
    StreamTextToImage(prompt="x", image_count=16),
    ImageToText(images=[b"x"] * 16, candidates=16),
    ClassifyImage(images=[b"x"], labels=["y"] * 256),
    EncodeImage(images=[b"x"] * 16),
    ClassifyImage(images=[BIG[1:]]),
    EncodeText(texts=["x"] * 64),
]


async def _call(platform: Platform, request: Message) -> None:
    call = getattr(platform.stub, type(request).__name__.removesuffix("Request"))(request)
    if isinstance(request, StreamTextToImage):
        async for _ in call:
            pass
    else:
        await call


@pytest.mark.parametrize(("request_", "field", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
async def test_bad_request_names_field_value_and_limit(
    platform: Platform, request_: Message, field: str, message: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _call(platform, request_)
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, str(error)) == (field, message)
    assert error.reason is not None
    assert not any(fake.calls for service in SERVICES for fake in getattr(platform, service))


@pytest.mark.parametrize("request_", ACCEPTED, ids=lambda request: type(request).__name__)
async def test_request_at_the_limit_is_accepted(platform: Platform, request_: Message) -> None:
    await _call(platform, request_)
