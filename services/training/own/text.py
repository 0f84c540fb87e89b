"""Trains a text encoder for the space of a frozen image encoder, on the captions of the user's own pictures.

The image encoder is locked (LiT, Zhai et al. 2022, arXiv:2111.07991): its vectors are the space, so that a text encoder
trained against it serves with it, whatever it started from.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from tokenizers import Tokenizer
from torch import Tensor, nn

from services.classification.model import ImageEncoder
from services.text.config import PRESETS, TextEncoderConfig
from services.text.model import TextEncoder
from services.training.data.own_pictures import OwnPictures
from services.training.dropout import add_dropout
from services.training.export import write_tokenizer
from services.training.losses import contrastive_loss
from services.training.models import read_image_encoder, read_text_encoder, require_same_space
from services.training.own.batches import Batch, pixels, same_meaning
from services.training.own.options import TextOptions
from services.training.own.run import started
from services.training.own.texts import encode_texts
from services.training.own.trainer import ObjectiveTrainer
from services.training.processes import Processes
from services.training.samples import tokenize
from services.training.tokenizers import train_tokenizer
from shared.errors import ConfigurationError

VOCABULARY = 4000
INITIAL_LOG_SCALE = 2.7  # exp(2.7) = 15, as CLIP's initial temperature of 0.07
CHUNK = 128
SCRATCH_RATE, TUNING_RATE = 1e-3, 1e-4


class CaptionObjective(nn.Module):
    """Contrast of captions with the vectors of their pictures, over the batches of all processes."""

    def __init__(
        self, text: TextEncoder, image: ImageEncoder, tokenizer: Tokenizer, data: OwnPictures, processes: Processes
    ) -> None:
        super().__init__()
        self.text, self._tokenizer, self._data, self._processes = text, tokenizer, data, processes
        self.log_scale = nn.Parameter(torch.tensor(INITIAL_LOG_SCALE))
        self._see = image.eval().requires_grad_(False).forward  # a function: its weights are no part of this module

    def forward(self, batch: Batch) -> Mapping[str, Tensor]:
        device = batch.pictures.device
        tokens, mask = tokenize(self._tokenizer, [self._data.captions[row] for row in batch.rows])
        texts = self._processes.rows(self.text(tokens.to(device), mask.to(device)))
        with torch.no_grad():
            pictures = self._processes.rows(self._see(batch.pictures).vectors)
        matches = same_meaning(self._data, batch.step_rows, device)
        return {"captions": contrastive_loss(texts, pictures, matches, self.log_scale.exp())}


def train_text(options: TextOptions) -> None:
    """Trains and writes a text encoder for the space of the image encoder `--with`. Raises ConfigurationError."""
    with started("text", options) as run:
        image, image_directory = read_image_encoder(run.partner, run.device)
        if options.batch == 1:
            raise ConfigurationError("--batch 1: a caption is told from those of other pictures of the same step")
        data = run.read(image.pixels, needs="caption")
        run.tell(data)
        if run.start is not None:
            text, tokenizer, directory = read_text_encoder(run.start, run.device)
            require_same_space(directory, image_directory)
            config = directory.config(TextEncoderConfig)
        else:
            tokenizer = train_tokenizer(data.captions, vocabulary=VOCABULARY, lower_case=True)
            shape = PRESETS[run.preset] | {"space_width": image.projection.out_features}
            config = TextEncoderConfig(vocabulary=tokenizer.get_vocab_size(), **shape)
            text = TextEncoder(config).to(run.device)
        add_dropout(text, options.dropout)
        rows, held_out = run.split(data)
        objective = CaptionObjective(text, image, tokenizer, data, run.processes).to(run.device)
        trainer = ObjectiveTrainer(
            objective,
            run.batches(data, rows),
            run.optimisation(SCRATCH_RATE if run.start is None else TUNING_RATE),
            run.processes,
            dtype=run.dtype,
            mode=objective.train,
        )
        measure = partial(_measure, objective, image, tokenizer, data, held_out)
        space = image_directory.space
        progress = run.train(trainer, data, space=space, measure=measure if len(held_out) else None)
        run.write(
            text.eval(),
            config,
            space=space,
            description=f"The words of {options.data.name}.",
            data=data,
            rows=rows,
            progress=progress,
            metrics={f"validation_{name}": value for name, value in measure().items()} if len(held_out) else {},
            files=[lambda folder: write_tokenizer(folder, tokenizer)],
        )


@torch.no_grad()
def _measure(
    objective: CaptionObjective, image: ImageEncoder, tokenizer: Tokenizer, data: OwnPictures, rows: NDArray[np.int64]
) -> dict[str, float]:
    """Contrastive loss and recall at 1 among all of `rows`, from captions to pictures and back."""
    texts = encode_texts(objective.text, tokenizer, [data.captions[row] for row in rows])
    device = texts.device
    parts = [rows[start : start + CHUNK].tolist() for start in range(0, len(rows), CHUNK)]
    pictures = torch.cat([image(pixels(data, part, device)).vectors for part in parts])
    matches = same_meaning(data, rows.tolist(), device)
    cosines = texts @ pictures.T
    found = {"text_to_picture_r1": cosines.argmax(dim=1), "picture_to_text_r1": cosines.argmax(dim=0)}
    places = torch.arange(len(rows), device=device)
    recalls = {name: matches[places, best].float().mean().item() for name, best in found.items()}
    return {"loss": contrastive_loss(texts, pictures, matches, objective.log_scale.exp()).item(), **recalls}
