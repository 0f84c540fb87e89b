"""Seeded inputs of the reference modules: the same in every process, so that all servers answer the same calls."""

from __future__ import annotations

import io
import random

import numpy as np
from PIL import Image

from tests.benchmarks.reference.generation import VECTOR, Input

SEED = 7
WORDS = (
    *("a", "the", "black", "white", "red", "green", "small", "large", "old", "young", "bright", "dark", "quiet"),
    *("cat", "dog", "horse", "bird", "house", "tree", "car", "boat", "cloud", "river", "mountain", "street"),
    *("on", "under", "beside", "behind", "near", "with", "without", "and", "in", "over", "through", "sleeping"),
)


def texts(count: int = 256) -> list[str]:
    """Of 2 to 24 words: some fill the model's 16 tokens, some are cut."""
    generator = random.Random(SEED)
    return [" ".join(generator.choices(WORDS, k=generator.randint(2, 24))) for _ in range(count)]


def jpegs(count: int = 64) -> list[bytes]:
    """Pictures of 160 to 320 pixels a side, about 10 to 30 KB: smooth colours with some grain, as photographs have."""
    generator = np.random.default_rng(SEED)
    return [_jpeg(generator) for _ in range(count)]


def vectors(count: int = 256) -> list[Input]:
    """Vectors of unit norm, each with a seed."""
    generator = np.random.default_rng(SEED)
    points = generator.standard_normal((count, VECTOR)).astype("<f4")
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    return [
        (point.tobytes(), int(seed)) for point, seed in zip(points, generator.integers(2**32, size=count), strict=True)
    ]


def _jpeg(generator: np.random.Generator) -> bytes:
    width, height = (int(side) for side in generator.integers(160, 321, size=2))
    colours = Image.fromarray(generator.integers(256, size=(6, 6, 3), dtype=np.uint8))
    smooth = np.asarray(colours.resize((width, height), Image.Resampling.BICUBIC), np.float32)
    grain = generator.normal(0, 6, size=smooth.shape)
    file = io.BytesIO()
    Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=85)
    return file.getvalue()
