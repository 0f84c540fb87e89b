"""Trains the text and the image encoder together, on pictograms and scenes, so that words and pictures of one thing
share a point."""

from __future__ import annotations

import random
from collections.abc import Mapping

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from services.classification.model import ImageEncoder
from services.text.model import TextEncoder
from services.training.averaging import MovingAverage
from services.training.encoding.batches import EncoderBatches
from services.training.encoding.objectives import Objectives
from services.training.encoding.word_lessons import WordLessons
from services.training.loop import cosine_schedule
from services.training.muon import Muon, is_matrix
from services.training.optimisation import take_step
from services.training.samples import tokenize

PEAK_LEARNING_RATE = 1.5e-3
EMA_DECAY = 0.998
TEACHER_WIDTH = 128
WORD_WEIGHT = 1.0


class JointTrainer:
    """One step: pictures and captions held to their `Objectives`, and words to what the teachers say of them."""

    def __init__(
        self, text: TextEncoder, image: ImageEncoder, tokenizer: Tokenizer, batches: EncoderBatches,
        objectives: Objectives, lessons: WordLessons,
    ) -> None:  # fmt: skip
        self.text, self.image, self._tokenizer = text, image, tokenizer
        self._batches, self._objectives, self._lessons = batches, objectives, lessons
        self.pictures_a_step = batches.size
        self.generators: Mapping[str, random.Random] = {**batches.generators, "words": lessons.generator}
        self.counts: dict[str, int] = {}
        teacher = nn.Linear(image.concepts.shape[1], TEACHER_WIDTH).to(image.concepts.device)
        self.heads = nn.ModuleDict({**objectives.heads, "teacher": teacher})
        live = nn.ModuleDict({"text": text, "image": image})
        self.average = MovingAverage(live, decay=EMA_DECAY)
        self._live = live
        self.modules: Mapping[str, nn.Module] = {"live": live, "average": self.average, "heads": self.heads}
        parameters = [*live.parameters(), *self.heads.parameters()]
        tables = {id(text.embedding.weight), id(image.concepts), *(id(one) for one in self.heads.parameters())}
        matrices = [one for one in parameters if is_matrix(one) and id(one) not in tables]
        chosen = {id(one) for one in matrices}
        others = [one for one in parameters if id(one) not in chosen]
        self.optimisers: Mapping[str, Optimizer] = {
            "muon": Muon(matrices),
            "adamw": torch.optim.AdamW(others, betas=(0.9, 0.98), weight_decay=0.0, fused=True),
        }
        self._parameters = parameters

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step; the losses by name."""
        batch = self._batches.draw()
        with torch.autocast(batch.views.device.type, dtype=torch.bfloat16):
            encoded = self.image(batch.views)
            texts = self.text(batch.tokens, batch.mask)
        losses = self._objectives.losses(batch, encoded, texts)
        losses["words"] = self._word_loss(self.pictures_a_step * 2 // 5)
        rate = PEAK_LEARNING_RATE * cosine_schedule(share)
        detached = take_step(losses, self.optimisers, self._parameters, rate=rate, clip=2.0)
        self.average.follow(self._live)
        return detached

    def take_average(self) -> None:
        """Puts the averaged weights into both encoders."""
        self._live.load_state_dict(self.average.mean.state_dict())

    def _word_loss(self, size: int) -> Tensor:
        """How far the vectors of words are from saying, by one linear layer, where the teachers put them."""
        words, targets = self._lessons.draw(size)
        device = self.image.concepts.device
        tokens, mask = tokenize(self._tokenizer, words)
        with torch.autocast(device.type, dtype=torch.bfloat16):
            vectors = self.text(tokens.to(device), mask.to(device))
        told = functional.normalize(self.heads["teacher"](16 * vectors).float(), dim=1)
        return WORD_WEIGHT * (1 - (told * targets.to(device)).sum(dim=1).mean())
