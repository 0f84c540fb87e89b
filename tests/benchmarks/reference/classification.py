"""C: a convolutional network of 3 M parameters with seeded random weights; JPEG files in, labels out.

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

PIXELS, LABELS, TOP = 128, 1000, 5
WIDTHS = (32, 64, 128, 256, 512)
SEED = 20_242

Labels = list[tuple[int, float]]
"""Label and probability of the likeliest TOP, by falling probability."""


class ImageClassifier(nn.Module):
    """Convolutions that halve the picture and widen it; a mean; labels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, WIDTHS[0], 3, stride=2, padding=1)
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, after, 3, stride=2, padding=1) for before, after in itertools.pairwise(WIDTHS)
        )
        self.mixers = nn.ModuleList(nn.Conv2d(width, width, 1) for width in WIDTHS[1:])
        self.norms = nn.ModuleList(nn.GroupNorm(8, width) for width in WIDTHS[1:])
        self.hidden = nn.Linear(WIDTHS[-1], WIDTHS[-1])
        self.head = nn.Linear(WIDTHS[-1], LABELS)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> (B, LABELS) logits."""
        x = functional.relu(self.stem(x))
        for convolve, norm, mix in zip(self.convolutions, self.norms, self.mixers, strict=True):
            x = functional.relu(norm(convolve(x)))
            x = x + functional.relu(mix(x))
        features: Tensor = x.mean(dim=(2, 3))
        logits: Tensor = self.head(functional.relu(self.hidden(features)))
        return logits


def load(precision: str, threads: int) -> Callable[[Sequence[bytes]], list[Labels]]:
    """The model in `fp32` or `bf16`, ready to run: JPEG files -> labels, a list a file."""
    torch.set_num_threads(threads)
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        model = ImageClassifier().eval()
    model.to(dtype)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # stubs lack it

    @torch.inference_mode()
    def run(files: Sequence[bytes]) -> list[Labels]:
        pictures = torch.from_numpy(np.stack([_decode(file) for file in files]))  # (B, H, W, 3)
        scaled = pictures.permute(0, 3, 1, 2).to(dtype) / 127.5 - 1  # channels last as decoded
        top = model(scaled).float().softmax(dim=1).topk(TOP)
        rows = zip(top.indices.tolist(), top.values.tolist(), strict=True)
        return [list(zip(labels, probabilities, strict=True)) for labels, probabilities in rows]

    return run


def _decode(file: bytes) -> np.ndarray:
    """(PIXELS, PIXELS, 3) uint8."""
    with Image.open(io.BytesIO(file)) as image:
        return np.asarray(image.convert("RGB").resize((PIXELS, PIXELS), Image.Resampling.BILINEAR))
