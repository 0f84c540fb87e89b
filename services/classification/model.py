"""The image encoder: a picture to a point of the joint space, to tokens, and to scores over the labels of its heads.

A pre-activation-free ResNet (He et al. 2016) of dense 3x3 convolutions, which CPUs run better than grouped ones, or an
EfficientNet-Lite0, which can begin with what ImageNet taught it (`efficientnet.py`). The head for concepts is a cosine
classifier: its rows are directions of the joint space, one a concept. What a picture has several of, objects and
colours, is scored cell by cell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from services.classification import efficientnet
from services.classification.config import DENSE_HEADS, LINEAR_HEADS, ImageEncoderConfig

RARE = -4.0
"""First bias of a cell's labels: nearly all are absent (Lin et al. 2017, arXiv:1708.02002, 4.1)."""


@dataclass(frozen=True, kw_only=True)
class EncodedImages:
    """What one forward pass says of B pictures."""

    vectors: Tensor
    """(B, V) float32 of unit norm."""
    tokens: Tensor
    """(B, T, W), row-major over the picture."""
    logits: Tensor
    """(B, C) float32: cosine to each concept times the learned scale."""
    heads: Mapping[str, Tensor] = field(default_factory=dict)
    """Of each head beside concept, (B, N) float32 logits: for softmax, or where the head is dense for sigmoids."""
    dense: Mapping[str, Tensor] = field(default_factory=dict)
    """Of each dense head, the cells' logits (B, N, H/8, W/8) float32, to be trained with masks."""


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


