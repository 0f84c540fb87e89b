"""Last stage of the generator: all its parts together against a discriminator, from prompts alone.

Relativistic pairing with R1 and R2 (R3GAN, Huang et al. 2024, arXiv:2501.05441), matching-aware negatives (Reed et al.
2016), differentiable augmentation (Zhao et al. 2020, arXiv:2006.10738). The earlier stages' losses stay as anchors: the
planner's on the same prompts, the painter's on drawings.
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
from services.training.averaging import MovingAverage
from services.training.devices import on_device
from services.training.discriminator import Discriminator
from services.training.generating.plans import Prompts, plan_losses
from services.training.generating.things import ThingsTrainer
from services.training.loop import cosine_schedule, set_learning_rate
from services.training.losses import gradient_penalty, relativistic_loss

GENERATOR_LEARNING_RATE = 2e-4
DISCRIMINATOR_LEARNING_RATE = 3e-4
EMA_DECAY = 0.999
ANCHOR_WEIGHT = 5.0
PENALTY_WEIGHT = 2.0
PENALTY_EVERY = 12
MISMATCH_WEIGHT = 0.5
LARGEST_SHIFT = 4


@dataclass(frozen=True, kw_only=True)
class PromptedPictures:
    """B prompts, and beside each a real picture that fits it."""

    prompts: Prompts
    pictures: Tensor
    """(B, 3, H, W) in [-1, 1]."""


class PictureSource(Protocol):
    """Draws prompts beside real pictures."""

    generator: random.Random

    def draw(self, size: int) -> PromptedPictures:
        """`size` of them."""


def augmented(pictures: Tensor, seed: int) -> Tensor:
    """Brightness, saturation and a shift by up to LARGEST_SHIFT px, the same for every batch with the same seed.

    (B, 3, H, W) in [-1, 1] -> the same; gradients pass.
    """
    drawn = torch.Generator().manual_seed(seed)
    light, vivid = torch.rand(2, len(pictures), 1, 1, 1, generator=drawn).to(pictures.device)
    light, vivid = (light - 0.5) * 0.4, 0.6 + 0.8 * vivid
    grey = pictures.mean(dim=1, keepdim=True)
    changed = grey + vivid * (pictures - grey) + light
    dx, dy = (int(one) for one in torch.randint(-LARGEST_SHIFT, LARGEST_SHIFT + 1, (2,), generator=drawn))
    padded = functional.pad(changed, [LARGEST_SHIFT] * 4, mode="replicate")
    side = pictures.shape[-1]
    return padded[:, :, LARGEST_SHIFT + dy :, LARGEST_SHIFT + dx :][:, :, :side, :side]


class AdversarialTrainer:
    """One step of both networks, on `batch` prompts; of the anchor on half as many drawings."""

    def __init__(self, generator: Generator, discriminator: Discriminator, source: PictureSource,
                 anchor: ThingsTrainer, *, batch: int) -> None:  # fmt: skip
        self.generator, self.discriminator, self._source = generator.requires_grad_(True), discriminator, source
        self._anchor, self.pictures_a_step = anchor, batch
        self.average = MovingAverage(generator, decay=EMA_DECAY)
        self.modules: Mapping[str, nn.Module] = {
            "generator": generator, "average": self.average, "discriminator": discriminator
        }  # fmt: skip
        self.optimisers: Mapping[str, Optimizer] = {
            "generator_adamw": torch.optim.AdamW(
                generator.parameters(), betas=(0.0, 0.99), weight_decay=0.0, fused=True
            ),
            "discriminator_adamw": torch.optim.AdamW(
                discriminator.parameters(), betas=(0.0, 0.99), weight_decay=0.0, fused=True
            ),
        }
        self.generators: Mapping[str, random.Random] = {"prompts": source.generator}
        self.counts = {"steps": 0}

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step of the discriminator, then one of the generator."""
        self.counts["steps"] += 1
        step = self.counts["steps"]
        device, config = self.generator.planner.places.device, self.generator.config
        drawn = self._source.draw(self.pictures_a_step)
        prompts, pictures = on_device(drawn.prompts, device), drawn.pictures.to(device)
        vectors = prompts.vectors
        noise = torch.randn(len(vectors), config.noise_width, device=device)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            painted = self.generator.paint(vectors, noise).float()
        real = augmented(pictures, step)
        fake = augmented(painted, step)
        losses = {"discriminator": self._discriminate(real, fake.detach(), vectors)}
        with torch.autocast(device.type, dtype=torch.bfloat16):
            fake_score = self.discriminator(fake, vectors)
            with torch.no_grad():
                real_score = self.discriminator(real, vectors)
        losses["adversarial"] = relativistic_loss(fake_score, real_score)
        losses["plans"] = torch.stack(list(plan_losses(self.generator.planner, prompts).values())).sum()
        losses["things"] = torch.stack(list(self._anchor.losses(self.pictures_a_step // 2, step).values())).sum()
        optimiser = self.optimisers["generator_adamw"]
        set_learning_rate(optimiser, GENERATOR_LEARNING_RATE * cosine_schedule(share))
        optimiser.zero_grad(set_to_none=True)
        (losses["adversarial"] + ANCHOR_WEIGHT * (losses["plans"] + losses["things"])).backward()
        nn.utils.clip_grad_norm_(self.generator.parameters(), 10.0)
        optimiser.step()
        self.average.follow(self.generator)
        return {name: value.detach() for name, value in losses.items()}

    def _discriminate(self, real: Tensor, fake: Tensor, vectors: Tensor) -> Tensor:
        """Real pairs above painted ones, and above real pictures of other words."""
        optimiser = self.optimisers["discriminator_adamw"]
        set_learning_rate(optimiser, DISCRIMINATOR_LEARNING_RATE)
        with torch.autocast(real.device.type, dtype=torch.bfloat16):
            scores = self.discriminator(
                torch.cat((real, fake, real)), torch.cat((vectors, vectors, vectors.roll(1, dims=0)))
            )
        real_score, fake_score, mismatched = scores.chunk(3)
        loss = relativistic_loss(real_score, fake_score) + MISMATCH_WEIGHT * relativistic_loss(real_score, mismatched)
        optimiser.zero_grad(set_to_none=True)
        if self.counts["steps"] % PENALTY_EVERY == 0:
            # Lazy regularisation (Karras et al. 2020, arXiv:1912.04958, section 3.1), on a quarter of the batch.
            few = max(1, len(real) // 4)
            for pictures in (real[:few], fake[:few]):
                leaf = pictures.detach().clone().requires_grad_(True)
                penalty = gradient_penalty(leaf, self.discriminator(leaf, vectors[:few]))
                (PENALTY_EVERY * PENALTY_WEIGHT / 2 * penalty).backward()
        loss.backward()
        optimiser.step()
        return loss.detach()
