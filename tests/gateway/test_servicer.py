"""Each RPC of the gateway over real sockets: what comes back, and what the model services saw."""

from __future__ import annotations

import pytest

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import model_pb2
from tests.gateway.fake_platform import Platform
from tests.gateway.fake_services import painted

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_text_to_image_paints_one_picture_a_seed(platform: Platform) -> None:
    answer = await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat", seeds=[7, 2**64 - 1]))
    assert [each.seed for each in answer.images] == [7, 2**64 - 1]
    assert [each.image for each in answer.images] == [painted(7, len("a cat")), painted(2**64 - 1, len("a cat"))]


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


async def test_image_to_text_returns_captions_and_labels_of_each_picture(platform: Platform) -> None:
    answer = await platform.stub.ImageToText(
        gateway_pb2.ImageToTextRequest(images=[b"1", b"333"], language="zh", top_k=2)
    )
    assert [each.captions[0].text for each in answer.descriptions] == ["zh: 1 bytes", "zh: 3 bytes"]
    assert [[label.text for label in each.labels] for each in answer.descriptions] == [["zh label 0", "zh label 1"]] * 2


async def test_image_to_text_asks_for_labels_and_encodings_in_one_call(platform: Platform) -> None:
    await platform.stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[b"1"]))
    assert [call.request.include_encodings for call in platform.classification[0].calls] == [True]


async def test_classify_image_returns_the_labels_of_each_picture(platform: Platform) -> None:
    answer = await platform.stub.ClassifyImage(gateway_pb2.ClassifyImageRequest(images=[b"1", b"22"], top_k=1))
    assert [[label.id for label in result.labels] for result in answer.results] == [["label-0"], ["label-0"]]
    assert not platform.classification[0].calls[0].request.include_encodings


async def test_encode_text_returns_one_encoding_a_text(platform: Platform) -> None:
    answer = await platform.stub.EncodeText(gateway_pb2.EncodeTextRequest(texts=["a", "abc"]))
    assert [list(encoding.vector) for encoding in answer.encodings] == [[1.0], [3.0]]
    assert {encoding.space for encoding in answer.encodings} == {"space-a"}


async def test_stages_name_method_and_model_and_account_for_the_time(platform: Platform) -> None:
    answer = await platform.stub.TextToImage(gateway_pb2.TextToImageRequest(prompt="a cat"))
    assert [stage.method for stage in answer.stages] == [
        "diptych.text.v1.TextEncodingService/EncodeText",
        "diptych.generation.v1.GenerationService/GenerateImage",
    ]
    model = model_pb2.Model(name="fake", version="1", digest="f" * 64, space="space-a")
    assert all(stage.model == model for stage in answer.stages)
    assert all(stage.timings.batch_size == 3 and stage.elapsed_seconds > 0 for stage in answer.stages)


async def test_image_to_text_has_a_stage_for_each_service(platform: Platform) -> None:
    answer = await platform.stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[b"1"]))
    assert [stage.method for stage in answer.stages] == [
        "diptych.classification.v1.ClassificationService/ClassifyImage",
        "diptych.captioning.v1.CaptioningService/GenerateCaption",
    ]
