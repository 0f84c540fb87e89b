"""The loop around every trainer: budget, learning rate, checkpoints, validation. Knows no model."""

from __future__ import annotations

import math
import random
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from rich.console import Console
from torch import Tensor, nn
from torch.optim import Optimizer

from services.training.checkpoint import Checkpoint, Progress, read_checkpoint, save_checkpoint
from services.training.early_stopping import BestSoFar, Validation
from services.training.processes import Processes
from services.training.random_states import restore_states, take_states
from services.training.report import Report
from shared.errors import ConfigurationError

CHECKPOINT_SECONDS = 60.0
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
    """All that has weights, by a name of its own."""
    optimisers: Mapping[str, Optimizer]
    generators: Mapping[str, random.Random]
    """What it draws from beside torch's, numpy's and Python's own; none where draws follow from seed and step alone."""
    counts: dict[str, int]
    """Whole numbers beside the weights that the next step depends on; checkpoints hold and restore them."""
    pictures_a_step: int

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step at `share` of the budget, its learning rate included; returns named scalar losses."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What may surround a run beside its budget."""

    resume: bool = True
    space: str = ""
    """The joint space trained for; a checkpoint of another is refused."""
    options: Mapping[str, Any] = field(default_factory=dict)
    """What a checkpoint must have been made with, by option; another value is refused."""
    validation: Validation | None = None
    logs: Path | None = None
    """Folder for TensorBoard."""
    processes: Processes = field(default_factory=Processes)
    checkpoint_seconds: float = CHECKPOINT_SECONDS
    unit: str = "pictures"


def cosine_schedule(share: float, warmup: float = WARMUP_SHARE) -> float:
    """Linear warm-up over the first 2 %, then half a cosine down to 2 % of the peak (Loshchilov & Hutter 2017)."""
    if share < warmup:
        return (share + 1e-4) / warmup
    return 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share))


def set_learning_rate(optimiser: Optimizer, rate: float) -> None:
    """The same rate for all parameters of `optimiser`."""
    for group in optimiser.param_groups:
        group["lr"] = rate


def train(
    trainer: Trainer, budget: Budget, folder: Path, console: Console, conditions: Conditions | None = None
) -> Progress:
    """Runs `trainer` until the budget is used, or until it gets no better, from the checkpoint in `folder` if any.

    With validation the modules end with the weights that measured best. Equal options, seeds and steps give the same
    losses however often the run was stopped in between. Raises ConfigurationError for a checkpoint that does not fit.
    """
    around = conditions or Conditions()
    processes, validation = around.processes, around.validation
    progress, best = _resume(trainer, folder, around)
    if progress.step and processes.leads:
        console.print(f"resumed at step {progress.step} after {progress.seconds / 60:.1f} min")
    start = last_save = time.monotonic()
    earlier = progress.seconds
    with ExitStack() as stack:
        torch.set_flush_denormal(True)  # moments near zero otherwise cost a CPU half its speed
        stack.callback(torch.set_flush_denormal, False)  # it is the thread's, and so also of whoever called
        report = stack.enter_context(Report(console, logs=around.logs, unit=around.unit)) if processes.leads else None
        while not best.spent(_patience(validation)):
            # Clocks differ between processes, so that all must go by one.
            due = time.monotonic() - last_save > around.checkpoint_seconds
            share, due = processes.told((budget.share(progress), due))
            if due:
                _save(trainer, folder, progress, best, around)
                last_save = time.monotonic()
            if share >= 1:
                break
            losses = trainer.step(share)
            progress = Progress(step=progress.step + 1, seconds=earlier + time.monotonic() - start)
            if report is not None:
                report.step(progress, share, trainer.pictures_a_step, losses, _learning_rates(trainer))
            if validation is not None and progress.step % validation.every == 0:
                _measure(validation, trainer, progress, best, processes, report)
        if validation is not None and best.measured != progress.step:  # it ended between two
            _measure(validation, trainer, progress, best, processes, report)
    _save(trainer, folder, progress, best, around)
    best.restore(trainer.modules)
    return progress


def _resume(trainer: Trainer, folder: Path, around: Conditions) -> tuple[Progress, BestSoFar]:
    leads = around.processes.leads
    read = read_checkpoint(folder, space=around.space) if around.resume and leads else Checkpoint()
    checkpoint = around.processes.told(read)  # the others may be on machines that have not the file
    if not checkpoint.tensors:
        return Progress(), BestSoFar()
    more = checkpoint.more
    for name, wanted in around.options.items():
        if (found := more.get("options", {}).get(name)) != wanted:
            was, now = ("not given" if each is None else each for each in (found, wanted))
            raise ConfigurationError(f"{folder}: its {name} was {was}, now {now}; start with --restart")
    checkpoint.restore(trainer.modules, trainer.optimisers, str(folder))
    trainer.counts.update(more.get("counts", {}))
    states = more.get("random", [])
    if around.processes.rank < len(states):
        restore_states(states[around.processes.rank], trainer.generators)
    return checkpoint.progress, BestSoFar(**more.get("best", {}), weights=checkpoint.part("best"))


def _save(trainer: Trainer, folder: Path, progress: Progress, best: BestSoFar, around: Conditions) -> None:
    states = around.processes.gathered(take_states(trainer.generators))
    if around.processes.leads:
        more = {"options": dict(around.options), "counts": trainer.counts, "best": best.state(), "random": states}
        save_checkpoint(
            folder, trainer.modules, trainer.optimisers, progress, space=around.space, more=more, best=best.weights
        )


def _measure(
    validation: Validation,
    trainer: Trainer,
    progress: Progress,
    best: BestSoFar,
    processes: Processes,
    report: Report | None,
) -> None:
    metrics = processes.told(validation.measure() if processes.leads else {})
    best.hear(metrics[validation.metric], progress.step, trainer.modules, higher_is_better=validation.higher_is_better)
    if report is not None:
        report.measured(progress, metrics, best=best.step == progress.step)


def _patience(validation: Validation | None) -> int | None:
    return None if validation is None else validation.patience


def _learning_rates(trainer: Trainer) -> dict[str, float]:
    return {name: float(optimiser.param_groups[0]["lr"]) for name, optimiser in trainer.optimisers.items()}
