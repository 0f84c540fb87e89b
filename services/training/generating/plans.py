"""Third stage of the generator: the planner learns to say what words mean as rows of the table, and where things are.

What a caption says is chosen among the rows; what it leaves open, places and backgrounds, is a distribution. The energy
score (Gneiting and Raftery 2007, equation 21; strictly proper) teaches it from pairs of samples, without a critic: the
mean distance of two samples to the truth, less half the distance between them.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from services.generation.model import Generator
from services.generation.planner import SLOT_NOISE, Plan, Planner
from services.training.averaging import MovingAverage
from services.training.devices import on_device
from services.training.loop import cosine_schedule
from services.training.muon import Muon, is_matrix
from services.training.optimisation import take_step

PEAK_LEARNING_RATE = 2e-3
VECTOR_NOISE = 0.01
EMA_DECAY = 0.999
PLACE_SCALE = 4.0
"""Boxes vary by a quarter of the side: this makes them vary by one."""
PAGE_SCALE = 0.1
"""Rows of the table are some 14 long: this makes backgrounds count about as much as one thing's place."""


@dataclass(frozen=True, kw_only=True)
class Prompts:
    """Vectors of B texts and the plans of K slots that they mean; what is said of absent things counts for nothing."""

    vectors: Tensor
    """(B, V) of unit norm."""
    things: Tensor
    """(B, K) int64, rows of the table: what each thing is."""
    colours: Tensor
    """(B, K) int64, rows of the table of colours, 0 for a thing's own."""
    presence: Tensor
    """(B, K) ones where the words ask for a thing, else zeros."""
    reversible: Tensor
    """(B, K) ones where a mirror leaves the thing what it is, else zeros."""
    boxes: Tensor
    """(B, K, 3) centre x, centre y and side of each thing's square, in sides of the picture."""
    depths: Tensor
    """(B, K) from 0, the lesser is painted first."""
    background: Tensor
    """(B, C) what the painter of backgrounds knows it by."""
    style: Tensor
    """(B,) int64, index into the styles, of what is drawn: named by the words or not."""


def energy_score(first: Tensor, second: Tensor, truth: Tensor) -> Tensor:
    """All (B, D): two independent samples of one distribution, and the truth -> scalar, the mean over B."""
    distance = functional.pairwise_distance
    score = distance(first, truth) + distance(second, truth) - distance(first, second)
    return score.mean() / 2


class PromptSource(Protocol):
    """Draws prompts with their plans."""

    generator: random.Random

    def draw(self, size: int) -> Prompts:
        """`size` of them."""


class PlansTrainer:
    """One step of the planner on `batch` prompts that `source` draws."""

    def __init__(self, generator: Generator, source: PromptSource, *, batch: int) -> None:
        self.planner, self._source, self.pictures_a_step = generator.planner, source, batch
        self.generators: Mapping[str, random.Random] = {"prompts": source.generator}
        self.counts: dict[str, int] = {}
        self.planner.table.requires_grad_(False)  # the painter has learnt what its rows mean
        self.average = MovingAverage(self.planner, decay=EMA_DECAY)
        self.modules: Mapping[str, nn.Module] = {"planner": self.planner, "average": self.average}
        parameters = [one for one in self.planner.parameters() if one.requires_grad]
        # Muon for what is hidden; what reads the prompt and says the plan is AdamW's (Jordan et al. 2024).
        matrices = [one for one in self.planner.blocks.parameters() if is_matrix(one)]
        hidden = {id(one) for one in matrices}
        others = [one for one in parameters if id(one) not in hidden]
        self.optimisers: Mapping[str, Optimizer] = {
            "muon": Muon(matrices),
            "adamw": torch.optim.AdamW(others, betas=(0.9, 0.99), weight_decay=0.0, fused=True),
        }
        self._parameters = parameters

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step."""
        prompts = on_device(self._source.draw(self.pictures_a_step), self.planner.places.device)
        losses = plan_losses(self.planner, prompts)
        rate = PEAK_LEARNING_RATE * cosine_schedule(share)
        detached = take_step(losses, self.optimisers, self._parameters, rate=rate, clip=1.0)
        self.average.follow(self.planner)
        return detached

    def take_average(self) -> None:
        """Puts the averaged weights into the generator."""
        self.planner.load_state_dict(self.average.mean.state_dict())


def plan_losses(planner: Planner, prompts: Prompts) -> dict[str, Tensor]:
    """Scalars by name: cross-entropies of what words say, weighted, and energy scores of what they leave open."""
    vectors = functional.normalize(prompts.vectors + VECTOR_NOISE * torch.randn_like(prompts.vectors), dim=1)
    slots = prompts.presence.shape[1]
    shape = (len(vectors), slots + 1, SLOT_NOISE)
    first, second = (planner(vectors, torch.randn(shape, device=vectors.device)) for _ in range(2))
    there = prompts.presence > 0  # of all things of a batch, some are there
    told = functional.cross_entropy(first.things[there], prompts.things[there])
    tinted = functional.cross_entropy(first.colours[there], prompts.colours[there])
    entropy = functional.binary_cross_entropy_with_logits
    turned = entropy(first.reversible, prompts.reversible, weight=prompts.presence)
    return {
        "things": told,
        "colours": tinted,
        "presence": entropy(first.presence, prompts.presence) + entropy(second.presence, prompts.presence),
        "reversible": 0.5 * turned,
        "style": 0.5 * functional.cross_entropy(first.style, prompts.style),
        "places": energy_score(*(open_part(one, prompts.presence) for one in (first, second, prompts))),
        "page": energy_score(*(PAGE_SCALE * one.background for one in (first, second, prompts))),
    }


@torch.no_grad()
def planned_backgrounds(planner: Planner, vectors: Tensor) -> Tensor:
    """What a planner puts behind the things that these vectors ask for: (B, V) -> (B, C), a sample each."""
    shape = (len(vectors), planner.slots + 1, SLOT_NOISE)
    return planner(vectors, torch.randn(shape, device=vectors.device)).background  # type: ignore[no-any-return]


def open_part(plan: Plan | Prompts, presence: Tensor) -> Tensor:
    """(B, 4 K + C): places and depths of each thing, zeros of absent ones; and the background, all scaled."""
    there = presence[:, :, None]
    places = torch.cat((PLACE_SCALE * plan.boxes, plan.depths[:, :, None]), dim=2) * there
    return torch.cat((places.flatten(1), PAGE_SCALE * plan.background), dim=1)
