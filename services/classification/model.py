"""The image encoder: a picture to a point of the joint space, to tokens, and to scores over concepts.

A pre-activation-free ResNet (He et al. 2016) of dense 3x3 convolutions, which CPUs run better than grouped ones. The
head is a cosine classifier: its rows are points of the joint space too, one a concept.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.classification.config import ImageEncoderConfig


@dataclass(frozen=True, kw_only=True)
class EncodedImages:
    """What one forward pass says of B pictures."""

    vectors: Tensor
    """(B, V) float32 of unit norm."""
    tokens: Tensor
    """(B, T, W), row-major over the picture."""
    logits: Tensor
    """(B, C) float32: cosine to each concept times the learned scale."""


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.norm1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(outputs)
        self.shortcut = (
            nn.Identity()
            if stride == 1 and inputs == outputs
            else nn.Sequential(nn.AvgPool2d(stride), nn.Conv2d(inputs, outputs, 1, bias=False), nn.BatchNorm2d(outputs))
        )

    def forward(self, features: Tensor) -> Tensor:
        residual = functional.relu(self.norm1(self.conv1(features)))
        return functional.relu(self.norm2(self.conv2(residual)) + self.shortcut(features))


class ImageEncoder(nn.Module):
    """Pictures to vectors, tokens and concept scores."""

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        self.pixels = config.pixels
        self.stem = nn.Sequential(
            nn.Conv2d(3, config.widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(config.widths[0]), nn.ReLU()
        )
        self.stages = nn.ModuleList(
            nn.Sequential(
                ResidualBlock(inputs, outputs, 2), *(ResidualBlock(outputs, outputs, 1) for _ in range(depth - 1))
            )
            for inputs, outputs, depth in zip(config.widths, config.widths[1:], config.depths, strict=False)
        )
        self.to_tokens = nn.Linear(config.widths[-1], config.token_width)
        self.projection = nn.Linear(config.widths[-1], config.space_width)
        self.concepts = nn.Parameter(torch.randn(config.concepts, config.space_width))
        self.log_scale = nn.Parameter(torch.tensor(2.7))  # exp(2.7) = 15, as CLIP's initial temperature of 0.07

    def features(self, pictures: Tensor) -> list[Tensor]:
        """(B, 3, H, W) in [-1, 1] -> the three stages' maps, at 1/4, 1/8 and 1/16 of the side."""
        maps = []
        hidden = self.stem(pictures)  # (B, C0, H/2, W/2)
        for stage in self.stages:
            hidden = stage(hidden)
            maps.append(hidden)
        return maps

    def score(self, vectors: Tensor) -> Tensor:
        """(B, V) of unit norm -> (B, C) logits over concepts."""
        with torch.autocast(vectors.device.type, enabled=False):  # bf16 has 8 bits: too few for near-equal cosines
            prototypes = functional.normalize(self.concepts.float(), dim=-1)
            return self.log_scale.float().exp() * vectors.float() @ prototypes.T

    def forward(self, pictures: Tensor) -> EncodedImages:
        """(B, 3, H, W) in [-1, 1]."""
        last = self.features(pictures)[-1]  # (B, C3, H/16, W/16)
        vectors = functional.normalize(self.projection(last.mean(dim=(2, 3))).float(), dim=-1)
        tokens = self.to_tokens(last.flatten(2).transpose(1, 2))  # (B, T, W)
        return EncodedImages(vectors=vectors, tokens=tokens, logits=self.score(vectors))
