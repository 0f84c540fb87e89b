"""Decides what is where: a point of the joint space and noise to the layers of a picture.

A small transformer (Vaswani et al. 2017) whose tokens are slots, one a thing, with the prompt's vector and noise among
them; DETR's queries (Carion et al. 2020, arXiv:2005.12872), in one pass and not matched: the order of slots is fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

SLOT_NOISE = 8
"""Numbers of the noise that each slot has to itself."""
ROW_SCALE = 0.5
"""Of the product of what a slot wants and a row of the table, whose numbers are about one each."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What is to be painted, for B prompts and K slots."""

    things: Tensor
    """(B, K, T) logits of what each thing is."""
    colours: Tensor
    """(B, K, U) logits of its colour; the first: its own."""
    background: Tensor
    """(B, C): what lies behind them."""
    boxes: Tensor
    """(B, K, 3): centre x, centre y and side of each thing's square, in sides of the picture."""
    depths: Tensor
    """(B, K): the lesser is painted first."""
    presence: Tensor
    """(B, K) logits that there is such a thing."""
    reversible: Tensor
    """(B, K) logits that a mirror leaves the thing what it is: a cat, but not a clock."""
    style: Tensor
    """(B, S) logits of the style: the one that the words name, or all in which such things are drawn."""


class ContentTable(nn.Module):
    """What the painter can draw: a row a thing, plus one a colour that it may be given."""

    def __init__(self, *, things: int, colours: int, width: int) -> None:
        super().__init__()
        self.things = nn.Embedding(things, width)
        self.colours = nn.Embedding(colours, width, padding_idx=0)  # the first is a thing's own

    def forward(self, thing: Tensor, colour: Tensor) -> Tensor:
        """(...) indices each -> (..., C)."""
        return self.things(thing) + self.colours(colour)  # type: ignore[no-any-return]

    def mix(self, things: Tensor, colours: Tensor) -> Tensor:
        """(..., T) and (..., U) shares -> (..., C)."""
        return things @ self.things.weight + colours @ self.colours.weight


class Planner(nn.Module):
    """Prompts' vectors and noise to plans."""

    def __init__(self, *, space_width: int, width: int, layers: int, heads: int, slots: int, content_width: int,
                 things: int, colours: int, styles: int) -> None:  # fmt: skip
        super().__init__()
        self.slots = slots
        self.table = ContentTable(things=things, colours=colours, width=content_width)
        self.prompt = nn.Linear(space_width, 4 * width)
        self.noise = nn.Linear(SLOT_NOISE, width)
        self.places = nn.Parameter(torch.randn(slots + 5, width) * 0.02)
        layer = nn.TransformerEncoderLayer(
            width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.blocks = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.norm = nn.LayerNorm(width)
        self.to_thing = nn.Linear(width, content_width)
        self.to_colour = nn.Linear(width, colours)
        self.to_background = nn.Linear(width, content_width)
        self.to_box = nn.Linear(width, 3)
        self.to_rest = nn.Linear(width, 2)
        self.to_reversible = nn.Linear(width, 1)
        self.to_style = nn.Linear(width, styles)

    def forward(self, vectors: Tensor, noise: Tensor) -> Plan:
        """(B, V) of unit norm, (B, K + 1, SLOT_NOISE) normal."""
        batch = len(vectors)
        prompt = self.prompt(vectors * vectors.shape[1] ** 0.5).view(batch, 4, -1)  # (B, 4, W)
        hidden = torch.cat((self.noise(noise), prompt), dim=1) + self.places  # (B, K + 5, W)
        hidden = self.norm(self.blocks(hidden))
        slots, whole = hidden[:, : self.slots], hidden[:, self.slots]
        depths, presence = self.to_rest(slots).unbind(dim=2)
        return Plan(
            # Rows are looked up by what they are: nothing else tells the thousandth thing from the first.
            things=self.to_thing(slots) @ self.table.things.weight.T * ROW_SCALE,
            colours=self.to_colour(slots),
            background=self.to_background(whole),
            boxes=self.to_box(slots).sigmoid() * 1.5 - 0.25,
            depths=depths,
            presence=presence,
            reversible=self.to_reversible(slots)[:, :, 0],
            style=self.to_style(whole),
        )
