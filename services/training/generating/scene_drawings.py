"""The drawings of scenes, in every colour that scenes give them, as the painter of things learns them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from services.training.data.scenes.classes import COLOURS
from services.training.data.scenes.paint import repaint
from services.training.data.scenes.sprites import PLANTS, SpriteSet, read_sprites
from services.training.generating.layouts import MARGIN
from services.training.generating.things import Drawings

SIDE = 64
"""Of a drawing, in pixels."""


@dataclass(frozen=True, kw_only=True)
class SceneDrawings(Drawings):
    """Drawings beside what they are in the sprite set."""

    rows: int
    """How many rows they need in the table."""
    of_sprite: dict[tuple[int, str | None], int]
    """(index into the sprite set, colour or None for its own where no colour word fits) to a row, 0 to N - 1."""


def table_rows(sprites: SpriteSet, first_row: int) -> dict[tuple[str, str | None], int]:
    """(class, verb) to a row of the table, from `first_row` on."""
    keys = sorted({(one.kind, one.verb or "") for one in sprites.sprites})
    return {(kind, verb or None): first_row + index for index, (kind, verb) in enumerate(keys)}


def scene_drawings(file: Path, *, first_row: int, styles: Sequence[str]) -> SceneDrawings:
    """Reads the sprites in `file` and paints each in each colour that it may have: (N, 3, SIDE, SIDE).

    first_row: of the table, for the things of scenes. styles: the pack's. Raises ConfigurationError as `read_sprites`.
    """
    sprites = read_sprites(file)
    rows = table_rows(sprites, first_row)
    names = list(COLOURS)
    ink: list[NDArray[np.uint8]] = []
    opacity: list[NDArray[np.uint8]] = []
    concept, colour, style, of_sprite = [], [], [], {}
    for index, sprite in enumerate(sprites.sprites):
        own = [sprite.colour] if sprite.colour else [None]
        for name in dict.fromkeys([*own, *(names if sprite.paintable else ())]):
            picture = sprite.picture
            if name is not None and name != sprite.colour:
                picture = repaint(picture, name, leaves=sprite.kind in PLANTS)
            one_ink, one_opacity = fit(picture)
            of_sprite[index, name] = len(ink)
            ink.append(one_ink)
            opacity.append(one_opacity)
            concept.append(rows[sprite.kind, sprite.verb])
            colour.append(0 if name is None else 1 + names.index(name))
            style.append(list(styles).index(sprite.style))
    concept_ = torch.tensor(concept)
    weight = 1 / torch.bincount(concept_)[concept_].float() ** 0.5
    return SceneDrawings(
        ink=torch.from_numpy(np.stack(ink)).permute(0, 3, 1, 2).contiguous(),
        opacity=torch.from_numpy(np.stack(opacity))[:, None].contiguous(),
        concept=concept_, colour=torch.tensor(colour), style=torch.tensor(style), weight=weight,
        rows=len(rows), of_sprite=of_sprite,
    )  # fmt: skip


def fit(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """(H, W, 4) RGBA -> colours on white (SIDE, SIDE, 3) and alpha (SIDE, SIDE), all uint8.

    The picture lies in the middle of a square, its longer side 1 - 2 MARGIN of that; `layouts.square` is its inverse.
    """
    height, width = picture.shape[:2]
    side = round(max(height, width) / (1 - 2 * MARGIN))
    canvas = Image.new("RGBA", (side, side), (255, 255, 255, 0))
    canvas.paste(Image.fromarray(picture), ((side - width) // 2, (side - height) // 2))
    white = Image.alpha_composite(Image.new("RGBA", canvas.size, (255, 255, 255, 255)), canvas).convert("RGB")
    opaque = white.resize((SIDE, SIDE), Image.Resampling.LANCZOS if side > SIDE else Image.Resampling.BICUBIC)
    alpha = canvas.getchannel("A").resize(
        (SIDE, SIDE), Image.Resampling.BOX if side > SIDE else Image.Resampling.BICUBIC
    )
    return np.asarray(opaque), np.asarray(alpha)
