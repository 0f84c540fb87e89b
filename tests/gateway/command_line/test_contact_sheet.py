"""PNG read and written without Pillow, held against Pillow."""

from __future__ import annotations

import io
import struct
import zlib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.command_line.contact_sheet import contact_sheet
from gateway.png import SIGNATURE, Picture, decode_png, encode_png


@pytest.fixture(scope="module")
def pillow() -> Any:
    """Pillow's Image module; where only the gateway's packages are installed there is none."""
    return pytest.importorskip("PIL.Image")


@st.composite
def pixels(draw: st.DrawFn, channels: int) -> tuple[int, int, bytes]:
    """Width, height and random bytes."""
    width, height = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    size = width * height * channels
    return width, height, draw(st.binary(min_size=size, max_size=size))


def _png(width: int, height: int, colour: int, lines: list[bytes]) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, colour, 0, 0, 0)
    data = zlib.compress(b"".join(lines))
    return SIGNATURE + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@settings(max_examples=50, deadline=None)
@given(drawn=pixels(3))
def test_pillow_reads_what_is_written(pillow: Any, drawn: tuple[int, int, bytes]) -> None:
    width, height, data = drawn
    rows = [data[start : start + 3 * width] for start in range(0, len(data), 3 * width)]
    image = pillow.open(io.BytesIO(encode_png(Picture(width=width, height=height, rows=rows))))
    assert (image.mode, image.size, image.tobytes()) == ("RGB", (width, height), data)


@settings(max_examples=50, deadline=None)
@given(drawn=pixels(3))
def test_what_pillow_writes_is_read(pillow: Any, drawn: tuple[int, int, bytes]) -> None:
    width, height, data = drawn
    file = io.BytesIO()
    pillow.frombytes("RGB", (width, height), data).save(file, "PNG")
    assert b"".join(decode_png(file.getvalue()).rows) == data


@settings(max_examples=200, deadline=None)
@given(data=st.data(), colour=st.sampled_from([2, 6]))
def test_every_filter_is_undone_as_pillow_does(pillow: Any, data: st.DataObject, colour: int) -> None:
    channels = {2: 3, 6: 4}[colour]
    width, height, raw = data.draw(pixels(channels))
    stride = width * channels
    filters = data.draw(st.lists(st.integers(0, 4), min_size=height, max_size=height))
    lines = [bytes([kind]) + raw[row * stride : (row + 1) * stride] for row, kind in enumerate(filters)]
    png = _png(width, height, colour, lines)
    image = pillow.open(io.BytesIO(png))
    if colour == 6:
        white = pillow.new("RGBA", image.size, "white")
        image = pillow.alpha_composite(white, image).convert("RGB")
    ours, theirs = b"".join(decode_png(png).rows), image.tobytes()
    assert max(abs(a - b) for a, b in zip(ours, theirs, strict=True)) <= (
        1 if colour == 6 else 0
    )  # Pillow rounds once more


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GIF89a", "not a PNG"),
        (SIGNATURE, "without a header"),
        (_png(2, 1, 2, [b"\x00abc"]), "not the 7 bytes"),
        (_png(1, 1, 2, [b"\x05abc"]), "filter 5"),
        (_png(1, 1, 3, [b"\x00a"]), "colour type 3"),
        (encode_png(Picture(width=1, height=1, rows=[b"abc"]))[:-20], "damaged|without"),
    ],
)
def test_file_that_cannot_be_read_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        decode_png(data)


RED = Picture(width=1, height=1, rows=[b"\xff\x00\x00"])
BLUE = Picture(width=1, height=1, rows=[b"\x00\x00\xff"])


def _drawn(picture: Picture) -> list[str]:
    letters = {b"\xff\xff\xff": ".", b"\xff\x00\x00": "R", b"\x00\x00\xff": "B"}
    return ["".join(letters[row[i : i + 3]] for i in range(0, len(row), 3)) for row in map(bytes, picture.rows)]


def test_sheet_tiles_rows_with_white_gaps_and_enlarges_by_whole_numbers() -> None:
    sheet = contact_sheet([[RED, BLUE], [BLUE]], cell=2, gap=1)
    assert _drawn(sheet) == [
        ".......",
        ".RR.BB.",
        ".RR.BB.",
        ".......",
        ".BB....",
        ".BB....",
        ".......",
    ]
    assert (sheet.width, sheet.height) == (7, 7)


def test_sheet_keeps_pictures_larger_than_a_cell_as_they_are() -> None:
    wide = Picture(width=3, height=1, rows=[b"\xff\x00\x00" * 3])
    assert _drawn(contact_sheet([[wide]], cell=2, gap=1)) == [".....", ".RRR.", ".....", ".....", "....."]
