"""Each RPC of the gateway but painting, over real sockets: what comes back, and what the services saw."""

from __future__ import annotations

import pytest

from diptych.gateway.v1 import gateway_pb2
from diptych.types.v1 import model_pb2, sampling_pb2
from tests.gateway.fake_platform import Platform

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_image_to_text_returns_captions_and_labels_of_each_picture(platform: Platform) -> None:
    answer = await platform.stub.ImageToText(
        gateway_pb2.ImageToTextRequest(images=[b"1", b"333"], language="zh", top_k=2)
    )
    assert [each.captions[0].text for each in answer.descriptions] == ["zh: 1 bytes", "zh: 3 bytes"]
    assert [[label.text for label in each.labels] for each in answer.descriptions] == [["zh label 0", "zh label 1"]] * 2


async def test_image_to_text_returns_as_many_captions_as_candidates(platform: Platform) -> None:
    answer = await platform.stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[b"1"], candidates=3))
    assert [caption.score for caption in answer.descriptions[0].captions] == [-0.5, -1.5, -2.5]


async def test_image_to_text_asks_what_a_picture_is_of_unless_heads_are_named(platform: Platform) -> None:
    plain = await platform.stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[b"1"]))
    named = await platform.stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[b"22"], heads=["style", "colour"]))
    assert [[head.head for head in each.descriptions[0].heads] for each in (plain, named)] == [
        ["content"],
        ["style", "colour"],
    ]
    assert [list(call.request.heads) for call in platform.classification[0].calls] == [["content"], ["style", "colour"]]


async def test_captions_are_drawn_by_the_callers_seed_or_by_one_that_is_told(platform: Platform) -> None:
    def request(**sampling: float) -> gateway_pb2.ImageToTextRequest:
        drawn = sampling_pb2.CaptionSampling(temperature=0.5, **sampling)  # type: ignore[arg-type]
        return gateway_pb2.ImageToTextRequest(images=[b"1"], language="en", sampling=drawn)

    given = await platform.stub.ImageToText(request(seed=0, top_p=0.25))
    assert (given.seed, given.descriptions[0].captions[0].text) == (0, "en: 1 bytes, seed 0 at 0.5")
    assert platform.captioning[0].calls[0].request.sampling.top_p == 0.25
    told = await platform.stub.ImageToText(request())
    assert told.descriptions[0].captions[0].text == f"en: 1 bytes, seed {told.seed} at 0.5"
    assert told.seed != (await platform.stub.ImageToText(request())).seed
    searched = await platform.stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[b"1"]))
    assert not searched.HasField("seed")


async def test_image_to_text_asks_for_labels_and_encodings_in_one_call(platform: Platform) -> None:
    await platform.stub.ImageToText(gateway_pb2.ImageToTextRequest(images=[b"1"]))
    assert [call.request.include_encodings for call in platform.classification[0].calls] == [True]


async def test_classify_image_returns_the_labels_of_each_picture(platform: Platform) -> None:
    answer = await platform.stub.ClassifyImage(gateway_pb2.ClassifyImageRequest(images=[b"1", b"22"], top_k=1))
    assert [[label.id for label in result.labels] for result in answer.results] == [["label-0"], ["label-0"]]
    assert not platform.classification[0].calls[0].request.include_encodings


async def test_classify_image_answers_from_the_heads_that_are_named(platform: Platform) -> None:
    answer = await platform.stub.ClassifyImage(gateway_pb2.ClassifyImageRequest(images=[b"1"], heads=["objects"]))
    [head] = answer.results[0].heads
    assert (head.head, [label.id for label in head.labels]) == ("objects", ["objects-label-0"])
    plain = await platform.stub.ClassifyImage(gateway_pb2.ClassifyImageRequest(images=[b"1"]))
    assert not plain.results[0].heads


async def test_classify_image_by_own_labels_gives_them_back_as_they_came(platform: Platform) -> None:
    request = gateway_pb2.ClassifyImageRequest(images=[b"1", b"22"], labels=["a cat", "一只狗", "a cat"])
    answer = await platform.stub.ClassifyImage(request)
    assert [[label.text for label in result.labels] for result in answer.results] == [["a cat", "一只狗", "a cat"]] * 2
    assert [label.id for label in answer.results[0].labels] == ["2", "1", "0"]
    sent = platform.classification[0].calls[0].request.label_encodings
    assert [list(encoding.vector) for encoding in sent] == [[5.0], [3.0], [5.0]]


async def test_classify_image_by_256_labels_encodes_them_in_parts_of_64(platform: Platform) -> None:
    labels = [f"label {index}" for index in range(256)]
    request = gateway_pb2.ClassifyImageRequest(images=[b"1"], labels=labels, top_k=300)
    answer = await platform.stub.ClassifyImage(request)
    assert [len(call.request.texts) for call in platform.text[0].calls] == [64] * 4
    assert {label.text for label in answer.results[0].labels} == set(labels)


async def test_encode_image_returns_encodings_and_tokens_only_if_wanted(platform: Platform) -> None:
    answer = await platform.stub.EncodeImage(gateway_pb2.EncodeImageRequest(images=[b"1", b"333"]))
    assert [list(encoding.vector) for encoding in answer.encodings] == [[1.0], [3.0]]
    assert {(encoding.tokens, encoding.token_width) for encoding in answer.encodings} == {(b"", 0)}
    whole = await platform.stub.EncodeImage(gateway_pb2.EncodeImageRequest(images=[b"1"], include_tokens=True))
    assert whole.encodings[0].tokens == b"tt"


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
