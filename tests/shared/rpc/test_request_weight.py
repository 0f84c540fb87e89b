"""A request that would take long to read is refused unread; whatever servicers accept is not."""

from __future__ import annotations

import time

import pytest
from google.protobuf.message import Message

from diptych.captioning.v1 import captioning_pb2
from diptych.classification.v1 import classification_pb2
from diptych.gateway.v1 import gateway_pb2
from diptych.text.v1 import text_encoding_pb2
from diptych.types.v1 import encoding_pb2
from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.rpc.request_weight import check_json_weight, check_weight
from tests.hostile_requests import EMPTY_FIRST_FIELDS, delimited

LARGEST = encoding_pb2.Encoding(space="s", vector=[0.5] * 16_384, tokens=bytes(1 << 20), token_width=16)
MANY_SEEDS = b"\x01" * (1 << 20)
HANG_SECONDS = 2.0

HEAVY: dict[str, tuple[type[Message], bytes, str]] = {
    "empty texts": (text_encoding_pb2.EncodeTextRequest, EMPTY_FIRST_FIELDS, "texts"),
    "empty pictures": (gateway_pb2.ImageToTextRequest, EMPTY_FIRST_FIELDS, "images"),
    "empty encodings": (captioning_pb2.GenerateCaptionRequest, EMPTY_FIRST_FIELDS, "encodings"),
    "packed seeds": (gateway_pb2.TextToImageRequest, delimited(2, MANY_SEEDS), "seeds"),
    "single seeds": (gateway_pb2.TextToImageRequest, b"\x10\x01" * (1 << 20), "seeds"),
    "one long text": (gateway_pb2.TextToImageRequest, delimited(1, b"x" * (9 << 20)), "prompt"),
    "fields of an encoding": (captioning_pb2.GenerateCaptionRequest, delimited(1, EMPTY_FIRST_FIELDS), "encodings"),
    "vector": (captioning_pb2.GenerateCaptionRequest, delimited(1, delimited(2, bytes(33 << 20))), "encodings"),
    "fields of the future": (gateway_pb2.TextToImageRequest, b"\x78\x01" * (1 << 20), ""),
    "groups": (gateway_pb2.TextToImageRequest, b"\x7b\x7c" * (1 << 20), ""),
}
LIGHT: dict[str, Message] = {
    "texts": text_encoding_pb2.EncodeTextRequest(texts=["猫" * 500] * 1024),
    "pictures": gateway_pb2.ClassifyImageRequest(images=[bytes(3 << 20)] * 16, labels=["猫" * 500] * 256),
    "labels": classification_pb2.ClassifyImageRequest(
        images=[bytes(1 << 20)], label_encodings=[encoding_pb2.Encoding(space="s", vector=LARGEST.vector)] * 256
    ),
    "encodings": captioning_pb2.GenerateCaptionRequest(encodings=[LARGEST] * 16),
}


@pytest.mark.parametrize("what", HEAVY)
def test_heavy_request_is_refused_by_its_field_without_being_read(what: str) -> None:
    kind, data, field = HEAVY[what]
    begin = time.thread_time()
    with pytest.raises(InvalidArgumentError) as caught:
        check_weight(data, kind)
    assert time.thread_time() - begin < HANG_SECONDS
    assert (caught.value.reason, caught.value.field) == (Reason.REQUEST_TOO_LARGE, field)
    assert str(caught.value).startswith(field)


@pytest.mark.parametrize("what", LIGHT)
def test_largest_request_that_servicers_accept_is_light(what: str) -> None:
    check_weight(LIGHT[what].SerializeToString(), type(LIGHT[what]))


@pytest.mark.parametrize(
    "damage", [b"\xff" * (1 << 20), b"\x0a\xff\xff\xff\xff\x7f", b"\x0e", b"\x0a", b"\x09\x01"], ids=bytes.hex
)
def test_damage_is_left_to_the_parser(damage: bytes) -> None:
    padding = delimited(3, bytes(70_000))  # tokens: so that it is weighed at all
    check_weight(padding + damage, encoding_pb2.Encoding)


def test_small_request_is_not_weighed() -> None:
    check_weight(b"\x0a\x00" * 32_768, text_encoding_pb2.EncodeTextRequest)


@pytest.mark.parametrize(
    "data",
    [
        b'{"texts":[' + b'"",' * 100_000 + b'""]}',
        b'{"seeds":[' + b"1," * 100_000 + b"1]}",
        b'{"texts":' + b"[" * 100_000,
        b'{"prompt":"' + "é".encode() * (9 << 20) + b'"}',
        b'{"prompt":"' + b"\\u00e9" * (3 << 20) + b'"}',
    ],
    ids=("empty texts", "seeds", "brackets", "wide characters", "escapes"),
)
def test_heavy_json_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_json_weight(data)
    assert caught.value.reason is Reason.REQUEST_TOO_LARGE


@pytest.mark.parametrize(
    "data",
    [
        b'{"images":["' + b"A" * (60 << 20) + b'"]}',
        b'{"images":["' + b"A" * (11 << 20) + '"],"labels":["猫"]}'.encode(),
        b'{"texts":[' + b",".join([b'"' + b"," * 500 + b'"'] * 64) + b"]}",
    ],
    ids=("pictures", "picture with Chinese labels", "texts of commas"),
)
def test_largest_json_that_the_gateway_accepts_is_light(data: bytes) -> None:
    check_json_weight(data)
