"""ClassifyImage: what goes to the model, what comes back, what is refused and in which words."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import grpc
import pytest

from diptych.classification.v1 import classification_pb2, classification_pb2_grpc
from diptych.types.v1 import encoding_pb2
from services.classification.items import ClassifiedImage, HeadScores, ImageItem, LabelScore
from services.classification.servicer import ClassificationServicer
from services.classification.settings import ClassificationSettings
from shared.codes import Reason
from shared.encodings import Encoding
from shared.errors import FailedPreconditionError, InvalidArgumentError
from shared.inference.predictor import Failure, HeadInfo
from tests.services.serving import INFO, refused, serving

HEADS = tuple(HeadInfo(name=name, multi_label=False, labels=()) for name in ("concept", "objects"))


def add(server: grpc.aio.Server, batcher: Any, info: Any) -> None:
    servicer = ClassificationServicer(batcher, replace(info, heads=HEADS), ClassificationSettings())
    classification_pb2_grpc.add_ClassificationServiceServicer_to_server(servicer, server)


def echo(item: ImageItem) -> ClassifiedImage | Failure:
    """The model: as many labels as asked for, each named by the picture's bytes and the language.

    With labels of the caller's own: their bytes, spelt by the picture.
    """
    if item.image == b"bad":
        return Failure(reason=Reason.IMAGE_UNREADABLE, message="is no picture")
    if item.label_vectors is not None:
        if b"" in item.label_vectors:
            place = item.label_vectors.index(b"")
            return Failure(reason=Reason.ENCODING_INVALID, message="is short", field=f"label_encodings[{place}]")
        told = (LabelScore(id=vector.hex(), text=item.language, probability=0.5) for vector in item.label_vectors)
        return ClassifiedImage(labels=tuple(told), encoding=None)
    name = item.image.decode()
    encoding = Encoding(space=INFO.space, vector=b"\0\0\x80?", tokens=b"\0<", token_width=1)
    return ClassifiedImage(
        labels=(LabelScore(id=name, text=f"{name}-{item.language}", probability=0.5),) * item.top_k,
        encoding=encoding if item.include_encoding else None,
        heads=tuple(
            HeadScores(head=head, labels=(LabelScore(id=f"{head}-{name}", text="", probability=0.5),))
            for head in item.heads
        ),
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


async def test_heads_are_answered_in_the_order_of_the_request_and_none_unasked() -> None:
    async with serving(add, echo) as channel:
        plain = await classify(channel, b"a")
        asked = await classify(channel, b"a", heads=["objects", "content", "concept"])
    assert not plain.classifications[0].heads
    told = {head.head: [label.id for label in head.labels] for head in asked.classifications[0].heads}
    assert list(told.items()) == [(head, [f"{head}-a"]) for head in ("objects", "content", "concept")]


@pytest.mark.parametrize(
    ("heads", "labels", "field", "words"),
    [
        (
            ["objects", "colour"],
            0,
            "heads[1]",
            "'colour', which is not of this model; it has content, concept, objects",
        ),
        (["objects", "objects"], 0, "heads[1]", "'objects', which is named twice"),
        (["objects"], 1, "heads[0]", "'objects', which cannot be answered beside label_encodings"),
    ],
)
async def test_head_that_cannot_be_answered_is_named(heads: list[str], labels: int, field: str, words: str) -> None:
    async with serving(add, echo) as channel:
        error = await refused(classify(channel, b"a", heads=heads, label_encodings=[label()] * labels))
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, error.reason) == (field, Reason.FIELD_INVALID)
    assert words in str(error)


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


def label(number: float = 1.0, space: str = "s1") -> encoding_pb2.Encoding:
    """A label's encoding of one number; 1.0 is 0000803f in bytes."""
    return encoding_pb2.Encoding(space=space, vector=[number], tokens=b"ignored", token_width=1)


async def test_the_callers_labels_go_with_every_image_and_without_their_tokens() -> None:
    async with serving(add, echo) as channel:
        answer = await classify(channel, b"a", b"b", label_encodings=[label(), label(-1.0)])
    for each in answer.classifications:
        assert [one.id for one in each.labels] == ["0000803f", "000080bf"]
        assert {one.text for one in each.labels} == {""}


async def test_a_language_beside_own_labels_must_exist_and_changes_nothing() -> None:
    async with serving(add, echo) as channel:
        await classify(channel, b"a", label_encodings=[label()], language="zh")
        error = await refused(classify(channel, b"a", label_encodings=[label()], language="tlh"))
    assert isinstance(error, InvalidArgumentError) and error.reason is Reason.LANGUAGE_UNKNOWN


async def test_too_many_own_labels_are_refused_with_the_limit() -> None:
    async with serving(add, echo) as channel:
        await classify(channel, b"a", label_encodings=[label()] * 256)
        error = await refused(classify(channel, b"a", label_encodings=[label()] * 257))
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, error.reason) == ("label_encodings", Reason.TOO_MANY_ITEMS)
    assert "257 elements; it must have 1 to 256" in str(error)


async def test_own_label_of_another_space_is_refused_naming_both() -> None:
    async with serving(add, echo) as channel:
        error = await refused(classify(channel, b"a", label_encodings=[label(), label(space="s2")]))
    assert isinstance(error, FailedPreconditionError) and error.reason is Reason.SPACE_MISMATCH
    assert "'s1'" in str(error) and "'s2'" in str(error)


async def test_own_label_that_the_model_cannot_read_is_named_not_the_image() -> None:
    short = encoding_pb2.Encoding(space="s1")
    async with serving(add, echo) as channel:
        error = await refused(classify(channel, b"a", b"b", label_encodings=[label(), short]))
    assert isinstance(error, InvalidArgumentError)
    assert (error.field, error.reason) == ("label_encodings[1]", Reason.ENCODING_INVALID)
    assert str(error) == "label_encodings[1]: is short"
