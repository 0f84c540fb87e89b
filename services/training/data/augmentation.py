"""Random views of the pack's pictures, made on the training device: what real pictures differ in."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from services.training.data.restyle import random_style


def compose(pictures: Tensor, alpha: Tensor, background: Tensor) -> Tensor:
    """Puts pictures that are on white onto another colour.

    (B, 3, H, W) in [0, 1], (B, 1, H, W) in [0, 1], (B, 3, 1, 1) -> (B, 3, H, W) in [0, 1]. Exact: both are linear.
    """
    return pictures + (1 - alpha) * (background - 1)


def random_views(pictures: Tensor, alpha: Tensor, sided: Tensor, pixels: int, *, restyled: int = 0) -> Tensor:
    """(B, 3, H, W) and (B, 1, H, W), both in [0, 1] -> (B, 3, pixels, pixels) in [-1, 1]: moved, recoloured, blurred,
    noisy; the last `restyled` of them drawn as in another style (`restyle.py`).

    `sided` (B,) is true for what a mirror would make another thing of: only others are mirrored, half of the time.
    """
    if pictures.shape[-1] < pixels:
        pictures, alpha = enlarged(pictures, pixels), enlarged(alpha, pixels)
    stacked = torch.cat((pictures - 1, alpha), dim=1)  # zero outside, so that moving in leaves white
    moved = functional.grid_sample(stacked, _random_grid(sided.to(pictures.device), pixels), align_corners=False)
    batch, device = len(pictures), pictures.device
    tinted = torch.rand(batch, 1, 1, 1, device=device) < 0.3
    background = torch.where(tinted, torch.rand(batch, 3, 1, 1, device=device) * 0.7 + 0.3, 1.0)
    drawn, opacity = moved[:, :3] + 1, moved[:, 3:]
    if restyled:
        drawn = torch.cat((drawn[:-restyled], random_style(drawn[-restyled:], opacity[-restyled:])))
    view = compose(drawn, opacity, background)
    return _spoil(_recolour(view))


def enlarged(pictures: Tensor, pixels: int) -> Tensor:
    """(B, C, H, H) in [0, 1] -> (B, C, pixels, pixels) in [0, 1], nearly as sharp as services enlarge pictures."""
    return functional.interpolate(pictures, size=(pixels, pixels), mode="bicubic").clamp(0, 1)


def random_scene_views(pictures: Tensor) -> Tensor:
    """(B, 3, H, W) in [0, 1] -> (B, 3, H, W) in [-1, 1]: recoloured, blurred, noisy, but nothing moved."""
    return _spoil(_recolour(pictures))


def resized(pictures: Tensor, pixels: int) -> Tensor:
    """(B, 3, H, H) -> (B, 3, pixels, pixels)."""
    if pictures.shape[-1] == pixels:
        return pictures
    return functional.interpolate(pictures, size=(pixels, pixels), mode="bilinear", antialias=True)


def _spoil(view: Tensor) -> Tensor:
    """Blur and noise for some; [0, 1] -> [-1, 1]."""
    batch, device = len(view), view.device
    view = _random_blur(view)
    noisy = (torch.rand(batch, 1, 1, 1, device=device) < 0.3) * 0.08 * torch.rand(batch, 1, 1, 1, device=device)
    return ((view + noisy * torch.randn_like(view)).clamp(0, 1) * 2 - 1).contiguous()


def _random_grid(sided: Tensor, pixels: int) -> Tensor:
    """A sampling grid: up to 12 degrees, 0.6 to 1.15 of the size, moved by up to 10 % of the side, half mirrored."""
    batch, device = len(sided), sided.device
    angle = (torch.rand(batch, device=device) - 0.5) * math.radians(24)
    zoom = 1 / (0.6 + 0.55 * torch.rand(batch, device=device))
    mirror = torch.where((torch.rand(batch, device=device) < 0.5) & ~sided, -1.0, 1.0)
    shift = (torch.rand(batch, 2, device=device) - 0.5) * 0.4
    rows = (
        torch.stack((mirror * zoom * angle.cos(), -zoom * angle.sin(), shift[:, 0]), dim=1),
        torch.stack((mirror * zoom * angle.sin(), zoom * angle.cos(), shift[:, 1]), dim=1),
    )
    return functional.affine_grid(torch.stack(rows, dim=1), [batch, 4, pixels, pixels], align_corners=False)


def _recolour(view: Tensor) -> Tensor:
    batch, device = len(view), view.device
    gain = 1 + 0.3 * (torch.rand(batch, 1, 1, 1, device=device) - 0.5)
    tint = 1 + 0.12 * (torch.rand(batch, 3, 1, 1, device=device) - 0.5)
    saturation = 0.7 + 0.6 * torch.rand(batch, 1, 1, 1, device=device)
    grey = view.mean(dim=1, keepdim=True)
    return 1 - (1 - (grey + saturation * (view - grey)) * tint) * gain


def _random_blur(view: Tensor) -> Tensor:
    """A third of the batch, by chance, at a lower resolution and back, as generated and enlarged pictures are."""
    chosen = torch.randperm(len(view), device=view.device)[: len(view) // 3]
    if len(chosen) == 0:
        return view
    side = int(torch.randint(view.shape[-1] // 3, view.shape[-1], ()))
    small = functional.interpolate(view[chosen], size=(side, side), mode="bilinear", antialias=True)
    return view.index_copy(0, chosen, functional.interpolate(small, size=view.shape[-2:], mode="bilinear"))
