"""What encoders of pictures and captions see in one step: views of pictograms and scenes, and captions of them."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from services.training.data.augmentation import random_scene_views, random_views, resized
from services.training.devices import on_device
from services.training.encoding.scene_sampler import SceneBatch, SceneSampler
from services.training.samples import Batch, Sampler, tokenize

PICTOGRAM_SHARE = 5  # eighths of a batch: a pictogram has 1,400 names, a scene 77
RESTYLED_SHARE = 0.4
"""Of pictograms: a thing is to be known in the hand of a set that never drew it for the model."""


@dataclass(frozen=True, kw_only=True)
class EncoderBatch:
    """P pictograms and, after them, S scenes, with a caption each, and M captions that are nearly right of scenes."""

    views: Tensor
    """(P + S, 3, H, W) in [-1, 1], channels last."""
    pictograms: Batch
    restyled: int
    """The last so many pictograms are drawn in no style that has a name, and their captions name none."""
    scenes: SceneBatch
    tokens: Tensor
    """(P + S + M, L) of the captions."""
    mask: Tensor
    """(P + S + M, L) true where a token is."""


class EncoderBatches:
    """An endless source of them; equal seeds give equal batches, but for views, which torch's own generator draws."""

    def __init__(
        self, pictograms: Sampler, scenes: SceneSampler, tokenizer: Tokenizer, device: torch.device,
        *, size: int, pixels: int,
    ) -> None:  # fmt: skip
        self._pictograms, self._scenes, self._tokenizer, self._device = pictograms, scenes, tokenizer, device
        self.size, self._pixels = size, pixels
        self.generators: Mapping[str, random.Random] = {"pictograms": pictograms.generator, **scenes.generators}

    def draw(self) -> EncoderBatch:
        """The next one, on the device."""
        few = self.size * PICTOGRAM_SHARE // 8
        restyled = round(few * RESTYLED_SHARE)
        batch = self._pictograms.draw(few, unnamed=restyled)
        scenes = on_device(self._scenes.draw(self.size - few), self._device)
        views = torch.cat((random_views(batch.pictures, batch.alpha, batch.sided, self._pixels, restyled=restyled),
                           random_scene_views(resized(scenes.pictures, self._pixels))))  # fmt: skip
        tokens, mask = tokenize(self._tokenizer, [*batch.texts, *scenes.texts, *scenes.near_misses])
        return EncoderBatch(
            views=views.contiguous(memory_format=torch.channels_last), pictograms=batch, restyled=restyled,
            scenes=scenes, tokens=tokens.to(self._device), mask=mask.to(self._device),
        )  # fmt: skip
