"""Scenes as the generator's layers: which drawing, where, how large, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from services.training.data.scenes.composer import FIXED_SIDE
from services.training.data.scenes.sprites import SpriteSet
from services.training.data.scenes.truth import Scene, SceneObject

MARGIN = 0.06
"""Of a drawing's square, on each edge, as in the pack."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The layers of B scenes, K slots each."""

    drawing: Tensor
    """(B, K) row of the table: what each thing is; 0 where there is none."""
    colour: Tensor
    """(B, K) row of the table of colours, 0 for its own."""
    boxes: Tensor
    """(B, K, 3)"""
    depths: Tensor
    """(B, K)"""
    presence: Tensor
    """(B, K) of zeros and ones."""
    mirrored: Tensor
    """(B, K)"""
    reversible: Tensor
    """(B, K) of ones where a mirror leaves the thing what it is."""
    sprites: Tensor
    """(B, K) index into the sprite set, for the drawing itself."""
    background: Tensor
    """(B,)"""


@dataclass(frozen=True, kw_only=True)
class LayoutIndex:
    """Which row stands for what."""

    rows: Mapping[tuple[str, str | None], int]
    """(class, verb) to a row of the table."""
    colours: Sequence[str]
    backgrounds: Sequence[str]
    slots: int

    def read(self, scenes: Sequence[Scene], sprites: SpriteSet, mentioned: Sequence[set[str]] | None = None) -> Layout:
        """The layouts of scenes, slots ordered by row and then from left to right.

        With `mentioned`, only objects of those classes count.
        """
        shape = (len(scenes), self.slots)
        drawing, colour, sprite = (torch.zeros(shape, dtype=torch.long) for _ in range(3))
        depths, presence, reversible = torch.zeros(shape), torch.zeros(shape), torch.zeros(shape)
        mirrored = torch.zeros(shape, dtype=torch.bool)
        boxes = torch.tensor([0.5, 0.5, 0.5]).repeat(*shape, 1)
        for row, scene in enumerate(scenes):
            objects = [(order, one) for order, one in enumerate(scene.objects)]
            if mentioned is not None:
                objects = [(order, one) for order, one in objects if one.kind in mentioned[row]]
            objects.sort(key=lambda pair: (self.rows[pair[1].kind, pair[1].verb], pair[1].box[0] + pair[1].box[2]))
            for slot, (order, one) in enumerate(objects[: self.slots]):
                drawing[row, slot] = self.rows[one.kind, one.verb]
                colour[row, slot] = 0 if one.colour is None else 1 + self.colours.index(one.colour)
                boxes[row, slot] = torch.tensor(square(one, sprites))
                depths[row, slot] = order / 4
                presence[row, slot] = 1
                reversible[row, slot] = one.kind not in FIXED_SIDE
                mirrored[row, slot] = one.mirrored
                sprite[row, slot] = one.sprite
        background = torch.tensor([self.backgrounds.index(scene.background) for scene in scenes])
        return Layout(drawing=drawing, colour=colour, boxes=boxes, depths=depths, presence=presence,
                      mirrored=mirrored, reversible=reversible, sprites=sprite, background=background)  # fmt: skip


def square(one: SceneObject, sprites: SpriteSet) -> tuple[float, float, float]:
    """Centre and side of the square that a drawing fills, from the part of it that is seen."""
    x0, y0, x1, y1 = one.box
    height, width = sprites.sprites[one.sprite].picture.shape[:2]
    largest = max(height, width)
    side = max((x1 - x0) * largest / width, (y1 - y0) * largest / height) / (1 - 2 * MARGIN)
    return (x0 + x1) / 2, (y0 + y1) / 2, side
