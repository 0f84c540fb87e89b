"""Draws training batches from a pack: rows, their pixels and captions for them, from one seeded source."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from services.training.data.captions import random_caption
from services.training.data.pack import Pack


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Pictures with a caption each."""

    pictures: Tensor
    """(B, 3, H, W) in [0, 1], on white."""
    alpha: Tensor
    """(B, 1, H, W) in [0, 1]."""
    sided: Tensor
    """(B,) true where a mirror would make another thing of it."""
    concept: Tensor
    """(B,) indices into the pack's concepts."""
    style: Tensor
    """(B,) indices into the pack's styles."""
    texts: Sequence[str]
    """The captions."""
    names_style: Tensor
    """(B,) true where the caption names the style."""


class Sampler:
    """An endless source of batches; equal seeds give equal batches.

    Pictures are averaged down to `pixels` a side; a share of `loose` captions is only a loosely related word.
    """

    def __init__(self, pack: Pack, device: torch.device, *, seed: int, pixels: int, loose: float) -> None:
        self._pack = pack
        self._device = device
        self.generator = self._rng = random.Random(seed)
        self._loose = loose
        self._rows = np.flatnonzero(pack.train).tolist()
        factor = pack.pixels.shape[1] // pixels
        self._pixels = functional.avg_pool2d(torch.from_numpy(pack.pixels).permute(0, 3, 1, 2).float() / 255, factor)
        self._alpha = functional.avg_pool2d(torch.from_numpy(pack.alpha)[:, None].float() / 255, factor)

    def draw(self, size: int, *, unnamed: int = 0) -> Batch:
        """`size` pictures, none twice, none of the test split; captions of the last `unnamed` name no style."""
        rows = self._rng.sample(self._rows, min(size, len(self._rows)))
        concept, style = self._pack.concept[rows], self._pack.style[rows]
        named: list[str | None] = [self._pack.styles[index] for index in style]
        named[len(named) - unnamed :] = [None] * unnamed
        captions = [
            random_caption(self._pack.concepts[index], name, self._rng, loose=self._loose)
            for index, name in zip(concept, named, strict=True)
        ]
        index = torch.tensor(rows)
        return Batch(
            pictures=self._pixels[index].to(self._device),
            alpha=self._alpha[index].to(self._device),
            sided=torch.from_numpy(self._pack.sided[rows]).to(self._device),
            concept=torch.from_numpy(concept).to(self._device),
            style=torch.from_numpy(style).to(self._device),
            texts=[caption.text for caption in captions],
            names_style=torch.tensor([caption.names_style for caption in captions], device=self._device),
        )


def tokenize(
    tokenizer: Tokenizer, texts: list[str], change: Callable[[list[int]], list[int]] | None = None
) -> tuple[Tensor, Tensor]:
    """Token ids (B, L), padded with 0 to the longest, and the mask (B, L), true where a token is.

    change: what becomes of the ids of each text.
    """
    encodings = [encoding.ids or [0] for encoding in tokenizer.encode_batch(texts)]
    if change is not None:
        encodings = [change(ids) for ids in encodings]
    length = max(map(len, encodings))
    tokens = torch.tensor([ids + [0] * (length - len(ids)) for ids in encodings])
    mask = torch.tensor([[True] * len(ids) + [False] * (length - len(ids)) for ids in encodings])
    return tokens, mask
