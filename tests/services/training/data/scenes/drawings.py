"""Sprites for tests: plain discs and blocks in two styles, for every class, in place of npm's art."""

from __future__ import annotations

from functools import cache

from PIL import Image, ImageDraw

from services.training.data.scenes.classes import object_classes
from services.training.data.scenes.sprites import Sprite, SpriteSet, make_sprite

STYLES = ("noto", "twemoji")


@cache
def sprites() -> SpriteSet:
    """An orange block (noto) or disc (twemoji) for each class, one for each verb."""
    made: list[Sprite] = []
    for style in STYLES:
        for kind, each in object_classes().items():
            made.extend(drawn(kind, style, verb) for verb in dict.fromkeys(piece.verb for piece in each.pieces))
    return SpriteSet(sprites=tuple(made))


def drawn(kind: str, style: str, verb: str | None = None, fill: tuple[int, int, int] = (240, 140, 60)) -> Sprite:
    """One sprite: wider than high, with a transparent edge that must be cropped."""
    picture = Image.new("RGBA", (64, 64))
    draw = ImageDraw.Draw(picture)
    (draw.rectangle if style == "noto" else draw.ellipse)((8, 16, 55, 55), fill=fill)
    return make_sprite(kind, style, verb, picture)
