"""The scale of zero-shot classification: measured on drawings that no weight was fitted to."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

SCALES = torch.logspace(0, 3, 601)
"""From 1 to 1,000, in steps of about a percent."""


@torch.inference_mode()
def calibrated_scale(pictures: Tensor, labels: Tensor, right: Tensor) -> float:
    """The scale at which softmax(scale x cosine) is the likeliest to have said what is right.

    Temperature scaling (Guo et al. 2017, arXiv:1706.04599): one number, which moves no label before another.

    Args:
        pictures: (N, V) of unit norm.
        labels: (L, C, V) of unit norm: the names of all C classes, in each of L languages.
        right: (N,) the class of each picture.

    Returns: the one of SCALES with the least mean negative log-likelihood, to three digits.
    """
    cosines = torch.einsum("nv,lcv->nlc", pictures.float(), labels.float()).cpu()
    rows = cosines.flatten(0, 1)  # (N L, C)
    classes = right.cpu().repeat_interleave(len(labels))
    losses = torch.stack([functional.cross_entropy(scale * rows, classes) for scale in SCALES])
    return float(f"{SCALES[losses.argmin()].item():.3g}")
