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
    """The model: a picture that is its seed in words; it wants a vector of one number."""
    if len(item.vector) != 4:
        return Failure(reason=Reason.ENCODING_INVALID, message="vector has not 1 number")
    return PaintedImage(png=str(item.seed).encode(), width=3, height=2)


def paint(channel: grpc.aio.Channel, *seeds: int, space: str = "s1", vector: tuple[float, ...] = (1.0,)) -> Any:
    stub: Any = generation_pb2_grpc.GenerationServiceStub(channel)
    encoding = encoding_pb2.Encoding(space=space, vector=vector)
    return stub.GenerateImage(generation_pb2.GenerateImageRequest(encoding=encoding, seeds=seeds), timeout=5)


async def test_one_picture_a_seed_in_order_up_to_the_largest_seed() -> None:
    seeds = [7, 0, 2**64 - 1, 7]
    async with serving(add, write_seed) as channel:
        answer = await paint(channel, *seeds)
    assert [painted.seed for painted in answer.images] == seeds
    assert [painted.image.data for painted in answer.images] == [str(seed).encode() for seed in seeds]
    image = answer.images[0].image
    assert (image.width, image.height, image.format) == (3, 2, image_pb2.IMAGE_FORMAT_PNG)


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
