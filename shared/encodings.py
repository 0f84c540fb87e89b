"""The Encoding value that crosses the pipe to a model process, and its wire form; no numpy, no torch."""

from __future__ import annotations

import sys
from array import array
from dataclasses import dataclass

from diptych.types.v1 import encoding_pb2
from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.limits import ENCODING_NUMBERS, ENCODING_TOKEN_BYTES


@dataclass(frozen=True, kw_only=True)
class Encoding:
    """A point of a joint text-image space.

    `vector` is float32, little-endian, of unit norm; `tokens` is float16, little-endian, row-major,
    `token_width` numbers a token, or empty.
    """

    space: str
    vector: bytes
    tokens: bytes = b""
    token_width: int = 0


def to_proto(encoding: Encoding) -> encoding_pb2.Encoding:
    """The message for a value."""
    vector = array("f", encoding.vector)
    if sys.byteorder == "big":
        vector.byteswap()
    return encoding_pb2.Encoding(
        space=encoding.space, vector=vector, tokens=encoding.tokens, token_width=encoding.token_width
    )


def from_proto(message: encoding_pb2.Encoding, field: str) -> Encoding:
    """The value of a message, unless it is longer than any model's; the model process knows the shapes.

    Raises:
        InvalidArgumentError: it is; names `field`, where the message stands in its request.
    """
    if (numbers := len(message.vector)) > ENCODING_NUMBERS:
        raise _too_long(field, f"vector has {numbers} numbers; the limit is {ENCODING_NUMBERS}")
    if (size := len(message.tokens)) > ENCODING_TOKEN_BYTES:
        raise _too_long(field, f"tokens have {size} bytes; the limit is {ENCODING_TOKEN_BYTES}")
    vector = array("f", message.vector)
    if sys.byteorder == "big":
        vector.byteswap()
    return Encoding(
        space=message.space, vector=vector.tobytes(), tokens=message.tokens, token_width=message.token_width
    )


def _too_long(field: str, message: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"{field}: {message}", reason=Reason.ENCODING_INVALID, field=field)
