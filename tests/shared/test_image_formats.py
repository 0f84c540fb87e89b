"""Each kind of file that people have is seen as a viewer shows it, on white."""

from __future__ import annotations

import io
import struct
import time
import zlib

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from shared.images import decode_square

SIDE = 16
PIXELS = np.full((SIDE, SIDE, 3), 255, np.uint8)
"""Red, green and blue quarters, the last one white: no turn or mirroring of it is itself."""
PIXELS[:8, :8], PIXELS[:8, 8:], PIXELS[8:, :8] = (220, 40, 40), (40, 200, 60), (50, 60, 210)
RGB = Image.fromarray(PIXELS)
RED = (PIXELS == (220, 40, 40)).all(axis=2)[:, :, None]
GREY = RGB.convert("L")
GREY_PIXELS = np.asarray(GREY.convert("RGB"))
ALPHA = np.full((SIDE, SIDE), 255, np.uint8)
ALPHA[:, 8:] = 64
BLUE = Image.new("RGB", RGB.size, "blue")


def on_white(pixels: NDArray[np.uint8]) -> NDArray[np.float64]:
    """What shows of pixels of the opacity ALPHA."""
    share: NDArray[np.float64] = ALPHA[:, :, None] / 255
    return pixels * share + 255 * (1 - share)


