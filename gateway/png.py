"""Text inside PNG files, written and read with the standard library only (PNG specification, third edition)."""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator

from gateway.contact_sheet import SIGNATURE, decode_png

HEADER_BYTES = len(SIGNATURE) + 25
"""Signature and IHDR, which is always the first chunk: 4 of length, 4 of kind, 13 of body, 4 of checksum."""
MAX_TEXT_BYTES = 1 << 20
"""Of a compressed text: a small file may hold a very long one."""


def with_text(data: bytes, keyword: str, text: str) -> bytes:
    """The file with an uncompressed iTXt chunk right after its header (section 11.3.3.4); pixels stay as they are.

    Args:
        keyword: 1 to 79 Latin-1 characters.
        text: any.

    Raises:
        ValueError: not a PNG file.
    """
    if not data.startswith(SIGNATURE) or data[len(SIGNATURE) + 4 : len(SIGNATURE) + 8] != b"IHDR":
        raise ValueError("not a PNG file")
    # Keyword; no compression, by no method; no language; no translated keyword; the text.
    body = keyword.encode("latin-1") + b"\x00" + b"\x00\x00" + b"\x00" + b"\x00" + text.encode("utf-8")
    kind = b"iTXt"
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    return data[:HEADER_BYTES] + chunk + data[HEADER_BYTES:]


def read_text(data: bytes, keyword: str) -> str | None:
    """The text of the first iTXt chunk with this keyword; None where the file has none.

    Raises:
        ValueError: not a PNG file, or the chunk is damaged.
    """
    if not data.startswith(SIGNATURE):
        raise ValueError("not a PNG file")
    wanted = keyword.encode("latin-1") + b"\x00"
    for kind, body, checksum in _chunks(data):
        if kind != b"iTXt" or not body.startswith(wanted):
            continue
        if checksum != zlib.crc32(kind + body):
            raise ValueError("damaged PNG: checksum of an iTXt chunk")
        try:
            compressed, _, rest = body[len(wanted)], body[len(wanted) + 1], body[len(wanted) + 2 :]
            _, _, text = rest.split(b"\x00", 2)  # language, translated keyword
            return (zlib.decompressobj().decompress(text, MAX_TEXT_BYTES) if compressed else text).decode("utf-8")
        except (IndexError, ValueError, zlib.error) as error:
            raise ValueError(f"damaged PNG: iTXt chunk ({error})") from None
    return None


def pixel_sha256(data: bytes) -> str:
    """SHA-256 of a PNG file's pixels, 8-bit RGB, row by row from the top: what `Image.pixel_sha256` says.

    Raises:
        ValueError: not a PNG, damaged, or of a kind that `decode_png` does not know.
    """
    return hashlib.sha256(b"".join(decode_png(data).rows)).hexdigest()


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes, int]]:
    """Kind, body and checksum of each whole chunk (section 5.3)."""
    offset = len(SIGNATURE)
    while offset + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        if offset + 12 + length > len(data):
            return
        body = data[offset + 8 : offset + 8 + length]
        yield kind, body, struct.unpack_from(">I", data, offset + 8 + length)[0]
        offset += 12 + length
