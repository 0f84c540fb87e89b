"""The loop around every trainer: budget, learning rate, progress on the terminal, checkpoints. Knows no model."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from rich.console import Console
from torch import Tensor, nn
from torch.optim import Optimizer

from services.training.checkpoint import Progress, load_checkpoint, save_checkpoint

CHECKPOINT_SECONDS = 60.0
REPORT_SECONDS = 10.0
WARMUP_SHARE = 0.02


@dataclass(frozen=True, kw_only=True)
class Budget:
    """When to stop: after `steps`, or after `minutes` of training where `steps` is None."""

    steps: int | None
    minutes: float

    def share(self, progress: Progress) -> float:
        """How much of the budget is used, 0 to 1."""
        if self.steps is not None:
            return min(1.0, progress.step / max(1, self.steps))
        return min(1.0, progress.seconds / max(1e-9, 60 * self.minutes))


class Trainer(Protocol):
    """What the loop drives."""

    modules: Mapping[str, nn.Module]
    optimisers: Mapping[str, Optimizer]
    pictures_a_step: int

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step at `share` of the budget, its learning rate included; returns named scalar losses."""


def cosine_schedule(share: float) -> float:
    """Linear warm-up over the first 2 %, then half a cosine down to 2 % of the peak (Loshchilov & Hutter 2017)."""
    if share < WARMUP_SHARE:
        return (share + 1e-4) / WARMUP_SHARE
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share))


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    """The same rate for all parameters of `optimiser`."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def train(
    trainer: Trainer, budget: Budget, folder: Path, console: Console, *, resume: bool = True, space: str = ""
) -> Progress:
    """Runs `trainer` until the budget is used, from the checkpoint in `folder` when there is one and `resume`.

    `space` is the joint space that it is trained for; a checkpoint of another raises ConfigurationError.
    """
    progress = load_checkpoint(folder, trainer.modules, trainer.optimisers, space=space) if resume else Progress()
    if progress.step:
        console.print(f"resumed at step {progress.step} after {progress.seconds / 60:.1f} min")
    start = last_report = last_save = time.monotonic()
    first, earlier = progress, progress.seconds
    while (share := budget.share(progress)) < 1:
        losses = trainer.step(share)
        now = time.monotonic()
        progress = Progress(step=progress.step + 1, seconds=earlier + now - start)
        if now - last_report > REPORT_SECONDS:
            rate = (progress.step - first.step) * trainer.pictures_a_step / (now - start)
            console.print(_line(progress, share, rate, losses))
            last_report = now
        if now - last_save > CHECKPOINT_SECONDS:
            save_checkpoint(folder, trainer.modules, trainer.optimisers, progress, space=space)
            last_save = now
    save_checkpoint(folder, trainer.modules, trainer.optimisers, progress, space=space)
    return progress


def _line(progress: Progress, share: float, rate: float, losses: Mapping[str, Tensor]) -> str:
    left = progress.seconds / 60 * (1 - share) / max(share, 1e-6)
    values = "  ".join(f"{name} {value.item():.4f}" for name, value in losses.items())
    return f"step {progress.step}  {values}  {rate:.0f} pictures/s  {left:.1f} min left"
