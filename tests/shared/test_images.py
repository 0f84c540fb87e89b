"""Pictures are checked by their header, stood upright, put on white and squared."""

from __future__ import annotations

import io
import struct
import time
import zlib
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from shared.errors import InvalidArgumentError
from shared.images import ImageLimits, decode_square, encode_image


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds no pixels."""
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    header = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return header + struct.pack(">I", 100) + b"IDAT"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_known_formats_are_read(kind: str) -> None:
    pixels = decode_square(file_of(Image.new("RGB", (40, 40), (200, 30, 30)), kind), 8)
    assert pixels.shape == (8, 8, 3)
    assert abs(pixels.astype(int) - (200, 30, 30)).max() < 12


def test_transparency_becomes_white() -> None:
    pixels = decode_square(file_of(Image.new("RGBA", (8, 8), (0, 0, 0, 0))), 8)
    assert (pixels == 255).all()


def test_half_transparent_black_becomes_grey() -> None:
    pixels = decode_square(file_of(Image.new("LA", (8, 8), (0, 128))), 8)
    assert (abs(pixels.astype(int) - 127) <= 1).all()


def test_wide_picture_is_padded_with_white_above_and_below() -> None:
    pixels = decode_square(file_of(Image.new("RGB", (16, 8), (0, 0, 0))), 16)
    assert (pixels[:3] == 255).all() and (pixels[-3:] == 255).all() and (pixels[6:10] == 0).all()


def test_orientation_of_the_camera_is_undone() -> None:
    image = Image.new("RGB", (8, 8), "black")
    image.paste("red", (0, 0, 8, 4))
    exif = Image.Exif()
    exif[0x0112] = 6  # shown turned by 90 degrees clockwise: the top becomes the right
    pixels = decode_square(file_of(image, exif=exif), 8)
    assert (pixels[:, 6:, 0] > 200).all() and (pixels[:, :2, 0] < 50).all()


def test_sixteen_bit_grey_keeps_its_brightness() -> None:
    deep = Image.fromarray(np.full((8, 8), 0x8000, dtype=np.uint16))
    assert (abs(decode_square(file_of(deep), 8).astype(int) - 128) <= 1).all()


def test_first_frame_of_an_animation_counts() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    pixels = decode_square(file_of(frames[0], "GIF", save_all=True, append_images=frames[1:]), 8)
    assert (pixels[..., 0] > 250).all()


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "is not a picture of a known format"),
        (b"GIF89a", "is damaged|is not a picture"),
        (b"%PDF-1.7", "is not a picture of a known format"),
        (png_header(8193, 1), "is 8193 x 1 pixels; the limit is 8192 a side"),
        (png_header(8000, 8000), "= 64000000 pixels; the limit is 16000000"),
        (png_header(60000, 60000), "limit"),
        (png_header(8, 8), "is damaged"),
        (png_header(8, 8)[:33], "is not a picture of a known format"),
        (file_of(Image.effect_noise((64, 64), 50))[:500], "is damaged"),
        (file_of(Image.effect_noise((64, 64), 50).convert("RGB"), "JPEG")[:300], "is damaged"),
        (b"x" * (8 * 1024 * 1024 + 1), "has 8388609 bytes; the limit is 8388608"),
    ],
)
def test_bad_file_is_refused_with_value_and_limit_at_once(data: bytes, complaint: str) -> None:
    start = time.thread_time()
    with pytest.raises(InvalidArgumentError, match=complaint):
        decode_square(data, 8)
    assert time.thread_time() - start < 0.5


def test_limits_can_be_stricter() -> None:
    with pytest.raises(InvalidArgumentError, match="limit is 4 a side"):
        decode_square(file_of(Image.new("RGB", (8, 8))), 8, ImageLimits(side=4))


def test_png_keeps_every_pixel() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    assert (np.asarray(Image.open(io.BytesIO(encode_image(pixels)))) == pixels).all()


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_files_come_nearer_to_the_pixels_and_grow_with_quality(kind: Literal["JPEG", "WEBP"]) -> None:
    pixels = np.full((64, 64, 3), 255, dtype=np.uint8)
    pixels[16:48, 16:48] = (200, 30, 30)
    pixels[24:40, 24:40] = (30, 90, 200)
    files = [encode_image(pixels, kind, quality) for quality in (10, 50, 90)]
    decoded = [np.asarray(Image.open(io.BytesIO(file)).convert("RGB")).astype(int) for file in files]
    errors = [abs(one - pixels).mean() for one in decoded]
    assert Image.open(io.BytesIO(files[0])).format == kind
    assert errors[0] > errors[1] > errors[2] and errors[2] < 2
    assert len(files[0]) < len(files[1]) < len(files[2])
