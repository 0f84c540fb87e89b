"""What reading a request would cost, told from its bytes: some that are small on the wire are thousands of objects.

60 MiB of empty texts are 31 million of them: the parser, on the event loop, took 1.1 GB and 0.9 s before any servicer
could count. So a request is weighed first, and one that outweighs all that servicers accept is not parsed at all.
"""

from __future__ import annotations

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from shared.codes import Reason
from shared.errors import InvalidArgumentError

FREE_BYTES = 64 * 1024
"""What is no larger is not weighed: whatever it holds, it is read in a few milliseconds."""
MOST_WEIGHT = 32 * 1024 * 1024
"""The heaviest that servicers accept, 256 labels with vectors of 16,384 numbers, weighs less."""
FIELD_WEIGHT = 8192
"""Of each field, so that there are 4,096 at most; 256 labels are a thousand. One takes microseconds here."""
TEXT_WEIGHT = 4
"""Of a byte of text: one character outside of the first plane makes a string of four bytes each."""
VARINT_WEIGHT = 256
"""Of a byte of packed numbers that may be of one byte each: it becomes eight."""

JSON_WEIGHT = 2
"""Of a byte of JSON with characters beyond ASCII: Python holds all of it, base64 too, in two or four bytes each."""

_VARINT, _FIXED64, _DELIMITED, _START_GROUP, _END_GROUP, _FIXED32 = 0, 1, 2, 3, 4, 5
_TEXT, _PAYLOAD = FieldDescriptor.TYPE_STRING, FieldDescriptor.TYPE_BYTES
_FIXED = frozenset(
    {
        FieldDescriptor.TYPE_FLOAT,
        FieldDescriptor.TYPE_DOUBLE,
        FieldDescriptor.TYPE_FIXED32,
        FieldDescriptor.TYPE_FIXED64,
        FieldDescriptor.TYPE_SFIXED32,
        FieldDescriptor.TYPE_SFIXED64,
    }
)


def check_weight(data: bytes | bytearray, kind: type[Message]) -> None:
    """Weighs a message of this kind in the wire format. Its `bytes` weigh nothing: to read them is to copy them.

    Raises:
        InvalidArgumentError: it is too heavy; names the field that made it so.
    """
    if len(data) > FREE_BYTES:
        _Scales(data).weigh(kind.DESCRIPTOR, 0, len(data))  # type: ignore[arg-type]  # two names of one class


def check_json_weight(data: bytes | bytearray) -> None:
    """The same for JSON, by what may be a value in it.

    Raises:
        InvalidArgumentError: it is too heavy.
    """
    if len(data) <= FREE_BYTES:
        return
    narrow = data.isascii() and b"\\u" not in data
    weight = 0 if narrow else len(data) * JSON_WEIGHT
    for begin in range(0, len(data), FREE_BYTES):  # in parts, so that no other thread waits for all of it
        weight += FIELD_WEIGHT * sum(data.count(mark, begin, begin + FREE_BYTES) for mark in (b",", b"[", b"{"))
        if weight > MOST_WEIGHT:
            raise _too_heavy("")


class _Scales:
    """Adds up until it is too much."""

    def __init__(self, data: bytes | bytearray) -> None:
        self._data = data
        self._left = MOST_WEIGHT

    def weigh(self, kind: Descriptor, place: int, end: int, within: str = "") -> None:
        """The fields from `place` to `end`; of what is damaged those before the damage, as the parser reads them."""
        while place < end:
            tag, place = self._number(place)
            number, wire = tag >> 3, tag & 7
            field = kind.fields_by_number.get(number)
            name = within or (field.name if field is not None else "")
            self._add(FIELD_WEIGHT, name)
            if wire == _VARINT:
                _, place = self._number(place)
            elif wire in (_FIXED32, _FIXED64):
                place += 4 if wire == _FIXED32 else 8
            elif wire == _DELIMITED:
                size, place = self._number(place)
                begin, place = place, min(place + size, end)
                if field is not None and field.message_type is not None:
                    self.weigh(field.message_type, begin, place, name)
                elif field is None or field.type != _PAYLOAD:
                    self._add((place - begin) * _weight_of_byte(field), name)
            elif wire not in (_START_GROUP, _END_GROUP):
                return

    def _number(self, place: int) -> tuple[int, int]:
        """A varint, and the place after it; past the end where it is damaged."""
        if place < len(self._data) and (byte := self._data[place]) < 0x80:  # by far the most
            return byte, place + 1
        number = 0
        for at, byte in enumerate(self._data[place : place + 10]):
            number |= (byte & 0x7F) << (7 * at)
            if byte < 0x80:
                return number, place + at + 1
        return 0, len(self._data)

    def _add(self, weight: int, field: str) -> None:
        self._left -= weight
        if self._left < 0:
            raise _too_heavy(field)


def _weight_of_byte(field: FieldDescriptor | None) -> int:
    """Of a string, of packed numbers, or of a field of a later version, which is kept as it is."""
    if field is None or field.type in _FIXED:
        return 1
    return TEXT_WEIGHT if field.type == _TEXT else VARINT_WEIGHT


def _too_heavy(field: str) -> InvalidArgumentError:
    message = "the request holds more texts, numbers or encodings than any call takes"
    message = f"{field}: {message}" if field else message
    return InvalidArgumentError(message, reason=Reason.REQUEST_TOO_LARGE, field=field)
