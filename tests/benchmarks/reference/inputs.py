"""Seeded inputs of the reference modules by number: the same in every process, and no two alike.

All servers answer the same calls, and none can save work by knowing an answer already. No torch here: clients start
quickly.
"""

from __future__ import annotations

import functools
import io
import random

import numpy as np
from PIL import Image

SEED = 7
POOL = 256
PICTURES = 64
"""Inputs that are made; those of higher numbers are variations."""
VECTOR = 384
SPACE = "reference"
"""The vectors' joint space, for servers that ask."""
WORDS = (
    *("a", "the", "black", "white", "red", "green", "small", "large", "old", "young", "bright", "dark", "quiet"),
    *("cat", "dog", "horse", "bird", "house", "tree", "car", "boat", "cloud", "river", "mountain", "street"),
    *("on", "under", "beside", "behind", "near", "with", "without", "and", "in", "over", "through", "sleeping"),
)


def text(number: int) -> str:
    """3 to 25 words: some fill T's 16 tokens, some are cut."""
    return f"{number} {_sentences()[number % POOL]}"


def jpeg(number: int) -> bytes:
    """A picture of 160 to 320 pixels a side, 8 to 30 KB: smooth colours with some grain, as photographs have.

    Decoders ignore what follows the end of the picture: there stands the number.
    """
    return _pictures()[number % PICTURES] + number.to_bytes(8, "little")


def vector(number: int) -> tuple[bytes, int]:
    """A vector of unit norm, float32, little-endian, and a seed."""
    return _points()[number % POOL], number


@functools.cache
def _sentences() -> list[str]:
    generator = random.Random(SEED)
    return [" ".join(generator.choices(WORDS, k=generator.randint(2, 24))) for _ in range(POOL)]


@functools.cache
def _points() -> list[bytes]:
    points = np.random.default_rng(SEED).standard_normal((POOL, VECTOR)).astype("<f4")
    return [point.tobytes() for point in points / np.linalg.norm(points, axis=1, keepdims=True)]


@functools.cache
def _pictures() -> list[bytes]:
    generator = np.random.default_rng(SEED)
    return [_picture(generator) for _ in range(PICTURES)]


def _picture(generator: np.random.Generator) -> bytes:
    width, height = (int(side) for side in generator.integers(160, 321, size=2))
    colours = Image.fromarray(generator.integers(256, size=(6, 6, 3), dtype=np.uint8))
    smooth = np.asarray(colours.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    grain = generator.normal(0, 6, size=smooth.shape)
    file = io.BytesIO()
    Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()
