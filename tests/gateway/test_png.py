"""Text in PNG files: written where readers expect it, read back whole, and no pixel changed."""

from __future__ import annotations

import hashlib
import io
import struct
import zlib

import pytest

from gateway import png
from gateway.png import Picture, encode_png

PIXELS = bytes(range(48))
FILE = encode_png(Picture(width=4, height=4, rows=[PIXELS[i : i + 12] for i in range(0, 48, 12)]))


@pytest.mark.parametrize("text", ["", "a black cat", "一只黑猫 🐈", "x" * 100_000])
def test_text_comes_back_as_it_was_written(text: str) -> None:
    assert png.read_text(png.with_text(FILE, "diptych", text), "diptych") == text


def test_other_readers_see_the_text_and_the_same_pixels() -> None:
    pillow = pytest.importorskip("PIL.Image")
    with pillow.open(io.BytesIO(png.with_text(FILE, "diptych", "一只黑猫"))) as image:
        image.load()
        assert image.info["diptych"] == "一只黑猫"
        assert image.tobytes() == PIXELS


def test_chunk_stands_right_after_the_header_and_its_checksum_is_right() -> None:
    data = png.with_text(FILE, "diptych", "x")
    length, kind = struct.unpack_from(">I4s", data, png.HEADER_BYTES)
    body = data[png.HEADER_BYTES + 8 :][:length]
    assert kind == b"iTXt"
    assert struct.unpack_from(">I", data, png.HEADER_BYTES + 8 + length)[0] == zlib.crc32(kind + body)
    assert data[: png.HEADER_BYTES] + data[png.HEADER_BYTES + 12 + length :] == FILE


def test_file_without_the_keyword_has_no_text() -> None:
    assert png.read_text(FILE, "diptych") is None
    assert png.read_text(png.with_text(FILE, "Title", "x"), "diptych") is None


def test_text_that_another_program_compressed_is_read() -> None:
    body = b"diptych\0\x01\x00\0\0" + zlib.compress("一只黑猫".encode())
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    assert png.read_text(FILE[:-12] + chunk + FILE[-12:], "diptych") == "一只黑猫"


def test_compressed_text_is_read_to_a_limit() -> None:
    body = b"diptych\0\x01\x00\0\0" + zlib.compress(bytes(64 * png.MAX_TEXT_BYTES))
    chunk = struct.pack(">I", len(body)) + b"iTXt" + body + struct.pack(">I", zlib.crc32(b"iTXt" + body))
    text = png.read_text(FILE[:-12] + chunk + FILE[-12:], "diptych")
    assert text is not None and len(text) == png.MAX_TEXT_BYTES


def test_damaged_text_is_refused() -> None:
    data = bytearray(png.with_text(FILE, "diptych", "a cat"))
    data[png.HEADER_BYTES + 22] ^= 1
    with pytest.raises(ValueError, match="checksum"):
        png.read_text(bytes(data), "diptych")


def test_cut_file_has_no_text() -> None:
    assert png.read_text(png.with_text(FILE, "diptych", "a cat")[: png.HEADER_BYTES + 10], "diptych") is None


def test_what_is_no_png_is_refused() -> None:
    with pytest.raises(ValueError, match="not a PNG"):
        png.with_text(b"GIF89a", "diptych", "x")
    with pytest.raises(ValueError, match="not a PNG"):
        png.read_text(b"", "diptych")


def test_hash_is_of_the_pixels_alone() -> None:
    assert png.pixel_sha256(png.with_text(FILE, "diptych", "x")) == hashlib.sha256(PIXELS).hexdigest()


@pytest.mark.parametrize(("width", "height"), [(30_000, 30_000), (8_193, 1), (1, 8_193), (5_000, 3_201)])
def test_more_pixels_than_pictures_have_are_refused_unread(width: int, height: int) -> None:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    bomb = png.SIGNATURE + png._chunk(b"IHDR", header) + png._chunk(b"IDAT", b"never inflated") + FILE[-12:]
    with pytest.raises(ValueError, match=f"PNG of {width} x {height} pixels; the limits are 16000000 in all and 8192"):
        png.decode_png(bomb)
