"""First stage of the generator: the painter of things copies drawings, each known by a row of a table.

The table stands for words until the planner has learnt to say its rows (`plans.py`), so that this longest stage needs
no text encoder, and a new joint space does not undo it.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from services.generation.model import FREE_NOISE, Generator
from services.training.averaging import MovingAverage
from services.training.data.augmentation import resized
from services.training.loop import cosine_schedule
from services.training.losses import edge_loss, multiscale_l1
from services.training.muon import Muon, is_matrix
from services.training.optimisation import take_step

PEAK_LEARNING_RATE = 2e-3
EMA_DECAY = 0.999
CONTENT_NOISE = 0.1


@dataclass(frozen=True, kw_only=True)
class Drawings:
    """N cut-out drawings of known things, in memory."""

    ink: Tensor
    """(N, 3, H, H) uint8, on white."""
    opacity: Tensor
    """(N, 1, H, H) uint8, 255 where nothing shines through."""
    concept: Tensor
    """(N,) int64, rows of the table: what each is."""
    colour: Tensor
    """(N,) int64, rows of the table of colours, 0 for its own."""
    style: Tensor
    """(N,) int64, index into the pack's styles."""
    weight: Tensor
    """(N,) more than 0: how often each is drawn, relative to others."""


class ThingsTrainer:
    """One step copies a batch of drawings: ink on white, opacity, and the edges of both."""

    def __init__(self, generator: Generator, drawings: Drawings, *, batch: int, seed: int) -> None:
        self.generator, self.table = generator, generator.planner.table
        self._painting = nn.ModuleList((generator.thing_code, generator.thing, self.table))
        self.average = MovingAverage(self._painting, decay=EMA_DECAY)
        self._drawings, self.pictures_a_step = drawings, batch
        self._seed, self._device = seed, generator.planner.places.device
        self.generators: Mapping[str, random.Random] = {}
        self.counts = {"steps": 0}
        self.modules: Mapping[str, nn.Module] = {"painting": self._painting, "average": self.average}
        rows = {id(one) for one in self.table.parameters()}
        matrices = [one for one in self._painting.parameters() if is_matrix(one) and id(one) not in rows]
        muons = {id(one) for one in matrices}
        others = [one for one in self._painting.parameters() if id(one) not in muons]
        self.optimisers: Mapping[str, Optimizer] = {
            "muon": Muon(matrices),
            "adamw": torch.optim.AdamW(others, betas=(0.9, 0.99), weight_decay=0.0, fused=True),
        }

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step."""
        losses = self.losses(self.pictures_a_step, self.counts["steps"])
        self.counts["steps"] += 1
        rate = PEAK_LEARNING_RATE * cosine_schedule(share)
        detached = take_step(losses, self.optimisers, self._painting.parameters(), rate=rate, clip=10.0)
        self.average.follow(self._painting)
        return detached

    def take_average(self) -> None:
        """Puts the averaged weights into the generator."""
        self._painting.load_state_dict(self.average.mean.state_dict())

    def losses(self, size: int, step: int) -> dict[str, Tensor]:
        """How far the painter is from `size` drawings drawn at random for `step`: scalars `l1` and `edges`."""
        drawings, config = self._drawings, self.generator.config
        drawn = torch.Generator().manual_seed(self._seed * 1_000_003 + step)
        rows = torch.multinomial(drawings.weight, size, replacement=True, generator=drawn)
        target = torch.cat((drawings.ink[rows], drawings.opacity[rows]), dim=1).to(self._device).float() / 255
        target[:, :3] -= 1  # ink less white, as the painter gives it
        target = resized(target, config.pixels).contiguous(memory_format=torch.channels_last)
        known = (drawings.concept, drawings.colour, drawings.style)
        concept, colour, style = (each[rows].to(self._device) for each in known)
        contents = self.table(concept, colour)
        contents = contents + CONTENT_NOISE * torch.randn_like(contents)
        noise = torch.randn(len(rows), FREE_NOISE, device=self._device)
        with torch.autocast(self._device.type, dtype=torch.bfloat16):
            planes = self.generator.draw_things(contents, functional.one_hot(style, config.styles).float(), noise)
        return {"l1": multiscale_l1(2 * planes, 2 * target), "edges": edge_loss(2 * planes, 2 * target)}
