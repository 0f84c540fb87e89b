"""Sprites are cropped, know their colour, and come back from their file as they were."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from services.training.data.scenes.paint import repaint
from services.training.data.scenes.painting import PaintedSprites
from services.training.data.scenes.sprites import SpriteSet, make_sprite, read_sprites, write_sprites
from shared.errors import ConfigurationError
from tests.services.training.data.scenes.drawings import drawn, sprites


def test_a_sprite_is_cropped_to_its_drawing_and_at_most_128_px() -> None:
    assert drawn("cat", "noto").picture.shape == (40, 48, 4)
    large = make_sprite("cat", "noto", None, Image.new("RGBA", (256, 200), (240, 140, 60)))
    assert large.picture.shape == (100, 128, 4)


@pytest.mark.parametrize(
    ("fill", "colour", "plain"),
    [
        ((220, 30, 30), "red", True),
        ((250, 210, 30), "yellow", True),
        ((40, 170, 60), "green", True),
        ((30, 90, 220), "blue", True),
        ((130, 60, 200), "purple", True),
        ((240, 140, 60), None, True),  # orange is none of the seven
        ((150, 150, 160), None, True),
        ((220, 30, 140), None, False),  # between red and pink: people would differ
    ],
)
def test_a_drawing_s_own_colour_is_named_only_where_it_is_beyond_doubt(
    fill: tuple[int, int, int], colour: str | None, plain: bool
) -> None:
    sprite = drawn("car", "noto", fill=fill)
    assert (sprite.colour, sprite.plain) == (colour, plain)


def test_classes_without_colours_have_none_even_when_drawn_in_one() -> None:
    tiger = drawn("tiger", "noto", fill=(220, 30, 30))
    assert (tiger.colour, tiger.paintable, tiger.plain) == (None, False, True)


def test_repainting_keeps_leaves_and_transparency() -> None:
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[:4] = (250, 210, 30, 255)
    picture[4:6] = (130, 170, 50, 255)  # a hue so near to yellow that only its being a leaf tells
    painted = repaint(picture, "blue", leaves=True)
    assert painted[0, 0, 2] > painted[0, 0, 0] + 100
    assert np.array_equal(painted[4:], picture[4:])


def test_file_gives_back_the_sprites_and_equal_sprites_give_equal_bytes(tmp_path: Path) -> None:
    write_sprites(sprites(), tmp_path / "a.tar")
    write_sprites(sprites(), tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    read = read_sprites(tmp_path / "a.tar")
    assert len(read.sprites) == len(sprites().sprites)
    for ours, theirs in zip(sprites().sprites, read.sprites, strict=True):
        assert np.array_equal(ours.picture, theirs.picture)
        assert (ours.kind, ours.style, ours.verb) == (theirs.kind, theirs.style, theirs.verb)
        assert (ours.colour, ours.paintable, ours.plain) == (theirs.colour, theirs.paintable, theirs.plain)


@pytest.mark.parametrize("content", [None, b"no tar", b"sprites" * 200])
def test_file_that_is_missing_or_damaged_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "sprites.tar"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(ConfigurationError, match=r"sprites\.tar holds no sprites.*diptych data build"):
        read_sprites(file)


def test_file_cut_short_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "sprites.tar"
    write_sprites(SpriteSet(sprites=(drawn("cat", "noto"), drawn("dog", "noto"))), file)
    file.write_bytes(file.read_bytes()[:2048])
    with pytest.raises(ConfigurationError, match="holds no sprites"):
        read_sprites(file)


def test_interrupted_writing_leaves_the_file_of_before(tmp_path: Path) -> None:
    file = tmp_path / "sprites.tar"
    write_sprites(SpriteSet(sprites=(drawn("cat", "noto"),)), file)
    broken = replace(drawn("cat", "noto"), picture=np.zeros((4, 4, 9), np.uint8))  # no picture has nine channels
    with pytest.raises(TypeError):
        write_sprites(SpriteSet(sprites=(drawn("dog", "noto"), broken)), file)
    assert [each.kind for each in read_sprites(file).sprites] == ["cat"]


def test_painted_sprites_hold_no_more_bytes_than_their_limit() -> None:
    one = 40 * 48 * 4
    painted = PaintedSprites((drawn("cat", "noto"),), limit=2 * one)
    for colour in ("red", "blue", "green"):
        painted.get(0, colour)
    assert painted.held == 2 * one
    assert painted.get(0, "green") is painted.get(0, "green")
