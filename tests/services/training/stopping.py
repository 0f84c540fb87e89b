"""A run that is stopped half way and goes on, beside one that never stopped, for tests."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import Tensor

from services.training.loop import Budget, Conditions, Trainer, train

STEPS, STOP = 6, 3
Weights = Mapping[str, Tensor]


class StopError(Exception):
    """The machine went down."""


class Watched:
    """A trainer whose losses are kept; with `most` it is stopped before the step after so many."""

    def __init__(self, trainer: Trainer, *, most: int = STEPS) -> None:
        self._trainer, self._most = trainer, most
        self.modules, self.optimisers, self.generators = trainer.modules, trainer.optimisers, trainer.generators
        self.counts, self.pictures_a_step = trainer.counts, trainer.pictures_a_step
        self.losses: list[dict[str, float]] = []

    def step(self, share: float) -> Mapping[str, Tensor]:
        """As the trainer's."""
        if len(self.losses) == self._most:
            raise StopError
        losses = self._trainer.step(share)
        self.losses.append({name: value.item() for name, value in losses.items()})
        return losses

    def weights(self) -> Weights:
        """All that a checkpoint holds of the modules."""
        return {
            f"{name}.{key}": value.clone()
            for name, module in self.modules.items()
            for key, value in module.state_dict().items()
        }


@dataclass(frozen=True, kw_only=True)
class Run:
    """The losses of each step, and the weights in the end."""

    losses: list[dict[str, float]]
    weights: Weights


def whole_and_resumed(make: Callable[[], Trainer], folder: Path) -> tuple[Run, Run]:
    """A run of STEPS, and one that was stopped before step STOP and resumed in a process with other random states.

    make: a new trainer, equal each time.
    """
    whole, begun, resumed = (_watched(make, folder / "whole"), _watched(make, folder / "parts", most=STOP),
                             _watched(make, folder / "parts", seed=7))  # fmt: skip
    return (
        Run(losses=whole.losses, weights=whole.weights()),
        Run(losses=begun.losses + resumed.losses, weights=resumed.weights()),
    )


def _watched(make: Callable[[], Trainer], folder: Path, *, most: int = STEPS, seed: int = 0) -> Watched:
    trainer = Watched(make(), most=most)
    torch.manual_seed(seed)
    always = Conditions(checkpoint_seconds=-1)  # before each step
    if most == STEPS:
        train(trainer, Budget(steps=STEPS, minutes=0), folder, Console(quiet=True), always)
    else:
        with pytest.raises(StopError):
            train(trainer, Budget(steps=STEPS, minutes=0), folder, Console(quiet=True), always)
    return trainer


def assert_same(whole: Run, resumed: Run) -> None:
    """Every loss of every step, and every weight, to the last bit."""
    assert len(whole.losses) == STEPS and resumed.losses == whole.losses
    assert resumed.weights.keys() == whole.weights.keys()
    assert [name for name, value in whole.weights.items() if not torch.equal(resumed.weights[name], value)] == []
