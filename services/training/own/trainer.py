"""One training step for every task whose loss is a function of a batch: forward, backward, clip, step."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from services.training.optimisation import Optimisation, take_step
from services.training.own.batches import Batch, Batches
from services.training.processes import Processes

CLIP = 1.0


class Objective(Protocol):
    """A module that holds the trained model; its forward pass is the loss."""

    def __call__(self, batch: Batch) -> Mapping[str, Tensor]:
        """Named losses of this process's rows, each a mean over them; their sum is minimised."""


class ObjectiveTrainer:
    """Drives an objective over batches; what it draws follows from seed and step."""

    def __init__(
        self,
        objective: nn.Module,
        batches: Batches,
        optimisation: Optimisation,
        processes: Processes,
        *,
        dtype: torch.dtype,
        mode: Callable[[], object],
    ) -> None:
        self._objective, self._processes = processes.distribute(objective), processes
        self._batches, self._optimisation, self._dtype, self._mode = batches, optimisation, dtype, mode
        self._trained = [parameter for parameter in objective.parameters() if parameter.requires_grad]
        self.modules: Mapping[str, nn.Module] = {"objective": objective}
        self.optimisers: Mapping[str, Optimizer] = {"weights": optimisation.optimiser(objective)}
        self.generators: Mapping[str, random.Random] = {}
        self.counts = {"steps": 0}
        self.pictures_a_step = batches.size

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step; `mode` says first which modules are in training mode."""
        self._mode()
        batch = self._batches.of(self.counts["steps"])
        self.counts["steps"] += 1
        with torch.autocast(batch.pictures.device.type, torch.bfloat16, enabled=self._dtype is torch.bfloat16):
            losses: Mapping[str, Tensor] = self._objective(batch)
        rate = self._optimisation.rate(share)
        return self._processes.mean(take_step(losses, self.optimisers, self._trained, rate=rate, clip=CLIP))
