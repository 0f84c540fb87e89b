"""Trains a caption decoder for a frozen image encoder, on the captions of the user's own pictures, in any language."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.nn import functional

from services.captioning.config import END, PADDING, PRESETS, CaptionerConfig, start_token
from services.captioning.model import Captioner
from services.classification.config import ImageEncoderConfig
from services.classification.model import ImageEncoder
from services.training.data.own_pictures import OwnPictures
from services.training.dropout import add_dropout
from services.training.export import write_tokenizer
from services.training.models import read_captioner, read_image_encoder, require_same_space
from services.training.own.batches import Batch, pixels
from services.training.own.options import CaptioningOptions
from services.training.own.run import OwnRun, started
from services.training.own.trainer import ObjectiveTrainer
from services.training.tokenizers import train_tokenizer
from shared.inference.model_directory import ModelDirectory

VOCABULARY = 4000
LONGEST = 64
"""Tokens of the longest caption that is trained on, start and end included."""
LABEL_SMOOTHING = 0.05
CHUNK = 64
SCRATCH_RATE, TUNING_RATE = 1e-3, 3e-4


class WordsObjective(nn.Module):
    """Cross-entropy of each next token, a mean over each caption and then over captions."""

    def __init__(self, captioner: Captioner, image: ImageEncoder, words: Tensor) -> None:
        super().__init__()
        self.captioner, self._words = captioner, words
        self._see = image.eval().requires_grad_(False).forward  # a function: its weights are no part of this module

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        return {"words": self.loss(batch.pictures, batch.rows, smoothing=LABEL_SMOOTHING)}

    def loss(self, pictures: Tensor, rows: list[int], *, smoothing: float = 0.0) -> Tensor:
        """(B, 3, H, W) in [-1, 1], and whose captions they have -> a scalar."""
        words = self._words[rows]
        words = words[:, : int((words != PADDING).sum(dim=1).max())]  # (B, L)
        with torch.no_grad():
            seen = self._see(pictures)
        logits = self.captioner(words[:, :-1], self.captioner.remember(seen.tokens.float(), seen.vectors))
        targets = words[:, 1:]
        losses = functional.cross_entropy(
            logits.flatten(0, 1), targets.flatten(), ignore_index=PADDING, label_smoothing=smoothing, reduction="none"
        )
        # A mean over all tokens would weigh processes that train together by the length of their captions.
        count = (targets != PADDING).sum(dim=1)
        return (losses.view_as(targets).sum(dim=1) / count).mean()


def train_captioning(options: CaptioningOptions) -> None:
    """Trains and writes a caption decoder for the image encoder `--with`. Raises ConfigurationError."""
    with started("captioning", options) as run:
        image, image_directory = read_image_encoder(run.partner, run.device)
        source = read_captioner(run.start, run.device) if run.start is not None else None
        space = require_same_space(image_directory, *((source[2],) if source else ()))
        data = run.read(image.pixels, needs="caption")
        tokenizer, languages = _tokenizer(data, source)
        data, words = _words(run, data, tokenizer)
        run.tell(data)
        captioner = _captioner(run, image_directory, tokenizer, words.shape[1], source)
        add_dropout(captioner, options.dropout)
        rows, held_out = run.split(data)
        objective = WordsObjective(captioner, image, words).to(run.device)
        trainer = ObjectiveTrainer(
            objective,
            run.batches(data, rows),
            run.optimisation(SCRATCH_RATE if source is None else TUNING_RATE),
            run.processes,
            dtype=run.dtype,
            mode=objective.train,
        )
        measure = partial(_measure, objective, data, held_out)
        progress = run.train(trainer, data, space=space, measure=measure if len(held_out) else None)
        run.write(
            captioner.eval(),
            captioner.config,
            space=space,
            description=f"Describes pictures as {options.data.name} does.",
            data=data,
            rows=rows,
            progress=progress,
            metrics={f"validation_{name}": value for name, value in measure().items()} if len(held_out) else {},
            serving={"languages": languages},
            files=[lambda folder: write_tokenizer(folder, tokenizer)],
        )


def _tokenizer(
    data: OwnPictures, source: tuple[Captioner, Tokenizer, ModelDirectory] | None
) -> tuple[Tokenizer, list[str]]:
    """A tokenizer with a start token for every language, and the languages; a fine-tuned model keeps its own first."""
    found = sorted(set(data.languages))
    if source is None:
        special = ("<end>", *(start_token(language) for language in found))
        tokenizer = train_tokenizer(
            data.captions, vocabulary=VOCABULARY, lower_case=False, special=special, words_apart=True
        )
        return tokenizer, found
    _, tokenizer, directory = source
    tokenizer.add_special_tokens([start_token(language) for language in found])  # those it has stay as they are
    return tokenizer, list(dict.fromkeys([*directory.languages, *found]))


def _words(run: OwnRun, data: OwnPictures, tokenizer: Tokenizer) -> tuple[OwnPictures, Tensor]:
    """The data less captions that are too long, and start token, caption and end token of each row, padded: (N, L)."""
    encodings = tokenizer.encode_batch(list(data.captions))
    reasons = {
        row: f"its caption has {len(encoding.ids)} tokens; the limit is {LONGEST - 2}"
        for row, encoding in enumerate(encodings)
        if len(encoding.ids) > LONGEST - 2
    }
    left = data.without(reasons) if reasons else data
    kept = [encoding.ids for row, encoding in enumerate(encodings) if row not in reasons]
    starts = [tokenizer.token_to_id(start_token(language)) for language in left.languages]
    rows = [[start, *ids, END] for start, ids in zip(starts, kept, strict=True)]
    longest = max(map(len, rows))
    return left, torch.tensor([ids + [PADDING] * (longest - len(ids)) for ids in rows], device=run.device)


def _captioner(
    run: OwnRun, image: ModelDirectory, tokenizer: Tokenizer, longest: int,
    source: tuple[Captioner, Tokenizer, ModelDirectory] | None,
) -> Captioner:  # fmt: skip
    """A fresh decoder, or the one to fine-tune with room for longer captions and further languages."""
    if source is not None:
        old = source[0].config
        config = replace(old, vocabulary=tokenizer.get_vocab_size(), longest=max(old.longest, longest))
        captioner = Captioner(config)
        fresh = captioner.state_dict()
        for name, value in source[0].state_dict().items():
            fresh[name][tuple(slice(size) for size in value.shape)] = value
        captioner.load_state_dict(fresh)
        return captioner.to(run.device)
    seen = image.config(ImageEncoderConfig)
    shape = PRESETS[run.preset] | {
        "longest": max(PRESETS[run.preset]["longest"], longest),
        "memory_tokens": (seen.pixels // 16) ** 2,
        "token_width": seen.token_width,
        "space_width": seen.space_width,
    }
    return Captioner(CaptionerConfig(vocabulary=tokenizer.get_vocab_size(), **shape)).to(run.device)


@torch.no_grad()
def _measure(objective: WordsObjective, data: OwnPictures, rows: NDArray[np.int64]) -> dict[str, float]:
    """Cross-entropy a token."""
    objective.eval()
    device = next(objective.parameters()).device
    total = 0.0
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK].tolist()
        total += objective.loss(pixels(data, part, device), part).item() * len(part)
    return {"loss": total / len(rows)}
