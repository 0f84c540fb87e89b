"""Muon: momentum whose matrices are orthogonalised before each step (Jordan et al. 2024, "Muon: An optimizer for hidden
layers in neural networks"; step size after Liu et al. 2025, arXiv:2502.16982, equation 4).

Here because it copies drawings in about half as many steps as AdamW. Convolutions count as matrices (outputs, rest);
everything that is no matrix belongs to AdamW.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
NEWTON_SCHULZ_STEPS = 5
SMALLEST_MATRIX = 4
UPDATE_RMS = 0.2  # that of AdamW's updates, so that both take the same learning rate


def orthogonalise(matrix: Tensor) -> Tensor:
    """The nearest semi-orthogonal matrix, roughly: five quintic Newton-Schulz steps in bf16. (M, N) -> (M, N)."""
    a, b, c = NEWTON_SCHULZ
    wide = matrix.bfloat16() if matrix.shape[0] <= matrix.shape[1] else matrix.bfloat16().T
    wide = wide / (wide.norm() + 1e-7)
    for _ in range(NEWTON_SCHULZ_STEPS):
        gram = wide @ wide.T
        wide = a * wide + (b * gram + c * gram @ gram) @ wide
    return (wide if matrix.shape[0] <= matrix.shape[1] else wide.T).to(matrix.dtype)  # type: ignore[no-any-return]


class Muon(Optimizer):
    """Orthogonalised Nesterov momentum for parameters of two or more dimensions."""

    def __init__(self, parameters: Iterable[nn.Parameter], *, lr: float = 1e-3, momentum: float = 0.95) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update from the gradients at hand."""
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state["momentum"] = torch.zeros_like(parameter.grad)
                velocity = state["momentum"].lerp_(parameter.grad, 1 - group["momentum"])
                update = parameter.grad.lerp(velocity, group["momentum"]).flatten(1)
                scale = UPDATE_RMS * max(update.shape) ** 0.5
                parameter.add_(orthogonalise(update).view_as(parameter), alpha=-group["lr"] * scale)


def is_matrix(parameter: nn.Parameter) -> bool:
    """Whether Muon fits: two dimensions or more, none of them as few as the colours of a picture."""
    return parameter.ndim > 1 and min(parameter.shape[0], parameter[0].numel()) >= SMALLEST_MATRIX
