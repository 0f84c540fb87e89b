"""Trains another text encoder to say what one says that is there: the same joint space, other layers."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.optim import Optimizer

from services.text.model import TextEncoder
from services.training.averaging import MovingAverage
from services.training.data.captions import random_caption
from services.training.data.meanings import LANGUAGES
from services.training.data.pack import Pack
from services.training.data.scenes.captions import caption
from services.training.data.scenes.truth import Scene
from services.training.encoding.word_lessons import WordLessons
from services.training.loop import cosine_schedule
from services.training.losses import imitation_loss
from services.training.optimisation import take_step
from services.training.samples import tokenize

PEAK_LEARNING_RATE = 1.5e-3
EMA_DECAY = 0.998
REWORDED_SHARE = 0.25
SCENE_SHARE = 0.5
WORD_SHARE = 0.15


class TextSource(Protocol):
    """Draws texts of any kind."""

    generators: Mapping[str, random.Random]

    def draw(self, size: int) -> list[str]:
        """`size` of them."""


class TrainingTexts:
    """Captions of training scenes and pictograms; with lessons some of them reworded, and single words."""

    def __init__(self, pack: Pack, scenes: Sequence[Scene], lessons: WordLessons | None, *, seed: int) -> None:
        self._pack, self._scenes, self._lessons = pack, scenes, lessons
        self._concepts = sorted(set(pack.concept[pack.train].tolist()))
        self._rng = random.Random(seed)
        self.generators: Mapping[str, random.Random] = {"texts": self._rng} | (
            {} if lessons is None else {"words": lessons.generator}
        )

    def draw(self, size: int) -> list[str]:
        """`size` texts."""
        words = [] if self._lessons is None else self._lessons.draw(round(size * WORD_SHARE))[0]
        return words + [self._caption() for _ in range(size - len(words))]

    def _caption(self) -> str:
        rng = self._rng
        if rng.random() >= SCENE_SHARE:
            concept = self._pack.concepts[rng.choice(self._concepts)]
            return random_caption(concept, rng.choice(self._pack.styles), rng).text
        language = rng.choice(LANGUAGES)
        text = caption(rng.choice(self._scenes), language, rng).text
        if self._lessons is None or rng.random() >= REWORDED_SHARE:
            return text
        return self._lessons.reworded(text, language)


class StudentTrainer:
    """One step: the student's vectors of some texts come near the teacher's, and are told apart as they are."""

    def __init__(self, student: TextEncoder, tokenizer: Tokenizer, teach: Callable[[Sequence[str]], Tensor],
                 texts: TextSource, *, batch: int) -> None:  # fmt: skip
        self.student, self._tokenizer, self._teach, self._texts = student, tokenizer, teach, texts
        self.pictures_a_step = batch
        self.average = MovingAverage(student, decay=EMA_DECAY)
        self.modules: Mapping[str, nn.Module] = {"student": student, "average": self.average}
        self.optimisers: Mapping[str, Optimizer] = {
            "adamw": torch.optim.AdamW(student.parameters(), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        }
        self.generators: Mapping[str, random.Random] = texts.generators
        self.counts: dict[str, int] = {}

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step; the losses by name."""
        texts = self._texts.draw(self.pictures_a_step)
        wanted = self._teach(texts).float()  # (B, V)
        tokens, mask = tokenize(self._tokenizer, texts)
        with torch.autocast(wanted.device.type, dtype=torch.bfloat16):
            said = self.student(tokens.to(wanted.device), mask.to(wanted.device))
        said = said.float()
        losses = {"distance": 1 - (said * wanted).sum(dim=1).mean(), "apart": imitation_loss(said, wanted)}
        rate = PEAK_LEARNING_RATE * cosine_schedule(share)
        detached = take_step(losses, self.optimisers, self.student.parameters(), rate=rate, clip=1.0)
        self.average.follow(self.student)
        return detached

    def take_average(self) -> None:
        """Puts the averaged weights into the student."""
        self.student.load_state_dict(self.average.mean.state_dict())
