"""TextToImage and its stream over real sockets: what comes back, and what the model services saw."""

from __future__ import annotations

import pytest

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import image_pb2
from gateway.png import decode_png
from tests.gateway.fake_pictures import painted
from tests.gateway.fake_platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_text_to_image_paints_one_picture_a_seed(platform: Platform) -> None:
    answer = await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7, 2**64 - 1]))
    assert [each.seed for each in answer.images] == [7, 2**64 - 1]
    expected = [painted(7, len("a cat")), painted(2**64 - 1, len("a cat"))]
    assert [decode_png(each.image.data) for each in answer.images] == [decode_png(each.data) for each in expected]
    assert [each.image.pixel_sha256 for each in answer.images] == [each.pixel_sha256 for each in expected]


async def test_text_to_image_draws_consecutive_seeds_when_none_is_given(platform: Platform) -> None:
    answer = await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat", image_count=3))
    seeds = [each.seed for each in answer.images]
    assert seeds == [seeds[0], seeds[0] + 1, seeds[0] + 2]
    assert seeds[0] < 2**32
    assert list(platform.generation[0].calls[0].request.seeds) == seeds


async def test_text_to_image_paints_one_picture_when_no_number_is_given(platform: Platform) -> None:
    answer = await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="一只黑猫"))
    assert len(answer.images) == 1


async def test_two_calls_without_seeds_draw_different_ones(platform: Platform) -> None:
    request = gateway_pb2.TextToImageRequest(prompt="a cat")
    first, second = await platform.stub.TextToImage(request), await platform.stub.TextToImage(request)
    assert first.images[0].seed != second.images[0].seed


async def test_format_and_quality_reach_the_generator(platform: Platform) -> None:
    request = gateway_pb2.TextToImageRequest(prompt="a cat", format=image_pb2.IMAGE_FORMAT_WEBP, quality=70)
    answer = await platform.stub.TextToImage(request)
    asked = platform.generation[0].calls[0].request
    assert (asked.format, asked.quality) == (image_pb2.IMAGE_FORMAT_WEBP, 70)
    assert answer.images[0].image.format == image_pb2.IMAGE_FORMAT_WEBP


async def test_candidates_are_painted_at_once_compared_and_kept_by_similarity(platform: Platform) -> None:
    request = gateway_pb2.TextToImageRequest(prompt="abc", seeds=[8, 64, 16], candidates=3, image_count=2)
    answer = await platform.stub.TextToImage(request)
    assert [each.seed for each in answer.images] == [64, 16]
    assert [each.similarity for each in answer.images] == [3 * 64 / 256, 3 * 16 / 256]
    assert [list(call.request.seeds) for call in platform.generation[0].calls] == [[8, 64, 16]]
    [seen] = platform.classification[0].calls
    assert (len(seen.request.images), seen.request.top_k, seen.request.include_encodings) == (3, 1, True)
    assert [stage.method.rpartition("/")[2] for stage in answer.stages] == [
        "EncodeText", "GenerateImage", "ClassifyImage"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("seeds", "candidates", "image_count", "painted_", "returned"),
    [([], 5, 0, 5, 1), ([], 5, 2, 5, 2), ([1, 2, 3], 3, 0, 3, 3), ([1, 2, 3], 3, 1, 3, 1), ([], 1, 1, 1, 1)],
)
async def test_candidates_say_how_many_are_painted_and_image_count_how_many_return(
    platform: Platform, seeds: list[int], candidates: int, image_count: int, painted_: int, returned: int
) -> None:
    request = gateway_pb2.TextToImageRequest(
        prompt="a cat", seeds=seeds, candidates=candidates, image_count=image_count
    )
    answer = await platform.stub.TextToImage(request)
    assert len(platform.generation[0].calls[0].request.seeds) == painted_
    assert len(answer.images) == returned
    assert all(each.HasField("similarity") for each in answer.images)


async def test_stream_paints_the_pictures_of_the_unary_call(platform: Platform) -> None:
    request = gateway_pb2.StreamTextToImageRequest(prompt="a cat", seeds=[7, 8, 9])
    streamed = {each.index: each.image async for each in platform.stub.StreamTextToImage(request)}
    whole = await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7, 8, 9]))
    assert [streamed[index] for index in range(3)] == list(whole.images)


async def test_stream_asks_the_generator_once_a_seed(platform: Platform) -> None:
    request = gateway_pb2.StreamTextToImageRequest(prompt="a cat", image_count=4)
    seeds = {each.index: each.image.seed async for each in platform.stub.StreamTextToImage(request)}
    assert sorted(seeds.values()) == [seeds[0] + place for place in range(4)]
    assert sorted(list(call.request.seeds) for call in platform.generation[0].calls) == [
        [seed] for seed in sorted(seeds.values())
    ]
    assert len(platform.text[0].calls) == 1
