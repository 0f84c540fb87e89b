"""What the gateway refuses by itself: field, message and limit, before any model service is asked."""

from __future__ import annotations

import grpc
import pytest

from diptych.gateway.v1 import gateway_pb2
from gateway.settings import SERVICES
from shared.errors import InvalidArgumentError
from shared.rpc.status import from_rpc_error
from tests.gateway.fake_platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")

TextToImage = gateway_pb2.TextToImageRequest
ImageToText = gateway_pb2.ImageToTextRequest
ClassifyImage = gateway_pb2.ClassifyImageRequest
EncodeText = gateway_pb2.EncodeTextRequest
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
    (ImageToText(), "images", "images is empty; it must have 1 to 16 entries"),
    (ImageToText(images=[b"x"] * 17), "images", "images has 17 entries; the limit is 16"),
    (ImageToText(images=[b"x", b""]), "images[1]", "images[1] is empty; send a picture file's bytes"),
    (ImageToText(images=[BIG]), "images[0]", "images[0] has 8388609 bytes; the limit is 8388608"),
    (ClassifyImage(), "images", "images is empty; it must have 1 to 16 entries"),
    (ClassifyImage(images=[b"x", BIG]), "images[1]", "images[1] has 8388609 bytes; the limit is 8388608"),
    (EncodeText(), "texts", "texts is empty; it must have 1 to 64 entries"),
    (EncodeText(texts=["x"] * 65), "texts", "texts has 65 entries; the limit is 64"),
    (EncodeText(texts=["x", ""]), "texts[1]", "texts[1] is empty; it must have 1 to 500 characters"),
    (EncodeText(texts=["x", "y", "z" * 501]), "texts[2]", "texts[2] has 501 characters; the limit is 500"),
    (EncodeText(texts=["  "]), "texts[0]", "texts[0] has 2 characters, all blank"),
]
ACCEPTED = [
    TextToImage(prompt="x" * 500),
    TextToImage(prompt="猫" * 500),
    TextToImage(prompt="x", seeds=range(16)),
    TextToImage(prompt="x", seeds=[1, 2], image_count=2),
    TextToImage(prompt="x", image_count=16),
    ImageToText(images=[b"x"] * 16),
    ClassifyImage(images=[BIG[1:]]),
    EncodeText(texts=["x"] * 64),
]
Request = gateway_pb2.TextToImageRequest | gateway_pb2.ImageToTextRequest


async def _call(platform: Platform, request: Request) -> None:
    method = getattr(platform.stub, type(request).__name__.removesuffix("Request"))
    await method(request)


@pytest.mark.parametrize(("request_", "field", "message"), REFUSED, ids=[message for _, _, message in REFUSED])
async def test_bad_request_names_field_value_and_limit(
    platform: Platform, request_: Request, field: str, message: str
) -> None:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await _call(platform, request_)
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, str(error)) == (field, message)
    assert not any(fake.calls for service in SERVICES for fake in getattr(platform, service))


@pytest.mark.parametrize("request_", ACCEPTED, ids=lambda request: type(request).__name__)
async def test_request_at_the_limit_is_accepted(platform: Platform, request_: Request) -> None:
    await _call(platform, request_)
