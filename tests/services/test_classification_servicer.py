"""ClassifyImage: what goes to the model, what comes back, what is refused and in which words."""

from __future__ import annotations

from typing import Any

import grpc
import pytest

from diptych.classification.v1 import classification_pb2, classification_pb2_grpc
from services.classification.items import ClassifiedImage, ImageItem, LabelScore
from services.classification.servicer import ClassificationServicer
from services.classification.settings import ClassificationSettings
from shared.codes import Reason
from shared.encodings import Encoding
from shared.errors import InvalidArgumentError
from shared.inference.predictor import Failure
from tests.services.serving import INFO, refused, serving


def add(server: grpc.aio.Server, batcher: Any, info: Any) -> None:
    servicer = ClassificationServicer(batcher, info, ClassificationSettings())
    classification_pb2_grpc.add_ClassificationServiceServicer_to_server(servicer, server)


def echo(item: ImageItem) -> ClassifiedImage | Failure:
    """The model: as many labels as asked for, each named by the picture's bytes and the language."""
    if item.image == b"bad":
        return Failure(reason=Reason.IMAGE_UNREADABLE, message="is no picture")
    name = item.image.decode()
    encoding = Encoding(space=INFO.space, vector=b"\0\0\x80?", tokens=b"\0<", token_width=1)
    return ClassifiedImage(
        labels=(LabelScore(id=name, text=f"{name}-{item.language}", probability=0.5),) * item.top_k,
        encoding=encoding if item.include_encoding else None,
    )


def classify(channel: grpc.aio.Channel, *images: bytes, **fields: Any) -> Any:
    stub: Any = classification_pb2_grpc.ClassificationServiceStub(channel)
    return stub.ClassifyImage(classification_pb2.ClassifyImageRequest(images=images, **fields), timeout=5)


async def test_images_are_answered_in_order_in_the_language_with_five_labels_by_default() -> None:
    async with serving(add, echo) as channel:
        answer = await classify(channel, b"a", b"b", language="zh")
    first, second = answer.classifications
    assert [label.text for label in first.labels] == ["a-zh"] * 5
    assert second.labels[0].id == "b"
    assert not first.HasField("encoding")


async def test_top_k_and_encodings_come_when_asked_for() -> None:
    async with serving(add, echo) as channel:
        answer = await classify(channel, b"a", top_k=2, include_encodings=True)
    (only,) = answer.classifications
    assert len(only.labels) == 2
    assert (list(only.encoding.vector), only.encoding.tokens, only.encoding.token_width) == ([1.0], b"\0<", 1)


@pytest.mark.parametrize(
    ("images", "language", "field", "words"),
    [
        ([], "en", "images", "0 elements; it must have 1 to 16"),
        ([b"a"] * 17, "en", "images", "17 elements"),
        ([b"a", b"a", b"bad"], "en", "images[2]", "is no picture"),
        ([b"a"], "tlh", "language", "'tlh'; the model knows en, zh"),
    ],
)
async def test_bad_input_names_field_value_and_limit(
    images: list[bytes], language: str, field: str, words: str
) -> None:
    async with serving(add, echo) as channel:
        error = await refused(classify(channel, *images, language=language))
    assert isinstance(error, InvalidArgumentError)
    assert error.field == field
    assert words in str(error)
