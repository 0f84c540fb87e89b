"""Pictures as bytes and as pixels: limits checked from the header before anything is decoded, Pillow for the rest."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError, WebPImagePlugin

from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.image_parts import essence
from shared.limits import IMAGE_BYTES, IMAGE_PIXELS, IMAGE_SIDE

assert WebPImagePlugin  # imported to register: Pillow registers the other formats when it opens its first file

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@dataclass(frozen=True, kw_only=True)
class ImageLimits:
    """The largest picture that is decoded."""

    file_bytes: int = IMAGE_BYTES
    side: int = IMAGE_SIDE
    pixels: int = IMAGE_PIXELS
    jpeg_scan_pixels: int = 20 * IMAGE_PIXELS
    """Pixels times scans of a JPEG. Coders write ten, 18 of four colours; each is a pass over the pixels."""
    jpeg_scans: int = 100
    bmp_runs: int = 1_000_000
    """Pixels, and bytes, of a BMP in runs (RLE), which Pillow decodes in Python."""


DEFAULT_LIMITS = ImageLimits()


def decode_square(data: bytes, side: int, limits: ImageLimits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """A picture file as (side, side, 3) RGB: upright, transparency on white, padded to a square with white.

    Of an animation the first frame counts. Raises InvalidArgumentError naming the value and the limit.
    """
    if len(data) > limits.file_bytes:
        raise _too_large(f"has {len(data)} bytes; the limit is {limits.file_bytes}")
    essential = essence(data)
    with _open(essential.data, limits) as image:
        _check_work(image, essential.scans, len(data), limits)
        image.draft("RGB", (2 * side, 2 * side))  # a JPEG of 16 megapixels decodes at an eighth of its size
        try:
            image.load()
            pixels = _on_white(image)
        except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
            raise InvalidArgumentError(
                f"is damaged: {image.format} data cannot be decoded ({error})", reason=Reason.IMAGE_DAMAGED
            ) from None
    pixels = squared(pixels, side)
    turn = _UPRIGHT.get(essential.orientation)
    return np.asarray(pixels if turn is None else pixels.transpose(turn))


def squared(picture: Image.Image, side: int) -> Image.Image:
    """As large as `side` x `side` holds it, padded with white. The picture itself may be reduced in place."""
    picture.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return ImageOps.pad(picture, (side, side), Image.Resampling.LANCZOS, color="white")


def encode_image(
    pixels: NDArray[np.uint8], file_format: Literal["PNG", "JPEG", "WEBP"] = "PNG", quality: int = 0
) -> bytes:
    """(H, W, 3) RGB as a file. `quality` is 1 to 100 for JPEG and WebP, which are lossy; PNG has none."""
    file = io.BytesIO()
    picture = Image.fromarray(pixels, "RGB")
    match file_format:
        case "PNG":  # level 1: a third larger than level 6, and several times as fast
            picture.save(file, "PNG", compress_level=1)
        case "JPEG":  # colour at full resolution: coloured edges on white smear otherwise
            picture.save(file, "JPEG", quality=quality, subsampling=0, optimize=True)
        case "WEBP":
            picture.save(file, "WEBP", quality=quality)
    return file.getvalue()


def _open(data: bytes, limits: ImageLimits) -> ImageFile.ImageFile:
    """Reads the header only."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # the limits below are far stricter
        try:
            image = Image.open(io.BytesIO(data), formats=FORMATS)
        except UnidentifiedImageError:
            raise InvalidArgumentError(
                f"is not a picture of a known format ({', '.join(FORMATS)})", reason=Reason.IMAGE_UNREADABLE
            ) from None
        except Image.DecompressionBombError as error:
            pixels = re.findall(r"\d+", str(error))[0]  # Pillow keeps them to itself otherwise
            raise _too_large(f"has {pixels} pixels; the limit is {limits.pixels}") from None
        except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as error:
            raise InvalidArgumentError(
                f"is damaged: its header cannot be read ({error})", reason=Reason.IMAGE_DAMAGED
            ) from None
    width, height = image.size
    if max(width, height) > limits.side:
        raise _too_large(f"is {width} x {height} pixels; the limit is {limits.side} a side")
    if width * height > limits.pixels:
        raise _too_large(f"is {width} x {height} = {width * height} pixels; the limit is {limits.pixels}")
    return image


def _check_work(image: ImageFile.ImageFile, scans: int, file_bytes: int, limits: ImageLimits) -> None:
    """Refuses what would take long to decode although it keeps the limits of size."""
    pixels = image.width * image.height
    most = min(limits.jpeg_scans, limits.jpeg_scan_pixels // max(1, pixels))
    if scans > most:
        raise _too_large(f"has {scans} JPEG scans of {image.width} x {image.height} pixels; the limit is {most}")
    if any(tile.codec_name == "bmp_rle" for tile in image.tile) and max(pixels, file_bytes) > limits.bmp_runs:
        message = f"is a BMP in runs (RLE) of {pixels} pixels in {file_bytes} bytes"
        raise _too_large(f"{message}; the limit of either is {limits.bmp_runs}")


def _too_large(message: str) -> InvalidArgumentError:
    return InvalidArgumentError(message, reason=Reason.IMAGE_TOO_LARGE)


def _on_white(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # grey of 16 bits, which Pillow would clip, not scale
        deep = np.asarray(image)
        grey = (deep.clip(0, 0xFFFF) >> 8).astype(np.uint8)
        if isinstance(clear := image.info.get("transparency"), int):
            grey[deep == clear] = 255
        return Image.fromarray(grey, "L").convert("RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        coloured = image.convert("RGBA")
        canvas = Image.new("RGB", coloured.size, "white")
        canvas.paste(coloured, mask=coloured.getchannel("A"))  # half the time and memory of alpha_composite
        return canvas
    return image.convert("RGB")
