"""What crosses the pipe between the generation front end and its model process."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class PaintItem:
    """One picture to paint."""

    vector: bytes
    """float32, little-endian: the text's encoding in the model's space."""
    seed: int
    """0 to 2**64 - 1."""


@dataclass(frozen=True, kw_only=True)
class PaintedImage:
    """The picture as a PNG file."""

    png: bytes
    width: int
    height: int
