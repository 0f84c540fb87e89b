"""The same prompt and seed give the same pixels: alone, at each position of each batch size, and among strangers."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from diptych.gateway.v1 import gateway_pb2
from diptych.generation.v1 import generation_pb2
from diptych.types.v1 import encoding_pb2, image_pb2
from tests.end_to_end.calls import CALL_SECONDS, Connect, Stubs, encode, generate
from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import pixels_of
from tests.end_to_end.servers import Launcher, Server

BUCKETS = (1, 2, 4, 8)
"""Of the tiny generator."""
SEED = 41
PROMPTS = ("a cat", "a dog", "a house", "an apple", "一只猫", "一座房子")


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def generator(
    request: pytest.FixtureRequest,
    tiny_models: dict[str, Path],
    tmp_path_factory: pytest.TempPathFactory,
    run_mark: str,
) -> Iterator[Server]:
    """A generation service of each precision."""
    launcher = Launcher(tiny_models, tmp_path_factory.mktemp("logs"), run_mark)
    try:
        server = launcher.service("generation", precision=request.param, threads=2)
        server.wait_serving()
        yield server
    finally:
        launcher.stop_all()


def pixels(answer: generation_pb2.GenerateImageResponse) -> list[bytes]:
    """Of each picture."""
    return [pixels_of(each.image.data)[1] for each in answer.images]


async def encodings(text: Stubs) -> list[encoding_pb2.Encoding]:
    """Of each of PROMPTS."""
    return list((await encode(text, *PROMPTS)).encodings)


@pytest.mark.parametrize("size", BUCKETS)
async def test_each_position_of_a_batch_gives_the_pixels_of_the_seed_alone(
    size: int, generator: Server, platform: Platform, connect: Connect
) -> None:
    stubs = connect(generator)
    [encoding, *_] = await encodings(connect(platform.text))
    [alone] = pixels(await generate(stubs, encoding, SEED))

    for position in range(size):
        seeds = [1000 + index for index in range(size)]
        seeds[position] = SEED
        answer = await generate(stubs, encoding, *seeds)

        assert answer.timings.batch_size == size  # nobody else calls: the call is the batch
        assert pixels(answer)[position] == alone


async def test_padded_batch_gives_the_pixels_of_the_seeds_alone(
    generator: Server, platform: Platform, connect: Connect
) -> None:
    stubs = connect(generator)
    [encoding, *_] = await encodings(connect(platform.text))
    alone = [pixels(await generate(stubs, encoding, seed))[0] for seed in range(7)]

    for size in (3, 5, 7):
        assert pixels(await generate(stubs, encoding, *range(size))) == alone[:size]


async def test_concurrent_calls_of_other_prompts_share_batches_and_leave_the_pixels_alone(
    generator: Server, platform: Platform, connect: Connect
) -> None:
    stubs = connect(generator)
    pairs = [(encoding, seed) for encoding in await encodings(connect(platform.text)) for seed in (SEED, 5, 2**40)]
    alone = [pixels(await generate(stubs, encoding, seed)) for encoding, seed in pairs]

    answers = await asyncio.gather(*(generate(stubs, encoding, seed) for encoding, seed in pairs))

    assert max(answer.timings.batch_size for answer in answers) > 1
    assert [pixels(answer) for answer in answers] == alone


async def test_other_seed_or_other_prompt_gives_other_pixels(
    generator: Server, platform: Platform, connect: Connect
) -> None:
    stubs = connect(generator)
    [cat, dog, *_] = await encodings(connect(platform.text))

    pictures = [pixels(await generate(stubs, *pair))[0] for pair in ((cat, 1), (cat, 2), (dog, 1), (dog, 2))]

    assert len(set(pictures)) == 4


async def test_pixel_hash_is_that_of_the_pixels_and_the_same_for_every_format(
    generator: Server, platform: Platform, connect: Connect
) -> None:
    stubs = connect(generator)
    [encoding, *_] = await encodings(connect(platform.text))
    answers = {
        each: await stubs.generation.GenerateImage(
            generation_pb2.GenerateImageRequest(encoding=encoding, seeds=[SEED, 5], format=each), timeout=CALL_SECONDS
        )
        for each in (image_pb2.IMAGE_FORMAT_PNG, image_pb2.IMAGE_FORMAT_JPEG, image_pb2.IMAGE_FORMAT_WEBP)
    }

    lossless = answers[image_pb2.IMAGE_FORMAT_PNG]
    hashes = [each.image.pixel_sha256 for each in lossless.images]
    assert hashes == [hashlib.sha256(each).hexdigest() for each in pixels(lossless)]
    for file_format, answer in answers.items():
        assert [each.image.pixel_sha256 for each in answer.images] == hashes
        assert [each.image.format for each in answer.images] == [file_format] * 2
    starts = {each: answer.images[0].image.data[:4] for each, answer in answers.items()}
    assert starts[image_pb2.IMAGE_FORMAT_JPEG][:3] == b"\xff\xd8\xff"
    assert starts[image_pb2.IMAGE_FORMAT_WEBP] == b"RIFF"


async def test_repeated_call_of_the_gateway_gives_the_same_pictures(platform: Platform, connect: Connect) -> None:
    stubs = connect(platform.gateway)
    drawn = await stubs.gateway.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat", image_count=2))

    again = await stubs.gateway.TextToImage(
        gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[each.seed for each in drawn.images])
    )

    assert [pixels_of(each.image.data) for each in again.images] == [
        pixels_of(each.image.data) for each in drawn.images
    ]
