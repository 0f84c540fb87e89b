"""Texts to points of the joint space, in the model process."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from services.text.config import TextEncoderConfig
from services.text.model import TextEncoder
from shared.codes import Reason
from shared.encodings import Encoding
from shared.inference.model_directory import ModelDirectory
from shared.inference.passes import chunks, exact_rows
from shared.inference.predictor import Failure, Padding, RuntimeOptions
from shared.inference.runtime import Runtime, resolve_runtime
from shared.inference.weights import load_weights

PADDING = 0
"""The token."""
LENGTHS = (8, 16, 32, 64)
"""Tokens that a text is padded to; a longer one to the next multiple of the last, and no text is cut."""
WARM = (128, 192, 256, 512)
"""Of the longer ones: those of most long prompts. Another one's first pass takes up to 5 ms longer than its second."""


def load(directory: Path, options: RuntimeOptions) -> TextPredictor:
    """Reads and verifies a model directory. Raises ConfigurationError, ModelDirectoryError among them."""
    runtime = resolve_runtime(options)
    model_directory = ModelDirectory.read(directory, task="text")
    model_directory.verify()
    model = TextEncoder(model_directory.config(TextEncoderConfig))
    load_weights(model, model_directory)
    tokenizer = Tokenizer.from_file(str(model_directory.file("tokenizer.json")))
    return TextPredictor(model_directory, model, tokenizer, runtime)


class TextPredictor:
    """A text's vector does not depend on its batch-mates.

    Each text is padded by its own length alone, and a pass has texts of one padded length: `microbatch` rows, or as
    many as give the same bits. Texts longer than LENGTHS are alone in their passes: to share would save nothing.
    """

    def __init__(self, directory: ModelDirectory, model: TextEncoder, tokenizer: Tokenizer, runtime: Runtime) -> None:
        self.info = directory.info()
        self.device = str(runtime)
        self.padding = Padding()
        self._microbatch = directory.microbatch or directory.bucket_sizes[-1]
        self._rows: dict[int, tuple[int, ...]] = dict.fromkeys(LENGTHS, (self._microbatch,))
        self._model = runtime.place(model)
        self._encode = runtime.passes(lambda tokens, mask: (self._model(tokens, mask),))
        self._tokenizer = tokenizer

    def warmup(self) -> None:
        """Runs each length with each number of rows, and keeps those whose bits are the microbatch's."""
        for length in LENGTHS:
            draw = partial(self._draw, length=length)
            sizes = self.info.bucket_sizes
            self._rows[length] = exact_rows(self._encode, draw, microbatch=self._microbatch, sizes=sizes)
        for length in WARM:
            self._encode.warm(*self._draw(1, length=length))
        self.predict(["a warm-up"])

    def predict(self, batch: Sequence[str], /) -> list[Encoding | Failure]:
        """A unit vector for each text; a Failure for a text of nothing but white space."""
        token_ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(batch))]
        passes: dict[int, list[int]] = {}
        for index, ids in enumerate(token_ids):
            if ids:
                passes.setdefault(_padded_length(len(ids)), []).append(index)

        vectors: dict[int, Tensor] = {}
        rows_run = places = 0
        for length, members in passes.items():
            for part, rows in chunks(len(members), self._rows.get(length, (1,))):
                chosen = members[part]
                (encoded,) = self._encode(*_padded([token_ids[index] for index in chosen], rows, length))
                vectors |= dict(zip(chosen, encoded, strict=False))
                rows_run += rows
                places += rows * length

        tokens = sum(map(len, token_ids))
        self.padding = Padding(items=rows_run - len(vectors), tokens=tokens, padding_tokens=places - tokens)
        return [self._answer(vectors.get(index)) for index in range(len(batch))]

    def _draw(self, rows: int, *, length: int) -> tuple[Tensor, Tensor]:
        """Texts of other tokens and lengths each, none longer than `length`."""
        drawn = torch.Generator().manual_seed(length)
        tokens = torch.randint(1, self._model.embedding.num_embeddings, (rows, length), generator=drawn)
        lengths = torch.randint(1, length + 1, (rows, 1), generator=drawn)
        mask = torch.arange(length) < lengths
        return tokens * mask, mask

    def _answer(self, vector: Tensor | None) -> Encoding | Failure:
        if vector is None:
            return Failure(reason=Reason.FIELD_MISSING, message="is blank; at least one visible character is needed")
        if not torch.isfinite(vector).all():
            return Failure(reason=Reason.MODEL_OUTPUT_INVALID, message="the text encoder's output is not finite")
        return Encoding(space=self.info.space, vector=vector.numpy().astype("<f4").tobytes())


def _padded(texts: list[list[int]], rows: int, length: int) -> tuple[Tensor, Tensor]:
    """Token ids and mask, each (rows, length); the pass is filled up with texts of one padding token."""
    filled = texts + [[PADDING]] * (rows - len(texts))
    tokens = torch.tensor([ids + [PADDING] * (length - len(ids)) for ids in filled])
    mask = torch.arange(length) < torch.tensor([[len(ids)] for ids in filled])
    return tokens, mask


def _padded_length(length: int) -> int:
    return next((padded for padded in LENGTHS if padded >= length), -(-length // LENGTHS[-1]) * LENGTHS[-1])
