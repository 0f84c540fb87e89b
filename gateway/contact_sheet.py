"""Many small PNG pictures on one: reads and writes PNG with the standard library only, for a client without Pillow.

Reads what Diptych's services write and a little more: 8-bit RGB and RGBA, not interlaced (PNG specification,
third edition, https://www.w3.org/TR/png-3/). Pixels are RGB, 8 bits a channel, row by row from the top.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {2: 3, 6: 4}
"""Channels by colour type: RGB and RGBA."""
WHITE = b"\xff\xff\xff"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Decoded pixels: `rows[y]` holds 3 * width bytes."""

    width: int
    height: int
    rows: Sequence[bytes]


def decode_png(data: bytes) -> Picture:
    """Decodes a PNG file; what is transparent shows white.

    Raises:
        ValueError: not a PNG, damaged, or of a kind that this reader does not know.
    """
    if not data.startswith(SIGNATURE):
        raise ValueError("not a PNG file")
    chunks = list(_chunks(data))
    header = next((body for kind, body in chunks if kind == b"IHDR"), b"")
    if len(header) != 13:
        raise ValueError("PNG without a header")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if depth != 8 or colour not in CHANNELS or interlaced:
        raise ValueError(
            f"PNG of {depth} bits, colour type {colour}, interlace {interlaced}; known are 8 bits, 2 or 6, 0"
        )
    channels = CHANNELS[colour]
    try:
        raw = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    except zlib.error as error:
        raise ValueError(f"damaged PNG: {error}") from None
    stride = width * channels
    if len(raw) != height * (stride + 1):
        raise ValueError(f"damaged PNG: {len(raw)} bytes of pixels; {height * (stride + 1)} expected")
    rows, above = [], bytes(stride)
    for start in range(0, len(raw), stride + 1):
        above = _unfilter(raw[start], raw[start + 1 : start + 1 + stride], above, channels)
        rows.append(above if channels == 3 else _on_white(above))
    return Picture(width=width, height=height, rows=rows)


def _chunks(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and body of each chunk (section 5.3); checksums are left to zlib's own."""
    offset = len(SIGNATURE)
    while offset + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, offset)
        yield kind, data[offset + 8 : offset + 8 + length]
        offset += 12 + length  # 4 of length, 4 of kind, 4 of checksum


def _unfilter(kind: int, line: bytes, above: bytes, step: int) -> bytes:
    """Undoes one row's filter (section 9); `step` is the bytes of a pixel."""
    if kind == 0:
        return line
    out = bytearray(step) + bytearray(line)  # a pixel of zeros stands left of the row
    up = bytes(step) + above
    for i in range(step, len(out)):
        left, upper, corner = out[i - step], up[i], up[i - step]
        if kind == 1:
            guess = left
        elif kind == 2:
            guess = upper
        elif kind == 3:
            guess = (left + upper) // 2
        elif kind == 4:
            guess = _paeth(left, upper, corner)
        else:
            raise ValueError(f"damaged PNG: filter {kind}")
        out[i] = (out[i] + guess) & 0xFF
    return bytes(out[step:])


def _paeth(left: int, upper: int, corner: int) -> int:
    estimate = left + upper - corner
    distances = abs(estimate - left), abs(estimate - upper), abs(estimate - corner)
    if distances[0] <= distances[1] and distances[0] <= distances[2]:
        return left
    return upper if distances[1] <= distances[2] else corner


def _on_white(line: bytes) -> bytes:
    pixels = zip(line[0::4], line[1::4], line[2::4], line[3::4], strict=True)
    return bytes((channel * a + 255 * (255 - a) + 127) // 255 for r, g, b, a in pixels for channel in (r, g, b))


def encode_png(picture: Picture) -> bytes:
    """Encodes as 8-bit RGB, unfiltered."""
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + row for row in picture.rows))
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def contact_sheet(rows: Sequence[Sequence[Picture]], *, cell: int = 128, gap: int = 8) -> Picture:
    """Tiles pictures on white, row by row from the left; small ones grow by whole numbers up to `cell` pixels."""
    scaled = [
        [_enlarge(picture, max(1, cell // max(picture.width, picture.height))) for picture in row] for row in rows
    ]
    side = max((max(p.width, p.height) for row in scaled for p in row), default=cell)
    columns = max((len(row) for row in scaled), default=0)
    width = gap + columns * (side + gap)
    blank = WHITE * width
    lines = [blank] * gap
    for row in scaled:
        for y in range(side):
            cells = [(p.rows[y] if y < p.height else b"").ljust(3 * (side + gap), b"\xff") for p in row]
            lines.append((WHITE * gap + b"".join(cells)).ljust(3 * width, b"\xff"))
        lines += [blank] * gap
    return Picture(width=width, height=len(lines), rows=lines)


def _enlarge(picture: Picture, factor: int) -> Picture:
    """Repeats each pixel `factor` times in both directions."""
    rows: list[bytes] = []
    for row in picture.rows:
        wide = b"".join(row[i : i + 3] * factor for i in range(0, len(row), 3))
        rows += [wide] * factor
    return Picture(width=picture.width * factor, height=picture.height * factor, rows=rows)
