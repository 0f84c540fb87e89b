"""Where a picture comes from: in the answer for every format, in the file for PNG."""

from __future__ import annotations

import pytest

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import image_pb2
from gateway import png
from gateway.provenance import KEYWORD, embed, read_provenance
from shared.version import diptych_version
from tests.gateway.fake_pictures import painted
from tests.gateway.fake_platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")
PROMPT = "一只黑猫 🐈"
FILE = painted(7, 1).data


async def _paint(platform: Platform, **more: object) -> gateway_pb2.PaintedImage:
    request = gateway_pb2.TextToImageRequest(prompt=PROMPT, seeds=[2**64 - 1], **more)  # type: ignore[arg-type]
    return (await platform.stub.TextToImage(request)).images[0]


async def test_provenance_says_what_makes_the_picture_again(platform: Platform) -> None:
    platform.generation[0].behaviour.version = "2"
    image = await _paint(platform)
    told = image.provenance
    assert (told.prompt, told.seed, told.diptych_version) == (PROMPT, 2**64 - 1, diptych_version())
    assert (told.text_model.version, told.generation_model.version) == ("1", "2")
    assert told.pixel_sha256 == image.image.pixel_sha256 == png.pixel_sha256(image.image.data)


async def test_png_file_holds_what_the_answer_tells(platform: Platform) -> None:
    image = await _paint(platform)
    assert read_provenance(image.image.data) == image.provenance


async def test_other_formats_are_left_as_they_are_and_tell_it_in_the_answer(platform: Platform) -> None:
    image = await _paint(platform, format=image_pb2.IMAGE_FORMAT_JPEG)
    assert png.read_text(image.image.data, KEYWORD) is None  # the fake's JPEG is a PNG all the same
    assert image.provenance.prompt == PROMPT


async def test_prompt_that_is_not_to_be_embedded_is_nowhere(platform: Platform) -> None:
    image = await _paint(platform, embed_prompt=False)
    assert image.provenance.prompt == ""
    assert image.provenance.seed == 2**64 - 1
    assert PROMPT.encode() not in image.SerializeToString()


async def test_file_without_provenance_says_nothing() -> None:
    assert read_provenance(FILE) is None


async def test_provenance_of_a_later_version_is_read() -> None:
    assert read_provenance(png.with_text(FILE, KEYWORD, '{"seed": "7", "mood": "good"}')) == gateway_pb2.Provenance(
        seed=7
    )


@pytest.mark.parametrize("text", ["", "a cat", '{"seed": "seven"}'])
async def test_damaged_provenance_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="damaged provenance"):
        read_provenance(png.with_text(FILE, KEYWORD, text))


async def test_embedding_keeps_the_pixels() -> None:
    assert png.pixel_sha256(embed(FILE, gateway_pb2.Provenance(prompt="x"))) == png.pixel_sha256(FILE)
