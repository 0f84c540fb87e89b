"""The discriminator of the adversarial stage: does this picture look drawn, and does it fit the words?"""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional

WIDTHS = (48, 96, 192, 256)
"""Channels at 1/2, 1/4, 1/8 and 1/16 of the side."""


class Down(nn.Module):
    """Halves the side: two 3x3 convolutions around an averaged shortcut, without norms, as R3GAN."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, inputs, 3, 1, 1)
        self.conv2 = nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.shortcut = nn.Conv2d(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        hidden = functional.leaky_relu(self.conv1(functional.leaky_relu(features, 0.2)), 0.2)
        hidden = self.conv2(functional.avg_pool2d(hidden, 2))
        return (hidden + self.shortcut(functional.avg_pool2d(features, 2))) * 0.5**0.5  # type: ignore[no-any-return]


class Discriminator(nn.Module):
    """Scores pictures with their text vectors; a projection discriminator (Miyato & Koyama 2018)."""

    def __init__(self, space_width: int, pixels: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = nn.Conv2d(12, widths[0], 3, 1, 1)  # after folding 2x2 pixels into channels
        self.stages = nn.Sequential(*(Down(one, two) for one, two in pairwise(widths)))
        self.hidden = nn.Linear(widths[-1] * (pixels // 2 ** len(widths)) ** 2, space_width)
        self.unconditional = nn.Linear(space_width, 1)
        self.condition = nn.Linear(space_width, space_width)

    def forward(self, pictures: Tensor, vectors: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1], (B, V) of unit norm -> (B,) scores, higher for real pictures that fit."""
        hidden = self.stages(self.stem(functional.pixel_unshuffle(pictures, 2)))  # (B, C, H/16, W/16)
        hidden = functional.leaky_relu(self.hidden(functional.leaky_relu(hidden, 0.2).flatten(1)), 0.2)  # (B, V)
        fit = (hidden * self.condition(vectors * vectors.shape[1] ** 0.5)).mean(dim=1)
        return self.unconditional(hidden)[:, 0].float() + fit.float()  # type: ignore[no-any-return]
