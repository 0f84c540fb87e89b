"""What makes no pixels never reaches the decoder, and what does arrives whole."""

from __future__ import annotations

import io
import time

import pytest
from PIL import Image

from shared.errors import InvalidArgumentError
from shared.image_parts import essence
from shared.images import decode_square
from tests.hostile_pictures import (
    JPEG,
    PNG,
    READ,
    REFUSED,
    SQUARE,
    exif,
    file_of,
    in_jpeg,
    in_png,
    in_webp,
    jpeg_segment,
    png_chunk,
    webp_chunk,
)

NOISE = Image.effect_noise((300, 200), 80).convert("RGB")
PROFILE, XMP = b"p" * 150_000, b"<x:xmpmeta/>" * 9_000
HANG_SECONDS = 5.0
"""Of the CPU, which nobody else's work lengthens."""


@pytest.mark.parametrize("kind", REFUSED)
def test_file_of_very_many_parts_or_passes_is_refused_before_it_is_decoded(kind: str) -> None:
    make, told = REFUSED[kind]
    data, begin = make(), time.thread_time()
    with pytest.raises(InvalidArgumentError, match=told):
        decode_square(data, 8)
    assert time.thread_time() - begin < HANG_SECONDS / 10


@pytest.mark.parametrize("kind", READ)
def test_good_picture_in_a_file_that_is_made_to_take_long_is_read(kind: str) -> None:
    data, begin = READ[kind](), time.thread_time()
    assert decode_square(data, 8).shape == (8, 8, 3)
    assert time.thread_time() - begin < HANG_SECONDS


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", dict(icc_profile=PROFILE, exif=exif(6, 40), dpi=(300, 300))),
        ("JPEG", dict(icc_profile=PROFILE, exif=b"Exif\0\0" + exif(6, 40), xmp=XMP[:60_000], comment=b"c" * 60_000)),
        ("JPEG", dict(progressive=True, exif=b"Exif\0\0" + exif(3), dpi=(300, 300), restart_marker_blocks=1)),
        ("WEBP", dict(lossless=True, icc_profile=PROFILE, exif=exif(6, 40), xmp=XMP)),
        ("WEBP", dict(save_all=True, append_images=[Image.new("RGB", NOISE.size)] * 3, exif=exif(6))),
        ("GIF", dict(comment=b"c" * 1000, save_all=True, append_images=[Image.new("RGB", NOISE.size)] * 3)),
    ],
    ids=("PNG", "JPEG", "progressive JPEG", "WebP", "animated WebP", "animated GIF"),
)
def test_photograph_with_all_its_metadata_keeps_every_pixel(kind: str, options: dict[str, object]) -> None:
    data = file_of(NOISE, kind, **options)
    found = essence(data)
    assert as_image(found.data).convert("RGBA").tobytes() == as_image(data).convert("RGBA").tobytes()
    assert found.orientation == as_image(data).getexif().get(0x0112, 1)
    assert as_image(found.data).info.keys().isdisjoint({"icc_profile", "exif", "xmp", "comment"})


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF", "BMP"])
def test_file_that_is_cut_off_at_any_byte_is_damage_and_nothing_else(kind: str) -> None:
    data = file_of(SQUARE, kind)
    for end in range(len(data)):
        try:
            decode_square(data[:end], 8)
        except InvalidArgumentError:
            continue


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_found_among_the_other_entries_and_in_both_byte_orders(orientation: int) -> None:
    small = exif(orientation, 40)
    big = b"MM\0*" + bytes.fromhex("00000008 0001 0112 0003 00000001") + orientation.to_bytes(2, "big") + bytes(6)
    for body in (small, big):
        assert essence(in_jpeg(jpeg_segment(0xE1, b"Exif\0\0" + body))).orientation == orientation
        assert essence(in_png(png_chunk(b"eXIf", body))).orientation == orientation
        assert essence(in_webp(webp_chunk(b"EXIF", body))).orientation == orientation
        assert essence(in_webp(webp_chunk(b"EXIF", b"Exif\0\0" + body))).orientation == orientation


@pytest.mark.parametrize("body", [b"", b"II*\0", b"II*\0\xff\xff\xff\xff", exif(6)[:-9], b"nonsense" * 9])
def test_exif_that_is_damaged_turns_nothing(body: bytes) -> None:
    assert essence(in_jpeg(jpeg_segment(0xE1, b"Exif\0\0" + body))).orientation == 1


def test_first_exif_of_several_counts() -> None:
    segments = [jpeg_segment(0xE1, b"Exif\0\0" + exif(orientation)) for orientation in (6, 3)]
    assert essence(in_jpeg(b"".join(segments))).orientation == 6


def test_what_follows_the_picture_is_left_out() -> None:
    """Such as the film of a moving photograph, in whose bytes any marker may stand."""
    assert essence(JPEG + b"\xff\xda" * 1000).data == JPEG
    assert essence(JPEG + b"\xff\xda" * 1000).scans == 1
    assert essence(PNG + bytes(1000)).data == PNG


def as_image(data: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(data))
    image.load()
    return image
