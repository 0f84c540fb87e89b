"""Good pictures in files that are made to take a decoder long: of very many parts, or of many passes over pixels."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

from PIL import Image

FILE_BYTES = 4 * 1024 * 1024
"""Of those that are made of as many parts as fit."""


def file_of(image: Image.Image, kind: str, **options: object) -> bytes:
    """A picture file."""
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def jpeg_segment(marker: int, body: bytes) -> bytes:
    """Marker, length, body."""
    return struct.pack(">BBH", 0xFF, marker, len(body) + 2) + body


def png_chunk(kind: bytes, body: bytes) -> bytes:
    """Length, kind, body, checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def webp_chunk(kind: bytes, body: bytes) -> bytes:
    """Kind, length, body, padded to an even length."""
    return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def filled(part: bytes, size: int = FILE_BYTES) -> bytes:
    """The same part again and again."""
    return part * (size // len(part))


SQUARE = Image.new("RGB", (8, 8), (200, 30, 30))
JPEG, PNG = file_of(SQUARE, "JPEG"), file_of(SQUARE, "PNG")
GIF, WEBP = file_of(SQUARE, "GIF"), file_of(SQUARE, "WEBP")
_AFTER_GIF_COLOURS = 13 + (3 << (GIF[10] % 8 + 1))


def in_jpeg(extra: bytes) -> bytes:
    """With this before all else."""
    return JPEG[:2] + extra + JPEG[2:]


def in_png(extra: bytes) -> bytes:
    """With this after the header."""
    return PNG[:33] + extra + PNG[33:]


def in_gif(extra: bytes) -> bytes:
    """With this before the first frame."""
    return GIF[:_AFTER_GIF_COLOURS] + extra + GIF[_AFTER_GIF_COLOURS:]


def in_webp(extra: bytes) -> bytes:
    """With this before the pixels."""
    body = extra + WEBP[12:]
    return b"RIFF" + struct.pack("<I", len(body) + 4) + b"WEBP" + body


def jpeg_of_scans(scans: int, side: int) -> bytes:
    """A white one in which the first scan, which is of all colours, stands again and again."""
    data = file_of(Image.new("RGB", (side, side), "white"), "JPEG", progressive=True, subsampling=0)
    starts = [place for place in range(len(data)) if data.startswith(b"\xff\xda", place)]
    first = data[starts[0] : data.index(b"\xff\xc4", starts[0])]
    return data[:-2] + first * (scans - len(starts)) + data[-2:]


def bmp_in_runs(side: int, run: bytes, size: int) -> bytes:
    """Eight bits a pixel; a run is a length and a colour."""
    data = filled(run, size)
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, len(data), 0, 0, 256, 0) + bytes(1024)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(data), 0, 0, 14 + len(header)) + header + data


def exif(orientation: int, entries: int = 1, each_bytes: int = 4) -> bytes:
    """Of many entries, all of which mean the same bytes; the last entry is the orientation."""
    after = 10 + 12 * entries
    others = (struct.pack("<HHII", 0x8000 + at, 7, each_bytes, after) for at in range(entries - 1))
    last = struct.pack("<HHIHH", 0x0112, 3, 1, orientation, 0)
    return b"II*\0" + struct.pack("<IH", 8, entries) + b"".join(others) + last + bytes(each_bytes)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "EXIF segments": (lambda: in_jpeg(filled(jpeg_segment(0xE1, b"Exif\0\0" + b"a" * 10))), "8192 parts"),
    "comment segments": (lambda: in_jpeg(filled(jpeg_segment(0xFE, b""))), "8192 parts"),
    "quantization tables": (
        lambda: in_jpeg(filled(jpeg_segment(0xDB, (b"\0" + b"\1" * 64) * 1000))),
        "131072 bytes of JPEG tables",
    ),
    "PNG chunks": (lambda: in_png(filled(png_chunk(b"abCd", b""))), "8192 parts"),
    "GIF comments": (lambda: in_gif(filled(b"\x21\xfe\x01a\0")), "8192 parts"),
    "GIF comment of single bytes": (lambda: in_gif(b"\x21\xfe" + filled(b"\x01a") + b"\0"), "8192 parts"),
    "WebP chunks": (lambda: in_webp(filled(webp_chunk(b"abcd", b""))), "8192 parts"),
    "scans": (lambda: jpeg_of_scans(21, side=4000), "21 JPEG scans of 4000 x 4000 pixels; the limit is 20"),
    "scans of few pixels": (lambda: jpeg_of_scans(101, side=64), "101 JPEG scans of 64 x 64 pixels; the limit is 100"),
    "runs": (lambda: bmp_in_runs(4000, b"\1\0", FILE_BYTES), "the limit of either is 1000000"),
}
"""By what they are made of, with what the refusal says."""
READ: dict[str, Callable[[], bytes]] = {
    "as many scans as may be": lambda: jpeg_of_scans(20, side=4000),
    "EXIF of many large entries": lambda: in_jpeg(jpeg_segment(0xE1, b"Exif\0\0" + exif(1, 2000, 40_000))),
    "EXIF of 30,000 entries": lambda: in_png(png_chunk(b"eXIf", exif(1, 30_000, 1 << 20))),
    "colour profile of many segments": lambda: in_jpeg(
        filled(jpeg_segment(0xE2, b"ICC_PROFILE\0\1\1" + b"a" * 60_000))
    ),
    "large EXIF segments": lambda: in_jpeg(filled(jpeg_segment(0xE1, b"Exif\0\0" + b"a" * 60_000))),
    "comment of 200 MB": lambda: in_png(png_chunk(b"zTXt", b"C\0\0" + zlib.compress(bytes(200_000_000)))),
    "bytes of no meaning, GIF": lambda: in_gif(bytes(FILE_BYTES)),
    "bytes of no meaning, JPEG": lambda: in_jpeg(bytes(FILE_BYTES)),
    "runs": lambda: bmp_in_runs(1000, b"\xff\1" * 3 + b"\xeb\1\0\0", 10_000),
}
"""Pictures that are read, and took long or much memory when Pillow saw all of the file."""
