"""Composed scenes whose drawings differ from each other, and all that the generator's sources read of them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np

from services.training.data.scenes.classes import BACKGROUNDS, COLOURS
from services.training.data.scenes.composer import compose, compose_like
from services.training.data.scenes.plan import Plan
from services.training.data.scenes.pool import CELLS, ScenePool
from services.training.data.scenes.sprites import SpriteSet, write_sprites
from services.training.data.scenes.truth import Group
from services.training.data.sources import STYLES
from services.training.generating.layouts import LayoutIndex
from services.training.generating.scene_drawings import SceneDrawings, scene_drawings, table_rows
from tests.services.training.data.scenes.drawings import drawn
from tests.services.training.data.scenes.drawings import sprites as plain_sprites

CONCEPTS = 4
"""Of the tiny pack: the rows of scenes' things come after them."""
SLOTS = 5


@cache
def sprites() -> SpriteSet:
    """A block or a disc for each class, each of a shade of orange that no other has."""
    shades = ((240 - index % 16, 120 + index // 16, 60) for index in range(10_000))
    return SpriteSet(
        sprites=tuple(
            drawn(one.kind, one.style, one.verb, fill=shade)
            for one, shade in zip(plain_sprites().sprites, shades, strict=False)
        )
    )


@cache
def pool() -> ScenePool:
    """Twelve scenes, half of them of a cat below a rainbow and an airplane, one of which captions may leave out."""
    kinds = ("cat", "rainbow", "airplane")
    below = Plan(groups=tuple(Group(kind=kind, colour=None, verb=None, count=1) for kind in kinds), background="meadow")
    composed = [compose(seed, sprites()) for seed in range(6)]
    composed += [compose_like(below, seed, sprites(), split="train") for seed in range(6)]
    return ScenePool(
        pixels=[np.stack([one.pixels for one in composed])],
        cells=np.zeros((len(composed), CELLS, CELLS), np.uint8),
        scenes=[one.scene for one in composed],
    )


def index() -> LayoutIndex:
    """Rows of scenes' things after those of the tiny pack's concepts."""
    return LayoutIndex(
        rows=table_rows(sprites(), CONCEPTS), colours=list(COLOURS), backgrounds=list(BACKGROUNDS), slots=SLOTS
    )


def drawings(folder: Path) -> SceneDrawings:
    """Of the sprites, read from a file in `folder`."""
    write_sprites(sprites(), folder / "sprites.tar")
    return scene_drawings(folder / "sprites.tar", first_row=CONCEPTS, styles=STYLES)
