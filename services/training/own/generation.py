"""Trains a generator on the user's own pictures and a frozen text encoder's vectors of their captions.

First by copying, then, with the copying kept as an anchor, against a discriminator (R3GAN, Huang et al. 2024).
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from services.generation.config import PRESETS, GeneratorConfig
from services.generation.model import Generator
from services.training.averaging import MovingAverage
from services.training.data.own_pictures import OwnPictures
from services.training.discriminator import Discriminator
from services.training.losses import edge_loss, gradient_penalty, multiscale_l1, relativistic_loss
from services.training.models import read_generator, read_text_encoder, require_same_space
from services.training.optimisation import Optimisation, take_step
from services.training.own.batches import Batch, Batches, pixels
from services.training.own.options import GenerationOptions
from services.training.own.run import OwnRun, started
from services.training.own.texts import encode_texts
from shared.errors import ConfigurationError
from shared.inference.runtime import channels_last

ADVERSARIAL_FROM = 0.7
RECONSTRUCTION_WEIGHT = 20.0
PENALTY_WEIGHT = 1.0
EMA_DECAY = 0.998
CLIP = 10.0
CHUNK = 64
SCRATCH_RATE, TUNING_RATE, DISCRIMINATOR_RATE = 1e-3, 2e-4, 3e-4


class PaintObjective(nn.Module):
    """Distance to the real picture, and how real the discriminator finds the painted one beside it."""

    def __init__(self, generator: Generator, discriminator: Discriminator) -> None:
        super().__init__()
        self.generator = generator
        self._judge = discriminator.forward  # a function: its weights are no part of this module

    def forward(
        self, real: Tensor, vectors: Tensor, noise: Tensor, adversarial: bool
    ) -> tuple[dict[str, Tensor], Tensor]:
        """(B, 3, H, W) in [-1, 1], (B, V) of unit norm, (B, Z) normal -> losses, and what was painted."""
        painted = self.generator.paint(vectors, noise).float()
        losses = {"copy": multiscale_l1(painted, real) + edge_loss(painted, real)}
        if adversarial:
            losses["copy"] = RECONSTRUCTION_WEIGHT * losses["copy"]
            with torch.no_grad():
                score = self._judge(real, vectors)
            losses["adversarial"] = relativistic_loss(self._judge(painted, vectors), score)
        return losses, painted.detach()


class JudgeObjective(nn.Module):
    """Real pairs above painted ones, and above real pictures with others' words; R1 and R2 on both."""

    def __init__(self, discriminator: Discriminator) -> None:
        super().__init__()
        self.discriminator = discriminator

    def forward(self, real: Tensor, painted: Tensor, vectors: Tensor, others: Tensor) -> dict[str, Tensor]:
        """As in `PaintObjective`; others (B, V) are vectors of other captions."""
        leaves = [pictures.detach().clone().requires_grad_(True) for pictures in (real, painted)]
        with torch.autocast(real.device.type, enabled=False):  # second derivatives want fp32
            scores = [self.discriminator(leaf, vectors) for leaf in leaves]
            penalty = sum(gradient_penalty(leaf, score) for leaf, score in zip(leaves, scores, strict=True))
            mismatched = self.discriminator(real, others)
        fit = relativistic_loss(scores[0], scores[1]) + 0.5 * relativistic_loss(scores[0], mismatched)
        return {"judge": fit + PENALTY_WEIGHT / 2 * penalty}


