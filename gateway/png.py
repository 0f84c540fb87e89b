"""PNG files with the standard library only: pixels, and text beside them.

Pixels are read of what Diptych's services write and a little more: 8-bit RGB and RGBA, not interlaced. They are RGB,
8 bits a channel, row by row from the top. Sections are those of the specification's third edition,
https://www.w3.org/TR/png-3/.
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from shared.limits import IMAGE_PIXELS, IMAGE_SIDE

SIGNATURE = b"\x89PNG\r\n\x1a\n"
CHANNELS = {2: 3, 6: 4}
"""Channels by colour type: RGB and RGBA."""
HEADER_BYTES = len(SIGNATURE) + 25
"""Signature and IHDR, which is always the first chunk: 4 of length, 4 of kind, 13 of body, 4 of checksum."""
MAX_TEXT_BYTES = 1 << 20
"""Of a compressed text: a small file may hold a very long one."""


@dataclass(frozen=True, kw_only=True)
class Picture:
    """Decoded pixels: `rows[y]` holds 3 * width bytes."""

    width: int
    height: int
    rows: Sequence[bytes]


def decode_png(data: bytes) -> Picture:
    """Decodes a PNG file; what is transparent shows white.

    Raises:
        ValueError: not a PNG, damaged, of a kind that this reader does not know, or of more pixels than pictures have.
    """
    if not data.startswith(SIGNATURE):
        raise ValueError("not a PNG file")
    chunks = [(kind, body) for kind, body, _ in _chunks(data)]  # of damaged pixels zlib has a checksum of its own
    header = next((body for kind, body in chunks if kind == b"IHDR"), b"")
    if len(header) != 13:
        raise ValueError("PNG without a header")
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", header)
    if depth != 8 or colour not in CHANNELS or interlaced:
        raise ValueError(
            f"PNG of {depth} bits, colour type {colour}, interlace {interlaced}; known are 8 bits, 2 or 6, 0"
        )
    if max(width, height) > IMAGE_SIDE or width * height > IMAGE_PIXELS:  # 2 MB may hold 5 GB of pixels
        limits = f"{IMAGE_PIXELS} in all and {IMAGE_SIDE} a side"
        raise ValueError(f"PNG of {width} x {height} pixels; the limits are {limits}")
    channels = CHANNELS[colour]
    stride = width * channels
    size = height * (stride + 1)
    inflate = zlib.decompressobj()
    try:
        raw = inflate.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"), size + 1)
    except zlib.error as error:
        raise ValueError(f"damaged PNG: {error}") from None
    if len(raw) != size or not inflate.eof:
        raise ValueError(f"damaged PNG: not the {size} bytes of pixels that its header tells")
    rows, above = [], bytes(stride)
    for start in range(0, len(raw), stride + 1):
        above = _unfilter(raw[start], raw[start + 1 : start + 1 + stride], above, channels)
        rows.append(above if channels == 3 else _on_white(above))
    return Picture(width=width, height=height, rows=rows)


def pixel_sha256(data: bytes) -> str:
    """SHA-256 of a PNG file's pixels, 8-bit RGB, row by row from the top: what `Image.pixel_sha256` says.

    Raises:
        ValueError: not a PNG, damaged, or of a kind that `decode_png` does not know.
    """
    return hashlib.sha256(b"".join(decode_png(data).rows)).hexdigest()


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
    return data[:HEADER_BYTES] + _chunk(b"iTXt", body) + data[HEADER_BYTES:]


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


def encode_png(picture: Picture) -> bytes:
    """Encodes as 8-bit RGB, unfiltered."""
    header = struct.pack(">IIBBBBB", picture.width, picture.height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\x00" + row for row in picture.rows))
    return SIGNATURE + _chunk(b"IHDR", header) + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")


def _unfilter(kind: int, line: bytes, above: bytes, step: int) -> bytes:
    """Undoes one row's filter (section 9); `step` is the bytes of a pixel. A loop a filter, for these are the time."""
    if kind == 0:
        return line
    if kind == 2:
        return bytes((each + up) & 0xFF for each, up in zip(line, above, strict=True))
    out = bytearray(step)  # a pixel of zeros stands left of the row
    if kind == 1:
        for i, each in enumerate(line):
            out.append((each + out[i]) & 0xFF)
    elif kind == 3:
        for i, (each, up) in enumerate(zip(line, above, strict=True)):
            out.append((each + (out[i] + up) // 2) & 0xFF)
    elif kind == 4:
        for i, (each, up, corner) in enumerate(zip(line, above, bytes(step) + above, strict=False)):
            left = out[i]
            near_left, near_up, near_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
            if near_left <= near_up and near_left <= near_corner:
                out.append((each + left) & 0xFF)
            else:
                out.append((each + (up if near_up <= near_corner else corner)) & 0xFF)
    else:
        raise ValueError(f"damaged PNG: filter {kind}")
    return bytes(out[step:])


def _on_white(line: bytes) -> bytes:
    pixels = zip(line[0::4], line[1::4], line[2::4], line[3::4], strict=True)
    return bytes((channel * a + 255 * (255 - a) + 127) // 255 for r, g, b, a in pixels for channel in (r, g, b))


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


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
