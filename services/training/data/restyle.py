"""Draws a picture as in another style: grey, in other hues, in one ink, as outlines or as a silhouette.

Styles that are held out for a concept differ from those it was learnt in by just that: most of what tells a cat in one
hand tells it in all.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

LUMINANCE = (0.299, 0.587, 0.114)


def random_style(pictures: Tensor, alpha: Tensor) -> Tensor:
    """(B, 3, H, W) on white and (B, 1, H, W), both in [0, 1] -> (B, 3, H, W) on white, in styles drawn at random."""
    chosen = torch.randint(len(STYLES), (len(pictures),), device=pictures.device)
    drawn = pictures.clone()
    for index, style in enumerate(STYLES):
        rows = (chosen == index).nonzero()[:, 0]
        if len(rows):
            drawn[rows] = style(pictures[rows], alpha[rows])
    return drawn.clamp(0, 1)


def grey(pictures: Tensor, alpha: Tensor) -> Tensor:
    """Without colour, in more or less contrast."""
    contrast = _uniform(pictures, 0.7, 1.6)
    return (1 - contrast * (1 - luminance(pictures))).expand_as(pictures)


def other_hues(pictures: Tensor, alpha: Tensor) -> Tensor:
    """Colours turned round the axis of greys, by any angle (Haeberli 1993)."""
    angle = _uniform(pictures, 0.0, 2 * torch.pi)[:, 0, 0, 0]
    third, cosine, sine = 1 / 3, angle.cos(), angle.sin() / 3**0.5
    same, one, two = third + 2 / 3 * cosine, third - cosine / 3 - sine, third - cosine / 3 + sine
    rows = (torch.stack((same, one, two), 1), torch.stack((two, same, one), 1), torch.stack((one, two, same), 1))
    return torch.einsum("bij,bjhw->bihw", torch.stack(rows, dim=1), pictures)


def one_ink(pictures: Tensor, alpha: Tensor) -> Tensor:
    """What is darker than some grey in one dark ink, all else white."""
    dark = ((_uniform(pictures, 0.4, 0.85) - luminance(pictures)) * 12).sigmoid() * alpha
    return _inked(pictures, dark)


def outlines(pictures: Tensor, alpha: Tensor) -> Tensor:
    """Edges, two or four pixels wide."""
    light = luminance(pictures)
    width = 3 if bool(torch.rand(()) < 0.5) else 5
    padded = functional.pad(light, [width // 2] * 4, mode="replicate")
    spread = functional.max_pool2d(padded, width, 1) + functional.max_pool2d(-padded, width, 1)
    return _inked(pictures, (spread * _uniform(pictures, 2.0, 5.0)).clamp(0, 1))


def silhouette(pictures: Tensor, alpha: Tensor) -> Tensor:
    """All that is drawn in one dark ink."""
    return _inked(pictures, alpha)


STYLES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (grey, other_hues, one_ink, outlines, silhouette)


def luminance(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) -> (B, 1, H, W)."""
    weights = torch.tensor(LUMINANCE, device=pictures.device, dtype=pictures.dtype)
    return torch.einsum("c,bchw->bhw", weights, pictures)[:, None]


def _inked(pictures: Tensor, ink: Tensor) -> Tensor:
    colour = torch.rand(len(pictures), 3, 1, 1, device=pictures.device) * 0.35
    return 1 - ink * (1 - colour)


def _uniform(pictures: Tensor, low: float, high: float) -> Tensor:
    return low + (high - low) * torch.rand(len(pictures), 1, 1, 1, device=pictures.device)
