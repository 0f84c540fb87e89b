"""Losses as plain functions of tensors; they know no model, data, command line or logging."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def contrastive_loss(texts: Tensor, pictures: Tensor, matches: Tensor, scale: Tensor) -> Tensor:
    """Symmetric InfoNCE with several right answers a row.

    CLIP's loss (Radford et al. 2021, arXiv:2103.00020, figure 3), its target spread evenly over all matches as in
    SupCon (Khosla et al. 2020, arXiv:2004.11362, equation 2).

    texts: (M, V) of unit norm. pictures: (B, V) of unit norm. matches: (M, B) true where text i fits picture j; each
    picture has a text, and a text without picture is one that pictures must not take. scale: scalar, the inverse
    temperature.
    """
    logits = scale * texts @ pictures.T  # (M, B)
    weight = matches.float()
    fits = matches.any(dim=1)
    to_pictures = -(functional.log_softmax(logits[fits], dim=1) * weight[fits]).sum(dim=1) / weight[fits].sum(dim=1)
    to_texts = -(functional.log_softmax(logits, dim=0) * weight).sum(dim=0) / weight.sum(dim=0)
    return (to_pictures.mean() + to_texts.mean()) / 2


def imitation_loss(vectors: Tensor, wanted: Tensor, scale: float = 30.0, weight: float = 0.1) -> Tensor:
    """Cross-entropy of whom each vector is near to, among those wanted of a batch, as the wanted ones themselves are.

    Relational distillation (Park et al. 2019, arXiv:1904.05068, in the form of equation 2 with a softmax): equal texts,
    and those that a teacher does not tell apart, are to be alike.

    vectors, wanted: (B, V) of unit norm -> scalar, times `weight`.
    """
    own = (scale * wanted @ wanted.T).softmax(dim=1)
    return weight * functional.cross_entropy(scale * vectors @ wanted.T, own)


def multiscale_l1(painted: Tensor, target: Tensor, scales: tuple[int, ...] = (1, 4)) -> Tensor:
    """Mean absolute difference at full and at lower resolutions: edges from the first, shape from the others.

    painted, target: (B, 3, H, W) in [-1, 1].
    """
    losses = [
        functional.l1_loss(functional.avg_pool2d(painted, scale), functional.avg_pool2d(target, scale))
        for scale in scales
    ]
    return torch.stack(losses).sum()


def edge_loss(painted: Tensor, target: Tensor) -> Tensor:
    """Mean absolute difference of the differences between neighbouring pixels (Mathieu et al. 2016, equation 6).

    painted, target: (B, 3, H, W) in [-1, 1]. Sharp contours, which L1 alone blurs when it is unsure of their place.
    """
    error = painted - target
    return error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()


def feature_loss(painted: list[Tensor], target: list[Tensor]) -> Tensor:
    """Distance in the feature maps of a frozen network, each map's channels at unit norm.

    Zhang et al. 2018, arXiv:1801.03924, equation 1, without learned channel weights.
    """
    losses = [
        (functional.normalize(one.float(), dim=1) - functional.normalize(other.float(), dim=1)).square().sum(1).mean()
        for one, other in zip(painted, target, strict=True)
    ]
    return torch.stack(losses).sum()


def relativistic_loss(better: Tensor, worse: Tensor) -> Tensor:
    """softplus(worse - better): each score is judged against that of its pair.

    Relativistic pairing GAN (Jolicoeur-Martineau 2018; R3GAN, Huang et al. 2024, arXiv:2501.05441, equation 2): the
    discriminator passes (real, fake), the generator (fake, real). Both (B,).
    """
    return functional.softplus(worse - better).mean()


def gradient_penalty(pictures: Tensor, scores: Tensor) -> Tensor:
    """Mean squared gradient norm of the scores at `pictures`: R1 on real ones, R2 on fakes (R3GAN, equation 3).

    pictures: (B, 3, H, W) that require grad. scores: (B,) computed from them.
    """
    (gradient,) = torch.autograd.grad(scores.sum(), pictures, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()
