"""GenerateImage: what goes to the model, what comes back, what is refused and in which words."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from diptych.generation.v1 import generation_pb2, generation_pb2_grpc
from diptych.types.v1 import encoding_pb2, image_pb2
from services.generation.items import PaintedImage, PaintItem
from services.generation.servicer import GenerationServicer
from services.generation.settings import GenerationSettings
from shared.codes import Reason
from shared.errors import FailedPreconditionError, InvalidArgumentError
from shared.inference.predictor import Failure
from tests.services.serving import refused, serving


def add(server: grpc.aio.Server, batcher: Any, info: Any) -> None:
    servicer = GenerationServicer(batcher, info, GenerationSettings())
    generation_pb2_grpc.add_GenerationServiceServicer_to_server(servicer, server)


def write_seed(item: PaintItem) -> PaintedImage | Failure:
    """The model: a picture that is its seed, format and quality in words; it wants a vector of one number."""
    if len(item.vector) != 4:
        return Failure(reason=Reason.ENCODING_INVALID, message="vector has not 1 number")
    words = f"{item.seed} {item.file_format} {item.quality}"
    return PaintedImage(data=words.encode(), pixel_sha256=f"of {item.seed}", width=3, height=2)


def unasked(item: PaintItem) -> PaintedImage:
    """The model, which must not see what is refused."""
    raise AssertionError(item)


def paint(
    channel: grpc.aio.Channel, *seeds: int, space: str = "s1", vector: tuple[float, ...] = (1.0,), **fields: Any
) -> Any:
    stub: Any = generation_pb2_grpc.GenerationServiceStub(channel)
    encoding = encoding_pb2.Encoding(space=space, vector=vector)
    return stub.GenerateImage(generation_pb2.GenerateImageRequest(encoding=encoding, seeds=seeds, **fields), timeout=5)


async def test_one_picture_a_seed_in_order_up_to_the_largest_seed() -> None:
    seeds = [7, 0, 2**64 - 1, 7]
    async with serving(add, write_seed) as channel:
        answer = await paint(channel, *seeds)
    assert [painted.seed for painted in answer.images] == seeds
    assert [painted.image.data for painted in answer.images] == [f"{seed} PNG 0".encode() for seed in seeds]
    image = answer.images[0].image
    assert (image.width, image.height, image.format) == (3, 2, image_pb2.IMAGE_FORMAT_PNG)
    assert image.pixel_sha256 == "of 7"


@pytest.mark.parametrize(
    ("file_format", "quality", "words"),
    [
        (image_pb2.IMAGE_FORMAT_PNG, 0, "PNG 0"),
        (image_pb2.IMAGE_FORMAT_JPEG, 0, "JPEG 90"),
        (image_pb2.IMAGE_FORMAT_JPEG, 1, "JPEG 1"),
        (image_pb2.IMAGE_FORMAT_WEBP, 100, "WEBP 100"),
    ],
)
async def test_format_and_quality_are_the_callers(file_format: Any, quality: int, words: str) -> None:
    async with serving(add, write_seed) as channel:
        answer = await paint(channel, 5, format=file_format, quality=quality)
    assert answer.images[0].image.data == f"5 {words}".encode()
    assert answer.images[0].image.format == file_format


@pytest.mark.parametrize(
    ("file_format", "quality", "field", "words"),
    [
        (9, 0, "format", "format is 9; it must be one of PNG (1), JPEG (2) and WEBP (3)"),
        (image_pb2.IMAGE_FORMAT_JPEG, 101, "quality", "quality is 101; it must be 1 to 100, or 0 for 90"),
        (image_pb2.IMAGE_FORMAT_PNG, 90, "quality", "quality is 90, but PNG is lossless"),
        (image_pb2.IMAGE_FORMAT_UNSPECIFIED, 1, "quality", "PNG is lossless"),
    ],
)
async def test_unknown_formats_and_impossible_qualities_are_refused(
    file_format: Any, quality: int, field: str, words: str
) -> None:
    async with serving(add, unasked) as channel:
        error = await refused(paint(channel, 5, format=file_format, quality=quality))
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, error.reason) == (field, Reason.FIELD_INVALID)
    assert words in str(error)


@pytest.mark.parametrize("count", [0, 17])
async def test_the_number_of_seeds_is_limited(count: int) -> None:
    async with serving(add, write_seed) as channel:
        error = await refused(paint(channel, *range(count)))
    assert isinstance(error, InvalidArgumentError)
    assert error.field == "seeds"
    assert f"{count} elements; it must have 1 to 16" in str(error)


async def test_a_vector_that_the_model_cannot_read_is_a_fault_of_the_encoding() -> None:
    async with serving(add, write_seed) as channel:
        error = await refused(paint(channel, 1, vector=(1.0, 2.0)))
    assert isinstance(error, InvalidArgumentError)
    assert error.field == "encoding"
    assert str(error) == "encoding: vector has not 1 number"


async def test_an_encoding_of_another_space_is_refused_naming_both() -> None:
    async with serving(add, write_seed) as channel:
        error = await refused(paint(channel, 1, space="s2"))
    assert isinstance(error, FailedPreconditionError)
    assert "'s1'" in str(error)
    assert "'s2'" in str(error)
