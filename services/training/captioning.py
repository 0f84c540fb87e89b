"""Trains the caption decoder on encodings of many views of each picture; the image encoder stays as it is."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from services.captioning.config import END, PADDING, start_token
from services.captioning.model import Captioner
from services.classification.model import ImageEncoder
from services.training.data.augmentation import random_views
from services.training.data.captions import clean_caption
from services.training.data.pack import Pack
from services.training.loop import cosine_schedule, set_learning_rate
from services.training.tokenizers import train_tokenizer

LANGUAGES = ("en", "zh")
VOCABULARY = 1200
PEAK_LEARNING_RATE = 1e-3
LABEL_SMOOTHING = 0.05
TOKEN_NOISE = 0.05
ENCODE_BATCH = 128


@dataclass(frozen=True, kw_only=True)
class Views:
    """Encodings of random views of training pictures."""

    tokens: Tensor
    """(N, T, W) float16."""
    vectors: Tensor
    """(N, V) float32 of unit norm."""
    concept: Tensor
    """(N,) indices into the pack's concepts."""


def caption_tokenizer(pack: Pack, *, vocabulary: int = VOCABULARY) -> Tokenizer:
    """A tokenizer over the clean captions of all concepts."""
    captions = [clean_caption(concept, language) for concept in pack.concepts for language in LANGUAGES]
    special = ("<end>", *(start_token(language) for language in LANGUAGES))
    return train_tokenizer(captions, vocabulary=vocabulary, lower_case=False, special=special)


@torch.no_grad()
def encode_views(image: ImageEncoder, pack: Pack, *, rounds: int, device: torch.device) -> Views:
    """Encodes every training picture `rounds` times, each time as another random view, but once as it is."""
    image.eval()
    rows = torch.from_numpy(np.flatnonzero(pack.train))
    tokens, vectors = [], []
    for one in range(rounds):
        for chunk in rows.split(ENCODE_BATCH):
            pictures = torch.from_numpy(pack.pixels[chunk]).to(device).permute(0, 3, 1, 2).float() / 255
            alpha = torch.from_numpy(pack.alpha[chunk])[:, None].to(device).float() / 255
            sided = torch.from_numpy(pack.sided[chunk])
            views = pictures * 2 - 1 if one == 0 else random_views(pictures, alpha, sided)
            views = functional.avg_pool2d(views, views.shape[-1] // image.pixels)
            with torch.autocast(device.type, dtype=torch.bfloat16):
                encoded = image(views.contiguous(memory_format=torch.channels_last))
            tokens.append(encoded.tokens.half())
            vectors.append(encoded.vectors)
    concept = torch.from_numpy(pack.concept).to(device)[rows.to(device)].repeat(rounds)
    return Views(tokens=torch.cat(tokens), vectors=torch.cat(vectors), concept=concept)


class CaptionerTrainer:
    """One step: predict each next token of the caption, in a language drawn at random for each picture."""

    def __init__(
        self, captioner: Captioner, views: Views, pack: Pack, tokenizer: Tokenizer, *, batch: int, seed: int
    ) -> None:
        self.captioner, self._views, self.pictures_a_step = captioner, views, batch
        self._rng = random.Random(seed)
        self.generators: Mapping[str, random.Random] = {"rows": self._rng}
        self.counts: dict[str, int] = {}
        self._words = torch.stack([_caption_ids(captioner, pack, tokenizer, one) for one in LANGUAGES]).to(
            views.tokens.device
        )  # (languages, concepts, longest)
        self.modules: Mapping[str, nn.Module] = {"captioner": captioner}
        self.optimisers: Mapping[str, Optimizer] = {
            "adamw": torch.optim.AdamW(captioner.parameters(), betas=(0.9, 0.98), weight_decay=0.02, fused=True)
        }

    def step(self, share: float) -> Mapping[str, Tensor]:
        """One optimiser step; the cross-entropy a token."""
        count, device = len(self._views.concept), self._views.tokens.device
        rows = torch.tensor(self._rng.choices(range(count), k=self.pictures_a_step), device=device)
        language = torch.tensor(self._rng.choices(range(len(LANGUAGES)), k=len(rows)), device=device)
        words = self._words[language, self._views.concept[rows]]
        words = words[:, : int((words != PADDING).sum(dim=1).max())]  # (B, L)
        tokens = self._views.tokens[rows].float()
        tokens = tokens + TOKEN_NOISE * tokens.std() * torch.randn_like(tokens)
        # No autocast: at this width bf16 is no faster on a CPU.
        logits = self.captioner(words[:, :-1], self.captioner.remember(tokens, self._views.vectors[rows]))
        loss = functional.cross_entropy(
            logits.flatten(0, 1), words[:, 1:].flatten(), ignore_index=PADDING, label_smoothing=LABEL_SMOOTHING
        )
        optimiser = self.optimisers["adamw"]
        set_learning_rate(optimiser, PEAK_LEARNING_RATE * cosine_schedule(share))
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.captioner.parameters(), 1.0)
        optimiser.step()
        return {"words": loss.detach()}


def _caption_ids(captioner: Captioner, pack: Pack, tokenizer: Tokenizer, language: str) -> Tensor:
    """(C, L) start token, caption and end token of every concept, padded to the longest of the model's captions.

    Raises ValueError when a caption is longer than the model writes.
    """
    start = tokenizer.token_to_id(start_token(language))
    rows = [[start, *tokenizer.encode(clean_caption(concept, language)).ids, END] for concept in pack.concepts]
    limit = captioner.config.longest
    if (longest := max(map(len, rows))) > limit:
        raise ValueError(f"a caption has {longest} tokens; the model writes at most {limit}")
    return torch.tensor([ids + [PADDING] * (limit - len(ids)) for ids in rows])
