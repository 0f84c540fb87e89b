"""Puts cut-out things onto a background, each into its box, the farthest first.

Layers as in LR-GAN (Yang et al. 2017, arXiv:1703.01560): each thing has its own ink, opacity and place, and the place
is a spatial transformer (Jaderberg et al. 2015).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional


def place(layers: Tensor, boxes: Tensor, mirrored: Tensor, side: int) -> Tensor:
    """Moves layers into their boxes.

    layers: (N, 4, S, S), zero where nothing is. boxes: (N, 3), centre x, centre y and side, in sides of the page.
    mirrored: (N,) true where left and right change. Returns (N, 4, side, side), zero outside the boxes.
    """
    size = boxes[:, 2].clamp(min=0.02)
    flip = torch.where(mirrored, -1.0, 1.0).to(boxes.dtype)
    zero = torch.zeros_like(flip)
    centre = boxes[:, :2] * 2 - 1
    x = torch.stack((flip / size, zero, -flip * centre[:, 0] / size), dim=1)
    y = torch.stack((zero, 1 / size, -centre[:, 1] / size), dim=1)
    grid = functional.affine_grid(torch.stack((x, y), dim=1), [len(layers), 4, side, side], align_corners=False)
    # Averaged layers for small boxes: sampling a large one at few points would drop its lines (mip mapping).
    fine = functional.grid_sample(layers, grid, align_corners=False)
    half = functional.avg_pool2d(layers, 2)
    coarse = functional.grid_sample(half, grid, align_corners=False)
    coarsest = functional.grid_sample(functional.avg_pool2d(half, 2), grid, align_corners=False)
    scale = (layers.shape[-1] / (side * size)).clamp(min=1).log2()  # 0: as large as the layer; 1: half
    first, second = scale.clamp(max=1)[:, None, None, None], (scale - 1).clamp(0, 1)[:, None, None, None]
    return fine.lerp(coarse, first).lerp(coarsest, second)


def stack(background: Tensor, layers: Tensor, depths: Tensor, presence: Tensor) -> Tensor:
    """Paints the layers over the background, from the least depth to the greatest.

    background: (B, 3, H, W) in [0, 1]. layers: (B, K, 4, H, W), ink less white times opacity, and opacity.
    depths: (B, K). presence: (B, K) in 0 to 1, times the opacity. Returns (B, 3, H, W).
    """
    order = depths.argsort(dim=1, stable=True)[:, :, None, None, None].expand_as(layers)
    ordered = (layers * presence[:, :, None, None, None]).gather(1, order)
    page = background
    for ink, opacity in ((one[:, :3], one[:, 3:]) for one in ordered.unbind(dim=1)):
        # ink is opacity x (colour - 1), so that nothing at all is zero
        page = ink + opacity + (1 - opacity) * page
    return page