def file_of(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(depth: int, colour_type: int, rows: list[bytes], *extra: tuple[bytes, bytes]) -> bytes:
    """A PNG put together by hand, for what Pillow does not write."""
    header = struct.pack(">IIBBBBB", SIDE, SIDE, depth, colour_type, 0, 0, 0)
    packed = zlib.compress(b"".join(b"\0" + row for row in rows))
    chunks = ((b"IHDR", header), *extra, (b"IDAT", packed), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )


def deep(*planes: NDArray[np.uint8]) -> list[bytes]:
    """Rows of 16-bit samples."""
    return [row.tobytes() for row in np.dstack(planes).astype(">u2") * np.uint16(257)]


def few_bits(depth: int) -> bytes:
    """A grey PNG of 2 or 4 bits a pixel."""
    values = np.asarray(GREY) >> (8 - depth)
    rows = [
        bytes(
            sum(int(row[x + k]) << (8 - depth * (k + 1)) for k in range(8 // depth)) for x in range(0, SIDE, 8 // depth)
        )
        for row in values
    ]
    return png(depth, 0, rows)


def clear_red(palette: Image.Image) -> int:
    """The palette's entry of the red quarter."""
    return int(palette.getpixel((0, 0)))  # type: ignore[arg-type]


def ycck_jpeg() -> bytes:
    """As Photoshop writes it: luma and chroma of the inks, and the inverse of black."""
    cyan, magenta, yellow, black = RGB.convert("CMYK").split()
    luma = Image.merge("RGB", (cyan, magenta, yellow)).convert("YCbCr").split()
    inverted = Image.merge("CMYK", [*(band.point(lambda value: 255 - value) for band in luma), black])  # as Pillow does
    data = bytearray(file_of(inverted, "JPEG", quality=100, subsampling=0))
    data[data.index(b"Adobe") + 11] = 2  # the transform of the Adobe marker: YCCK
    return bytes(data)


def without_adobe_marker(data: bytes) -> bytes:
    start = data.index(b"\xff\xee")
    return data[:start] + data[start + 2 + struct.unpack(">H", data[start + 2 : start + 4])[0] :]


EIGHT = RGB.quantize(8)
BLACK_AND_WHITE = GREY.point(lambda value: 255 if value > 128 else 0).convert("1")
RGBA = Image.merge("RGBA", (*RGB.split(), Image.fromarray(ALPHA)))
GREY_OF_RED = int(GREY.getpixel((0, 0)))  # type: ignore[arg-type]
GREY_CLEAR_RED = np.where(RED, 255, GREY_PIXELS)
CMYK_JPEG = file_of(RGB.convert("CMYK"), "JPEG", quality=100, subsampling=0)

FILES: dict[str, tuple[bytes, NDArray[np.generic]]] = {
    "PNG": (file_of(RGB, "PNG"), PIXELS),
    "PNG 1 bit": (file_of(BLACK_AND_WHITE, "PNG"), np.asarray(BLACK_AND_WHITE.convert("RGB"))),
    "PNG 1 bit, black clear": (file_of(BLACK_AND_WHITE, "PNG", transparency=0), np.full_like(PIXELS, 255)),
    "PNG palette": (file_of(EIGHT, "PNG"), PIXELS),
    "PNG palette of 2 bits": (file_of(RGB.quantize(4), "PNG", bits=2), PIXELS),
    "PNG palette, red clear": (file_of(EIGHT, "PNG", transparency=clear_red(EIGHT)), np.where(RED, 255, PIXELS)),
    "PNG palette, red half clear": (
        file_of(EIGHT, "PNG", transparency=bytes(128 if index == clear_red(EIGHT) else 255 for index in range(8))),
        np.where(RED, (PIXELS * 128.0 + 255 * 127) / 255, PIXELS),
    ),
    "PNG grey": (file_of(GREY, "PNG"), GREY_PIXELS),
    "PNG grey of 2 bits": (few_bits(2), (GREY_PIXELS >> 6) * 85),
    "PNG grey of 4 bits": (few_bits(4), (GREY_PIXELS >> 4) * 17),
    "PNG grey, one clear": (file_of(GREY, "PNG", transparency=GREY_OF_RED), GREY_CLEAR_RED),
    "PNG grey and alpha": (file_of(Image.merge("LA", (GREY, Image.fromarray(ALPHA))), "PNG"), on_white(GREY_PIXELS)),
    "PNG RGBA": (file_of(RGBA, "PNG"), on_white(PIXELS)),
    "PNG RGB, red clear": (file_of(RGB, "PNG", transparency=(220, 40, 40)), np.where(RED, 255, PIXELS)),
    "PNG 16-bit grey": (png(16, 0, deep(np.asarray(GREY))), GREY_PIXELS),
    "PNG 16-bit grey, one clear": (
        png(16, 0, deep(np.asarray(GREY)), (b"tRNS", struct.pack(">H", GREY_OF_RED * 257))),
        GREY_CLEAR_RED,
    ),
    "PNG 16-bit RGB": (png(16, 2, deep(PIXELS)), PIXELS),
    "PNG 16-bit grey and alpha": (png(16, 4, deep(np.asarray(GREY), ALPHA)), on_white(GREY_PIXELS)),
    "PNG 16-bit RGBA": (png(16, 6, deep(PIXELS, ALPHA)), on_white(PIXELS)),
    "PNG animated": (file_of(RGB, "PNG", save_all=True, append_images=[BLUE] * 3), PIXELS),
    "JPEG": (file_of(RGB, "JPEG", quality=98, subsampling=0), PIXELS),
    "JPEG progressive": (file_of(RGB, "JPEG", quality=98, subsampling=0, progressive=True), PIXELS),
    "JPEG grey": (file_of(GREY, "JPEG", quality=98), GREY_PIXELS),
    "JPEG CMYK, inverted as Adobe does": (CMYK_JPEG, PIXELS),
    "JPEG CMYK without a marker, as browsers read it": (without_adobe_marker(CMYK_JPEG), PIXELS),
    "JPEG YCCK": (ycck_jpeg(), PIXELS),
    "JPEG of several pictures (MPO)": (
        file_of(RGB, "MPO", save_all=True, append_images=[BLUE], quality=98, subsampling=0),
        PIXELS,
    ),
    "WebP lossy": (file_of(RGB, "WEBP", quality=100), PIXELS),
    "WebP lossless": (file_of(RGB, "WEBP", lossless=True), PIXELS),
    "WebP alpha": (file_of(RGBA, "WEBP", lossless=True), on_white(PIXELS)),
    "WebP lossy with alpha": (file_of(RGBA, "WEBP", quality=100), on_white(PIXELS)),
    "WebP animated": (file_of(RGB, "WEBP", save_all=True, append_images=[BLUE] * 3, lossless=True), PIXELS),
    "GIF": (file_of(EIGHT, "GIF"), PIXELS),
    "GIF grey": (file_of(GREY, "GIF"), GREY_PIXELS),
    "GIF, red clear": (file_of(EIGHT, "GIF", transparency=clear_red(EIGHT)), np.where(RED, 255, PIXELS)),
    "GIF animated": (file_of(EIGHT, "GIF", save_all=True, append_images=[BLUE] * 3), PIXELS),
    "BMP": (file_of(RGB, "BMP"), PIXELS),
    "BMP palette": (file_of(EIGHT, "BMP"), PIXELS),
    "BMP grey": (file_of(GREY, "BMP"), GREY_PIXELS),
    "BMP 1 bit": (file_of(BLACK_AND_WHITE, "BMP"), np.asarray(BLACK_AND_WHITE.convert("RGB"))),
}


@pytest.mark.parametrize("kind", FILES)
def test_file_is_seen_as_a_viewer_shows_it(kind: str) -> None:
    data, expected = FILES[kind]
    difference = abs(decode_square(data, SIDE) - expected.astype(float))
    assert difference.mean() < (6 if "WebP lossy" in kind else 2)  # lossy WebP halves the resolution of colours


UNTURNED = {
    1: lambda pixels: pixels,
    2: np.fliplr,
    3: lambda pixels: np.rot90(pixels, 2),
    4: np.flipud,
    5: lambda pixels: pixels.transpose(1, 0, 2),
    6: lambda pixels: np.rot90(pixels, 1),
    7: lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2),
    8: lambda pixels: np.rot90(pixels, -1),
}
"""What the camera stored, by the orientation that it noted."""


@pytest.mark.parametrize("orientation", UNTURNED)
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_orientation_of_the_camera_is_undone(orientation: int, kind: str) -> None:
    stored = Image.fromarray(np.ascontiguousarray(UNTURNED[orientation](PIXELS)))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = file_of(stored, kind, exif=exif, quality=100, lossless=True, subsampling=0)
    assert abs(decode_square(data, SIDE).astype(int) - PIXELS).mean() < 2


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_long_animation_costs_no_more_than_its_first_frame(kind: str) -> None:
    first, other = Image.new("RGB", (512, 512), "red"), Image.new("RGB", (512, 512), "blue")
    frames = [other, first] * 60
    data = file_of(first, kind, save_all=True, append_images=frames)
    start = time.thread_time()
    pixels = decode_square(data, SIDE)
    assert time.thread_time() - start < 0.25  # all frames take longer
    assert (abs(pixels.astype(int) - (255, 0, 0)) < 4).all()
