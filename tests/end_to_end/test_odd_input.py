"""Input that is odd and good is answered: fields of the future, pictures of one pixel, unusual characters."""

from __future__ import annotations

import pytest

from diptych.classification.v1 import classification_pb2
from diptych.gateway.v1 import gateway_pb2
from diptych.text.v1 import text_encoding_pb2
from tests import hostile_pictures
from tests.end_to_end.bad_input import GOOD_PICTURE, GOOD_REQUESTS, Memory, Raw, essence, good_encodings, send
from tests.end_to_end.calls import CALL_SECONDS, Connect
from tests.end_to_end.conftest import Platform
from tests.end_to_end.pictures import picture_file
from tests.end_to_end.servers import SERVERS

DECODED_BYTES = 200e6
"""Of the largest picture that is read, with what it is scaled down by."""
UNKNOWN_FIELDS = b"\xc2\x3e\x06future" + b"\xc8\x3e\x07"
"""Field 1000, a string, and field 1001, a number."""


@pytest.mark.parametrize("server", SERVERS)
async def test_unknown_fields_are_ignored(server: str, platform: Platform, connect: Connect) -> None:
    stubs = connect(platform[server])
    request = GOOD_REQUESTS[server](await good_encodings(platform, connect))
    usual = await send(stubs, server, request)

    method = type(request).__name__.removesuffix("Request")
    data = await send(stubs, server, Raw(method, request.SerializeToString() + UNKNOWN_FIELDS))

    assert essence(type(usual).FromString(data)) == essence(usual)


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
@pytest.mark.parametrize("size", [(1, 1), (8192, 1), (3, 500)], ids=str)
async def test_odd_picture_that_keeps_the_limits_is_described(
    size: tuple[int, int], file_format: str, platform: Platform, connect: Connect
) -> None:
    request = gateway_pb2.ImageToTextRequest(images=[picture_file(file_format, size)])

    answer = await connect(platform.gateway).gateway.ImageToText(request, timeout=CALL_SECONDS)

    assert answer.descriptions[0].labels


@pytest.mark.parametrize("kind", hostile_pictures.READ)
async def test_sixteen_pictures_that_are_made_to_take_long_are_read_by_the_same_model_process(
    kind: str, platform: Platform, connect: Connect
) -> None:
    request = gateway_pb2.ClassifyImageRequest(images=[hostile_pictures.READ[kind]()] * 15 + [GOOD_PICTURE])
    process = platform.classification.model_pid()
    memory = Memory(platform.classification)

    answer = await connect(platform.gateway).gateway.ClassifyImage(request, timeout=CALL_SECONDS)

    assert len(answer.results) == 16
    assert platform.classification.model_pid() == process
    assert memory.extra_bytes()["classification, model"] < request.ByteSize() + DECODED_BYTES


@pytest.mark.parametrize(
    "prompt",
    ["x", "🐈" * 500, "a\x00cat", "قطة سوداء", "a\u0301 cat\u200d", "<script>", "a cat\r\n{}%s\\"],
    ids=("one character", "500 of four bytes", "NUL", "right to left", "joiners", "markup", "escapes"),
)
async def test_prompt_of_odd_characters_is_painted_and_told_unchanged(
    prompt: str, platform: Platform, connect: Connect
) -> None:
    request = gateway_pb2.TextToImageRequest(prompt=prompt, seeds=[2**64 - 1])

    answer = await connect(platform.gateway).gateway.TextToImage(request, timeout=CALL_SECONDS)

    assert answer.images[0].provenance.prompt == prompt
    assert answer.images[0].seed == 2**64 - 1


async def test_more_labels_wanted_than_there_are_means_all(platform: Platform, connect: Connect) -> None:
    request = classification_pb2.ClassifyImageRequest(images=[GOOD_PICTURE], top_k=2**32 - 1)

    answer = await connect(platform.classification).classification.ClassifyImage(request, timeout=CALL_SECONDS)

    assert len(answer.classifications[0].labels) == 4


async def test_a_label_may_stand_twice(platform: Platform, connect: Connect) -> None:
    request = gateway_pb2.ClassifyImageRequest(images=[GOOD_PICTURE], labels=["a cat", "a cat", "a dog"])

    answer = await connect(platform.gateway).gateway.ClassifyImage(request, timeout=CALL_SECONDS)

    assert sorted(label.id for label in answer.results[0].labels) == ["0", "1", "2"]
    assert sum(label.probability for label in answer.results[0].labels) == pytest.approx(1.0)


async def test_as_many_texts_as_the_limit_are_encoded(platform: Platform, connect: Connect) -> None:
    request = text_encoding_pb2.EncodeTextRequest(texts=["x" * 500] * 64)

    answer = await connect(platform.text).text.EncodeText(request, timeout=CALL_SECONDS)

    assert len(answer.encodings) == 64
