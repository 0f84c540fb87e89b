"""Shape of the image encoder and its heads, as `[architecture]` of model.toml states it. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

CONCEPT = "concept"
"""The head that every model has: cosines to points of the joint space, of which softmax makes probabilities."""
LINEAR_HEADS = ("subgroup", "background", "style")
"""One label a picture: a linear layer on the whole picture's features, and softmax."""
DENSE_HEADS = ("objects", "colour")
"""Any number of labels a picture: a linear layer on each cell's features, their smooth maximum, and sigmoids."""
HEADS = (CONCEPT, "subgroup", "background", "objects", "colour", "style")
"""All that a model may have, in the order in which answers tell them."""


@dataclass(frozen=True, kw_only=True)
class ImageEncoderConfig:
    """A convolutional network over square RGB pictures."""

    pixels: int
    """Side of the input; a multiple of 16, of an EfficientNet of 32."""
    token_width: int
    """Numbers of each of the (pixels / 16)**2 tokens."""
    space_width: int
    """Numbers of a vector of the joint space."""
    concepts: int
    """Labels of the concept head, in the order of labels.json."""
    heads: Mapping[str, int] = field(default_factory=dict)
    """Labels of each further head, by its name."""
    pooling: Literal["mean", "attention"] = "mean"
    """How the cells become one: their mean, or with what a query finds that knows each cell's place added."""
    backbone: Literal["residual", "efficientnet-lite0"] = "residual"
    """What makes maps of a picture."""
    widths: tuple[int, ...] = ()
    """Channels of a residual network's four stages, at 1/2 (stem only), 1/4, 1/8 and 1/16 of the side."""
    depths: tuple[int, ...] = ()
    """Residual blocks of its last three stages."""
    cell_width: int = 0
    """Channels of the cells at 1/16 of the side that an EfficientNet's last two maps are merged into."""
    dense_width: int = 0
    """Channels of its cells at 1/8, which the dense heads score."""

    def __post_init__(self) -> None:
        residual = self.backbone == "residual"
        if self.pixels % (step := 16 if residual else 32):
            raise ValueError(f"pixels: expected a multiple of {step}, found {self.pixels}")
        counts = (4, 3) if residual else (0, 0)
        for key, numbers, count in zip(("widths", "depths"), (self.widths, self.depths), counts, strict=True):
            if len(numbers) != count:
                raise ValueError(f"{key}: expected {count} numbers, found {list(numbers)}")
        for key, width in (("cell_width", self.cell_width), ("dense_width", self.dense_width)):
            if (width > 0) == residual:
                raise ValueError(f"{key}: expected {'none' if residual else 'at least 1'}, found {width}")
        if unknown := sorted(set(self.heads) - {*LINEAR_HEADS, *DENSE_HEADS}):
            raise ValueError(f"heads: expected some of {', '.join((*LINEAR_HEADS, *DENSE_HEADS))}, found {unknown[0]}")


PRESETS: dict[str, dict[str, Any]] = {
    # 3.3 M with 1,400 concepts and all heads
    "scenes": dict(
        pixels=128, widths=(24, 48, 128, 256), depths=(1, 2, 2), token_width=256, space_width=256, pooling="attention"
    ),
    # 4.1 M with the same, 3.0 M of them with ImageNet weights to begin with
    "pretrained": dict(
        pixels=128,
        backbone="efficientnet-lite0",
        cell_width=320,
        dense_width=128,
        token_width=256,
        space_width=256,
        pooling="attention",
    ),
    # 0.8 M, 3.6 M and 12.5 M parameters, less the concepts: what `diptych train` makes of pictures of the user's own
    "small": dict(pixels=64, widths=(16, 48, 96, 192), depths=(1, 1, 1), token_width=256, space_width=256),
    "base": dict(pixels=128, widths=(32, 96, 192, 384), depths=(1, 2, 1), token_width=256, space_width=256),
    "large": dict(pixels=128, widths=(64, 128, 256, 512), depths=(2, 3, 2), token_width=256, space_width=256),
    # 9 k: tests only
    "tiny": dict(pixels=32, widths=(4, 8, 8, 16), depths=(1, 1, 1), token_width=16, space_width=32),
}
"""Named shapes, less the numbers of labels, which the training data know."""
