"""Probabilities that mean what they say: the temperature of a head, and how far from the truth its answers are.

Guo et al. 2017, arXiv:1706.04599. To be fitted on rows that no weight was fitted to, and measured on others.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

TEMPERATURES = torch.logspace(-1.3, 1.3, 601)
"""From 0.05 to 20, in steps of one percent."""
BINS = 15
"""Of confidence, as the paper has it."""


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


def expected_calibration_error(confidence: Tensor, correct: Tensor, *, bins: int = BINS) -> float:
    """Mean distance between what is claimed and what comes true (equation 3), over equally wide bins; 0 to 1.

    Of a head with softmax: the probability of its first label, and whether that is right. Of a head with sigmoids: the
    probability of every label, and whether it fits.

    Args:
        confidence: (N,) probabilities.
        correct: (N,) booleans.

    Raises:
        ValueError: there are no rows.
    """
    if not len(confidence):
        raise ValueError("expected at least one row, found none")
    confidence, correct = confidence.double().cpu(), correct.double().cpu()
    index = (confidence * bins).ceil().long().clamp(1, bins) - 1  # of (0, 1/15], (1/15, 2/15] and so on
    gaps = torch.zeros(bins, dtype=torch.double).index_add(0, index, correct - confidence)
    return float(gaps.abs().sum() / len(confidence))
