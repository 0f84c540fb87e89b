"""Encodings keep their numbers between the wire and the pipe."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diptych.types.v1 import encoding_pb2
from shared.codes import Reason
from shared.encodings import Encoding, from_proto, to_proto
from shared.errors import InvalidArgumentError

FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=8)


def test_vector_on_the_pipe_is_float32_little_endian() -> None:
    encoding = from_proto(encoding_pb2.Encoding(space="s", vector=[0.5, -1.0]), "encoding")
    assert encoding.vector == bytes.fromhex("0000003f 000080bf")


def test_vector_on_the_wire_is_its_numbers() -> None:
    message = to_proto(Encoding(space="s", vector=bytes.fromhex("0000003f 000080bf")))
    assert list(message.vector) == [0.5, -1.0]


def test_tokens_pass_as_they_are() -> None:
    message = to_proto(Encoding(space="s", vector=b"", tokens=b"\x00\x3c" * 4, token_width=2))
    assert (message.tokens, message.token_width) == (b"\x00\x3c" * 4, 2)
    assert from_proto(message, "encoding") == Encoding(space="s", vector=b"", tokens=b"\x00\x3c" * 4, token_width=2)


def test_encoding_without_tokens_says_so() -> None:
    message = to_proto(Encoding(space="s", vector=struct.pack("<f", 1.0)))
    assert (message.tokens, message.token_width) == (b"", 0)


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (encoding_pb2.Encoding(vector=[0.5] * 16_385), "encodings[3]: vector has 16385 numbers; the limit is 16384"),
        (encoding_pb2.Encoding(tokens=bytes(1048577)), "encodings[3]: tokens have 1048577 bytes; the limit is 1048576"),
    ],
    ids=("vector", "tokens"),
)
def test_encoding_longer_than_any_models_is_refused_by_its_field(message: encoding_pb2.Encoding, told: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        from_proto(message, "encodings[3]")
    assert (str(caught.value), caught.value.field) == (told, "encodings[3]")
    assert caught.value.reason is Reason.ENCODING_INVALID


def test_encoding_of_the_greatest_length_passes() -> None:
    message = encoding_pb2.Encoding(space="s", vector=[0.5] * 16_384, tokens=bytes(1048576))
    assert len(from_proto(message, "encoding").vector) == 4 * 16_384


@given(FLOATS, st.text(max_size=8))
def test_there_and_back_is_the_same_to_the_bit(vector: list[float], space: str) -> None:
    encoding = Encoding(space=space, vector=struct.pack(f"<{len(vector)}f", *vector))
    assert from_proto(to_proto(encoding), "encoding") == encoding
