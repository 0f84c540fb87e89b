"""Texts to points of the joint space, in the model process."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from tokenizers import Tokenizer

from services.text.config import TextEncoderConfig
from services.text.model import TextEncoder
from shared.codes import Reason
from shared.encodings import Encoding
from shared.inference.model_directory import ModelDirectory
from shared.inference.predictor import Failure, RuntimeOptions
from shared.inference.runtime import Runtime, resolve_runtime
from shared.inference.weights import load_weights

SHORTEST = 16
"""Texts are padded to this many tokens or the next power of two: few shapes, and no text is cut."""


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
    """Every forward pass has `microbatch` rows, so that a text's vector does not depend on its batch-mates."""

    def __init__(self, directory: ModelDirectory, model: TextEncoder, tokenizer: Tokenizer, runtime: Runtime) -> None:
        self.info = directory.info()
        self.device = str(runtime)
        self._rows = directory.microbatch or directory.bucket_sizes[-1]
        self._model = model.to(runtime.device, runtime.dtype).eval()
        self._tokenizer = tokenizer
        self._runtime = runtime

    def warmup(self) -> None:
        """Runs the two usual lengths."""
        self.predict(["a warm-up"])
        self.predict(["a warm-up that is as long as a long prompt usually is " * 2])

    @torch.inference_mode()
    def predict(self, batch: Sequence[str], /) -> list[Encoding | Failure]:
        """A unit vector for each text; a Failure for a text of nothing but white space."""
        token_ids = [encoding.ids for encoding in self._tokenizer.encode_batch(list(batch))]
        passes: dict[int, list[int]] = {}
        for index, ids in enumerate(token_ids):
            if ids:
                passes.setdefault(_padded_length(len(ids)), []).append(index)

        vectors: dict[int, torch.Tensor] = {}
        for length, members in passes.items():
            for first in range(0, len(members), self._rows):
                chosen = members[first : first + self._rows]
                encoded = self._encode([token_ids[index] for index in chosen], length)
                vectors |= dict(zip(chosen, encoded, strict=False))

        return [self._answer(vectors.get(index)) for index in range(len(batch))]

    def _encode(self, rows: list[list[int]], length: int) -> torch.Tensor:
        """(rows, V) float32 on the CPU; the pass is filled up with texts of one padding token."""
        rows = rows + [[0]] * (self._rows - len(rows))
        tokens = torch.tensor([ids + [0] * (length - len(ids)) for ids in rows])
        mask = torch.tensor([[True] * len(ids) + [False] * (length - len(ids)) for ids in rows])
        device = self._runtime.device
        return self._model(tokens.to(device), mask.to(device)).cpu()  # type: ignore[no-any-return]

    def _answer(self, vector: torch.Tensor | None) -> Encoding | Failure:
        if vector is None:
            return Failure(reason=Reason.FIELD_MISSING, message="is blank; at least one visible character is needed")
        if not torch.isfinite(vector).all():
            return Failure(reason=Reason.MODEL_OUTPUT_INVALID, message="the text encoder's output is not finite")
        return Encoding(space=self.info.space, vector=vector.numpy().astype("<f4").tobytes())


def _padded_length(length: int) -> int:
    return max(SHORTEST, 1 << (length - 1).bit_length())
