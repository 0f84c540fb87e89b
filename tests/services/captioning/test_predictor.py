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


def item_of(candidates: int, seed: int = 0) -> CaptionItem:
    return CaptionItem(encoding=encoding(seed), language="en", candidates=candidates)


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


@pytest.mark.parametrize("candidates", [2, 4, 5, 16])
def test_candidates_differ_and_come_by_falling_score(predictor: CaptioningPredictor, candidates: int) -> None:
    captions = captions_of(predictor.predict([item_of(candidates)])[0])
    assert 1 <= len(captions) <= candidates
    assert len({caption.text for caption in captions}) == len(captions)
    scores = [caption.score for caption in captions]
    assert scores == sorted(scores, reverse=True) and scores[0] <= 0


def test_candidates_of_a_call_do_not_hang_on_its_batch_mates(predictor: CaptioningPredictor) -> None:
    items = [item_of(candidates, seed) for seed, candidates in enumerate((1, 16, 3, 4, 1, 9, 8, 16))]
    together = [captions_of(answer) for answer in predictor.predict(items)]
    alone = [captions_of(predictor.predict([item])[0]) for item in items]
    for one, other in zip(together, alone, strict=True):
        assert [caption.text for caption in one] == [caption.text for caption in other]
        assert [caption.score for caption in one] == pytest.approx([caption.score for caption in other], abs=0.02)


def test_one_caption_is_written_greedily(predictor: CaptioningPredictor) -> None:
    model = predictor._model
    vector, tokens = (np.frombuffer(data, kind).astype("<f4") for data, kind in (
        (encoding().vector, "<f4"), (encoding().tokens, "<f2")
    ))  # fmt: skip
    with torch.inference_mode():
        _, score = model.write(
            torch.from_numpy(tokens).view(1, 4, 16).to(model.position.dtype),
            torch.from_numpy(vector)[None].to(model.position.dtype),
            torch.tensor([predictor._starts["en"]]),
        )
    (caption,) = captions_of(predictor.predict([item_of(1)])[0])
    assert caption.score == pytest.approx(score.item(), abs=1e-6)


def test_texts_that_are_equal_are_one_caption_and_broken_ones_are_left_out(predictor: CaptioningPredictor) -> None:
    cat = predictor._tokenizer.encode("a cat").ids
    broken = predictor._tokenizer.encode("\u9fff").ids[:1]  # the first byte of three
    dog = predictor._tokenizer.encode("a dog").ids
    written = [([*cat], -0.5), ([*cat, PADDING], -0.6), (broken, -0.7), ([], -0.8), (dog, -0.9), (cat, -math.inf)]
    captions = captions_of(predictor._answer(written, item_of(9)))
    assert captions == (ScoredCaption(text="a cat", score=-0.5), ScoredCaption(text="a dog", score=-0.9))
    assert captions_of(predictor._answer(written, item_of(1))) == captions[:1]
    assert [caption.text for caption in captions_of(predictor._answer(written[3:4], item_of(1)))] == [""]


def test_vector_of_any_length_is_the_unit_vector_of_its_direction(predictor: CaptioningPredictor) -> None:
    vector = np.frombuffer(encoding().vector, "<f4")
    for factor in (0.01, 100.0, 1e25):
        longer = replace(encoding(), vector=(vector * np.float32(factor)).astype("<f4").tobytes())
        (caption,) = captions_of(predictor.predict([CaptionItem(encoding=longer, language="en")])[0])
        assert math.isfinite(caption.score)
        if factor < 1e19:  # the sum of greater squares is no number of 32 bits
            assert caption.text == captions_of(predictor.predict([item_of(1)])[0])[0].text


def test_output_that_is_not_a_number_is_an_internal_failure(tiny_models: dict[str, Path]) -> None:
    broken = load(tiny_models["captioning"], RuntimeOptions(device="cpu", precision="fp32"))
    torch.nn.init.constant_(broken._model.norm.weight, float("nan"))
    for answer in broken.predict([item_of(1), item_of(4)]):
        assert isinstance(answer, Failure) and answer.reason is Reason.MODEL_OUTPUT_INVALID


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
