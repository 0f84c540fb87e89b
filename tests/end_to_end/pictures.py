"""Picture files for tests, good ones and hostile ones, and their pixels back."""

from __future__ import annotations

import io
import struct
import zlib

from PIL import Image

PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def picture_file(file_format: str = "JPEG", size: tuple[int, int] = (48, 40)) -> bytes:
    """A small colourful picture."""
    picture = Image.linear_gradient("L").resize(size)
    buffer = io.BytesIO()
    Image.merge("RGB", (picture, picture.transpose(Image.Transpose.ROTATE_180), picture)).save(buffer, file_format)
    return buffer.getvalue()


def truncated_jpeg() -> bytes:
    """The first half of a JPEG: a good header, then nothing."""
    whole = picture_file("JPEG", (256, 256))
    return whole[: len(whole) // 2]


def bomb_png(side: int = 30_000) -> bytes:
    """A valid PNG of `side` x `side` white pixels in a file of under a megabyte: gigabytes when it is decoded."""
    row = b"\x00" + b"\xff" * (3 * side)
    packer = zlib.compressobj(9)
    packed = b"".join(packer.compress(row) for _ in range(100)) + packer.flush()  # 100 rows: refused before they end
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", packed), (b"IEND", b""))
    return PNG_SIGNATURE + b"".join(png_chunk(kind, data) for kind, data in chunks)


def bomb(file_format: str) -> bytes:
    """A small file whose header says 30,000 x 30,000 pixels, or as many as the format can."""
    if file_format == "PNG":
        return bomb_png()
    data = bytearray(picture_file(file_format))
    side = {"JPEG": ">HH", "GIF": "<HH", "BMP": "<ii", "WEBP": "<HH"}[file_format]
    place = {"JPEG": data.find(b"\xff\xc0") + 5, "GIF": 6, "BMP": 18, "WEBP": 26}[file_format]
    most = 16_383 if file_format == "WEBP" else 30_000
    struct.pack_into(side, data, place, most, most)
    return bytes(data)


def png_chunk(kind: bytes, data: bytes) -> bytes:
    """Length, kind, data, checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def pixels_of(data: bytes) -> tuple[tuple[int, int], bytes]:
    """Size and RGB bytes of a PNG file."""
    with Image.open(io.BytesIO(data)) as image:
        assert image.format == "PNG"
        return image.size, image.convert("RGB").tobytes()
