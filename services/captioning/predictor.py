"""Encoded pictures to captions, in the model process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from services.captioning.beam_search import beam_search
from services.captioning.config import END, PADDING, CaptionerConfig, start_token
from services.captioning.items import WIDTHS, CaptionItem, ScoredCaption, beams_for
from services.captioning.model import Captioner
from shared.codes import Reason
from shared.errors import ModelDirectoryError
from shared.inference.model_directory import ModelDirectory
from shared.inference.predictor import Failure, RuntimeOptions
from shared.inference.runtime import Runtime, resolve_runtime
from shared.inference.weights import load_weights

TOKENIZER_FILE = "tokenizer.json"
MOST_ROWS = 64
"""Growing sentences of one pass: more at once take no less time each on a CPU, and memory grows with them."""
UNDECODED = "\ufffd"
"""What a piece of a character decodes to."""

Written = list[tuple[list[int], float]]
"""Token ids and score of a picture's captions, by falling score."""


def load(directory: Path, options: RuntimeOptions) -> CaptioningPredictor:
    """Reads and verifies a model directory. Raises ConfigurationError, ModelDirectoryError among them."""
    runtime = resolve_runtime(options)
    model_directory = ModelDirectory.read(directory, task="captioning")
    model_directory.verify()
    model = Captioner(model_directory.config(CaptionerConfig))
    load_weights(model, model_directory)
    tokenizer = Tokenizer.from_file(str(model_directory.file(TOKENIZER_FILE)))
    for language in model_directory.languages:
        if tokenizer.token_to_id(start_token(language)) is None:
            raise ModelDirectoryError(f"{directory / TOKENIZER_FILE}: token {start_token(language)} is missing")
    return CaptioningPredictor(model_directory, model, tokenizer, runtime)


class CaptioningPredictor:
    """Batches are padded to the next bucket size; languages mix freely, and each number of beams has its own pass."""

    def __init__(self, directory: ModelDirectory, model: Captioner, tokenizer: Tokenizer, runtime: Runtime) -> None:
        self.info = directory.info()
        self.device = str(runtime)
        self._model = model.to(runtime.device, runtime.dtype).eval()
        self._tokenizer = tokenizer
        self._starts = {
            language: token
            for language in self.info.languages
            if (token := tokenizer.token_to_id(start_token(language))) is not None  # `load` has seen to it
        }
        self._runtime = runtime

    @torch.inference_mode()
    def warmup(self) -> None:
        """Runs every bucket size with every number of beams."""
        config = self._model.config
        tokens, vector = torch.zeros(config.memory_tokens, config.token_width), torch.zeros(config.space_width)
        for width in WIDTHS:
            for size in sorted({min(size, _pictures_a_pass(width)) for size in self.info.bucket_sizes}):
                self._write([(tokens, vector)] * size, [END] * size, width)

    @torch.inference_mode()
    def predict(self, batch: Sequence[CaptionItem], /) -> list[tuple[ScoredCaption, ...] | Failure]:
        """The likeliest captions of each picture; a Failure for an encoding of another shape or a foreign language."""
        encodings = [self._read(item) for item in batch]
        passes: dict[int, list[int]] = {}
        for index, (item, encoding) in enumerate(zip(batch, encodings, strict=True)):
            if not isinstance(encoding, Failure):
                passes.setdefault(beams_for(item.candidates), []).append(index)

        written: dict[int, Written] = {}
        for width, members in passes.items():
            good = [encoding for index in members if not isinstance(encoding := encodings[index], Failure)]
            starts = [self._starts[batch[index].language] for index in members]
            count = _pictures_a_pass(width)
            for first in range(0, len(members), count):
                captions = self._write(good[first : first + count], starts[first : first + count], width)
                written |= dict(zip(members[first : first + count], captions, strict=True))

        return [
            encoding if isinstance(encoding, Failure) else self._answer(written[index], batch[index].candidates)
            for index, encoding in enumerate(encodings)
        ]

    def _read(self, item: CaptionItem) -> tuple[Tensor, Tensor] | Failure:
        """Tokens (T, W') and vector (V,), float32."""
        config, encoding = self._model.config, item.encoding
        if encoding.space != self.info.space:
            message = f"the encoding is of space {encoding.space!r}; the model works in space {self.info.space!r}"
            return Failure(reason=Reason.SPACE_MISMATCH, message=message)
        if item.language not in self._starts:
            message = f"language is {item.language!r}; the model writes {', '.join(self._starts)}"
            return Failure(reason=Reason.LANGUAGE_UNKNOWN, message=message)
        expected, found = 2 * config.memory_tokens * config.token_width, len(encoding.tokens)
        if found != expected or encoding.token_width != config.token_width:
            message = f"tokens have {found} bytes of width {encoding.token_width}; "
            message += f"the model needs {expected} bytes of width {config.token_width}"
            return Failure(reason=Reason.ENCODING_INVALID, message=message)
        if len(encoding.vector) != 4 * config.space_width:
            message = f"vector has {len(encoding.vector) // 4} numbers; the model's space has {config.space_width}"
            return Failure(reason=Reason.ENCODING_INVALID, message=message)
        tokens = torch.from_numpy(np.frombuffer(encoding.tokens, "<f2").astype(np.float32))
        vector = torch.from_numpy(np.frombuffer(encoding.vector, "<f4").astype(np.float32))
        if not (torch.isfinite(tokens).all() and torch.isfinite(vector).all() and vector.any()):
            message = "vector is zero, or the encoding has numbers that are not finite"
            return Failure(reason=Reason.ENCODING_INVALID, message=message)
        return tokens.view(config.memory_tokens, config.token_width), vector

    def _write(self, encodings: list[tuple[Tensor, Tensor]], starts: list[int], width: int) -> list[Written]:
        """The captions of the pictures of one pass, which is filled up with the first of them."""
        size = next(size for size in self.info.bucket_sizes if size >= len(encodings))
        missing = min(size, _pictures_a_pass(width)) - len(encodings)
        padded = encodings + encodings[:1] * missing
        tokens = torch.stack([tokens for tokens, _ in padded]).to(self._runtime.device, self._runtime.dtype)
        vectors = torch.stack([vector for _, vector in padded]).to(self._runtime.device, self._runtime.dtype)
        start = torch.tensor(starts + starts[:1] * missing, device=self._runtime.device)
        if width == 1:
            word, score = self._model.write(tokens, vectors, start)
            words, scores = word[:, None], score[:, None]
        else:
            words, scores = beam_search(self._model, tokens, vectors, start, width)
        captions = zip(words.tolist(), scores.tolist(), strict=True)
        return [list(zip(*caption, strict=True)) for caption in captions][: len(encodings)]

    def _answer(self, written: Written, candidates: int) -> tuple[ScoredCaption, ...] | Failure:
        """Captions of one text are one caption, with the better score."""
        if not math.isfinite(written[0][1]):
            return Failure(reason=Reason.MODEL_OUTPUT_INVALID, message="the caption decoder's output is not finite")
        scores: dict[str, float] = {}
        for words, score in written:
            if math.isfinite(score):
                scores.setdefault(self._decode(words), score)
        readable = {text: score for text, score in scores.items() if text and UNDECODED not in text}
        best = list((readable or scores).items())[:candidates]
        return tuple(ScoredCaption(text=text, score=score) for text, score in best)

    def _decode(self, words: list[int]) -> str:
        text: str = self._tokenizer.decode([word for word in words if word not in (PADDING, END)])
        return " ".join(text.split())


def _pictures_a_pass(width: int) -> int:
    """The most."""
    return MOST_ROWS // width
