"""Encoded pictures become captions with a score; a bad encoding fails alone."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from services.captioning.config import END, PADDING
from services.captioning.items import CaptionItem, ScoredCaption
from services.captioning.predictor import CaptioningPredictor, load
from shared.codes import Reason
from shared.encodings import Encoding
from shared.inference.predictor import Failure, RuntimeOptions


def encoding(seed: int = 0) -> Encoding:
    drawn = np.random.default_rng(seed)
    vector = drawn.standard_normal(32)
    return Encoding(
        space="tiny",
        vector=(vector / np.linalg.norm(vector)).astype("<f4").tobytes(),
        tokens=drawn.standard_normal((4, 16)).astype("<f2").tobytes(),
        token_width=16,
    )


@pytest.fixture(scope="module", params=["fp32", "bf16"])
def predictor(tiny_models: dict[str, Path], request: pytest.FixtureRequest) -> CaptioningPredictor:
    loaded = load(tiny_models["captioning"], RuntimeOptions(device="cpu", precision=request.param))
    loaded.warmup()
    return loaded


def captions_of(answer: tuple[ScoredCaption, ...] | Failure) -> tuple[ScoredCaption, ...]:
    assert not isinstance(answer, Failure), answer
    return answer


def test_score_is_a_mean_log_probability(predictor: CaptioningPredictor) -> None:
    (caption,) = captions_of(predictor.predict([CaptionItem(encoding=encoding(), language="en")])[0])
    assert -math.log(predictor._model.config.vocabulary) * 2 < caption.score < 0


def test_language_is_the_callers(predictor: CaptioningPredictor) -> None:
    items = [CaptionItem(encoding=encoding(seed), language=language) for seed in (1, 2) for language in ("en", "zh")]
    together = [captions_of(answer)[0].text for answer in predictor.predict(items)]
    alone = [captions_of(predictor.predict([item])[0])[0].text for item in items]
    assert together == alone


@pytest.mark.parametrize(
    ("item", "reason", "complaint"),
    [
        (
            CaptionItem(encoding=replace(encoding(), space="other"), language="en"),
            Reason.SPACE_MISMATCH,
            "space 'other'",
        ),
        (CaptionItem(encoding=encoding(), language="fr"), Reason.LANGUAGE_UNKNOWN, "the model writes en, zh"),
        (CaptionItem(encoding=replace(encoding(), tokens=b""), language="en"), Reason.ENCODING_INVALID, "0 bytes"),
        (
            CaptionItem(encoding=replace(encoding(), token_width=8), language="en"),
            Reason.ENCODING_INVALID,
            "of width 8",
        ),
        (
            CaptionItem(encoding=replace(encoding(), vector=b"1234"), language="en"),
            Reason.ENCODING_INVALID,
            "1 numbers",
        ),
        (
            CaptionItem(encoding=replace(encoding(), tokens=b"\x00\x7e" * 64), language="en"),
            Reason.ENCODING_INVALID,
            "not finite",
        ),
    ],
)
def test_bad_encoding_fails_alone(
    predictor: CaptioningPredictor, item: CaptionItem, reason: Reason, complaint: str
) -> None:
    good = CaptionItem(encoding=encoding(), language="zh")
    first, bad, last = predictor.predict([good, item, good])
    assert isinstance(bad, Failure)
    assert bad.reason is reason and complaint in bad.message
    assert captions_of(first) == captions_of(last) == captions_of(predictor.predict([good])[0])


def test_words_after_the_end_are_padding(predictor: CaptioningPredictor) -> None:
    model = predictor._model
    tokens = torch.randn(3, 4, 16, dtype=model.position.dtype)
    with torch.inference_mode():
        model.embedding.weight[END] += 3 * model.norm.weight  # makes the end likely
        words, scores = model.write(tokens, torch.randn(3, 32, dtype=model.position.dtype), torch.tensor([2, 3, 2]))
        model.embedding.weight[END] -= 3 * model.norm.weight
    assert words.shape[1] <= model.config.longest
    assert (scores <= 0).all()
    for row in words.tolist():
        after_end = row[row.index(END) + 1 :] if END in row else []
        assert set(after_end) <= {PADDING}
