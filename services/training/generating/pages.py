"""Second stage of the generator: backgrounds, and how things sit on them, learnt from scenes with their drawings given.

What a caption never tells of a background, such as where its hills are, is read from the picture by a small encoder
while training, and drawn at random afterwards: a variational autoencoder (Kingma and Welling 2014) for that part alone.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from itertools import pairwise
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from services.generation.layers import place
from services.generation.model import FREE_NOISE, Generator
from services.training.averaging import MovingAverage
from services.training.devices import on_device
from services.training.generating.layouts import Layout
from services.training.loop import cosine_schedule
from services.training.losses import edge_loss, multiscale_l1
from services.training.muon import Muon, is_matrix
from services.training.optimisation import take_step

PEAK_LEARNING_RATE = 1e-3
DIVERGENCE_WEIGHT = 2e-3
EMA_DECAY = 0.999


class PageReader(nn.Module):
    """A picture to mean and log variance of the background's noise."""

    def __init__(self, pixels: int) -> None:
        super().__init__()
        widths = (3, 24, 48, 64, 64)
        pairs = pairwise(widths)
        self.stages = nn.Sequential(*(nn.Sequential(nn.Conv2d(a, b, 3, 2, 1), nn.SiLU()) for a, b in pairs))
        self.out = nn.Linear(64 * (pixels // 16) ** 2, 2 * FREE_NOISE)

    def forward(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in [0, 1] -> mean and logarithm of the variance (-8 to 4), each (B, FREE_NOISE)."""
        mean, log_variance = self.out(self.stages(pictures * 2 - 1).flatten(1)).float().chunk(2, dim=1)
        return mean, log_variance.clamp(-8, 4)


def picture_layers(drawings: Tensor, layout: Layout, side: int) -> Tensor:
    """(B, K, 4, D, D) drawings as `Generator.draw_things` gives them, put where the layout says: (B, K, 4, side, side).

    Those of absent things lie in the middle: presence is left to `Generator.join`.
    """
    batch, slots = layout.presence.shape
    placed = place(drawings.flatten(0, 1), layout.boxes.flatten(0, 1), layout.mirrored.flatten(), side)
    return placed.view(batch, slots, 4, side, side)


class PageSource(Protocol):
    """Draws scenes with the drawings they are made of."""

    generator: random.Random

    def draw(self, size: int) -> tuple[Tensor, Tensor, Layout, Tensor]:
        """Pictures (B, 3, H, W) in [0, 1]; drawings (B, K, 4, D, D), ink less white in [-1, 0] and opacity in [0, 1];
        layouts; styles (B, S) one-hot."""


class PagesTrainer:
    """One step: backgrounds and joints of a batch of scenes, by L1 and edges."""

    def __init__(self, generator: Generator, backgrounds: nn.Embedding, source: PageSource, *, batch: int) -> None:
        self.generator, self.backgrounds, self._source, self.pictures_a_step = generator, backgrounds, source, batch
        self.generators: Mapping[str, random.Random] = {"scenes": source.generator}
        self.counts: dict[str, int] = {}
        self.reader = PageReader(generator.config.pixels).to(generator.planner.places.device)
        self._painting = nn.ModuleList((generator.page_code, generator.page, generator.finish))
        self.average = MovingAverage(self._painting, decay=EMA_DECAY)
        self.modules: Mapping[str, nn.Module] = {
            "painting": self._painting, "average": self.average, "reader": self.reader,
            "backgrounds": backgrounds,
        }  # fmt: skip
        parameters = list(self._painting.parameters())
        matrices = [one for one in parameters if is_matrix(one)]
        others = [one for one in parameters if not is_matrix(one)]
        others += [*backgrounds.parameters(), *self.reader.parameters()]
        self.optimisers: Mapping[str, Optimizer] = {
            "muon": Muon(matrices),
            "adamw": torch.optim.AdamW(others, betas=(0.9, 0.99), weight_decay=0.0, fused=True),
        }

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step."""
        generator, side = self.generator, self.generator.config.pixels
        device = generator.planner.places.device
        drawn = self._source.draw(self.pictures_a_step)
        target, drawings, style = drawn[0].to(device), drawn[1].to(device), drawn[3].to(device)
        layout = on_device(drawn[2], device)
        layers = picture_layers(drawings, layout, side)
        mean, log_variance = self.reader(target)
        noise = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        contents = self.backgrounds(layout.background)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            page = generator.draw_page(contents, style, noise)
            picture = generator.join(page, layers, layout.depths, layout.presence)
        losses = {
            "l1": multiscale_l1(2 * picture, 2 * target),
            "edges": edge_loss(2 * picture, 2 * target),
            "divergence": DIVERGENCE_WEIGHT * divergence,
        }
        rate = PEAK_LEARNING_RATE * cosine_schedule(share)
        detached = take_step(losses, self.optimisers, self._painting.parameters(), rate=rate, clip=10.0)
        self.average.follow(self._painting)
        return detached

    def take_average(self) -> None:
        """Puts the averaged weights into the generator."""
        self._painting.load_state_dict(self.average.mean.state_dict())
