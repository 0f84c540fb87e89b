"""Pictures that fake services paint and see: one colour, made of seed and point."""

from __future__ import annotations

import hashlib

from diptych.types.v1 import image_pb2
from gateway.png import Picture, decode_png, encode_png

SIDE = 4
"""Width and height of a painted picture."""


def painted(
    seed: int, point: float, file_format: image_pb2.ImageFormat.ValueType = image_pb2.IMAGE_FORMAT_PNG
) -> image_pb2.Image:
    """The picture of a seed and a point; other formats than PNG are a PNG all the same."""
    pixels = bytes((seed % 256, int(point) % 256, 0)) * SIDE * SIDE
    return image_pb2.Image(
        data=encode_png(Picture(width=SIDE, height=SIDE, rows=[pixels[: 3 * SIDE]] * SIDE)),
        format=file_format or image_pb2.IMAGE_FORMAT_PNG,
        width=SIDE,
        height=SIDE,
        pixel_sha256=hashlib.sha256(pixels).hexdigest(),
    )


def point_of(image: bytes) -> float:
    """The red of a painted picture, which is its seed, as a fraction of 256; of all else the number of bytes."""
    try:
        return decode_png(image).rows[0][0] / 256
    except ValueError:
        return len(image)
