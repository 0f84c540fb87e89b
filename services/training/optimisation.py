"""The optimiser and the schedule of its learning rate, as options choose them; a step."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from services.training.loop import WARMUP_SHARE, cosine_schedule, set_learning_rate

MOMENTUM = 0.9
STEPS = (0.5, 0.75)
"""Shares of the budget at which step decay divides the rate by ten (He et al. 2016, section 4.2)."""


@dataclass(frozen=True, kw_only=True)
class Optimisation:
    """How weights follow their gradients."""

    kind: Literal["adamw", "sgd"] = "adamw"
    """AdamW (Loshchilov & Hutter 2019), or stochastic gradient descent with Nesterov momentum."""
    learning_rate: float = 1e-3
    """At the peak."""
    weight_decay: float = 0.02
    """Of matrices and kernels; biases, norms and scales are left alone."""
    schedule: Literal["cosine", "step"] = "cosine"
    warmup: float = WARMUP_SHARE
    """Share of the budget over which the rate rises to its peak."""

    def rate(self, share: float) -> float:
        """The learning rate at `share` of the budget, 0 to 1."""
        factor = cosine_schedule(share, self.warmup) if self.schedule == "cosine" else step_schedule(share, self.warmup)
        return self.learning_rate * factor

    def optimiser(self, module: nn.Module) -> Optimizer:
        """An optimiser of those parameters of `module` that require a gradient."""
        groups = _groups(module.parameters(), self.weight_decay)
        if self.kind == "sgd":
            return torch.optim.SGD(groups, lr=self.learning_rate, momentum=MOMENTUM, nesterov=True)
        return torch.optim.AdamW(groups, lr=self.learning_rate, betas=(0.9, 0.98), fused=True)


def take_step(
    losses: Mapping[str, Tensor],
    optimisers: Mapping[str, Optimizer],
    parameters: Iterable[nn.Parameter],
    *,
    rate: float | Mapping[str, float],
    clip: float,
) -> dict[str, Tensor]:
    """One step of each optimiser down the sum of scalar losses; these without gradient.

    rate: the learning rate of all optimisers, or of each by its name. clip: norm that the gradient of all `parameters`
    together is cut to where it is longer.
    """
    for name, optimiser in optimisers.items():
        set_learning_rate(optimiser, rate[name] if isinstance(rate, Mapping) else rate)
        optimiser.zero_grad(set_to_none=True)
    torch.stack(list(losses.values())).sum().backward()
    nn.utils.clip_grad_norm_(parameters, clip)
    for optimiser in optimisers.values():
        optimiser.step()
    return {name: value.detach() for name, value in losses.items()}


def step_schedule(share: float, warmup: float = WARMUP_SHARE) -> float:
    """Linear warm-up, then the peak, a tenth of it from half of the budget, a hundredth from three quarters."""
    if share < warmup:
        return (share + 1e-4) / warmup
    return 0.1 ** sum(share >= step for step in STEPS)


def _groups(parameters: Iterable[nn.Parameter], weight_decay: float) -> list[dict[str, object]]:
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    decayed = [parameter for parameter in trained if parameter.ndim > 1]
    plain = [parameter for parameter in trained if parameter.ndim <= 1]
    groups = ({"params": decayed, "weight_decay": weight_decay}, {"params": plain, "weight_decay": 0.0})
    return [group for group in groups if group["params"]]
