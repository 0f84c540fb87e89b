"""Requests, as bytes, that are far larger when they are read."""

from __future__ import annotations


def delimited(field: int, body: bytes) -> bytes:
    """A field of the wire format with a length: a text, bytes, a message or packed numbers."""
    length, size = b"", len(body)
    while size > 0x7F:
        length, size = length + bytes([size & 0x7F | 0x80]), size >> 7
    return bytes([field << 3 | 2]) + length + bytes([size]) + body


EMPTY_FIRST_FIELDS = b"\x0a\x00" * (4 << 20)
"""8 MiB of empty texts, pictures or encodings, whatever the message has first."""
SEEDS = delimited(1, b"a cat") + delimited(2, b"\x01" * (8 << 20))
"""A prompt with 8 million seeds in 8 MiB."""
LONG_TEXT = delimited(1, "🐈".encode() * (4 << 20))
"""A text of 16 MiB."""
