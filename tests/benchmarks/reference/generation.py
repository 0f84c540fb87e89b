"""G: a generator of 3 M parameters with seeded random weights; vectors and seeds in, PNG files out.

It knows no server.
"""

from __future__ import annotations

import io
import itertools
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from tests.benchmarks.reference.inputs import VECTOR

NOISE, FIRST = 64, 4
WIDTHS = (256, 192, 128, 96, 48)
"""Channels at 4, 8, 16, 32 and 64 pixels."""
SEED = 20_243

Input = tuple[bytes, int]
"""384 float32, little-endian, and a seed of at most 63 bits."""


class Generator(nn.Module):
    """A vector and noise become 4 x 4 features, then a picture by doubling its sides."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(VECTOR + NOISE, WIDTHS[0] * FIRST * FIRST)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, padding=1) for before, after in itertools.pairwise(WIDTHS)
        )
        self.norms = nn.ModuleList(nn.GroupNorm(8, width) for width in WIDTHS[1:])
        self.to_rgb = nn.Conv2d(WIDTHS[-1], 3, 3, padding=1)

    def forward(self, vectors: Tensor, noise: Tensor) -> Tensor:
        """(B, VECTOR) and (B, NOISE) -> (B, 3, 64, 64) in [-1, 1]."""
        x = self.first(torch.cat([vectors, noise], dim=1)).view(-1, WIDTHS[0], FIRST, FIRST)
        x = x.contiguous(memory_format=torch.channels_last)
        for convolve, norm in zip(self.convolutions, self.norms, strict=True):
            x = functional.leaky_relu(norm(convolve(functional.interpolate(x, scale_factor=2, mode="nearest"))), 0.2)
        return torch.tanh(self.to_rgb(x))


def load(precision: str, threads: int) -> Callable[[Sequence[Input]], list[bytes]]:
    """The model in `fp32` or `bf16`, ready to run: vectors and seeds -> PNG files of 64 x 64 pixels."""
    torch.set_num_threads(threads)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = Generator().eval()
    model.to(dtype)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs lack it

    @torch.inference_mode()
    def run(inputs: Sequence[Input]) -> list[bytes]:
        vectors = torch.from_numpy(np.stack([np.frombuffer(vector, "<f4") for vector, _ in inputs]))
        noise = torch.stack([torch.randn(NOISE, generator=torch.Generator().manual_seed(seed)) for _, seed in inputs])
        pictures = model(vectors.to(dtype), noise.to(dtype)).float()
        pixels = (pictures.permute(0, 2, 3, 1) * 127.5 + 127.5).round().to(torch.uint8).numpy()
        return [_encode(picture) for picture in pixels]

    return run


def _encode(pixels: np.ndarray) -> bytes:
    """(H, W, 3) uint8 as a PNG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()
