"""Second stage of the text encoder: to understand captions in words that no caption used.

The encoder as the first stage left it stays beside, frozen: a caption in other words is to have the vector that the
frozen one gives to the caption as it was, and a bare word that of the things it is near to, by the teachers. So the
space stays as it is, and models that were trained on it keep working. Bare words stand beside words that say nothing,
too, and in lists: those that have only ever stood alone are not found in a sentence. Words of the tests stand in no
list. Where the first layers see no farther than a word (`word_layers.py`), what they make of a bare word is held to
what they make of the names: so it is found in every sentence that names are found in. Tokens are now and then cut finer
than they need be: "motortruck" is read in parts that were seen before.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from services.text.model import TextEncoder
from services.training.averaging import MovingAverage
from services.training.data.captions import clean_caption, random_caption
from services.training.data.meanings import LANGUAGES
from services.training.data.pack import Pack
from services.training.data.scenes.captions import caption
from services.training.data.scenes.truth import Scene
from services.training.encoding.finer_tokens import FinerTokens
from services.training.encoding.rewriter import Mixture, Rewriter, plural
from services.training.encoding.word_layers import mean_word_state, word_state_loss
from services.training.loop import cosine_schedule
from services.training.losses import imitation_loss
from services.training.optimisation import take_step
from services.training.samples import tokenize

PEAK_LEARNING_RATE = 5e-4
EMA_DECAY = 0.995
SCENE_SHARE, NAME_SHARE = 0.6, 0.2
"""Of captions, those of scenes, and bare names of pictograms as they are; the others are captions of pictograms."""
PLAIN_SHARE = 0.3
"""Of captions, those that stay as they are: what the encoder knows it shall not forget."""
BARE_SHARE = 0.5
"""Of a batch."""
ALONE, AMONG = 0.35, 0.3
"""Of bare words, those by themselves and those beside words that say nothing; the others stand in lists."""
BARE_LANGUAGES = {"en": 0.8, "zh": 0.2}
"""Shares of bare words: there are nine times as many in English."""
LISTED = (2, 4)
"""Words of a list, at least and at most."""
JOINTS = {"en": (" ", ", ", " and "), "zh": ("", "，", "和")}
BARE_WEIGHT = 0.5
WORD_STATE_WEIGHT = 0.5
WORD_STATES = 0.25
"""Bare English words whose states are held to those of names, of a batch. Chinese words have none of their own."""
CUT_SHARE = 0.15
"""Of tokens, in every other batch."""
TEXTS_AT_ONCE = 512


class RewordingTrainer:
    """One step over captions in other words, captions as they are, and bare words."""

    def __init__(self, text: TextEncoder, frozen: TextEncoder, tokenizer: Tokenizer, rewriter: Rewriter, pack: Pack,
                 scenes: Sequence[Scene], *, batch: int, seed: int) -> None:  # fmt: skip
        """frozen: another encoder, of whose vectors captions keep theirs."""
        self.text, self._tokenizer, self._rewriter, self._pack, self._scenes = text, tokenizer, rewriter, pack, scenes
        self._finer = FinerTokens(tokenizer)
        self._frozen = frozen.eval().requires_grad_(False)
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
        names = sorted({name for words in rewriter.bare.values() for name in words.names()})
        self._name_rows = {name: row for row, name in enumerate(names)}
        parts = [names[first : first + TEXTS_AT_ONCE] for first in range(0, len(names), TEXTS_AT_ONCE)]
        self._name_vectors = torch.cat([self._said_by_frozen(part) for part in parts])

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step; the losses by name."""
        bare = round(self.pictures_a_step * BARE_SHARE)
        told, said = zip(*(self._caption() for _ in range(self.pictures_a_step - bare)), strict=True)
        words, meant = zip(*(self.draw_words() for _ in range(bare)), strict=True)
        wanted = torch.cat((self._said_by_frozen(told), torch.stack(meant)))
        change = self._cut if self._rng.random() < 0.5 else None
        vectors = torch.cat(
            [self._read(self.text, part, change) for part in (said, words)]
        )  # words are short: not padded
        distance = 1 - (vectors * wanted).sum(dim=1)
        losses = {
            "captions": distance[: len(said)].mean(),
            "words": BARE_WEIGHT * distance[len(said) :].mean(),
            "apart": imitation_loss(vectors, wanted),
        }
        if self.text.word_layers and self._rewriter.bare["en"]:
            losses["states"] = WORD_STATE_WEIGHT * self._word_states(change)
        rate = PEAK_LEARNING_RATE * cosine_schedule(share)
        detached = take_step(losses, self.optimisers, self.text.parameters(), rate=rate, clip=1.0)
        self.average.follow(self.text)
        return detached

    def _word_states(self, change: Callable[[list[int]], list[int]] | None) -> Tensor:
        bare, reading = self._rewriter.bare["en"], partial(mean_word_state, self.text)
        words, mixtures = zip(
            *(bare.draw(self._rng) for _ in range(max(1, round(self.pictures_a_step * WORD_STATES)))), strict=True
        )
        names = sorted({name for mixture in mixtures for name, _ in mixture})
        row = {name: index for index, name in enumerate(names)}
        shares = torch.zeros(len(words), len(names))
        for index, mixture in enumerate(mixtures):
            for name, weight in mixture:
                shares[index, row[name]] += weight
        with torch.no_grad():
            known = self._read(reading, names)
        states = self._read(reading, words, change)
        return word_state_loss(states, known, shares.to(states.device))

    def _cut(self, tokens: list[int]) -> list[int]:
        return self._finer.cut(tokens, self._rng, share=CUT_SHARE)

    def take_average(self) -> None:
        """Puts the averaged weights into the encoder."""
        self.text.load_state_dict(self.average.mean.state_dict())

    def _caption(self) -> tuple[str, str]:
        """A caption, and how it is said."""
        rng, kind = self._rng, self._rng.random()
        if kind < NAME_SHARE:
            name = clean_caption(self._pack.concepts[rng.choice(self._concepts)], rng.choice(LANGUAGES))
            return name, name
        if kind < NAME_SHARE + SCENE_SHARE:
            language = rng.choice(LANGUAGES)
            text = caption(rng.choice(self._scenes), language, rng).text
        else:
            concept = self._pack.concepts[rng.choice(self._concepts)]
            text = random_caption(concept, rng.choice(self._pack.styles), rng).text
            language = "en" if text.isascii() else "zh"
        return text, text if rng.random() < PLAIN_SHARE else self._rewriter.reword(text, language)

    def draw_words(self) -> tuple[str, Tensor]:
        """A word, alone or among words that say nothing, or several, and the vector of what is meant."""
        rng, rewriter = self._rng, self._rewriter
        form = rng.random()
        language = rng.choices(LANGUAGES, [BARE_LANGUAGES[one] * bool(rewriter.bare[one]) for one in LANGUAGES])[0]
        word, mixture = rewriter.bare[language].draw(rng)
        if form < ALONE:
            return self._as_noun(word), self._meant(mixture)
        if form < ALONE + AMONG or rewriter.is_asked(word):
            return rewriter.beside_neutral(self._as_noun(word), language), self._meant(mixture)
        drawn = [(word, mixture)]
        for _ in range(rng.randint(*LISTED) - 1):
            if not rewriter.is_asked((another := rewriter.bare[language].draw(rng))[0]):
                drawn.append(another)
        total = torch.stack([self._meant(mixture) for _, mixture in drawn]).sum(dim=0)
        words = rng.choice(JOINTS[language]).join(self._as_noun(word) for word, _ in drawn)
        return words, functional.normalize(total, dim=0)

    def _as_noun(self, word: str) -> str:
        """Several or one of it, or the word; those of the tests as they stand."""
        form = self._rng.random()
        if not word.isascii() or form >= 0.5 or self._rewriter.is_asked(word):
            return word
        return plural(word) if form < 0.25 else f"a {word}"

    def _meant(self, mixture: Mixture) -> Tensor:
        return functional.normalize(
            torch.stack([weight * self._name_vectors[self._name_rows[name]] for name, weight in mixture]).sum(dim=0),
            dim=0,
        )

    def _read(
        self,
        reading: Callable[[Tensor, Tensor], Tensor],
        texts: Sequence[str],
        change: Callable[[list[int]], list[int]] | None = None,
    ) -> Tensor:
        tokens, mask = tokenize(self._tokenizer, list(texts), change)
        device = self.text.embedding.weight.device
        with torch.autocast(device.type, dtype=torch.bfloat16):
            return reading(tokens.to(device), mask.to(device)).float()

    @torch.no_grad()
    def _said_by_frozen(self, texts: Sequence[str]) -> Tensor:
        return self._read(self._frozen, texts)
