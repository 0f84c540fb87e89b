"""Captions are drawn as often as they are likely, and the same seed draws the same ones in any company."""

from __future__ import annotations

import math
from collections import Counter
from typing import cast

import pytest
import torch
from torch import Tensor

from services.captioning.config import END, PADDING
from services.captioning.items import CaptionItem, Sampling, ScoredCaption
from services.captioning.model import Captioner
from services.captioning.predictor import CaptioningPredictor
from services.captioning.sampling import caption_noise, draw, mean_scores, sample
from tests.services.captioning.test_beam_search import START, A, B, TableDecoder
from tests.services.captioning.test_predictor import captions_of, item_of, predictor

__all__ = ["predictor"]  # the fixture: fp32 and bf16

WORDS = {START: {A: 0.6, B: 0.3, END: 0.1}, A: {END: 1.0}, B: {END: 1.0}}


def drawn(noise: Tensor, *, temperature: float = 1.0, top_p: float = 1.0) -> list[tuple[tuple[int, ...], float]]:
    """Sentences of the table and their scores, one a row of (K, L) numbers."""
    one = torch.zeros(1, 1, 1)
    decoder = cast(Captioner, TableDecoder(WORDS, longest=noise.shape[1] + 1))
    words, scores = sample(
        decoder, one, one[0], torch.tensor([START]), noise[None], torch.tensor([temperature]), torch.tensor([top_p])
    )
    rows = zip(words[0].tolist(), mean_scores(words, scores)[0].tolist(), strict=True)
    return [(tuple(word for word in row if word != PADDING), score) for row, score in rows]


def shares(**how: float) -> dict[int, float]:
    """How often each first word comes, of 1,000 sentences."""
    counts = Counter(words[0] for words, _ in drawn(caption_noise(0, 1000, 3), **how))
    return {word: count / 1000 for word, count in counts.items()}


def test_words_come_as_often_as_they_are_likely() -> None:
    assert shares() == pytest.approx({A: 0.6, B: 0.3, END: 0.1}, abs=0.05)


def test_low_temperature_prefers_the_likely_and_high_one_evens_out() -> None:
    assert shares(temperature=0.1) == pytest.approx({A: 1.0}, abs=0.01)
    hot = shares(temperature=4.0)  # the decoder gives all other words 1e-9, which heat brings up as well
    assert hot[A] / hot[B] == pytest.approx(2**0.25, abs=0.2)


def test_nucleus_leaves_out_what_the_likeliest_do_not_need() -> None:
    assert shares(top_p=0.5) == {A: 1.0}
    assert shares(top_p=0.85) == pytest.approx({A: 2 / 3, B: 1 / 3}, abs=0.05)


def test_score_is_the_mean_log_probability_whatever_drew_the_caption() -> None:
    noise = torch.tensor([[0.0, 0.0], [0.7, 0.0]])
    for temperature in (1.0, 2.0):
        (first, one), (second, other) = drawn(noise, temperature=temperature)
        assert (first, second) == ((A, END), (B, END))
        assert one == pytest.approx(math.log(0.6) / 2, abs=1e-3)
        assert other == pytest.approx(math.log(0.3) / 2, abs=1e-3)


def test_padding_is_never_drawn_and_the_largest_number_draws_a_word() -> None:
    likely_padding = torch.tensor([[[0.0, 9.0, 8.0]]])
    ends = torch.tensor([[1.0]])  # what 1 - 2**-53 becomes in float32
    assert draw(likely_padding, torch.tensor([[[1.0]]]), ends).item() == 0
    table = {START: {PADDING: 0.9, A: 0.1}, A: {END: 1.0}}
    one = torch.zeros(1, 1, 1)
    decoder = cast(Captioner, TableDecoder(table, longest=3))
    noise = caption_noise(0, 100, 2)[None]
    words, _ = sample(decoder, one, one[0], torch.tensor([START]), noise, torch.ones(1), torch.ones(1))
    assert words[0, :, 0].unique().tolist() == [A]


def test_further_candidates_change_none_of_the_first() -> None:
    assert torch.equal(caption_noise(2**64 - 1, 16, 5)[:4], caption_noise(2**64 - 1, 4, 5))
    assert not torch.equal(caption_noise(0, 4, 5), caption_noise(2**32, 4, 5))


def sampled(candidates: int, picture: int, seed: int = 7) -> CaptionItem:
    item = item_of(candidates, picture)
    sampling = Sampling(seed=seed, temperature=1.5, top_p=0.95)
    return CaptionItem(encoding=item.encoding, language="en", candidates=candidates, sampling=sampling)


def test_same_seed_is_the_same_captions_alone_and_in_any_batch(predictor: CaptioningPredictor) -> None:
    items = [sampled(candidates, picture) for picture, candidates in enumerate((1, 4, 16, 4, 2, 4, 8, 1, 4))]
    mixed = [*items, item_of(4, 3), item_of(1, 4)]
    alone = [captions_of(predictor.predict([item])[0]) for item in items]
    assert [captions_of(answer) for answer in predictor.predict(mixed)][: len(items)] == alone
    assert [captions_of(answer) for answer in predictor.predict(items[::-1])] == alone[::-1]


def test_other_seeds_draw_others_and_the_surest_stands_first(predictor: CaptioningPredictor) -> None:
    found: list[tuple[ScoredCaption, ...]] = [
        captions_of(predictor.predict([sampled(4, 0, seed)])[0]) for seed in range(4)
    ]
    assert len(set(found)) > 1
    for captions in found:
        scores = [caption.score for caption in captions]
        assert 1 <= len(captions) <= 4 and scores == sorted(scores, reverse=True)
