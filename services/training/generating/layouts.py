"""Scenes as the generator's layers: which drawing, where, how large, in which order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor

from services.training.data.scenes.composer import FIXED_SIDE
from services.training.data.scenes.sprites import SpriteSet
from services.training.data.scenes.truth import Scene, SceneObject

MARGIN = 0.06
"""Share of a drawing's square that is empty on each edge, as in the pack."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The layers of B scenes, K slots each."""

    drawing: Tensor
    """(B, K) int64, row of the table: what each thing is; 0 where there is none."""
    colour: Tensor
    """(B, K) int64, row of the table of colours: 0 for its own, else 1 + an index into `LayoutIndex.colours`."""
    boxes: Tensor
    """(B, K, 3) centre x and y, from the upper left, and side of each thing's square, in sides of the picture; 0.5 each
    where there is none. A square that holds something long may reach beyond the picture."""
    depths: Tensor
    """(B, K) 0 for the farthest object of the scene, 0.25 more for each nearer one, mentioned or not; 0 where there is
    none."""
    presence: Tensor
    """(B, K) ones where there is a thing, else zeros."""
    mirrored: Tensor
    """(B, K) bool: whether the scene shows the drawing with left and right changed."""
    reversible: Tensor
    """(B, K) ones where a mirror leaves the thing what it is, else zeros."""
    sprites: Tensor
    """(B, K) int64, index into the sprite set, for the drawing itself; 0 where there is none."""
    background: Tensor
    """(B,) int64, index into `LayoutIndex.backgrounds`."""


def join_layouts(*parts: Layout) -> Layout:
    """All of them, in order."""
    return Layout(**{each.name: torch.cat([getattr(part, each.name) for part in parts]) for each in fields(Layout)})


def alone_on_plain_pages(count: int, *, slots: int, plain: int) -> Layout:
    """One thing each that fills the picture, before the background number `plain`."""
    zeros = torch.zeros(count, slots, dtype=torch.long)
    presence = torch.zeros(count, slots)
    presence[:, 0] = 1
    return Layout(
        drawing=zeros, colour=zeros, boxes=torch.tensor([0.5, 0.5, 1.0]).repeat(count, slots, 1),
        depths=torch.zeros(count, slots), presence=presence, mirrored=zeros.bool(),
        reversible=torch.zeros(count, slots), sprites=zeros, background=torch.full((count,), plain),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class LayoutIndex:
    """Which row stands for what."""

    rows: Mapping[tuple[str, str | None], int]
    """(class, verb) to a row of the table."""
    colours: Sequence[str]
    """Of the table's rows from 1 on."""
    backgrounds: Sequence[str]
    slots: int
    """K, the things that a layout can hold."""

    def read(self, scenes: Sequence[Scene], sprites: SpriteSet, mentioned: Sequence[set[str]] | None = None) -> Layout:
        """The layouts of B scenes, slots ordered by row and then from left to right, filled from the first on.

        With `mentioned`, B sets of classes, only objects of those count. What is more than `slots` is left out.
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
    """Centre x, centre y and side, in sides of the picture, of the square whose drawing `fit` made.

    From the part of it that is seen: the square lies around its middle, as large as its width or its height asks,
    whichever is less hidden.
    """
    x0, y0, x1, y1 = one.box
    height, width = sprites.sprites[one.sprite].picture.shape[:2]
    largest = max(height, width)
    side = max((x1 - x0) * largest / width, (y1 - y0) * largest / height) / (1 - 2 * MARGIN)
    return (x0 + x1) / 2, (y0 + y1) / 2, side
