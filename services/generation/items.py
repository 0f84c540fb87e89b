"""What crosses the pipe between the generation front end and its model process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, kw_only=True)
class PaintItem:
    """One picture to paint."""

    vector: bytes
    """float32, little-endian: the text's encoding in the model's space."""
    seed: int
    """0 to 2**64 - 1."""
    file_format: Literal["PNG", "JPEG", "WEBP"] = "PNG"
    quality: int = 0
    """1 to 100 for JPEG and WebP."""


@dataclass(frozen=True, kw_only=True)
class PaintedImage:
    """The picture as a file of the format that was asked for."""

    data: bytes
    pixel_sha256: str
    """Of the pixels before any coding: 8-bit RGB, row by row from the top; lower-case hexadecimal."""
    width: int
    height: int
