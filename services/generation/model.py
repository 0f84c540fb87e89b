"""The generator: a point of the joint space and noise to a picture, in one forward pass.

A mapping network (StyleGAN, Karras et al. 2019) turns text, style and noise into one code; residual blocks modulated by
it (FiLM, Perez et al. 2018, in place of BigGAN's class-conditional norms) grow the picture from 4 px; the last doubling
is a sub-pixel convolution (Shi et al. 2016). Most channels sit at 4 to 16 px, where they are cheap.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.generation.config import GROUPS, GeneratorConfig

TINT = 0.15


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


class Generator(nn.Module):
    """Text vectors and noise to pictures."""

    def __init__(self, config: GeneratorConfig) -> None:
        super().__init__()
        self.config = config
        width = config.mapping_width
        self.mapping = nn.Sequential(
            nn.Linear(config.space_width + config.noise_width, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
            nn.Linear(width, width),
            nn.SiLU(),
        )
        self.start = nn.Linear(width, config.widths[0] * 16)
        stages = zip((config.widths[0], *config.widths), config.widths, strict=False)
        self.blocks = nn.ModuleList(
            Block(inputs, outputs, width, upsample=index > 0) for index, (inputs, outputs) in enumerate(stages)
        )
        self.to_detail = ModulatedConv(config.widths[-1], 4 * config.detail_width, width)
        self.to_rgb = nn.Conv2d(config.detail_width, 3, 3, 1, 1)

    def encode(self, vectors: Tensor, noise: Tensor) -> Tensor:
        """The code of (B, V) unit vectors and (B, Z) normal noise: (B, W).

        Of the noise's first `styles` numbers only the largest counts: it chooses a style. The next four are left to
        `vary`.
        """
        styles = self.config.styles
        style = functional.one_hot(noise[:, :styles].argmax(dim=1), styles).to(vectors.dtype)
        free = noise[:, styles + 4 :].to(vectors.dtype)
        unused = torch.zeros_like(noise[:, :4], dtype=vectors.dtype)
        scaled = vectors * vectors.shape[1] ** 0.5  # unit variance a number, like the rest
        return self.mapping(torch.cat((scaled, 3 * style, unused, free), dim=1))  # type: ignore[no-any-return]

    def paint(self, vectors: Tensor, noise: Tensor) -> Tensor:
        """(B, V) of unit norm, (B, Z) normal -> (B, 3, H, W), nearly in [-1, 1], as the drawing faces in training."""
        code = self.encode(vectors, noise)  # (B, W)
        hidden = self.start(code).view(-1, self.config.widths[0], 4, 4)
        hidden = hidden.contiguous(memory_format=torch.channels_last)
        for block in self.blocks:
            hidden = block(hidden, code)  # (B, C, 4 * 2**i, ...)
        detail = functional.pixel_shuffle(self.to_detail(hidden, code, False), 2)  # (B, D, H, W)
        return self.to_rgb(functional.silu(detail))  # type: ignore[no-any-return]

    def vary(self, pictures: Tensor, noise: Tensor) -> Tensor:
        """Mirrors a picture when the noise's first number after the styles is positive; the next three tint its ink.

        (B, 3, H, W) in [-1, 1] -> the same; white stays white.
        """
        mirror, tint = noise[:, self.config.styles, None, None, None] > 0, noise[:, self.config.styles + 1 :][:, :3]
        mirrored = torch.where(mirror, pictures.flip(3), pictures)
        return (1 - (1 - mirrored) * (1 + TINT * tint.tanh()[:, :, None, None])).clamp(-1, 1)

    def forward(self, vectors: Tensor, noise: Tensor) -> Tensor:
        """(B, V) of unit norm, (B, Z) standard normal -> (B, 3, H, W) float32 in [-1, 1]."""
        return self.vary(self.paint(vectors, noise).float().clamp(-1, 1), noise)
