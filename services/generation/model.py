"""The generator: a point of the joint space and noise to a picture, in one forward pass.

A planner says what is where, a painter draws each thing and the background, and they are put one over the other. Words
that mean one pictogram become one thing that fills a white page.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.generation.config import GeneratorConfig
from services.generation.layers import place, stack
from services.generation.painter import Painter, mapping
from services.generation.planner import SLOT_NOISE, Plan, Planner

FREE_NOISE = 8
"""Numbers of a painter's noise."""


class Generator(nn.Module):
    """Text vectors and noise to pictures.

    The noise: `styles` numbers that choose one of the styles which the words leave open; SLOT_NOISE for each slot and
    for the page, which move things; FREE_NOISE for each of the same, for what they look like, whose first number
    mirrors, where it is positive, what may be mirrored, and whose next two choose what words leave open: the drawing of
    a thing among those that fit, and its colour.
    """

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        width, content = config.mapping_width, config.content_width
        self.planner = Planner(
            space_width=config.space_width, width=config.planner_width, layers=config.planner_layers,
            heads=config.planner_heads, slots=config.slots, content_width=content, things=config.things,
            colours=config.colours, styles=config.styles,
        )  # fmt: skip
        self.thing_code = mapping(content + config.styles + FREE_NOISE, width)
        self.thing = Painter(config.widths, code_width=width, detail_width=config.detail_width, channels=4)
        self.page_code = mapping(content + config.styles + FREE_NOISE, width)
        self.page = Painter(config.page_widths, code_width=width, detail_width=config.detail_width, channels=3)
        last = nn.Conv2d(config.finish_width, 3, 3, 1, 1)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(cast(Tensor, last.bias))
        self.finish = nn.Sequential(
            nn.Conv2d(3 + 1, config.finish_width, 3, 1, 1), nn.SiLU(),
            nn.Conv2d(config.finish_width, config.finish_width, 3, 1, 1), nn.SiLU(),
            last,
        )  # fmt: skip

    def draw_things(self, contents: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """(N, C) contents, (N, S) one-hot styles, (N, FREE_NOISE) -> (N, 4, H, W): ink less white, and opacity."""
        planes: Tensor = self.thing(self.thing_code(self._coded(contents, style, noise)))
        return planes.float()

    def draw_page(self, contents: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """The background: as `draw_things` -> (N, 3, H, W), nearly in [0, 1]."""
        planes: Tensor = self.page(self.page_code(self._coded(contents, style, noise)))
        return planes.float() + 1

    def _coded(self, contents: Tensor, style: Tensor, noise: Tensor) -> Tensor:
        """All that a painter is told, in its own precision."""
        return torch.cat((contents, 3 * style, noise), dim=1).to(next(self.thing_code.parameters()).dtype)

    def lay(self, plan: Plan, style: Tensor, noise: Tensor, presence: Tensor, mirrored: Tensor) -> Tensor:
        """Draws a plan.

        style (B, S) one-hot, noise (B, K + 1, FREE_NOISE), presence and mirrored (B, K) -> (B, 3, H, W).
        """
        batch, slots = presence.shape
        styles = style[:, None].expand(-1, slots, -1).flatten(0, 1)
        things = self.draw_things(plan.contents.flatten(0, 1), styles, noise[:, :slots].flatten(0, 1))
        side = things.shape[-1]
        layers = place(things, plan.boxes.flatten(0, 1).float(), mirrored.flatten(), side).view(
            batch, slots, 4, side, side
        )
        page = self.draw_page(plan.background, style, noise[:, slots])
        return self.join(page, layers, plan.depths.float(), presence.float())

    def join(self, page: Tensor, layers: Tensor, depths: Tensor, presence: Tensor) -> Tensor:
        """Things over the page, and what only the two together have: shadows, blended edges.

        page (B, 3, H, W), layers (B, K, 4, H, W), depths and presence (B, K) -> (B, 3, H, W), nearly in [0, 1].
        """
        flat = stack(page, layers, depths, presence)
        covered = 1 - (1 - layers[:, :, 3:] * presence[:, :, None, None, None]).clamp(0, 1).prod(dim=1)
        joined = torch.cat((flat, covered), dim=1).to(next(self.finish.parameters()).dtype)
        joint: Tensor = self.finish(joined.contiguous(memory_format=torch.channels_last))
        return flat + joint.float()

    def forward(self, vectors: Tensor, noise: Tensor) -> Tensor:
        """(B, V) of unit norm, (B, Z) standard normal, float32 both -> (B, 3, H, W) float32 in [-1, 1]."""
        return self.paint(vectors, noise).clamp(-1, 1)

    def paint(self, vectors: Tensor, noise: Tensor) -> Tensor:
        """As `forward`, without the bounds, where gradients would end."""
        config = self.config
        moves, looks = self.split(noise)
        plan = self.planner(vectors, moves)
        style = functional.one_hot(drawn(plan.style, noise[:, : config.styles]), config.styles).to(vectors.dtype)
        contents = self.planner.table.mix(
            chosen(2 * plan.things, looks[:, :-1, 1]), chosen(plan.colours, looks[:, :-1, 2])
        )
        # Things are there or not; the gradient is that of how likely they are (Bengio et al. 2013, arXiv:1308.3432).
        likely = plan.presence.sigmoid()
        # In this order the sum is 0 or 1 to the last bit, in bf16 too.
        presence = (plan.presence > 0).to(likely.dtype) + (likely - likely.detach())
        mirrored = (looks[:, :-1, 0] > 0) & (plan.reversible > 0)
        return self.lay(replace(plan, contents=contents), style, looks, presence, mirrored) * 2 - 1

    def split(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """(B, Z) -> its numbers for moves (B, K + 1, SLOT_NOISE) and for looks (B, K + 1, FREE_NOISE)."""
        config = self.config
        places = config.slots + 1
        _, moves, looks = noise.split([config.styles, places * SLOT_NOISE, places * FREE_NOISE], dim=1)
        return moves.reshape(-1, places, SLOT_NOISE), looks.reshape(-1, places, FREE_NOISE)


def chosen(logits: Tensor, noise: Tensor) -> Tensor:
    """(..., T) and (...) normal -> (..., T): one of T for each, as likely as its softmax, as a row of zeros and a one.

    By the inverse of the cumulative distribution, which needs one number. The gradient is that of the softmax.
    """
    likely = logits.float().softmax(dim=-1)
    place = (likely.cumsum(dim=-1) < torch.special.ndtr(noise.float())[..., None]).sum(dim=-1)
    hard = functional.one_hot(place.clamp(max=logits.shape[-1] - 1), logits.shape[-1]).to(logits.dtype)
    row: Tensor = hard + (likely - likely.detach()).to(logits.dtype)
    return row


def drawn(logits: Tensor, noise: Tensor) -> Tensor:
    """(B, S) each, the noise normal -> (B,) indices, each as often as the softmax of its logits says.

    The Gumbel-max trick (Maddison et al. 2014, arXiv:1411.0030), from normal numbers, in float32 on every device.
    """
    uniform: Tensor = torch.special.ndtr(noise.float()).clamp(1e-6, 1 - 1e-6)
    return (logits.float() - (-uniform.log()).log()).argmax(dim=1)
