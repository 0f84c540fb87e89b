"""Draws one thing, cut out, from a code; and what lies behind all things.

Residual blocks modulated by a code (FiLM, Perez et al. 2018, in place of BigGAN's class-conditional norms) grow a
picture from 4 px; the last doubling is a sub-pixel convolution (Shi et al. 2016). Most channels sit at 4 to 16 px,
where they are cheap.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.generation.config import GROUPS


class ModulatedConv(nn.Module):
    """Group norm, scale and shift from the code, SiLU, 3x3 convolution."""

    def __init__(self, inputs: int, outputs: int, code_width: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, inputs, affine=False)
        self.scale_shift = nn.Linear(code_width, 2 * inputs)
        self.conv = nn.Conv2d(inputs, outputs, 3, 1, 1)

    def forward(self, features: Tensor, code: Tensor, upsample: bool) -> Tensor:
        scale, shift = self.scale_shift(code)[:, :, None, None].chunk(2, dim=1)  # each (B, C, 1, 1)
        hidden = functional.silu(torch.addcmul(shift, self.norm(features), 1 + scale))
        if upsample:
            hidden = functional.interpolate(hidden, scale_factor=2, mode="nearest")
        return self.conv(hidden)  # type: ignore[no-any-return]


class Block(nn.Module):
    """Two modulated convolutions around a shortcut; twice as wide and high where `upsample`."""

    def __init__(self, inputs: int, outputs: int, code_width: int, *, upsample: bool) -> None:
        super().__init__()
        self.upsample = upsample
        self.conv1 = ModulatedConv(inputs, outputs, code_width)
        self.conv2 = ModulatedConv(outputs, outputs, code_width)
        self.shortcut = nn.Conv2d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, features: Tensor, code: Tensor) -> Tensor:
        hidden = self.conv2(self.conv1(features, code, self.upsample), code, False)
        shortcut = self.shortcut(features)
        if self.upsample:
            shortcut = functional.interpolate(shortcut, scale_factor=2, mode="nearest")
        return hidden + shortcut  # type: ignore[no-any-return]


class Painter(nn.Module):
    """A code to a square of `channels` planes, 8 << (stages - 1) px a side."""

    def __init__(self, widths: tuple[int, ...], *, code_width: int, detail_width: int, channels: int) -> None:
        super().__init__()
        self.width = widths[0]
        self.start = nn.Linear(code_width, widths[0] * 16)
        stages = zip((widths[0], *widths), widths, strict=False)
        self.blocks = nn.ModuleList(
            Block(inputs, outputs, code_width, upsample=index > 0) for index, (inputs, outputs) in enumerate(stages)
        )
        self.to_detail = ModulatedConv(widths[-1], 4 * detail_width, code_width)
        self.to_planes = nn.Conv2d(detail_width, channels, 3, 1, 1)

    def forward(self, code: Tensor) -> Tensor:
        """(B, W) -> (B, channels, S, S), unbounded."""
        hidden = self.start(code).view(-1, self.width, 4, 4).contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            hidden = block(hidden, code)  # (B, C, 4 * 2**i, ...)
        detail = functional.pixel_shuffle(self.to_detail(hidden, code, False), 2)  # (B, D, S, S)
        return self.to_planes(functional.silu(detail))  # type: ignore[no-any-return]


def mapping(inputs: int, width: int) -> nn.Sequential:
    """StyleGAN's mapping network (Karras et al. 2019), three layers of it."""
    return nn.Sequential(
        nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU()
    )
