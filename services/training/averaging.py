"""A moving average of weights: better than the last step's, and steadier (Polyak and Juditsky 1992)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class MovingAverage(nn.Module):
    """Follows a module: `mean` is what to measure and to ship. Its state counts steps, so that it can be resumed."""

    steps: Tensor

    def __init__(self, module: nn.Module, *, decay: float) -> None:
        super().__init__()
        self.mean = copy.deepcopy(module).requires_grad_(False)
        self.register_buffer("steps", torch.zeros((), dtype=torch.long))
        self._decay = decay

    @torch.no_grad()
    def follow(self, module: nn.Module) -> None:
        """After each optimiser step. Early on the average is of few steps, so that it soon forgets the beginning."""
        self.steps += 1
        steps = int(self.steps)
        keep = min(self._decay, (1 + steps) / (10 + steps))
        for mean, value in zip(self.mean.parameters(), module.parameters(), strict=True):
            mean.lerp_(value, 1 - keep)
        for buffer, now in zip(self.mean.buffers(), module.buffers(), strict=True):
            if buffer.is_floating_point():
                buffer.lerp_(now, 1 - keep)
            else:
                buffer.copy_(now)
