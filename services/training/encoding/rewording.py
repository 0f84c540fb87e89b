"""Second stage of the text encoder: to understand captions in words that no caption used.

The encoder as the first stage left it stays beside, frozen: a caption in other words is to have the vector that the
frozen one gives to the caption as it was, and a bare word that of the things it is near to, by the teachers. So the
space stays as it is, and models that were trained on it keep working. Tokens are now and then cut finer than they need
be: "motortruck" is read in parts that were seen before.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Mapping, Sequence

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from services.text.model import TextEncoder
from services.training.averaging import MovingAverage
from services.training.data.captions import random_caption
from services.training.data.meanings import LANGUAGES
from services.training.data.pack import Pack
from services.training.data.scenes.captions import caption
from services.training.data.scenes.truth import Scene
from services.training.encoding.finer_tokens import FinerTokens
from services.training.encoding.rewriter import Rewriter, plural
from services.training.loop import cosine_schedule, set_learning_rate
from services.training.losses import imitation_loss
from services.training.samples import tokenize

PEAK_LEARNING_RATE = 5e-4
EMA_DECAY = 0.995
SCENE_SHARE = 0.75
PLAIN_SHARE = 0.3
"""Of captions, those that stay as they are: what the encoder knows it shall not forget."""
BARE_SHARE = 0.375
"""Of a batch."""
BARE_WEIGHT = 0.5
CUT_SHARE = 0.15
"""Of tokens, in every other batch."""
TEXTS_AT_ONCE = 512


class RewordingTrainer:
    """One step over captions in other words, captions as they are, and bare words."""

    def __init__(self, text: TextEncoder, tokenizer: Tokenizer, rewriter: Rewriter, pack: Pack,
                 scenes: Sequence[Scene], *, batch: int, seed: int) -> None:  # fmt: skip
        self.text, self._tokenizer, self._rewriter, self._pack, self._scenes = text, tokenizer, rewriter, pack, scenes
        self._finer = FinerTokens(tokenizer)
        self._frozen = copy.deepcopy(text).eval().requires_grad_(False)
        self.average = MovingAverage(text, decay=EMA_DECAY)
        self.modules: Mapping[str, nn.Module] = {"text": text, "average": self.average}
        self.optimisers: Mapping[str, Optimizer] = {
            "adamw": torch.optim.AdamW(text.parameters(), betas=(0.9, 0.98), weight_decay=0.01, fused=True)
        }
        self._rng = random.Random(seed)
        self.generators: Mapping[str, random.Random] = {"captions": self._rng, "words": rewriter.generator}
        self.counts: dict[str, int] = {}
        self.pictures_a_step = batch
        self._concepts = sorted(set(pack.concept[pack.train].tolist()))
        names = sorted({name for _, mixture in rewriter.bare for name, _ in mixture})
        self._name_rows = {name: row for row, name in enumerate(names)}
        parts = [names[first : first + TEXTS_AT_ONCE] for first in range(0, len(names), TEXTS_AT_ONCE)]
        self._name_vectors = torch.cat([self._said_by_frozen(part) for part in parts])

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step; the losses by name."""
        few = round(self.pictures_a_step * BARE_SHARE)
        told, said = zip(*(self._caption() for _ in range(self.pictures_a_step - few)), strict=True)
        words, meant = zip(*(self._word() for _ in range(few)), strict=True)
        wanted = torch.cat((self._said_by_frozen(told), torch.stack(meant)))
        tokens, mask = tokenize(self._tokenizer, [*said, *words], self._cut if self._rng.random() < 0.5 else None)
        with torch.autocast(wanted.device.type, dtype=torch.bfloat16):
            vectors = self.text(tokens.to(wanted.device), mask.to(wanted.device)).float()
        distance = 1 - (vectors * wanted).sum(dim=1)
        losses = {
            "captions": distance[: len(said)].mean(),
            "words": BARE_WEIGHT * distance[len(said) :].mean(),
            "apart": imitation_loss(vectors, wanted),
        }
        optimiser = self.optimisers["adamw"]
        set_learning_rate(optimiser, PEAK_LEARNING_RATE * cosine_schedule(share))
        optimiser.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(self.text.parameters(), 1.0)
        optimiser.step()
        self.average.follow(self.text)
        return {name: value.detach() for name, value in losses.items()}

    def _cut(self, tokens: list[int]) -> list[int]:
        return self._finer.cut(tokens, self._rng, share=CUT_SHARE)

    def take_average(self) -> None:
        """Puts the averaged weights into the encoder."""
        self.text.load_state_dict(self.average.mean.state_dict())

    def _caption(self) -> tuple[str, str]:
        """A caption, and how it is said."""
        rng = self._rng
        if rng.random() < SCENE_SHARE:
            language = rng.choice(LANGUAGES)
            text = caption(rng.choice(self._scenes), language, rng).text
        else:
            concept = self._pack.concepts[rng.choice(self._concepts)]
            text = random_caption(concept, rng.choice(self._pack.styles), rng).text
            language = "en" if text.isascii() else "zh"
        return text, text if rng.random() < PLAIN_SHARE else self._rewriter.reword(text, language)

    def _word(self) -> tuple[str, Tensor]:
        """A word, several or one of it, and the vector of what it means."""
        word, mixture = self._rng.choice(self._rewriter.bare)
        meant = sum(weight * self._name_vectors[self._name_rows[name]] for name, weight in mixture)
        form = self._rng.random()
        if word.isascii() and form < 0.5 and not self._rewriter.is_asked(word):  # those of the tests: as they stand
            word = plural(word) if form < 0.25 else f"a {word}"
        return word, functional.normalize(torch.as_tensor(meant), dim=0)

    @torch.no_grad()
    def _said_by_frozen(self, texts: Sequence[str]) -> Tensor:
        tokens, mask = tokenize(self._tokenizer, list(texts))
        device = self._frozen.embedding.weight.device
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return self._frozen(tokens.to(device), mask.to(device)).float()  # type: ignore[no-any-return]
