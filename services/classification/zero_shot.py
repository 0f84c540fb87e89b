"""Scores pictures against labels that the caller brought, as points of the joint space."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from shared.codes import Reason
from shared.inference.predictor import Failure


def read_label_vectors(vectors: tuple[bytes, ...], width: int) -> Tensor | Failure:
    """float32, little-endian, `width` numbers a label -> (L, V) float32 of unit norm.

    A Failure, naming the first label that has another length, is zero or holds numbers that are not finite.
    """
    for index, vector in enumerate(vectors):
        if len(vector) != 4 * width:
            message = f"vector has {len(vector) // 4} numbers; the model's space has {width}"
            return Failure(reason=Reason.ENCODING_INVALID, message=message, field=f"label_encodings[{index}]")
    matrix = np.frombuffer(b"".join(vectors), "<f4").reshape(-1, width).astype(np.float64)  # squares fit
    norms = np.linalg.norm(matrix, axis=1)  # (L,)
    usable = np.isfinite(norms) & (norms > 0)
    if not usable.all():
        return Failure(
            reason=Reason.ENCODING_INVALID,
            message="vector is zero or has numbers that are not finite",
            field=f"label_encodings[{int(usable.argmin())}]",
        )
    return torch.from_numpy((matrix / norms[:, None]).astype(np.float32))


def zero_shot_logits(vector: Tensor, labels: Tensor, scale: float) -> Tensor:
    """(V,) and (L, V) of unit norm -> (L,), of which softmax makes probabilities (CLIP, Radford et al. 2021, 3.1.2)."""
    return scale * (labels @ vector)
