"""Measures a model while it trains, keeps its best weights, and says when it gets no better (Prechelt 1998)."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn


@dataclass(frozen=True, kw_only=True)
class Validation:
    """How a run is measured while it trains."""

    measure: Callable[[], Mapping[str, float]]
    """Figures on pictures that are not trained on; it must draw no random numbers, and leaves modules training."""
    metric: str
    """The figure that decides which weights are best."""
    higher_is_better: bool
    every: int
    """Steps between measurements."""
    patience: int | None
    """Measurements without a better one after which training ends; None: never."""


@dataclass(kw_only=True)
class BestSoFar:
    """The best measurement of a run, its weights, and how many have come since."""

    value: float | None = None
    step: int = 0
    since: int = 0
    measured: int = 0
    """Step of the last measurement."""
    weights: dict[str, Tensor] = field(default_factory=dict)
    """On the CPU, by module and name."""

    def hear(self, value: float, step: int, modules: Mapping[str, nn.Module], *, higher_is_better: bool) -> None:
        """Takes a measurement in; not a number is never better."""
        self.measured = step
        better = self.value is None or (value > self.value if higher_is_better else value < self.value)
        if math.isnan(value) or not better:
            self.since += 1
            return
        self.value, self.step, self.since = value, step, 0
        self.weights = {
            f"{name}.{key}": tensor.detach().to("cpu", copy=True)
            for name, module in modules.items()
            for key, tensor in module.state_dict().items()
        }

    def spent(self, patience: int | None) -> bool:
        """Whether there is no hope left."""
        return patience is not None and self.since >= patience

    def restore(self, modules: Mapping[str, nn.Module]) -> None:
        """Gives the modules the best weights, if any measurement was taken."""
        for name, module in modules.items() if self.weights else ():
            start = f"{name}."
            part = {key.removeprefix(start): value for key, value in self.weights.items() if key.startswith(start)}
            module.load_state_dict(part)

    def state(self) -> dict[str, Any]:
        """What JSON holds of it."""
        return {"value": self.value, "step": self.step, "since": self.since, "measured": self.measured}
