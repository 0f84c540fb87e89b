"""Probabilities that mean what they say: the temperature of a head.

Guo et al. 2017, arXiv:1706.04599. To be fitted on rows that no weight was fitted to, and measured on others, by
`evaluation/bootstrap.py::calibration_error`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TEMPERATURES = torch.logspace(-0.6, 1.3, 439)
"""From 0.25 to 20, in steps of one percent. A head that is right on all rows would be made as sharp as can be, which a
thousand rows are no reason for."""


@torch.inference_mode()
def fitted_temperature(logits: Tensor, right: Tensor) -> float:
    """The temperature at which logits / temperature are the likeliest to have said what is right.

    One number, which moves no label before another: `[serving.temperature]` of model.toml.

    Args:
        logits: (N, C).
        right: (N,) the one label of each row, of a head with softmax; or (N, C) whether each label fits, of a head
            with sigmoids.

    Returns: the one of TEMPERATURES with the least mean negative log-likelihood, to three digits.
    """
    logits, right = logits.float().cpu(), right.cpu()
    losses = torch.stack(
        [
            functional.cross_entropy(logits / temperature, right)
            if right.ndim == 1
            else functional.binary_cross_entropy_with_logits(logits / temperature, right.float())
            for temperature in TEMPERATURES
        ]
    )
    return float(f"{TEMPERATURES[losses.argmin()].item():.3g}")
