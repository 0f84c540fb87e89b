"""EncodeText: what goes to the model, what comes back, what is refused and in which words."""

from __future__ import annotations

from array import array
from typing import Any

import grpc
import pytest

from diptych.text.v1 import text_encoding_pb2, text_encoding_pb2_grpc
from services.text.servicer import TextEncodingServicer
from services.text.settings import TextSettings
from shared.codes import Reason
from shared.encodings import Encoding
from shared.errors import InternalError, InvalidArgumentError
from shared.inference.predictor import Failure
from tests.services.serving import INFO, refused, serving


def add(server: grpc.aio.Server, batcher: Any, info: Any) -> None:
    servicer = TextEncodingServicer(batcher, info, TextSettings())
    text_encoding_pb2_grpc.add_TextEncodingServiceServicer_to_server(servicer, server)


def length(text: str) -> Encoding | Failure:
    """The model: a text's encoding is its length."""
    if text == "unreadable":
        return Failure(reason=Reason.FIELD_MISSING, message="cannot be read")
    if text == "nan":
        return Failure(reason=Reason.MODEL_OUTPUT_INVALID, message="the model answered NaN")
    return Encoding(space=INFO.space, vector=array("f", [len(text)]).tobytes())


def encode(channel: grpc.aio.Channel, *texts: str) -> Any:
    stub: Any = text_encoding_pb2_grpc.TextEncodingServiceStub(channel)
    return stub.EncodeText(text_encoding_pb2.EncodeTextRequest(texts=texts), timeout=5)


async def test_texts_are_answered_in_order_with_model_and_timings() -> None:
    async with serving(add, length) as channel:
        answer = await encode(channel, "a", "bbb", "一只黑猫")
    assert [list(encoding.vector) for encoding in answer.encodings] == [[1], [3], [4]]
    assert {encoding.space for encoding in answer.encodings} == {"s1"}
    assert (answer.model.name, answer.model.digest) == ("fake", "d" * 64)
    assert answer.timings.batch_size == 3
    assert answer.timings.inference_seconds == 0.25


@pytest.mark.parametrize(
    ("texts", "field", "words"),
    [
        ([], "texts", "0 elements; it must have 1 to 64"),
        (["a"] * 65, "texts", "65 elements; it must have 1 to 64"),
        (["a", ""], "texts[1]", "blank"),
        (["a", " \n"], "texts[1]", "blank"),
        (["a" * 612], "texts[0]", "612 characters; the limit is 500"),
        (["a", "b", "unreadable"], "texts[2]", "cannot be read"),
    ],
)
async def test_bad_input_names_field_value_and_limit(texts: list[str], field: str, words: str) -> None:
    async with serving(add, length) as channel:
        error = await refused(encode(channel, *texts))
    assert isinstance(error, InvalidArgumentError)
    assert error.field == field
    assert words in str(error)


async def test_500_characters_of_any_script_are_accepted() -> None:
    async with serving(add, length) as channel:
        answer = await encode(channel, "猫" * 500)
    assert list(answer.encodings[0].vector) == [500]


async def test_a_failure_of_the_model_is_internal_and_names_the_item() -> None:
    async with serving(add, length) as channel:
        error = await refused(encode(channel, "a", "nan"))
    assert isinstance(error, InternalError)
    assert "texts[1]" in str(error)