def residual_stem_and_stages(widths: Sequence[int], depths: Sequence[int]) -> tuple[nn.Sequential, nn.ModuleList]:
    """What makes the map at 1/2 of the side, and what makes each of the three others of the one before."""
    stem = nn.Sequential(nn.Conv2d(3, widths[0], 3, 2, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU())
    stages = (
        nn.Sequential(
            ResidualBlock(inputs, outputs, 2), *(ResidualBlock(outputs, outputs, 1) for _ in range(depth - 1))
        )
        for inputs, outputs, depth in zip(widths, widths[1:], depths, strict=False)
    )
    return stem, nn.ModuleList(stages)


class AttentionPool(nn.Module):
    """The mean of the cells and, added to it, what attention from the mean to the cells and their places finds.

    CLIP's pooling (Radford et al. 2021, arXiv:2103.00020, 2.3): a mean alone knows neither where a thing is nor, among
    many cells of sky, that there is a small one.
    """

    def __init__(self, width: int, cells: int) -> None:
        super().__init__()
        self.heads = max(1, width // 64)
        self.place = nn.Parameter(torch.randn(cells, width) * width**-0.5)
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width, 2 * width)
        self.out = nn.Linear(width, width)

    def forward(self, cells: Tensor) -> Tensor:
        """(B, T, C) -> (B, C)."""
        batch, count, width = cells.shape
        mean = cells.mean(dim=1)
        query = self.query(self.norm(mean)).view(batch, 1, self.heads, -1).transpose(1, 2)  # (B, heads, 1, D)
        projected = self.key_value(self.norm(cells) + self.place).view(batch, count, 2, self.heads, -1)
        key, value = projected.permute(2, 0, 3, 1, 4)  # each (B, heads, T, D)
        found = functional.scaled_dot_product_attention(query, key, value)
        return mean + self.out(found.transpose(1, 2).reshape(batch, width))  # type: ignore[no-any-return]


class Merge(nn.Module):
    """Two maps as one: the coarse one says what, the fine one where (Lin et al. 2017, FPN)."""

    def __init__(self, fine: int, coarse: int, width: int, *, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.fine = nn.Sequential(nn.Conv2d(fine, width, 1, bias=False), nn.BatchNorm2d(width, eps=epsilon))
        self.coarse = nn.Sequential(nn.Conv2d(coarse, width, 1, bias=False), nn.BatchNorm2d(width, eps=epsilon))

    def merged(self, fine: Tensor, coarse: Tensor) -> Tensor:
        """(B, F, H, W), (B, C, H/2, W/2) -> (B, width, H, W)."""
        return functional.relu(self.fine(fine) + functional.interpolate(self.coarse(coarse), scale_factor=2.0))


class DenseHeads(Merge):
    """Scores of labels for each cell at 1/8 of the side, from the maps at 1/8 and 1/16."""

    def __init__(self, fine: int, coarse: int, width: int, heads: Mapping[str, int]) -> None:
        super().__init__(fine, coarse, width)
        self.labels = nn.ModuleDict({name: nn.Conv2d(width, count, 1) for name, count in heads.items()})
        self.log_sharpness = nn.ParameterDict({name: nn.Parameter(torch.tensor(1.6)) for name in heads})
        for layer in self.labels.values():
            nn.init.constant_(layer.bias, RARE)  # type: ignore[arg-type]

    def forward(self, fine: Tensor, coarse: Tensor) -> dict[str, Tensor]:
        """(B, C2, H/8, W/8), (B, C3, H/16, W/16) -> for each head (B, N, H/8, W/8) float32 logits."""
        cells = self.merged(fine, coarse)
        return {name: layer(cells).float() for name, layer in self.labels.items()}

    def pool(self, cells: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What `forward` made -> for each head (B, N) logits of the whole picture."""
        return {name: smooth_maximum(map_, self.log_sharpness[name].float().exp()) for name, map_ in cells.items()}


def smooth_maximum(cells: Tensor, sharpness: Tensor) -> Tensor:
    """(B, N, H, W) -> (B, N): the mean of the cells at sharpness 0, rising with it to their maximum.

    Log-sum-exp pooling (Pinheiro and Collobert 2015, arXiv:1411.6228, equation 6), in float32.
    """
    with torch.autocast(cells.device.type, enabled=False):
        total = torch.logsumexp(sharpness * cells.float().flatten(2), dim=2)
        return (total - math.log(cells.shape[2] * cells.shape[3])) / sharpness


class ImageEncoder(nn.Module):
    """Pictures to vectors, tokens, and scores of concepts and of the labels of further heads."""

    def __init__(self, config: ImageEncoderConfig) -> None:
        super().__init__()
        self.pixels = config.pixels
        if config.backbone == "residual":
            self.stem, self.stages = residual_stem_and_stages(config.widths, config.depths)
            self.merge = None
            fine, last = config.widths[-2:]
            cell = fine
        else:
            self.stem, self.stages = efficientnet.stem_and_stages()
            _, fine, middle, coarse = efficientnet.WIDTHS
            last, cell = config.cell_width, config.dense_width
            self.merge = Merge(middle, coarse, last, epsilon=efficientnet.EPSILON)
        self.pool = AttentionPool(last, (config.pixels // 16) ** 2) if config.pooling == "attention" else None
        self.to_tokens = nn.Linear(last, config.token_width)
        self.projection = nn.Linear(last, config.space_width)
        self.linear_heads = nn.ModuleDict(
            {name: nn.Linear(last, config.heads[name]) for name in LINEAR_HEADS if name in config.heads}
        )
        dense = {name: config.heads[name] for name in DENSE_HEADS if name in config.heads}
        self.dense_heads = DenseHeads(fine, last, cell, dense) if dense else None
        self.concepts = nn.Parameter(torch.randn(config.concepts, config.space_width))
        self.log_scale = nn.Parameter(torch.tensor(2.7))  # exp(2.7) = 15, as CLIP's initial temperature of 0.07

    def features(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, H, W) in [-1, 1] -> maps (B, C, H/8, W/8) and (B, L, H/16, W/16); all else is read off the second."""
        maps = [self.stem(pictures)]  # (B, C0, H/2, W/2), and on, each of half the side
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return maps[2], maps[3] if self.merge is None else self.merge.merged(maps[3], maps[4])

    def score(self, vectors: Tensor) -> Tensor:
        """(B, V) of unit norm -> (B, C) logits over concepts."""
        with torch.autocast(vectors.device.type, enabled=False):  # bf16 has 8 bits: too few for near-equal cosines
            prototypes = functional.normalize(self.concepts.float(), dim=-1)
            return self.log_scale.float().exp() * vectors.float() @ prototypes.T

    def forward(self, pictures: Tensor) -> EncodedImages:
        """(B, 3, H, W) in [-1, 1]."""
        fine, last = self.features(pictures)  # (B, C2, H/8, W/8), (B, C3, H/16, W/16)
        cells = last.flatten(2).transpose(1, 2)  # (B, T, C3)
        pooled = last.mean(dim=(2, 3)) if self.pool is None else self.pool(cells)  # (B, C3)
        vectors = functional.normalize(self.projection(pooled).float(), dim=-1)
        heads = {name: layer(pooled).float() for name, layer in self.linear_heads.items()}
        dense = {} if self.dense_heads is None else self.dense_heads(fine, last)
        if self.dense_heads is not None:
            heads |= self.dense_heads.pool(dense)
        return EncodedImages(
            vectors=vectors, tokens=self.to_tokens(cells), logits=self.score(vectors), heads=heads, dense=dense
        )
