"""Trains the caption decoder on encodings of many views of each picture; the image encoder stays as it is."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from services.captioning.config import END, PADDING, start_token
from services.captioning.model import Captioner
from services.classification.model import ImageEncoder
from services.training.data.augmentation import random_scene_views, resized
from services.training.data.captions import clean_caption
from services.training.data.meanings import LANGUAGES
from services.training.data.pack import Pack
from services.training.data.pictogram_views import CHUNK, pictogram_views
from services.training.data.scenes.captions import canonical_caption
from services.training.data.scenes.pool import ScenePool
from services.training.loop import cosine_schedule
from services.training.optimisation import take_step
from services.training.tokenizers import train_tokenizer
from shared.errors import ConfigurationError

PEAK_LEARNING_RATE = 1e-3
LABEL_SMOOTHING = 0.05
TOKEN_NOISE = 0.05
VECTOR_NOISE = 0.5
"""Length of the noise that a vector of unit norm gets: those of unseen drawings lie farther from their concept."""


@dataclass(frozen=True, kw_only=True)
class Views:
    """Encodings of views of pictures, and what is to be said of them."""

    tokens: Tensor
    """(N, T, W) float16."""
    vectors: Tensor
    """(N, V) float32 of unit norm."""
    captions: Mapping[str, Sequence[str]]
    """By language, N of them."""


def join_views(*parts: Views) -> Views:
    """All of them, in order."""
    return Views(
        tokens=torch.cat([part.tokens for part in parts]),
        vectors=torch.cat([part.vectors for part in parts]),
        captions={language: [one for part in parts for one in part.captions[language]] for language in LANGUAGES},
    )


def caption_tokenizer(captions: Mapping[str, Sequence[str]], *, vocabulary: int) -> Tokenizer:
    """A tokenizer over captions in all languages."""
    special = ("<end>", *(start_token(language) for language in LANGUAGES))
    texts = [text for language in LANGUAGES for text in captions[language]]
    return train_tokenizer(texts, vocabulary=vocabulary, lower_case=False, special=special, words_apart=True)


def longest_caption(tokenizer: Tokenizer, captions: Mapping[str, Sequence[str]]) -> int:
    """Tokens of the longest of them, start and end included."""
    return 2 + max(len(one.ids) for texts in captions.values() for one in tokenizer.encode_batch(list(texts)))


def views_of_pictograms(image: ImageEncoder, pack: Pack, *, rounds: int, device: torch.device) -> Views:
    """Every training pictogram `rounds` times, each time as another random view: every other one in another style."""
    rows = np.flatnonzero(pack.train)
    pictures = chain.from_iterable(
        pictogram_views(pack, rows, image.pixels, device, restyled=number % 2 == 1) for number in range(rounds)
    )
    concepts = [pack.concepts[index] for index in pack.concept[rows]] * rounds
    captions = {language: [clean_caption(one, language) for one in concepts] for language in LANGUAGES}
    return _encode(image, pictures, captions, device)


def views_of_scenes(image: ImageEncoder, pool: ScenePool, *, count: int, device: torch.device) -> Views:
    """The first `count` scenes of the pool, each once."""

    def pictures() -> Iterable[Tensor]:
        for chunk in torch.arange(count).split(CHUNK):
            drawn = torch.from_numpy(pool.pictures(chunk.tolist())).to(device).permute(0, 3, 1, 2).float() / 255
            yield random_scene_views(resized(drawn, image.pixels))

    captions = {
        language: [canonical_caption(scene, language).text for scene in pool.scenes[:count]] for language in LANGUAGES
    }
    return _encode(image, pictures(), captions, device)


@torch.no_grad()
def _encode(
    image: ImageEncoder, pictures: Iterable[Tensor], captions: Mapping[str, Sequence[str]], device: torch.device
) -> Views:
    image.eval()
    tokens, vectors = [], []
    for views in pictures:
        with torch.autocast(device.type, dtype=torch.bfloat16):
            encoded = image(views.contiguous(memory_format=torch.channels_last))
        tokens.append(encoded.tokens.half())
        vectors.append(encoded.vectors)
    return Views(tokens=torch.cat(tokens), vectors=torch.cat(vectors), captions=captions)


class CaptionerTrainer:
    """One step: predict each next token of the caption, in a language drawn at random for each picture."""

    def __init__(self, captioner: Captioner, views: Views, tokenizer: Tokenizer, *, weights: Sequence[float],
                 batch: int, seed: int) -> None:  # fmt: skip
        """weights: how often each of the N views is drawn, beside the others."""
        self.captioner, self._views, self.pictures_a_step = captioner, views, batch
        self._upto = list(accumulate(weights))
        self._rng = random.Random(seed)
        self.generators: Mapping[str, random.Random] = {"rows": self._rng}
        self.counts: dict[str, int] = {}
        self._words = [_caption_ids(captioner, views.captions[one], tokenizer, one) for one in LANGUAGES]
        self.modules: Mapping[str, nn.Module] = {"captioner": captioner}
        self.optimisers: Mapping[str, Optimizer] = {
            "adamw": torch.optim.AdamW(captioner.parameters(), betas=(0.9, 0.98), weight_decay=0.02, fused=True)
        }

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step; the cross-entropy a token."""
        count, device = len(self._views.vectors), self._views.tokens.device
        rows = self._rng.choices(range(count), cum_weights=self._upto, k=self.pictures_a_step)
        chosen = [self._words[self._rng.randrange(len(LANGUAGES))][row] for row in rows]
        longest = max(map(len, chosen))
        words = torch.tensor([ids + [PADDING] * (longest - len(ids)) for ids in chosen], device=device)  # (B, L)
        tokens = self._views.tokens[rows].float()
        tokens = tokens + TOKEN_NOISE * tokens.std() * torch.randn_like(tokens)
        vectors = self._views.vectors[rows]
        vectors = functional.normalize(vectors + VECTOR_NOISE * vectors.shape[1] ** -0.5 * torch.randn_like(vectors))
        # No autocast: at this width bf16 is no faster on a CPU.
        logits = self.captioner(words[:, :-1], self.captioner.remember(tokens, vectors))
        loss = functional.cross_entropy(
            logits.flatten(0, 1), words[:, 1:].flatten(), ignore_index=PADDING, label_smoothing=LABEL_SMOOTHING
        )
        rate = PEAK_LEARNING_RATE * cosine_schedule(share)
        return take_step({"words": loss}, self.optimisers, self.captioner.parameters(), rate=rate, clip=1.0)


def _caption_ids(captioner: Captioner, captions: Sequence[str], tokenizer: Tokenizer, language: str) -> list[list[int]]:
    """Start token, caption and end token of every caption.

    Raises ConfigurationError when a caption is longer than the model writes, or the tokenizer knows no such language.
    """
    name = start_token(language)
    if (start := tokenizer.token_to_id(name)) is None:
        raise ConfigurationError(f"the tokenizer has no {name}")
    rows = [[start, *encoding.ids, END] for encoding in tokenizer.encode_batch(list(captions))]
    limit = captioner.config.longest
    if (longest := max(map(len, rows))) > limit:
        raise ConfigurationError(f"a caption has {longest} tokens; the model writes at most {limit}")
    return rows
