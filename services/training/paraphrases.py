"""Teaches a trained text encoder to keep to the thing a longer sentence is about, without moving the space.

The encoder is distilled from a frozen copy of itself (Hinton et al. 2015): its vector of a sentence shall be the copy's
vector of the plain noun phrase. Plain captions stay where they were, so models trained on the space keep working.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.optim import Optimizer

from services.text.model import TextEncoder
from services.training.data.captions import random_caption
from services.training.data.contexts import random_paraphrase
from services.training.data.pack import Pack
from services.training.loop import cosine_schedule, set_learning_rate
from services.training.samples import tokenize

PEAK_LEARNING_RATE = 4e-4
PLAIN_SHARE = 0.35


class ParaphraseTrainer:
    """One step: a third of the batch holds plain captions in place, the rest pulls sentences to them."""

    def __init__(self, text: TextEncoder, pack: Pack, tokenizer: Tokenizer, *, batch: int, seed: int) -> None:
        self.text, self._teacher = text, copy.deepcopy(text).eval().requires_grad_(False)
        self._pack, self._tokenizer, self._rng = pack, tokenizer, random.Random(seed)
        self.pictures_a_step = batch
        self.generators: Mapping[str, random.Random] = {"pairs": self._rng}
        self.counts: dict[str, int] = {}
        self.modules: Mapping[str, nn.Module] = {"text": text, "teacher": self._teacher}
        self.optimisers: Mapping[str, Optimizer] = {
            "adamw": torch.optim.AdamW(text.parameters(), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        }

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step; one minus the mean cosine."""
        pairs = [self._draw() for _ in range(self.pictures_a_step)]
        device = self.text.embedding.weight.device
        plain, in_context = (tokenize(self._tokenizer, list(texts)) for texts in zip(*pairs, strict=True))
        with torch.autocast(device.type, dtype=torch.bfloat16):
            with torch.no_grad():
                target = self._teacher(plain[0].to(device), plain[1].to(device))
            vectors = self.text(in_context[0].to(device), in_context[1].to(device))
        loss = 1 - (vectors * target).sum(dim=1).mean()
        optimiser = self.optimisers["adamw"]
        set_learning_rate(optimiser, PEAK_LEARNING_RATE * cosine_schedule(share))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.text.parameters(), 1.0)
        optimiser.step()
        return {"distance": loss.detach()}

    def _draw(self) -> tuple[str, str]:
        concept, other = self._rng.sample(self._pack.concepts, 2)
        if self._rng.random() < PLAIN_SHARE:
            caption = random_caption(concept, self._rng.choice(self._pack.styles), self._rng).text
            return caption, caption
        paraphrase = random_paraphrase(concept, other, self._rng)
        return paraphrase.plain, paraphrase.in_context
