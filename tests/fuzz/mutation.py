"""Changes inputs so that they still are what they were: messages field by field, PNG files with checksums that fit."""

from __future__ import annotations

import math
import random
import struct
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from tests.hostile_pictures import GIF, JPEG, PNG, WEBP

LONGEST_TEXT = 600
"""Characters of a text that is made by repeating one: more than any limit."""
MOST_ELEMENTS = 300
"""Of a repeated field: more than any limit of a number of elements."""
NUMBERS = (
    0,
    1,
    2,
    3,
    5,
    15,
    16,
    17,
    63,
    64,
    65,
    100,
    101,
    255,
    256,
    257,
    2**31 - 1,
    2**31,
    2**32 - 1,
    2**63,
    2**64 - 1,
)
FLOATS = (0.0, -0.0, 1.0, -1.0, 0.5, 1e-45, 1e-30, 3.4e38, -3.4e38, math.inf, -math.inf, math.nan)
TEXTS = (
    "",
    " ",
    "a",
    "\0",
    "\u3000",
    "一只猫",
    "🐈",
    "e\u0301",
    "\u202e",
    "\ufeff",
    "\ufffd",
    "en",
    "zh",
    "tiny",
    "a cat",
)
FILES = (b"", b"\0", PNG, JPEG, GIF, WEBP)

Bytes = Callable[[bytes], bytes]
"""Changes bytes of no known form."""


def changed(message: Message, chance: random.Random, mutate: Bytes) -> None:
    """Changes one field of a message, or of one inside it, in place."""
    fields: Sequence[Any] = message.DESCRIPTOR.fields
    if not fields:
        return
    field = chance.choice(fields)
    if chance.random() < 0.1:
        message.ClearField(field.name)
    elif field.is_repeated:
        _change_elements(getattr(message, field.name), field, chance, mutate)
    elif field.type == FieldDescriptor.TYPE_MESSAGE:
        changed(getattr(message, field.name), chance, mutate)
    else:
        setattr(message, field.name, _value(field, getattr(message, field.name), chance, mutate))


def _change_elements(elements: Any, field: FieldDescriptor, chance: random.Random, mutate: Bytes) -> None:
    """One more, one less, as many as there may be, or another one."""
    at = chance.randrange(len(elements)) if elements else None
    of_messages = field.type == FieldDescriptor.TYPE_MESSAGE
    match chance.randrange(5):
        case 0 if at is not None:
            del elements[at]
        case 1 if at is not None and len(elements) < MOST_ELEMENTS:
            several = chance.choice((1, 1, 1, 16, MOST_ELEMENTS - len(elements)))
            elements.extend([elements[at]] * several)
        case 2:
            if of_messages:
                changed(elements.add(), chance, mutate)
            else:
                elements.append(_value(field, None, chance, mutate))
        case _ if at is not None:
            if of_messages:
                changed(elements[at], chance, mutate)
            else:
                elements[at] = _value(field, elements[at], chance, mutate)


def _value(field: FieldDescriptor, now: Any, chance: random.Random, mutate: Bytes) -> Any:
    """Another value of a field's kind."""
    kind = FieldDescriptor
    match field.cpp_type:
        case kind.CPPTYPE_BOOL:
            return chance.random() < 0.5
        case kind.CPPTYPE_FLOAT | kind.CPPTYPE_DOUBLE:
            return chance.choice((*FLOATS, chance.gauss(0, 1)))
        case kind.CPPTYPE_STRING if field.type == kind.TYPE_BYTES:
            return mutate(chance.choice((now or b"", now or b"", *FILES)))
        case kind.CPPTYPE_STRING:
            return _text(now or "", chance)
        case kind.CPPTYPE_UINT32:
            return chance.choice(NUMBERS) % 2**32
        case kind.CPPTYPE_UINT64:
            return chance.choice(NUMBERS)
        case _:  # enums, and what is signed
            return chance.choice(NUMBERS) % 2**31


def _text(now: str, chance: random.Random) -> str:
    """Texts of any characters but lone surrogates, which no message may hold."""
    match chance.randrange(4):
        case 0:
            return chance.choice(TEXTS)
        case 1:
            return ((now or "x") * chance.choice((2, 10, 501)))[:LONGEST_TEXT]
        case _:
            at = chance.randint(0, len(now))
            number = chance.choice((chance.randrange(0x80), chance.randrange(0x3000), chance.randrange(0x11_0000)))
            character = chr(number) if not 0xD800 <= number < 0xE000 else "\ud7ff"
            return now[:at] + chance.choice((character, chance.choice(TEXTS))) + now[at + chance.randint(0, 2) :]


def with_checksums(data: bytes) -> bytes:
    """A PNG file whose chunks' checksums fit, as far as it has whole chunks; any other file as it is."""
    if not data.startswith(PNG[:8]):
        return data
    made, place = bytearray(data), 8
    while place + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, place)
        end = place + 8 + length
        if end + 4 > len(data):
            break
        struct.pack_into(">I", made, end, zlib.crc32(made[place + 4 : end]))
        place = end + 4
    return bytes(made)
