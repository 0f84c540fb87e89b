"""A picture file without what makes no pixels: metadata is cut out before a decoder sees it; plain bytes, no Pillow.

Decoders take metadata piece by piece, and some of them time or memory by its square: 4 MiB of EXIF in small segments
took Pillow 5 s. Of what is cut out only the camera's orientation is read.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from shared.codes import Reason
from shared.errors import InvalidArgumentError

MOST_PARTS = 8_192
"""Parts of a file: a kilobyte each in the largest. Coders write 4 KiB and more a part; a decoder takes microseconds."""
JPEG_TABLE_BYTES = 128 * 1024
"""Before the first scan of a JPEG, where coders write less than 2 KiB."""
_EXIF_TAGS = 1_000
"""Looked at for the orientation; cameras write some fifty, and this one among the first."""
_ORIENTATION = 0x0112
_EXIF_NUMBERS = {3: "H", 4: "I"}

_PNG, _JPEG, _GIFS = b"\x89PNG\r\n\x1a\n", b"\xff\xd8", (b"GIF87a", b"GIF89a")
_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xd0-\xd7\xff]")
"""Not of those that stand within coded data: stuffed bytes, restarts."""
_JPEG_SCAN, _JPEG_END = 0xDA, 0xD9
_JPEG_METADATA = frozenset({0xFE, *range(0xE1, 0xEE), 0xEF})
"""COM and APPn, but for JFIF's APP0 and Adobe's APP14, which say what the colours are."""
_GIF_BLOCK = re.compile(rb"[\x21\x2c\x3b]")
_GIF_EXTENSION, _GIF_IMAGE, _GIF_CONTROL = 0x21, 0x2C, 0xF9
_WEBP_PIXELS = (b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ANIM", b"ANMF")
_WEBP_METADATA_FLAGS = 0x20 | 0x08 | 0x04
"""Of VP8X: that there is a colour profile, EXIF, XMP."""


@dataclass(frozen=True, kw_only=True)
class Essence:
    """What of a picture file makes its first frame's pixels."""

    data: bytes
    """A file of the same format."""
    orientation: int = 1
    """As EXIF counts, 1 to 8; any other number means nothing."""
    scans: int = 0
    """Passes over the pixels, of a JPEG."""


def essence(data: bytes) -> Essence:
    """The essence of a PNG, JPEG, GIF or WebP; any other file as it is. Damage is left to the decoder to find.

    Raises:
        InvalidArgumentError: it is in more parts than any coder makes.
    """
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(_JPEG):
        return _jpeg(data)
    if data.startswith(_GIFS):
        return _gif(data)
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return _webp(data)
    return Essence(data=data)


def _count_parts() -> Iterator[None]:
    """To be asked once a part."""
    for _ in range(MOST_PARTS):
        yield
    raise InvalidArgumentError(f"is in more than {MOST_PARTS} parts", reason=Reason.IMAGE_TOO_LARGE)


def _png(data: bytes) -> Essence:
    kept, exif, place, parts = [data[:8]], b"", 8, _count_parts()
    while place + 8 <= len(data):
        next(parts)
        length, kind = struct.unpack_from(">I4s", data, place)
        begin, place = place, place + 12 + length
        if not kind[0] & 0x20 or kind == b"tRNS":  # a capital begins the chunks that a decoder must know
            kept.append(data[begin:place])
        elif kind == b"eXIf":
            exif = exif or data[begin + 8 : place - 4]
        if kind == b"IEND":
            break
    else:
        kept.append(data[place:])
    return Essence(data=b"".join(kept), orientation=_exif_orientation(exif))


def _jpeg(data: bytes) -> Essence:
    kept, exif, place, scans, tables, parts = [data[:2]], b"", 2, 0, 0, _count_parts()
    while found := _JPEG_MARKER.search(data, place):
        next(parts)
        begin, marker = found.start(), data[found.end() - 1]
        if scans:
            kept.append(data[place:begin])  # coded data; before a scan it is nothing
        place = found.end()
        if marker >= 0xC0 and marker not in (0xD8, _JPEG_END):  # it has a length
            place += max(2, int.from_bytes(data[place : place + 2], "big"))
        if marker in _JPEG_METADATA:
            if marker == 0xE1 and not exif and data.startswith(b"Exif\0\0", begin + 4):
                exif = data[begin + 4 : place]
            continue
        kept.append(data[begin:place])
        if marker == _JPEG_END:
            break
        scans += marker == _JPEG_SCAN
        tables += 0 if scans else place - begin
        if tables > JPEG_TABLE_BYTES:
            message = f"has more than {JPEG_TABLE_BYTES} bytes of JPEG tables"
            raise InvalidArgumentError(message, reason=Reason.IMAGE_TOO_LARGE)
    else:
        kept.append(data[place:] if scans else b"")
    return Essence(data=b"".join(kept), orientation=_exif_orientation(exif), scans=scans)


def _gif(data: bytes) -> Essence:
    """Of several frames the first is decoded, whatever follows."""
    place, control, parts = 13 + _gif_colours(data[10:11]), b"", _count_parts()
    kept = [data[:place]]
    while found := _GIF_BLOCK.search(data, place):
        next(parts)
        begin, kind = found.start(), data[found.start()]
        if kind != _GIF_EXTENSION:
            kept += [control, data[begin:] if kind == _GIF_IMAGE else b""]
            break
        place = begin + 2
        while place < len(data) and (size := data[place]):
            next(parts)
            place += 1 + size
        place += 1
        if data[begin + 1 : begin + 2] == bytes([_GIF_CONTROL]):
            control = data[begin:place]
    return Essence(data=b"".join(kept))


def _gif_colours(flags: bytes) -> int:
    """Bytes of the colour table."""
    return 3 << (flags[0] % 8 + 1) if flags and flags[0] & 0x80 else 0


def _webp(data: bytes) -> Essence:
    kept, exif, place, size, frames, parts = [], b"", 12, 4, 0, _count_parts()
    while place + 8 <= len(data):
        next(parts)
        kind, length = struct.unpack_from("<4sI", data, place)
        begin, place = place, place + 8 + length + length % 2
        frames += kind == b"ANMF"
        if kind == b"EXIF":
            exif = exif or data[begin + 8 : begin + 8 + length]
        elif kind in _WEBP_PIXELS and not (kind == b"ANMF" and frames > 1):
            chunk = bytearray(data[begin:place])
            if kind == b"VP8X" and len(chunk) > 8:
                chunk[8] &= ~_WEBP_METADATA_FLAGS
            kept.append(chunk)
            size += place - begin
    header = b"RIFF" + struct.pack("<I", min(size, 0xFFFF_FFFE)) + b"WEBP"
    return Essence(data=b"".join([header, *kept]), orientation=_exif_orientation(exif))


def _exif_orientation(exif: bytes) -> int:
    """Of a TIFF header with its first directory."""
    exif = exif.removeprefix(b"Exif\0\0")
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", exif, 4)
        (count,) = struct.unpack_from(f"{order}H", exif, start)
        for place in range(start + 2, start + 2 + 12 * min(count, _EXIF_TAGS), 12):
            tag, kind = struct.unpack_from(f"{order}HH", exif, place)
            if tag == _ORIENTATION and kind in _EXIF_NUMBERS:
                return int(struct.unpack_from(order + _EXIF_NUMBERS[kind], exif, place + 8)[0])
    except struct.error:  # it ends before it should
        pass
    return 1
