"""Encoded pictures to captions, in the model process."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from tokenizers import Tokenizer
from torch import Tensor

from services.captioning.beam_search import beam_search
from services.captioning.config import END, PADDING, CaptionerConfig, start_token
from services.captioning.items import WIDTHS, CaptionItem, Sampling, ScoredCaption, beams_for
from services.captioning.model import Captioner
from services.captioning.sampling import caption_noise, mean_scores, sample
from shared.codes import Reason
from shared.errors import ModelDirectoryError
from shared.inference.model_directory import ModelDirectory
from shared.inference.passes import chunks, exact_rows
from shared.inference.predictor import Failure, Padding, RuntimeOptions
from shared.inference.runtime import Runtime, resolve_runtime
from shared.inference.weights import load_weights
from shared.sampling import HOTTEST

TOKENIZER_FILE = "tokenizer.json"
MOST_ROWS = 64
"""Growing sentences of one pass: more at once take no less time each on a CPU, and memory grows with them."""
SAMPLED_ROWS = (1, 4)
"""Pictures of a pass that draws captions; of more than one only where that gives the bits of one alone."""
UNDECODED = "\ufffd"
"""What a piece of a character decodes to."""

Written = list[tuple[list[int], float]]
"""Token ids and score of a picture's captions: by falling score, or as they were drawn."""


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
    """Batches are padded to the next bucket size; languages mix freely, and each number of beams has its own pass.

    Captions that are drawn do not depend on their batch-mates: a picture is alone in its pass, or among as many as give
    the same bits.
    """

    def __init__(self, directory: ModelDirectory, model: Captioner, tokenizer: Tokenizer, runtime: Runtime) -> None:
        self.info = directory.info()
        self.device = str(runtime)
        self.padding = Padding()
        self._model = runtime.place(model)
        self._tokenizer = tokenizer
        self._starts = {
            language: token
            for language in self.info.languages
            if (token := tokenizer.token_to_id(start_token(language))) is not None  # `load` has seen to it
        }
        self._stop_early = not runtime.graphs
        self._dtype = runtime.dtype
        self._write = {width: runtime.passes(partial(self._forward, width=width)) for width in WIDTHS}
        self._sample = runtime.passes(self._drawn)
        self._sampled_rows: dict[int, tuple[int, ...]] = dict.fromkeys(WIDTHS, SAMPLED_ROWS[:1])

    def warmup(self) -> None:
        """Runs every bucket size with every number of beams, and finds out how many pictures may draw together."""
        config = self._model.config
        for width, write in self._write.items():
            for size in self._sizes(width):
                tokens = torch.zeros(size, config.memory_tokens, config.token_width)
                write.warm(tokens, torch.zeros(size, config.space_width), torch.full((size,), END))
            inputs = partial(self._random_inputs, width=width)
            self._sampled_rows[width] = exact_rows(self._sample, inputs, microbatch=1, sizes=SAMPLED_ROWS)

    def predict(self, batch: Sequence[CaptionItem], /) -> list[tuple[ScoredCaption, ...] | Failure]:
        """The likeliest captions of each picture; a Failure for an encoding of another shape or a foreign language."""
        encodings = [self._read(item) for item in batch]
        passes: dict[tuple[int, bool], list[int]] = {}
        for index, (item, encoding) in enumerate(zip(batch, encodings, strict=True)):
            if not isinstance(encoding, Failure):
                passes.setdefault((beams_for(item.candidates), item.sampling is not None), []).append(index)

        written: dict[int, Written] = {}
        rows_run = 0
        for (width, sampled), members in passes.items():
            good = [encoding for index in members if not isinstance(encoding := encodings[index], Failure)]
            items = [batch[index] for index in members]
            # One pass, however much padding: a step takes long, a row of it hardly any time.
            sizes = self._sampled_rows[width] if sampled else self._sizes(width)
            for part, rows in chunks(len(members), sizes, most_padding=1):
                written |= dict(zip(members[part], self._caption(good[part], items[part], rows, width), strict=False))
                rows_run += rows
        self.padding = Padding(items=rows_run - len(written))

        return [
            encoding if isinstance(encoding, Failure) else self._answer(written[index], batch[index])
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
        return tokens.view(config.memory_tokens, config.token_width), torch.nn.functional.normalize(vector, dim=0)

    def _sizes(self, width: int) -> list[int]:
        """Pictures of a pass with so many beams: any of these, rising."""
        return sorted({min(size, MOST_ROWS // width) for size in self.info.bucket_sizes})

    def _caption(
        self, encodings: list[tuple[Tensor, Tensor]], items: list[CaptionItem], rows: int, width: int
    ) -> list[Written]:
        """The captions of the pictures of one pass, which is filled up with the first of them; its captions follow."""
        missing = rows - len(encodings)
        padded, items = encodings + encodings[:1] * missing, items + items[:1] * missing
        tokens, vectors = torch.stack([tokens for tokens, _ in padded]), torch.stack([vector for _, vector in padded])
        start = torch.tensor([self._starts[item.language] for item in items])
        samplings = [item.sampling for item in items if item.sampling is not None]
        if samplings:
            words, scores = self._sample(tokens, vectors, start, *self._draws(samplings, width))
            scores = mean_scores(words, scores)
        else:
            words, scores = self._write[width](tokens, vectors, start)
        captions = zip(words.tolist(), scores.tolist(), strict=True)
        return [list(zip(*caption, strict=True)) for caption in captions]

    def _draws(self, samplings: Sequence[Sampling], width: int) -> tuple[Tensor, Tensor, Tensor]:
        """Noise (B, K, L), temperatures (B,) and shares (B,), as `sample` takes them."""
        steps = self._model.config.longest - 1
        noise = torch.stack([caption_noise(each.seed, width, steps) for each in samplings])
        temperature = torch.tensor([each.temperature for each in samplings])
        return noise, temperature, torch.tensor([each.top_p for each in samplings])

    def _random_inputs(self, rows: int, *, width: int) -> tuple[Tensor, ...]:
        """Pictures that all differ; at this heat a sentence hardly ends, so that every length of it is run."""
        config, drawn = self._model.config, torch.Generator().manual_seed(rows)
        tokens = torch.randn(rows, config.memory_tokens, config.token_width, generator=drawn)
        vectors = torch.nn.functional.normalize(torch.randn(rows, config.space_width, generator=drawn))
        samplings = [Sampling(seed=row, temperature=HOTTEST, top_p=1.0) for row in range(rows)]
        return tokens, vectors, torch.full((rows,), END), *self._draws(samplings, width)

    def _drawn(self, tokens: Tensor, vectors: Tensor, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        """As `sample` says: a score a word, by which passes of other sizes show that their bits are the same."""
        dtype = self._dtype
        return sample(self._model, tokens.to(dtype), vectors.to(dtype), *inputs, stop_early=self._stop_early)

    def _forward(self, tokens: Tensor, vectors: Tensor, start: Tensor, *, width: int) -> tuple[Tensor, Tensor]:
        """As `beam_search` says, which one beam needs not."""
        inputs = tokens.to(self._dtype), vectors.to(self._dtype), start
        if width > 1:
            return beam_search(self._model, *inputs, width, stop_early=self._stop_early)
        words, score = self._model.write(*inputs, stop_early=self._stop_early)
        return words[:, None], score[:, None]

    def _answer(self, written: Written, item: CaptionItem) -> tuple[ScoredCaption, ...] | Failure:
        """Captions of one text are one caption, with the better score."""
        if item.sampling is not None:  # what was drawn beyond the candidates only filled the pass
            written = sorted(written[: item.candidates], key=lambda each: each[1], reverse=True)
        if not math.isfinite(written[0][1]):
            return Failure(reason=Reason.MODEL_OUTPUT_INVALID, message="the caption decoder's output is not finite")
        scores: dict[str, float] = {}
        for words, score in written:
            if math.isfinite(score):
                scores.setdefault(self._decode(words), score)
        readable = {text: score for text, score in scores.items() if text and UNDECODED not in text}
        best = list((readable or scores).items())[: item.candidates]
        return tuple(ScoredCaption(text=text, score=score) for text, score in best)

    def _decode(self, words: list[int]) -> str:
        text: str = self._tokenizer.decode([word for word in words if word not in (PADDING, END)])
        return " ".join(text.split())
