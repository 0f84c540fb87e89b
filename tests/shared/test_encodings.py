"""Encodings keep their numbers between the wire and the pipe."""

from __future__ import annotations

import struct

from hypothesis import given
from hypothesis import strategies as st

from diptych.types.v1 import encoding_pb2
from shared.encodings import Encoding, from_proto, to_proto

FLOATS = st.lists(st.floats(width=32, allow_nan=False), max_size=8)


def test_vector_on_the_pipe_is_float32_little_endian() -> None:
    encoding = from_proto(encoding_pb2.Encoding(space="s", vector=[0.5, -1.0]))
    assert encoding.vector == bytes.fromhex("0000003f 000080bf")


def test_vector_on_the_wire_is_its_numbers() -> None:
    message = to_proto(Encoding(space="s", vector=bytes.fromhex("0000003f 000080bf")))
    assert list(message.vector) == [0.5, -1.0]


def test_tokens_pass_as_they_are() -> None:
    message = to_proto(Encoding(space="s", vector=b"", tokens=b"\x00\x3c" * 4, token_width=2))
    assert (message.tokens, message.token_width) == (b"\x00\x3c" * 4, 2)
    assert from_proto(message) == Encoding(space="s", vector=b"", tokens=b"\x00\x3c" * 4, token_width=2)


def test_encoding_without_tokens_says_so() -> None:
    message = to_proto(Encoding(space="s", vector=struct.pack("<f", 1.0)))
    assert (message.tokens, message.token_width) == (b"", 0)


@given(FLOATS, st.text(max_size=8))
def test_there_and_back_is_the_same_to_the_bit(vector: list[float], space: str) -> None:
    encoding = Encoding(space=space, vector=struct.pack(f"<{len(vector)}f", *vector))
    assert from_proto(to_proto(encoding)) == encoding
