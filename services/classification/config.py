"""Shape of the image encoder and its head, as `[architecture]` of model.toml states it. No torch here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ImageEncoderConfig:
    """A residual network over square RGB pictures."""

    pixels: int
    """Side of the input; a multiple of 16."""
    widths: tuple[int, ...]
    """Channels of the four stages, at 1/2 (stem only), 1/4, 1/8 and 1/16 of the side."""
    depths: tuple[int, ...]
    """Residual blocks of the last three stages."""
    token_width: int
    """Numbers of each of the (pixels / 16)**2 tokens."""
    space_width: int
    """Numbers of a vector of the joint space."""
    concepts: int
    """Classes of the head, in the order of labels.json."""

    def __post_init__(self) -> None:
        if self.pixels % 16:
            raise ValueError(f"pixels: expected a multiple of 16, found {self.pixels}")
        for key, numbers, count in (("widths", self.widths, 4), ("depths", self.depths, 3)):
            if len(numbers) != count:
                raise ValueError(f"{key}: expected {count} numbers, found {list(numbers)}")


PRESETS: dict[str, dict[str, int | tuple[int, ...]]] = {
    # 4.9 M parameters, 0.20 GMAC a picture
    "pictograms": dict(pixels=64, widths=(32, 96, 192, 384), depths=(1, 2, 1), token_width=256, space_width=256),
    # 9 k: tests only
    "tiny": dict(pixels=32, widths=(4, 8, 8, 16), depths=(1, 1, 1), token_width=16, space_width=32),
}
"""Named shapes, less the number of concepts, which the training data know."""
