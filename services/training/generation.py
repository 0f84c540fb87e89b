"""Trains the generator: first by copying drawings, then against a discriminator.

Starting from reconstruction gives every word its picture within minutes, even on a CPU; the adversarial stage, with the
reconstruction kept as an anchor, then sharpens what averaging blurs.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from services.generation.model import Generator
from services.text.model import TextEncoder
from services.training.discriminator import Discriminator
from services.training.loop import cosine_schedule, set_learning_rate
from services.training.losses import edge_loss, gradient_penalty, multiscale_l1, relativistic_loss
from services.training.muon import Muon
from services.training.samples import Sampler

PEAK_LEARNING_RATE = 2e-3
DISCRIMINATOR_LEARNING_RATE = 3e-4
EMA_DECAY = 0.998
RECONSTRUCTION_WEIGHT = 20.0
PENALTY_WEIGHT = 2.0
PENALTY_EVERY = 12
VECTOR_NOISE = 0.02
GENERATOR_OPTIMISERS = ("generator_muon", "generator_adamw")
SMALLEST_MATRIX = 4


def style_noise(styles: Tensor, *, count: int, width: int) -> Tensor:
    """(B,) style indices -> (B, width) normal noise whose largest of the first `count` numbers is at the style."""
    noise = torch.randn(len(styles), width, device=styles.device)
    rows = torch.arange(len(styles), device=styles.device)
    largest = noise[:, :count].argmax(dim=1)
    at_style = noise[rows, styles].clone()
    noise[rows, styles] = noise[rows, largest]
    noise[rows, largest] = torch.where(largest == styles, noise[rows, largest], at_style)
    return noise


class GeneratorTrainer:
    """One step of reconstruction, or, after `adversarial_from` of the budget, of both networks."""

    def __init__(
        self,
        generator: Generator,
        discriminator: Discriminator,
        text: TextEncoder,
        sampler: Sampler,
        *,
        batch: int,
        adversarial_from: float,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.average = copy.deepcopy(generator).requires_grad_(False)
        self._text, self._sampler, self._from = text.eval().requires_grad_(False), sampler, adversarial_from
        self.pictures_a_step = batch
        self.modules: Mapping[str, nn.Module] = {
            "generator": generator,
            "average": self.average,
            "discriminator": discriminator,
        }
        matrices = [parameter for parameter in generator.parameters() if _is_matrix(parameter)]
        others = [parameter for parameter in generator.parameters() if not _is_matrix(parameter)]
        self.optimisers: Mapping[str, Optimizer] = {
            "generator_muon": Muon(matrices),
            "generator_adamw": torch.optim.AdamW(others, betas=(0.9, 0.99), weight_decay=0.0, fused=True),
            "discriminator_adamw": torch.optim.AdamW(
                discriminator.parameters(), betas=(0.0, 0.99), weight_decay=0.0, fused=True
            ),
        }
        self.generators: Mapping[str, random.Random] = {"sampler": sampler.generator}
        self.counts = {"steps": 0}

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step of the generator, and of the discriminator in the adversarial stage."""
        self.counts["steps"] += 1
        real, vectors, noise = self._draw()
        for name in GENERATOR_OPTIMISERS:
            set_learning_rate(self.optimisers[name], PEAK_LEARNING_RATE * cosine_schedule(share))
        with torch.autocast(real.device.type, dtype=torch.bfloat16):
            painted = self.generator.paint(vectors, noise)
        painted = painted.float()
        losses = {"l1": multiscale_l1(painted, real), "edges": edge_loss(painted, real)}
        loss = losses["l1"] + losses["edges"]
        if share >= self._from:
            losses["discriminator"] = self._discriminate(real, painted.detach(), vectors)
            with torch.autocast(real.device.type, dtype=torch.bfloat16):
                fake_score = self.discriminator(painted, vectors)
                with torch.no_grad():
                    real_score = self.discriminator(real, vectors)
            losses["adversarial"] = relativistic_loss(fake_score, real_score)
            loss = RECONSTRUCTION_WEIGHT * loss + losses["adversarial"]
        self._update(loss)
        return losses

    def _draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Drawings (B, 3, H, W) in [-1, 1], vectors of captions (B, V) of unit norm, noise (B, Z)."""
        batch = self._sampler.draw(self.pictures_a_step)
        config = self.generator.config
        with torch.no_grad(), torch.autocast(batch.pictures.device.type, dtype=torch.bfloat16):
            vectors = self._text(batch.tokens, batch.mask)
        vectors = nn.functional.normalize(vectors + VECTOR_NOISE * torch.randn_like(vectors), dim=-1)
        noise = style_noise(batch.style, count=config.styles, width=config.noise_width)
        free = torch.randn_like(noise)  # where the words name the style, the noise must not
        noise = torch.where(batch.names_style[:, None], free, noise)
        return (batch.pictures * 2 - 1).contiguous(memory_format=torch.channels_last), vectors, noise

    def _discriminate(self, real: Tensor, fake: Tensor, vectors: Tensor) -> Tensor:
        """Updates the discriminator: real pairs above painted ones and above real pictures of other words."""
        optimiser = self.optimisers["discriminator_adamw"]
        set_learning_rate(optimiser, DISCRIMINATOR_LEARNING_RATE)
        with torch.autocast(real.device.type, dtype=torch.bfloat16):
            scores = self.discriminator(
                torch.cat((real, fake, real)), torch.cat((vectors, vectors, vectors.roll(1, dims=0)))
            )
        real_score, fake_score, mismatched = scores.chunk(3)
        loss = relativistic_loss(real_score, fake_score) + 0.5 * relativistic_loss(real_score, mismatched)
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

    def _update(self, loss: Tensor) -> None:
        optimisers = [self.optimisers[name] for name in GENERATOR_OPTIMISERS]
        for optimiser in optimisers:
            optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.generator.parameters(), 10.0)
        for optimiser in optimisers:
            optimiser.step()
        decay = min(EMA_DECAY, (1 + self.counts["steps"]) / (10 + self.counts["steps"]))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.generator.parameters(), strict=True):
                mean.lerp_(value, 1 - decay)


def _is_matrix(parameter: nn.Parameter) -> bool:
    """Whether Muon fits: two dimensions or more, none of them as few as the colours of a picture."""
    return parameter.ndim > 1 and min(parameter.shape[0], parameter[0].numel()) >= SMALLEST_MATRIX