class OwnGeneratorTrainer:
    """One step of copying, or, after ADVERSARIAL_FROM of the budget, of both networks."""

    def __init__(
        self, run: OwnRun, generator: Generator, batches: Batches, vectors: Tensor, optimisation: Optimisation
    ) -> None:
        config = generator.config
        judge = channels_last(Discriminator(config.space_width, config.pixels).to(run.device))
        self.generator, self._batches, self._vectors, self._optimisation = generator, batches, vectors, optimisation
        self._dtype, self._processes = run.dtype, run.processes
        self._averaging = MovingAverage(generator, decay=EMA_DECAY)
        self.average = cast(Generator, self._averaging.mean)
        self._paint = run.processes.distribute(PaintObjective(generator, judge))
        self._judge, self._judge_weights = run.processes.distribute(JudgeObjective(judge)), list(judge.parameters())
        self.modules: Mapping[str, nn.Module] = {"generator": generator, "average": self.average, "judge": judge}
        self.optimisers: Mapping[str, Optimizer] = {
            "painting": optimisation.optimiser(generator),
            "judging": torch.optim.AdamW(judge.parameters(), betas=(0.0, 0.99), weight_decay=0.0, fused=True),
        }
        self.generators: Mapping[str, random.Random] = {}
        self.counts = {"steps": 0}
        self.pictures_a_step = batches.size

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step of the generator, and of the discriminator in the adversarial stage."""
        step = self.counts["steps"]
        self.counts["steps"] += 1
        batch = self._batches.of(step)
        vectors, noise = self._vectors[batch.rows], self._noise(step, batch)
        adversarial = share >= ADVERSARIAL_FROM
        for weight in self._judge_weights:
            weight.requires_grad_(False)
        with torch.autocast(batch.pictures.device.type, torch.bfloat16, enabled=self._dtype is torch.bfloat16):
            losses, painted = self._paint(batch.pictures, vectors, noise, adversarial)
        painting, judging = ({name: self.optimisers[name]} for name in ("painting", "judging"))
        take_step(losses, painting, self.generator.parameters(), rate=self._optimisation.rate(share), clip=CLIP)
        self._averaging.steps.fill_(step)  # checkpoints hold the number among the counts
        self._averaging.follow(self.generator)
        if adversarial:
            for weight in self._judge_weights:
                weight.requires_grad_(True)
            others = [*batch.step_rows[-1:], *batch.step_rows[:-1]][self._batches.mine]
            judged = self._judge(batch.pictures, painted, vectors, self._vectors[others])
            take_step(judged, judging, self._judge_weights, rate=DISCRIMINATOR_RATE, clip=CLIP)
            losses |= judged
        return self._processes.mean(losses)

    def _noise(self, step: int, batch: Batch) -> Tensor:
        """(b, Z) normal, this process's part of the step's."""
        generator = torch.Generator().manual_seed(step)
        noise = torch.randn(len(batch.step_rows), self.generator.config.noise_width, generator=generator)
        return noise[self._batches.mine].to(batch.pictures.device)


def train_generation(options: GenerationOptions) -> None:
    """Trains and writes a generator for the space of the text encoder `--with`. Raises ConfigurationError."""
    with started("generation", options) as run:
        if options.dropout:
            raise ConfigurationError(f"--dropout {options.dropout}: a generator has none")
        text, tokenizer, text_directory = read_text_encoder(run.partner, run.device)
        if run.start is not None:
            generator, directory = read_generator(run.start, run.device)
            require_same_space(directory, text_directory)
            generator.train()
        else:
            shape = PRESETS[run.preset] | {"space_width": text.projection.out_features}
            generator = channels_last(Generator(GeneratorConfig(**shape)).to(run.device))  # type: ignore[arg-type]
        _mirror_nothing(generator)
        data = run.read(generator.config.pixels, needs="caption")
        run.tell(data)
        rows, held_out = run.split(data)
        vectors = encode_texts(text, tokenizer, data.captions)
        trainer = OwnGeneratorTrainer(
            run,
            generator,
            run.batches(data, rows),
            vectors,
            run.optimisation(SCRATCH_RATE if run.start is None else TUNING_RATE),
        )
        measure = partial(_measure, trainer.average, vectors, data, held_out)
        progress = run.train(
            trainer, data, space=text_directory.space, measure=measure if len(held_out) else None, metric="l1"
        )
        run.write(
            trainer.average.eval(),
            generator.config,
            space=text_directory.space,
            description=f"Paints pictures like those of {options.data.name}.",
            data=data,
            rows=rows,
            progress=progress,
            metrics={f"validation_{name}": value for name, value in measure().items()} if len(held_out) else {},
        )


def _mirror_nothing(generator: Generator) -> None:
    """Nobody says of one's own pictures which things a mirror may turn, or what their styles are."""
    planner = generator.planner
    nn.init.zeros_(planner.to_reversible.weight)
    nn.init.constant_(planner.to_reversible.bias, -1.0)
    planner.to_reversible.requires_grad_(False)
    planner.to_style.requires_grad_(False)


@torch.no_grad()
def _measure(generator: Generator, vectors: Tensor, data: OwnPictures, rows: NDArray[np.int64]) -> dict[str, float]:
    """Mean absolute difference to the real pictures, of 2 between black and white, with one noise a picture."""
    total = 0.0
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK].tolist()
        noise = torch.randn(len(part), generator.config.noise_width, generator=torch.Generator().manual_seed(start))
        painted = generator.paint(vectors[part], noise.to(vectors.device)).float().clamp(-1, 1)
        total += functional.l1_loss(painted, pixels(data, part, vectors.device)).item() * len(part)
    return {"l1": total / len(rows)}
