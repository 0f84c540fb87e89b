"""Pictures as bytes and as pixels: limits checked from the header before anything is decoded, Pillow for the rest."""

from __future__ import annotations

import io
import re
import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, WebPImagePlugin

from shared.codes import Reason
from shared.errors import InvalidArgumentError
from shared.limits import IMAGE_BYTES, IMAGE_PIXELS, IMAGE_SIDE

assert WebPImagePlugin  # imported to register: Pillow registers the other formats when it opens its first file

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP")
EXIF_ORIENTATION = 0x0112
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
    jpeg_scans: int = 100
    """Encoders write about ten; each may cost a pass over all pixels, and takes as few as 32 bytes."""


DEFAULT_LIMITS = ImageLimits()


def decode_square(data: bytes, side: int, limits: ImageLimits = DEFAULT_LIMITS) -> NDArray[np.uint8]:
    """A picture file as (side, side, 3) RGB: upright, transparency on white, padded to a square with white.

    Of an animation the first frame counts. Raises InvalidArgumentError naming the value and the limit.
    """
    with _open(data, limits) as image:
        image.draft("RGB", (2 * side, 2 * side))  # a JPEG of 16 megapixels decodes at an eighth of its size
        try:
            image.load()
            orientation = image.getexif().get(EXIF_ORIENTATION, 1)
            pixels = _on_white(image)
        except (OSError, ValueError, SyntaxError, EOFError, MemoryError) as error:
            raise InvalidArgumentError(
                f"is damaged: {image.format} data cannot be decoded ({error})", reason=Reason.IMAGE_DAMAGED
            ) from None
    pixels.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    pixels = ImageOps.pad(pixels, (side, side), Image.Resampling.LANCZOS, color="white")
    turn = _UPRIGHT.get(orientation)
    return np.asarray(pixels if turn is None else pixels.transpose(turn))


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


def _open(data: bytes, limits: ImageLimits) -> Image.Image:
    """Reads the header only."""
    if len(data) > limits.file_bytes:
        raise InvalidArgumentError(
            f"has {len(data)} bytes; the limit is {limits.file_bytes}", reason=Reason.IMAGE_TOO_LARGE
        )
    # Coded data has no FF DA, since FF is stuffed: all are starts of scans, but for chance in metadata.
    if data.startswith(b"\xff\xd8") and (scans := data.count(b"\xff\xda")) > limits.jpeg_scans:
        raise InvalidArgumentError(
            f"has {scans} JPEG scans; the limit is {limits.jpeg_scans}", reason=Reason.IMAGE_TOO_LARGE
        )
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
            raise InvalidArgumentError(
                f"has {pixels} pixels; the limit is {limits.pixels}", reason=Reason.IMAGE_TOO_LARGE
            ) from None
        except (OSError, ValueError, SyntaxError, EOFError, OverflowError) as error:
            raise InvalidArgumentError(
                f"is damaged: its header cannot be read ({error})", reason=Reason.IMAGE_DAMAGED
            ) from None
    width, height = image.size
    if max(width, height) > limits.side:
        raise InvalidArgumentError(
            f"is {width} x {height} pixels; the limit is {limits.side} a side", reason=Reason.IMAGE_TOO_LARGE
        )
    if width * height > limits.pixels:
        raise InvalidArgumentError(
            f"is {width} x {height} = {width * height} pixels; the limit is {limits.pixels}",
            reason=Reason.IMAGE_TOO_LARGE,
        )
    return image


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
