"""Provenance over real services: what a file says of itself makes the same picture again."""

from __future__ import annotations

import hashlib
import io

import pytest
from PIL import Image

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import image_pb2
from gateway import png
from gateway.provenance import KEYWORD, read_provenance
from tests.end_to_end.calls import CALL_SECONDS, Connect
from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import pixels_of

PROMPT = '一只猫, "a cat" 🐈'


async def test_what_a_file_says_makes_the_same_picture_again(platform: Platform, connect: Connect) -> None:
    stub = connect(platform.gateway).gateway
    request = gateway_pb2.TextToImageRequest(prompt=PROMPT, image_count=2)
    for first in (await stub.TextToImage(request, timeout=CALL_SECONDS)).images:
        told = read_provenance(first.image.data)
        assert told == first.provenance

        again = gateway_pb2.TextToImageRequest(prompt=told.prompt, seeds=[told.seed], space=told.text_model.space)
        [second] = (await stub.TextToImage(again, timeout=CALL_SECONDS)).images

        assert second.image.pixel_sha256 == told.pixel_sha256
        assert second.image.data == first.image.data


async def test_hash_is_that_of_the_files_pixels(platform: Platform, connect: Connect) -> None:
    request = gateway_pb2.TextToImageRequest(prompt=PROMPT, seeds=[7])
    [painted] = (await connect(platform.gateway).gateway.TextToImage(request, timeout=CALL_SECONDS)).images

    assert painted.provenance.pixel_sha256 == hashlib.sha256(pixels_of(painted.image.data)[1]).hexdigest()
    assert painted.provenance.pixel_sha256 == png.pixel_sha256(painted.image.data)


async def test_other_programs_read_the_file_and_its_text(platform: Platform, connect: Connect) -> None:
    request = gateway_pb2.TextToImageRequest(prompt=PROMPT)
    [painted] = (await connect(platform.gateway).gateway.TextToImage(request, timeout=CALL_SECONDS)).images

    with Image.open(io.BytesIO(painted.image.data)) as image:
        image.verify()
        assert PROMPT.replace('"', '\\"') in image.info[KEYWORD]


@pytest.mark.parametrize("name", ["PNG", "JPEG", "WEBP"])
async def test_prompt_that_is_not_to_be_embedded_is_in_no_file(name: str, platform: Platform, connect: Connect) -> None:
    request = gateway_pb2.TextToImageRequest(
        prompt="a cat", seeds=[7], embed_prompt=False, format=image_pb2.ImageFormat.Value(f"IMAGE_FORMAT_{name}")
    )
    [painted] = (await connect(platform.gateway).gateway.TextToImage(request, timeout=CALL_SECONDS)).images

    assert b"a cat" not in painted.SerializeToString()
    assert painted.provenance.seed == 7


async def test_pixels_hash_is_the_same_in_every_format(platform: Platform, connect: Connect) -> None:
    stub = connect(platform.gateway).gateway
    hashes = set()
    for file_format in (image_pb2.IMAGE_FORMAT_PNG, image_pb2.IMAGE_FORMAT_JPEG, image_pb2.IMAGE_FORMAT_WEBP):
        request = gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7], format=file_format)
        hashes.add((await stub.TextToImage(request, timeout=CALL_SECONDS)).images[0].provenance.pixel_sha256)
    assert len(hashes) == 1
